package engineio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
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
