package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nexus/cmd/nexus-load/crowd"
	"nexus/cmd/nexus-load/raw"
	"nexus/cmd/nexus-load/sos"
	"nexus/cmd/nexus-load/usage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told keeps what it is told.
type told struct {
	lines []string
	said  func() // called with each line; nil: nothing
}

func (s *told) Phase(string, int) {}
func (s *told) Done(int)          {}
func (s *told) Say(line string) {
	s.lines = append(s.lines, line)
	if s.said != nil {
		s.said()
	}
}

// floor serves the raw server.
func floor(t *testing.T, halls int) Target {
	t.Helper()
	s, err := raw.Listen("127.0.0.1:0", halls)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	to, err := Resolve(t.Context(), "http://"+s.Addr(), false)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestALoadOnTheFloor goes all the way: everybody hears every hall each second, drops and comes back, and the result says so, also as JSON.
func TestALoadOnTheFloor(t *testing.T) {
	const sockets, halls = 200, 3
	show := new(told)
	r, err := Run(t.Context(), Options{
		Targets: []Target{floor(t, halls)}, Crowd: crowd.Options{Sockets: sockets, Sources: 3, Subscribe: []string{"*"}},
		Warm: 10, Within: time.Minute, Duration: 4500 * time.Millisecond, Reconnect: true, Server: usage.Processes{os.Getpid()}, Show: show,
	})
	if err != nil {
		t.Fatal(err)
	}
	// The first update on a connection may come within the measuring, and does not count.
	if n := r.Heard.Messages; n < sockets*halls || n > 5*sockets*halls || len(r.Heard.Topics) != halls || r.Heard.Gaps()+r.Heard.Duplicates() > 0 {
		t.Errorf("%d updates of %d halls, %d left out, %d twice", n, len(r.Heard.Topics), r.Heard.Gaps(), r.Heard.Duplicates())
	}
	if r.Served != sockets || r.Reconnect == nil || r.Reconnect.Served != sockets || r.Reconnect.Resumes != sockets {
		t.Errorf("%d served, reconnect %+v", r.Served, r.Reconnect)
	}
	if s := r.Server; s == nil || s.CPUPerMessageUS <= 0 || s.CPUPerConnectionUS <= 0 || s.Resident == 0 || r.GeneratorCPUMSPerSecond <= 0 {
		t.Errorf("server %+v", s)
	}
	if len(show.lines) != 1 || !strings.HasPrefix(show.lines[0], "served 200 sockets") {
		t.Errorf("said %q", show.lines)
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	again := new(Result)
	if err := json.Unmarshal(text, again); err != nil {
		t.Fatal(err)
	}
	if a, b := again.Heard.Edge.Quantile(0.99), r.Heard.Edge.Quantile(0.99); a != b || a == 0 {
		t.Errorf("p99 is %v, and %v from JSON", b, a)
	}
	var out bytes.Buffer
	r.Print(&out)
	for _, want := range []string{"200 sockets", "Hall 3, from its timestamp", "all at once again", "reconnecting: 200 of 200"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, out.String())
		}
	}
}

// TestAnInterruptedMeasuringIsReported: whoever has heard enough says so, and gets what was heard.
func TestAnInterruptedMeasuringIsReported(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var end *time.Timer
	show := &told{said: func() { end = time.AfterFunc(4500*time.Millisecond, cancel) }}
	r, err := Run(ctx, Options{
		Targets: []Target{floor(t, 1)}, Crowd: crowd.Options{Sockets: 20}, Within: time.Minute, Duration: time.Hour, Reconnect: true, Show: show,
	})
	if err != nil {
		t.Fatal(err)
	}
	end.Stop()
	if r.Heard.Messages == 0 || r.Reconnect != nil || r.Seconds > 60 {
		t.Errorf("%d updates in %v s", r.Heard.Messages, r.Seconds)
	}
}

func TestAnEndBeforeTheMeasuringIsAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	r, err := Run(ctx, Options{
		Targets: []Target{floor(t, 1)}, Crowd: crowd.Options{Sockets: 20}, Within: time.Minute, Settle: time.Hour, Duration: time.Hour, Show: new(told),
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhoIsNotServedInTimeIsAnError(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	to, err := Resolve(t.Context(), s.URL, false)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Run(t.Context(), Options{Targets: []Target{to}, Crowd: crowd.Options{Sockets: 5, NoReturn: true}, Within: time.Second, Duration: time.Second, Show: new(told)})
	if err == nil || !strings.Contains(err.Error(), "0 of 5 sockets are served") || !strings.Contains(err.Error(), "404") {
		t.Errorf("ended with %v", err)
	}
}

func TestAlarmsAreNotForAnybody(t *testing.T) {
	to := floor(t, 1) // which knows no /security
	_, err := Run(t.Context(), Options{
		Targets: []Target{to}, SOS: &sos.Options{Addr: to.Addr.String(), Path: "/socket.io/", Students: []string{"s"}, Officers: []string{"o"}}, Duration: time.Second, Show: new(told),
	})
	if err == nil {
		t.Error("a probe without a rate runs")
	}
}
