package engineio_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

// TestAFloodOfPingsThatNobodyReadsIsCut: an answer waits like any other message, and counts.
func TestAFloodOfPingsThatNobodyReadsIsCut(t *testing.T) {
	const queued = 4096
	world(t, engineio.Config{MaxQueueBytes: queued, CloseTimeout: 100 * time.Millisecond}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, s := dialed(t, srv, u)
		ping := enginetest.AppendFrame(nil, enginetest.Ping, make([]byte, 125))
		for range 10 * queued / len(ping) {
			c.TryWrite(ping)
			if n := s.Waiting(); n > queued {
				t.Fatalf("%d bytes wait", n)
			}
		}
		<-c.Served
		if got := u.heard(); got != "[] [slow client]" {
			t.Error(got)
		}
	})
}

// TestFragmentsWithoutAnEnd: nothing in them, they fill no memory, and still the message must be whole in time.
func TestFragmentsWithoutAnEnd(t *testing.T) {
	world(t, engineio.Config{PingInterval: time.Hour}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, _ := dialed(t, srv, u)
		c.Write(enginetest.AppendPart(nil, enginetest.Text, false, []byte("4")))
		fragments := bytes.Repeat(enginetest.AppendPart(nil, 0, false, nil), 100)
		start := time.Now()
		for u.heard() == "[] []" {
			c.Write(fragments)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		c.ExpectClose(engineio.UnfinishedMessage)
		if took := time.Since(start); took != 20*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
}

// TestAMillionPacketsInOnePoll: what is too large is not looked at, and what is not is walked through without a copy.
func TestAMillionPacketsInOnePoll(t *testing.T) {
	const million = 1_000_000
	for _, test := range []struct {
		packet     string
		maxPayload int
		status     int
		want       string
	}{
		{"4", million, 413, "[] [payload too large]"},
		{"3", 3 * million, 200, "[] []"},
		{"6", 3 * million, 200, "[] []"},
		{"5", 3 * million, 200, "[] []"},
		{"", 3 * million, 400, "[] [parse error]"},
		{"2", 3 * million, 400, "[] [transport error]"},
		{"1", 3 * million, 200, "[] [transport close]"},
	} {
		t.Run(test.packet, func(t *testing.T) {
			worldVia(t, enginetest.Goroutine, engineio.Config{MaxPayload: test.maxPayload}, func(t *testing.T, srv *engineio.Server, u *upper) {
				sid := handshake(t, srv, u)
				if status, body := enginetest.Poll(srv, "POST", sid, strings.Repeat(test.packet+"\x1e", million-1)+test.packet); status != test.status {
					t.Errorf("%d %s", status, body)
				}
				if got := u.heard(); got != test.want {
					t.Error(got)
				}
			})
		})
	}
	body := bytes.Repeat([]byte("4\x1e"), million)
	if n := testing.AllocsPerRun(1, func() {
		for _, err := range engineio.DecodePayload(body[:len(body)-1]) {
			if err != nil {
				t.Error(err)
			}
		}
	}); n > 10 {
		t.Errorf("%v allocations", n)
	}
}
