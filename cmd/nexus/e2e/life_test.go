package e2e_test

import (
	"errors"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

func TestStartAndOrderlyEnd(t *testing.T) {
	s := start(t)
	t.Logf("ready %v after the first start", s.took)
	sockets := []*client{
		connect(t, s, "/mess", options{"transports": []string{"websocket"}}),
		connect(t, s, "/mess", options{"transports": []string{"polling"}}),
	}
	pg, err := s.postmaster()
	if err != nil || pg == 0 {
		t.Fatalf("no private PostgreSQL: %v", err)
	}

	began := time.Now()
	if err := s.stop(); err != nil {
		t.Fatalf("SIGTERM: %v", err)
	}
	t.Logf("ended within %v", time.Since(began))
	if pid, err := s.postmaster(); pid != 0 || err != nil {
		t.Errorf("PostgreSQL is still there: %d, %v", pid, err)
	}
	sockets[0].closed("server shutting down")
	sockets[1].expect("disconnect")

	s.restart(t)
	t.Logf("ready %v after the second start", s.took)
	for _, c := range sockets {
		c.expect("connect")
	}
}

// TestASecondSignalEndsAtOnce: where the test stands still for so long that the first has had its effect, it shows nothing.
func TestASecondSignalEndsAtOnce(t *testing.T) { steady(t, secondSignal) }

func secondSignal(t testing.TB) {
	s := start(t)
	// A request that never comes whole keeps the orderly end waiting.
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // nothing depends on it
	if _, err := conn.Write([]byte("POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")); err != nil {
		t.Fatal(err)
	}
	s.signal(t, syscall.SIGTERM)
	if err := s.wait("ending; a second signal ends at once", &struct{}{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	again := time.NewTicker(50 * time.Millisecond) // an impatient operator: a signal on the heels of the first may count as one
	defer again.Stop()
	for over := false; !over; {
		select {
		case <-again.C:
			_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by now
		case <-s.ended:
			over = true
		}
	}
	t.Logf("ended within %v", time.Since(began))
	var exit *exec.ExitError
	if !errors.As(s.exit, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v, not by the signal", s.exit)
	}
}
