package client

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/fasthttp/websocket"

	"nexus/cmd/nexus-chaos/history"
)

// button is a node that answers presses with the bodies in turn, the last one for ever, and notes their keys. An empty one is 503.
type button struct {
	answers []string

	mu   sync.Mutex
	keys []string
}

func (b *button) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var press struct{ ClientKey string }
	if err := json.NewDecoder(r.Body).Decode(&press); err != nil {
		press.ClientKey = err.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys = append(b.keys, press.ClientKey)
	answer := b.answers[min(len(b.keys), len(b.answers))-1]
	switch answer {
	case "":
		w.WriteHeader(http.StatusServiceUnavailable)
	case "no":
		w.WriteHeader(http.StatusForbidden)
	default:
		fmt.Fprint(w, answer)
	}
}

func TestStudentInsistsUntilItIsDurable(t *testing.T) {
	const (
		stored  = `{"incidentId":"i","state":"RAISED","seq":1,"durable":true}`
		alarmed = `{"incidentId":"i","state":"RAISED","seq":0,"durable":false}`
	)
	for _, c := range []struct {
		name    string
		answers []string
		once    bool
		want    history.Op // what is compared of it
	}{
		{"at once", []string{stored}, false, history.Op{Outcome: history.OK, Durable: true, Value: 1}},
		{"busy at first", []string{"", "", stored}, false, history.Op{Outcome: history.OK, Durable: true, Value: 1}},
		{"not durable at first", []string{alarmed, alarmed, stored}, false, history.Op{Outcome: history.OK, Durable: true, Alarmed: true, Value: 1}},
		{"content with that", []string{"", alarmed, stored}, true, history.Op{Outcome: history.OK, Alarmed: true}},
		{"refused", []string{"no"}, false, history.Op{Outcome: history.Failed}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := &button{answers: c.answers}
			server := httptest.NewServer(b)
			defer server.Close()
			w := NewWeb(history.New(), Target{}, []Target{{Name: "node", URL: server.URL}})
			defer w.Close()
			op := (&Student{Web: w, Name: "student", Tag: "tag", Once: c.once}).Press(t.Context())
			got := history.Op{Outcome: op.Outcome, Durable: op.Durable, Alarmed: op.Alarmed, Value: op.Value}
			if fmt.Sprint(got) != fmt.Sprint(c.want) || op.Return < op.Call {
				t.Errorf("%+v, want %+v", op, c.want)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(slices.Compact(slices.Clone(b.keys))) != 1 || b.keys[0] != op.Event {
				t.Errorf("the attempts differ: %v", b.keys)
			}
			if ops := w.Log.Ops(history.Raise); len(ops) != 1 || ops[0].Event != op.Event {
				t.Errorf("the history has %v", ops)
			}
		})
	}
}

// TestRadioGoesOnFromWhereItWas has a radio hear two lines, the second twice, lose its connection, and hear one more.
func TestRadioGoesOnFromWhereItWas(t *testing.T) {
	hellos, acks := make(chan string, 8), make(chan string, 8)
	line := func(n int) string {
		return fmt.Sprintf(`42/security,%d["INCIDENT_EVENT",{"incidentId":"i","seq":%d,"deliveryId":"s:%d","offset":%d}]`, n, n, n, n)
	}
	scripts := make(chan []string, 2)
	scripts <- []string{line(6), line(7), line(7)}
	scripts <- []string{line(8)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }() // the radio sees it broken, or has gone
		_, hello, err := conn.ReadMessage()
		if err != nil {
			return
		}
		hellos <- string(hello)
		send := []string{`40/security,{"sid":"x"}`}
		var script []string
		select {
		case script = <-scripts:
		default:
		}
		for _, text := range append(send, script...) {
			if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
				t.Error(err)
				return
			}
		}
		for range script {
			_, ack, err := conn.ReadMessage()
			if err != nil {
				t.Error(err)
				return
			}
			acks <- string(ack)
		}
	}))
	defer server.Close()
	w := NewWeb(history.New(), Target{}, []Target{{Name: "node", URL: server.URL}})
	defer w.Close()
	var fresh []int64
	r := &Radio{Web: w, Name: "phone", Header: http.Header{"Authorization": {"Bearer token"}}, From: 5, hear: func(d history.Delivery) { fresh = append(fresh, d.Offset) }}
	c := &Crowd{web: w, Radios: []*Radio{r}}
	if err := c.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"43/security,6[]", "43/security,7[]", "43/security,7[]", "43/security,8[]"} {
		if got := <-acks; got != want {
			t.Errorf("acknowledged with %s, want %s", got, want)
		}
	}
	c.Stop(0)
	c.Hush()
	for _, want := range []string{`40/security,{"offset":5,"token":"token"}`, `40/security,{"offset":7,"token":"token"}`} {
		if got := <-hellos; got != want {
			t.Errorf("said %s, want %s", got, want)
		}
	}
	if !slices.Equal(fresh, []int64{6, 7, 8}) || r.Offset() != 8 || len(w.Log.Deliveries()) != 4 {
		t.Errorf("heard %v as new, stands at %d, wrote down %v", fresh, r.Offset(), w.Log.Deliveries())
	}
}
