package mess

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
)

func TestSamplesOnceAMinute(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		wantInside(t, c, 0)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if f.samples() != 0 {
			t.Fatal("samples of a hall that nobody ever counted in")
		}
		start := time.Now().UTC().Truncate(time.Minute)
		mustCheckIn(t, c, in("1"), in("2"))
		time.Sleep(10*time.Minute + 6*time.Second) // the next save
		synctest.Wait()
		if f.samples() != 10 {
			t.Fatalf("%d samples in 10 minutes", f.samples())
		}
		for i := range 10 {
			minute := start.Add(time.Duration(i) * time.Minute)
			if s, _ := f.sample(minute); s.Occupancy != 2 || s.Source != "gate" {
				t.Errorf("at %v: %+v", minute, s)
			}
		}
	})
}

func TestSamplesOutlastTheStoresAbsence(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		mustCheckIn(t, c, in("1"))
		f.on(func(context.Context, string) error { return errAway })
		time.Sleep(3 * time.Hour)
		f.on(nil)
		time.Sleep(time.Minute + 10*time.Second) // the next save
		synctest.Wait()
		if f.samples() != 181 {
			t.Fatalf("%d samples, want 181", f.samples())
		}
		f.on(func(context.Context, string) error { return errAway })
		time.Sleep(25 * time.Hour)
		f.on(nil)
		time.Sleep(time.Minute + 10*time.Second) // the next save
		synctest.Wait()
		if got := f.samples() - 181; got < maxSamples || got > maxSamples+1 {
			t.Fatalf("%d samples, want the newest %d", got, maxSamples)
		}
		if _, ok := f.sample(time.Now().UTC().Truncate(time.Minute).Add(-time.Minute)); !ok {
			t.Fatal("the newest is not among them")
		}
	})
}

func TestUncertainSaveIsRepeatedAboveIt(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		mustCheckIn(t, c, in("1"))
		var fails atomic.Int32
		f.on(func(ctx context.Context, call string) error {
			if call != "save" || fails.Load() > 0 {
				return nil
			}
			fails.Add(1)
			// Committed, and the answer lost.
			if err := f.fences.Save(ctx, nexus.Fence{Kind: KindName, ID: string(hall.ID), Epoch: 1}, nexus.Snapshot{Version: 1}); err != nil {
				t.Error(err)
			}
			return errAway
		})
		time.Sleep(16 * time.Second)
		synctest.Wait()
		f.forget()
		_, c = f.node(t)
		wantInside(t, c, 1)
		if fails.Load() != 1 {
			t.Fatalf("%d saves failed", fails.Load())
		}
	})
}

func TestReportIsACountOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		mustCheckIn(t, c, in("1"))
		time.Sleep(time.Second)
		got, err := c.Report(t.Context(), "staff", hall.ID, 80, 25)
		if err != nil || got.Occupancy != 80 || got.Level != 80 || got.Status != nexus.High || got.WaitMinutes != 25 || got.WaitTime != "25 mins" || got.Source != "staff" {
			t.Fatalf("%+v, %v", got, err)
		}
		time.Sleep(time.Second)
		if got, err = c.Report(t.Context(), "staff", hall.ID, 84, -1); err != nil || got.Occupancy != 84 || got.WaitMinutes != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		_, c = f.node(t) // it was kept before it was answered
		wantInside(t, c, 84)
	})
}

func TestReconfigure(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		mustCheckIn(t, c, in("1"))
		f.with(func() { f.hall.Capacity = 2 })
		if err := c.Reconfigure(t.Context(), hall.ID); err != nil {
			t.Fatal(err)
		}
		if live, err := c.Live(t.Context(), hall.ID); err != nil || live.Capacity != 2 || live.Level != 50 {
			t.Fatalf("%+v, %v", live, err)
		}
		f.on(func(context.Context, string) error { return errAway })
		if err := c.Reconfigure(t.Context(), hall.ID); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("got %v", err)
		}
	})
}

// TestReconfiguresShareAReading has many tell at once that the configuration has changed, while it is being read.
func TestReconfiguresShareAReading(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		wantInside(t, c, 0)
		open, reads := make(chan struct{}), f.called("hall")
		f.on(func(context.Context, string) error { <-open; return nil })
		done := make(chan error, 50)
		for range cap(done) {
			go func() { done <- c.Reconfigure(t.Context(), hall.ID) }()
		}
		synctest.Wait()
		close(open)
		for range cap(done) {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		if got := f.called("hall") - reads; got != 2 {
			t.Fatalf("read %d times, want 2: the one under way and one after it", got)
		}
	})
}
