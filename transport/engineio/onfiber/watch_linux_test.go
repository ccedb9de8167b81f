package onfiber_test

import (
	"io"
	"net"
	"testing"
	"time"

	"nexus/transport/engineio/onfiber"
)

// TestAPollMayWaitPastReadTimeout: the deadline for reading the request ends no watch, and what was sent ahead is still there behind it.
func TestAPollMayWaitPastReadTimeout(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nobody else comes
	client := dial(t, host{addr: listener.Addr().String()})
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close() //nolint:errcheck // all was read
	expire := func() {
		t.Helper()
		if err := server.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}

	expire()
	ctx, stop := onfiber.Watch(server)
	client.write("ahead")
	stop()
	if ctx.Err() == nil {
		t.Error("the context of a request that was answered goes on")
	}
	got := make([]byte, len("ahead"))
	if _, err := io.ReadFull(server, got); err != nil || string(got) != "ahead" {
		t.Errorf("read %q: %v", got, err)
	}

	expire()
	ctx, stop = onfiber.Watch(server)
	defer stop()
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		t.Error("nobody noticed the hang-up")
	}
}
