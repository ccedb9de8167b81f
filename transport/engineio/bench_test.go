package engineio

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
)

// sink is a socket that takes everything at once.
type sink struct {
	net.Conn
	writes atomic.Int64
}

func (s *sink) Close() error { return nil }

func (s *sink) write(p []byte, _ bool) (int, error) {
	s.writes.Add(1)
	return len(p), nil
}

type nobody struct{}

func (nobody) Receive([]byte, bool) {}
func (nobody) Closed(Reason)        {}

// sinks is a server with n sessions that write to nothing: what is left is our own work.
func sinks(b testing.TB, n int) ([]*Session, *sink) {
	b.Helper()
	srv, err := NewServer(Config{}, func(*Session) Receiver { return nobody{} })
	if err != nil {
		b.Fatal(err)
	}
	conn := new(sink)
	for range n {
		s := srv.newSession(Request{}, WebSocket)
		s.ws = &wsConn{Conn: conn, raw: conn}
		if !s.open() {
			b.Fatal("no room")
		}
	}
	b.Cleanup(func() { srv.Close(TransportClosed) })
	return srv.Sessions(), conn
}

// BenchmarkOffer broadcasts one message to a thousand sessions, topic by topic, and waits until all are written. An op is one round
// over all sessions; the cost without the kernel's write is ns/message.
func BenchmarkOffer(b *testing.B) {
	for _, topics := range []int{1, 8} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			sessions, conn := sinks(b, 1000)
			m := NewMessage([]byte(`2/mess,["CROWD_UPDATE",{"hallId":"north","level":42,"status":"Moderate","waitTime":"10 mins"}]`))
			slots := make([]string, topics)
			for i := range slots {
				slots[i] = fmt.Sprint("hall", i)
			}
			sc := new(scratch)
			b.ReportAllocs()
			for b.Loop() {
				for _, slot := range slots {
					for _, s := range sessions {
						s.Offer(slot, m)
					}
				}
				for _, s := range sessions {
					s.flush(false, sc)
				}
			}
			messages := float64(b.N * topics * len(sessions))
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/messages, "ns/message")
			b.ReportMetric(float64(conn.writes.Load())/messages, "writes/message")
		})
	}
}

// TestADeliveredTickAllocatesNothing: what a broadcast allocates does not grow with those who hear it.
func TestADeliveredTickAllocatesNothing(t *testing.T) {
	sessions, conn := sinks(t, 1000)
	sessions[0].srv.flusher.limit = 0 // no worker: the test is one
	sc := new(scratch)
	m := NewMessage([]byte(`2/mess,["CROWD_UPDATE",{"hallId":"north"}]`))
	round := func() {
		for _, s := range sessions {
			s.Offer("hall", m)
		}
		for _, s := range sessions {
			s.flush(false, sc)
		}
	}
	round() // makes the slots
	before := conn.writes.Load()
	const rounds = 10
	allocated := testing.AllocsPerRun(rounds, round)
	if n := conn.writes.Load() - before; n < (rounds+1)*int64(len(sessions)) {
		t.Fatalf("%d writes", n)
	}
	if allocated > 0 {
		t.Errorf("%v allocations for %d ticks", allocated, len(sessions))
	}
}

func BenchmarkFrameDecoder(b *testing.B) {
	in := masked(0x81, `42["subscribe",{"halls":["north","south","central"]}]`)
	buf := make([]byte, len(in))
	d := frameDecoder{limit: 1 << 20}
	emit := func(byte, []byte) error { return nil }
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		copy(buf, in)
		if err := d.feed(buf, emit); err != nil {
			b.Fatal(err)
		}
	}
}
