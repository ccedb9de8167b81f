package engineio_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

// TestWhoMissesOnlyWhatIsLossyIsNotCut: the heartbeat finds out whether anybody is there; what may not be missed waits for as long as
// WriteTimeout.
func TestWhoMissesOnlyWhatIsLossyIsNotCut(t *testing.T) {
	cfg := engineio.Config{WriteTimeout: 3 * time.Second, PingInterval: time.Minute, PingTimeout: 20 * time.Second}
	world(t, cfg, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, s := dialed(t, srv, u)
		began := time.Now()
		for range 50 {
			s.Offer("hall", text("a tick"))
			time.Sleep(time.Second)
		}
		if got := u.heard(); got != "[] []" {
			t.Fatal(got)
		}
		c.Expect("4a tick", "4a tick")
		s.Offer("hall", text("more"))
		time.Sleep(time.Until(began.Add(79 * time.Second))) // past the ping, which nobody reads
		if got := u.heard(); got != "[] []" {
			t.Fatal(got)
		}
		time.Sleep(time.Second)
		if got := u.heard(); got != "[] [ping timeout]" {
			t.Error(got)
		}
	})
}

// TestWhatMayNotBeMissedHasItsTime, also behind what is lossy.
func TestWhatMayNotBeMissedHasItsTime(t *testing.T) {
	world(t, engineio.Config{WriteTimeout: 3 * time.Second, PingInterval: time.Hour}, func(t *testing.T, srv *engineio.Server, u *upper) {
		_, s := dialed(t, srv, u)
		s.Offer("hall", text("a tick"))
		time.Sleep(10 * time.Second)
		s.Push(text("a letter"))
		time.Sleep(3 * time.Second)
		if got := u.heard(); got != "[] [slow client]" {
			t.Error(got)
		}
		synctest.Wait()
		if srv.Len() != 0 {
			t.Error("still there")
		}
	})
}

// TestWhatIsUrgentHasTheProcessors: while it is under way the others are written to more slowly, but they are.
func TestWhatIsUrgentHasTheProcessors(t *testing.T) {
	const sockets = 200
	world(t, engineio.Config{Workers: 1, PingInterval: time.Hour}, func(t *testing.T, srv *engineio.Server, u *upper) {
		var got atomic.Int64
		for range sockets {
			c, _ := dialed(t, srv, u)
			go func() {
				for {
					if f, ok := c.Next(); !ok || f.Op == enginetest.Close {
						return
					}
					got.Add(1)
				}
			}()
		}
		offer := func() {
			got.Store(0)
			for _, s := range srv.Sessions() {
				s.Offer("hall", text("a tick"))
			}
			synctest.Wait()
		}
		offer()
		if n := got.Load(); n != sockets {
			t.Fatalf("%d of %d heard at once", n, sockets)
		}
		done := srv.Hurry()
		offer()
		some := got.Load()
		if some == sockets {
			t.Errorf("%d of %d heard at once while something is urgent", some, sockets)
		}
		last := u.session()
		last.PushUrgent(text("now"))
		synctest.Wait()
		if n := got.Load(); n <= some {
			t.Error("what is urgent waits")
		}
		time.Sleep(100 * time.Millisecond)
		if n := got.Load(); n != sockets+1 {
			t.Errorf("%d of %d heard in time", n-1, sockets)
		}
		offer()
		done()
		synctest.Wait()
		if n := got.Load(); n != sockets {
			t.Errorf("%d of %d heard when it is over", n, sockets)
		}
	})
}
