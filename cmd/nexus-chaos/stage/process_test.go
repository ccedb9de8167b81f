package stage

import (
	"bufio"
	"io"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"
)

// supervised runs a shell script under supervision and gives its lines.
func supervised(t *testing.T, script string) (*process, func() string) {
	t.Helper()
	r, w := io.Pipe()
	p := &process{name: "sh", out: w, command: func() *exec.Cmd { return exec.Command("sh", "-c", script) }}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	lines, stopped := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(stopped)
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		if err := p.stop(patience); err != nil {
			t.Error(err)
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		<-stopped
	})
	return p, func() string {
		t.Helper()
		select {
		case l := <-lines:
			return l
		case <-time.After(patience):
			t.Fatal("the process says nothing")
			return ""
		}
	}
}

func TestWhatEndsByItselfIsStartedAgain(t *testing.T) {
	p, line := supervised(t, "echo started; exit 3")
	for range 3 {
		if got := line(); got != "started" {
			t.Fatalf("it said %q", got)
		}
	}
	if ends := p.ends(); len(ends) < 2 || slices.ContainsFunc(ends, func(e int) bool { return e != 3 }) {
		t.Errorf("it ended with %v, want 3 each time", ends)
	}
}

func TestWhatIsKilledStaysDown(t *testing.T) {
	p, line := supervised(t, "echo started; exec sleep 60")
	line()
	gone, err := p.signal(syscall.SIGKILL, false)
	if err != nil {
		t.Fatal(err)
	}
	<-gone
	p.waiting.Wait() // nothing is on its way to start it again
	if got := p.ends(); !slices.Equal(got, []int{-1}) {
		t.Errorf("it ended with %v, want once by a signal", got)
	}
	if err := p.start(); err != nil {
		t.Fatal(err)
	}
	line()
}

func TestWhatDoesNotEndIsKilled(t *testing.T) {
	p, line := supervised(t, "trap '' TERM; echo started; while :; do sleep 0.1; done")
	line()
	if err := p.stop(10 * time.Millisecond); err == nil {
		t.Error("nobody hears that it had to be killed")
	}
}
