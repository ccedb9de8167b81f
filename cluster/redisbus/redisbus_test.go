package redisbus

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nexus/cluster/redisbus/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// ear is one node's end of the bus.
type ear struct {
	*Bus
	t     *testing.T
	heard chan string
	well  *atomic.Bool // as it said last
}

func listen(t *testing.T, s *redistest.Server, channel string) ear {
	t.Helper()
	client, err := Open(s.URL(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	failures := prometheus.NewCounter(prometheus.CounterOpts{Name: "failures", Help: "x"})
	e := ear{New(client, channel, slog.New(slog.DiscardHandler), failures), t, make(chan string, 1000), new(atomic.Bool)}
	e.Start(func(m []byte) {
		if string(m) != greeting {
			e.heard <- string(m)
		}
	}, e.well.Store)
	t.Cleanup(func() {
		for range 2 {
			if err := e.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
		if n := e.publish("closed"); n != 0 {
			t.Errorf("a closed bus reached %d", n)
		}
	})
	return e
}

// publish returns how many were reached.
func (e ear) publish(text string) int {
	e.t.Helper()
	reached := make(chan int, 1)
	e.Publish([]byte(text), func(n int) { reached <- n })
	return wait(e.t, reached)
}

func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// greeting is what until publishes. Nobody waits for it.
const greeting = "hello"

// until publishes until so many are reached.
func (e ear) until(n int) {
	e.t.Helper()
	for deadline := time.Now().Add(patience); e.publish(greeting) != n; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			e.t.Fatalf("never reached %d", n)
		}
	}
}

// wells waits until the bus says that it hears, or that it does not. Where the machine stands still for a moment it may
// say otherwise in between.
func (e ear) wells(want bool) {
	e.t.Helper()
	for deadline := time.Now().Add(patience); e.well.Load() != want; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			e.t.Fatalf("well: %v, want %v", !want, want)
		}
	}
}

// hears waits for a text, and passes over what was repeated.
func (e ear) hears(text string) {
	e.t.Helper()
	for m := ""; m != text; {
		m = wait(e.t, e.heard)
	}
}

func TestEachHearsEach(t *testing.T) {
	s := redistest.Start(t)
	a, b, other := listen(t, s, "one"), listen(t, s, "one"), listen(t, s, "two")
	for _, e := range []ear{a, b, other} {
		e.wells(true)
	}
	a.until(2)
	b.until(2)
	const texts, tries = 50, 25
	repeated := 0 // for the machine stood still, and Redis was taken to be away
	for i := range texts {
		text := fmt.Sprint(i, strings.Repeat("x", i*1000), "\x00\xff")
		for n := a.publish(text); n != 2; n = a.publish(text) {
			if repeated++; n > 2 || repeated > tries {
				t.Fatalf("reached %d; %d had to be repeated", n, repeated)
			}
			a.until(2)
		}
		a.hears(text)
		b.hears(text)
	}
	if len(other.heard) != 0 {
		t.Error("heard another channel")
	}
}

// TestRedisIsLost in every way, and comes back: nothing waits for it, and everything is as before.
func TestRedisIsLost(t *testing.T) {
	s := redistest.Start(t)
	a, b := listen(t, s, "one"), listen(t, s, "one")
	for _, f := range []struct {
		name       string
		lose, back func()
	}{
		{"killed", s.Kill, s.Restart},
		{"frozen", func() { s.Signal(syscall.SIGSTOP) }, func() { s.Signal(syscall.SIGCONT) }},
	} {
		a.wells(true)
		b.wells(true)
		a.until(2)
		f.lose()
		const messages = 200
		var took []time.Duration
		for range messages {
			asked := time.Now()
			if n := a.publish("lost"); n != 0 {
				t.Errorf("%s: reached %d", f.name, n)
			}
			took = append(took, time.Since(asked))
			<-time.After(10 * time.Millisecond)
		}
		// Only the first ones wait for Redis at all; a machine that stands still delays a few more.
		slices.Sort(took)
		if median := took[messages/2]; median > timeout/2 {
			t.Errorf("%s: half of the messages were handed back after %v only", f.name, median)
		}
		a.wells(false)
		b.wells(false)
		t.Logf("%s: handed back after %v (median), %v (slowest)", f.name, took[messages/2], took[messages-1])
		f.back()
	}
	a.wells(true)
	b.wells(true)
	a.until(2)
}

func TestOptions(t *testing.T) {
	for _, bad := range []string{"", "x", "http://h", "unix:///x", "redis://:hush/hush@h", "redis://u:hush@h:port", "redis://h/db"} {
		if _, err := Options(bad); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	o, err := Options("rediss://u:p%2Fw@h:6380/3")
	if err != nil || o.Addr != "h:6380" || o.Password != "p/w" || o.DB != 3 || o.TLSConfig == nil {
		t.Errorf("%+v %v", o, err)
	}
}
