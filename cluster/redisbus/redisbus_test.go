package redisbus

import (
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nexus/cluster/redisbus/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 10 * time.Second

// ear is one node's end of the bus.
type ear struct {
	*Bus
	t     *testing.T
	heard chan string
	well  chan bool
}

func listen(t *testing.T, s *redistest.Server, channel string) ear {
	t.Helper()
	client, err := Open(s.URL(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	failures := prometheus.NewCounter(prometheus.CounterOpts{Name: "failures", Help: "x"})
	e := ear{New(client, channel, slog.New(slog.DiscardHandler), failures), t, make(chan string, 100), make(chan bool, 100)}
	e.Start(func(m []byte) { e.heard <- string(m) }, func(w bool) { e.well <- w })
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

// until publishes until so many are reached.
func (e ear) until(n int) {
	e.t.Helper()
	for deadline := time.Now().Add(patience); e.publish("hello") != n; <-time.After(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			e.t.Fatalf("never reached %d", n)
		}
	}
}

func (e ear) wells(want bool) {
	e.t.Helper()
	if got := wait(e.t, e.well); got != want {
		e.t.Fatalf("well: %v, want %v", got, want)
	}
}

// next is what is heard next, beside the greetings of until, of which some may come late.
func (e ear) next() string {
	e.t.Helper()
	for {
		if m := wait(e.t, e.heard); m != "hello" {
			return m
		}
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
	for i := range 50 {
		text := fmt.Sprint(i, strings.Repeat("x", i*1000), "\x00\xff")
		if n := a.publish(text); n != 2 {
			t.Errorf("reached %d", n)
		}
		if a.next() != text || b.next() != text {
			t.Fatal("heard something else")
		}
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
		began, worst, handed := time.Now(), time.Duration(0), 0
		for time.Since(began) < 2*time.Second {
			asked := time.Now()
			if a.publish("lost") == 0 {
				handed++
			}
			worst = max(worst, time.Since(asked))
			<-time.After(10 * time.Millisecond)
		}
		if handed < 100 || worst > 400*time.Millisecond {
			t.Errorf("%s: %d handed back, the slowest after %v", f.name, handed, worst)
		}
		a.wells(false)
		b.wells(false)
		t.Logf("%s: handed back %d, the slowest after %v", f.name, handed, worst)
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
