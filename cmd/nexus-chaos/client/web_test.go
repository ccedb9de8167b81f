package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"nexus/cmd/nexus-chaos/history"
)

// served is a node that answers with the statuses in turn, the last one for ever, and notes the bodies.
type served struct {
	statuses []int

	mu     sync.Mutex
	bodies []string
}

func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		body = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bodies = append(s.bodies, string(body))
	w.WriteHeader(s.statuses[min(len(s.bodies), len(s.statuses))-1])
	fmt.Fprint(w, `{"accepted":1,"duplicates":0}`)
}

// webTo returns a Web that knows the one node.
func webTo(t *testing.T, statuses ...int) (*Web, *served) {
	t.Helper()
	s := &served{statuses: statuses}
	server := httptest.NewServer(s)
	w := NewWeb(history.New(), Target{}, []Target{{Name: "node", URL: server.URL}})
	t.Cleanup(func() { w.Close(); server.Close() })
	return w, s
}

func TestGateInsistsUntilTheAnswerIsCertain(t *testing.T) {
	for _, c := range []struct {
		name     string
		statuses []int
		outcome  history.Outcome
		attempts int
	}{
		{"at once", []int{200}, history.OK, 1},
		{"busy at first", []int{503, 429, 200}, history.OK, 3},
		{"refused", []int{422}, history.Failed, 1},
		{"busy, then refused", []int{500, 403}, history.Failed, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, s := webTo(t, c.statuses...)
			g := &Gate{Web: w, Name: "gate", Hall: "hall"}
			op := g.Report(t.Context())
			if op.Outcome != c.outcome || op.Attempts != c.attempts || op.Return < op.Call {
				t.Errorf("%+v, want %s after %d attempts", op, c.outcome, c.attempts)
			}
			if len(slices.Compact(s.bodies)) != 1 {
				t.Errorf("the attempts differ: %v", s.bodies)
			}
			if ops := w.Log.Ops(history.CheckIn); len(ops) != 1 || ops[0].Event != op.Event {
				t.Errorf("the history has %v", ops)
			}
		})
	}
}

func TestNobodyKnowsWhatIsNeverAnswered(t *testing.T) {
	w, s := webTo(t, 503)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan history.Op)
	go func() { ended <- (&Gate{Web: w, Name: "gate", Hall: "hall"}).Report(ctx) }()
	for tried := false; !tried; {
		s.mu.Lock()
		tried = len(s.bodies) > 0
		s.mu.Unlock()
	}
	cancel()
	if op := <-ended; op.Outcome != history.Unknown {
		t.Errorf("the outcome is %s", op.Outcome)
	}
}

func TestNobodyLeavesWhoHasNotCome(t *testing.T) {
	w, _ := webTo(t, 200)
	g := &Gate{Web: w, Name: "gate", Hall: "hall"}
	inside := 0
	for range 300 {
		if inside += g.Report(t.Context()).Delta; inside < 0 {
			t.Fatalf("%d inside", inside)
		}
	}
}
