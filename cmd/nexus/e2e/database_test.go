package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pgdev"
)

// back is how soon everything works again once the database does, and how soon it is said that it does not, on any machine: it takes
// a moment on one that has nothing else to do.
const back = 30 * time.Second

// under keeps people coming in while faults happen, and checks afterwards that everybody who was acknowledged is counted, and
// that no tick was missed.
func under(t *testing.T, s *server, faults func(hall nexus.HallID, gate caller, c *client)) {
	t.Helper()
	hall, gates := s.halls(t)[0], s.gates(t, 5)
	c := connect(t, s, "/mess", options{"transports": []string{"websocket"}})
	first := c.crowd("a tick", nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	crew := s.send(t, gates[:4], hall.ID, 4, until(ctx))
	crew.acknowledgedAtLeast(50)
	faults(hall.ID, gates[4], c)
	crew.acknowledgedAtLeast(crew.acknowledged.Load() + 50)
	cancel()
	crew.wg.Wait()

	acknowledged := int(crew.acknowledged.Load())
	t.Logf("%d people acknowledged; failed and sent again: %v", acknowledged, crew.failed())
	if got := s.live(t, hall.ID).Occupancy; got != acknowledged {
		t.Errorf("%d inside, want the %d that were acknowledged", got, acknowledged)
	}
	longest := 0.0
	for last := first; last.Occupancy != acknowledged; {
		u := c.crowd("the tick with everybody", nil)
		if !u.follows(last) || u.At-last.At > float64(back.Milliseconds()) {
			t.Errorf("seq %d came %.0f ms after %d", u.Seq, u.At-last.At, last.Seq)
		}
		longest = max(longest, u.At-last.At)
		last = u
	}
	t.Logf("%.0f ms between two ticks at the most", longest)
	c.none("a socket was lost", func(e event) bool { return e.Kind == "disconnect" })
}

// recovered repeats one check-in until it is taken, and wants that soon after since.
func (c caller) recovered(t *testing.T, hall nexus.HallID, since time.Time) {
	t.Helper()
	probe := &crew{t: t, hall: hall}
	probe.deliver(c, map[string]any{"source": "probe", "eventId": nexus.NewID(), "at": time.Now().UTC().Format(nexus.TimeLayout), "absolute": 0})
	took := time.Since(since)
	t.Logf("works again after %v; until then %v", took.Round(time.Millisecond), probe.failed())
	if took > back {
		t.Errorf("it took %v to work again", took)
	}
}

func TestThePrivatePostgreSQLDiesUnderLoad(t *testing.T) {
	s := start(t)
	under(t, s, func(_ nexus.HallID, gate caller, _ *client) {
		other := s.halls(t)[1].ID
		for range 2 {
			pid, err := s.postmaster()
			if err != nil || pid == 0 {
				t.Fatalf("no postmaster: %v", err)
			}
			kill(t, pid)
			if err := s.wait("postgres is back", &struct{}{}); err != nil {
				t.Fatal(err)
			}
			gate.recovered(t, other, time.Now())

			pid, err = s.postmaster()
			if err != nil || pid == 0 {
				t.Fatalf("no postmaster: %v", err)
			}
			kill(t, backend(t, pid))
			gate.recovered(t, other, time.Now())
		}
		s.readyAgain(t)
	})
}

// outside is a PostgreSQL that no node looks after.
type outside struct {
	*pgdev.Server
	t   *testing.T
	dir string
}

// external starts one. It ends with the test.
func external(t *testing.T) *outside {
	t.Helper()
	dir, err := os.MkdirTemp(work, "postgres-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := &outside{t: t, dir: dir}
	o.start()
	return o
}

func (o *outside) start() {
	o.t.Helper()
	pg, err := pgdev.Start(o.t.Context(), pgdev.Config{Dir: o.dir, Durable: true, Unwatched: true})
	if err != nil {
		o.t.Fatal(err)
	}
	o.Server = pg
	o.t.Cleanup(func() {
		if err := pg.Close(); err != nil {
			o.t.Errorf("end PostgreSQL: %v", err)
		}
	})
}

// kill ends it as pg_ctl stop -m immediate does.
func (o *outside) kill() {
	o.t.Helper()
	pid, err := postmaster(filepath.Join(o.Dir(), "data"))
	if err != nil || pid == 0 {
		o.t.Fatalf("no postmaster: %v", err)
	}
	kill(o.t, pid, syscall.SIGQUIT)
}

// readyAgain waits until the answer is over that the readiness check remembers for a second.
func (s *server) readyAgain(t testing.TB) {
	t.Helper()
	s.until(t, "ready again", func() bool {
		a, err := s.stranger().do(t.Context(), "GET", "//readyz", nil)
		return err == nil && a.status == http.StatusOK
	})
}

func TestAnExternalPostgreSQLDiesUnderLoad(t *testing.T) {
	pg := external(t)
	s := start(t, "NEXUS_DATABASE_URL="+pg.URL())
	admin := s.as(t, "admin")
	under(t, s, func(hall nexus.HallID, gate caller, c *client) {
		pg.kill()
		var ready struct {
			Ready  bool
			Checks map[string]string
		}
		s.stranger().call(t, "GET", "//readyz", nil, 503, &ready)
		if ready.Ready || ready.Checks["database"] == "ok" {
			t.Errorf("/readyz: %+v", ready)
		}
		s.stranger().call(t, "GET", "//healthz", nil, 200, nil)
		for _, path := range []string{"/profile", "/mess/halls", "/admin/users"} { // stored, not remembered
			asked := time.Now()
			a, err := admin.do(t.Context(), "GET", path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(asked); took > back {
				t.Errorf("%s took %v to say so", path, took)
			}
			if wrong := a.notUnavailable(); wrong != "" {
				t.Errorf("%s: %s", path, wrong)
			}
		}
		s.stranger().call(t, "GET", "/mess/halls/"+string(hall)+"/live", nil, 200, nil) // the grain knows
		newcomer := connect(t, s, "/mess", nil)
		newcomer.crowd("a tick without a database", nil)
		newcomer.crowd("and another", nil)

		pg.start()
		since := time.Now()
		gate.recovered(t, s.halls(t)[1].ID, since)
		s.readyAgain(t)
	})
}

// kill ends a process that is not ours and waits until it is gone.
func kill(t *testing.T, pid int, sig ...syscall.Signal) {
	t.Helper()
	how := syscall.SIGKILL
	if len(sig) > 0 {
		how = sig[0]
	}
	if err := syscall.Kill(pid, how); err != nil && !errors.Is(err, syscall.ESRCH) { // it may have ended by itself
		t.Fatalf("kill %d: %v", pid, err)
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for timeout := time.After(patience); running(pid); {
		select {
		case <-look.C:
		case <-timeout:
			t.Fatalf("%d is still there", pid)
		}
	}
}

// running reports whether a process lives; a zombie does not.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// backend is the pid of one of the postmaster's children that serve a connection.
func backend(t *testing.T, postmaster int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", postmaster, postmaster))
	if err != nil {
		t.Fatal(err)
	}
	var serving []int
	for _, child := range strings.Fields(string(text)) {
		name, err := os.ReadFile(filepath.Join("/proc", child, "cmdline"))
		if err == nil && strings.Contains(string(name), "[local]") {
			var pid int
			if _, err := fmt.Sscan(child, &pid); err == nil {
				serving = append(serving, pid)
			}
		}
	}
	if len(serving) == 0 {
		t.Fatal("nobody is connected")
	}
	return serving[rand.IntN(len(serving))]
}
