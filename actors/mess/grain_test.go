package mess

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
)

var errAway = nexus.Errorf(nexus.Unavailable, "the database is away")

// bubble runs a test in virtual time, with a hall that is awake and a moment that lies on no edge.
func bubble(t *testing.T, run func(t *testing.T, f *fake)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond)
		run(t, newFake())
	})
}

func TestTicksEverySecondOnTheEdge(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		node, c := f.node(t)
		wantInside(t, c, 0)
		var last int64
		for round := range 2 {
			node.Broadcasts()
			time.Sleep(time.Minute)
			synctest.Wait()
			got := updates(t, node.Broadcasts())
			if len(got) != 60 {
				t.Fatalf("%d updates in a minute", len(got))
			}
			for i, u := range got {
				if at, err := time.Parse(nexus.TimeLayout, u.Timestamp); err != nil || at.Nanosecond() != 0 {
					t.Fatalf("tick at %v, %v", u.Timestamp, err)
				}
				if u.Seq <= last || i > 0 && u.Seq != last+1 {
					t.Fatalf("round %d: seq %d after %d", round, u.Seq, last)
				}
				last = u.Seq
			}
			node, c = f.node(t) // the hall's next activation
			wantInside(t, c, 0)
		}
		if last >= 1<<53 {
			t.Fatalf("seq %d is more than a client's double holds", last)
		}
	})
}

func TestCheckInIsInTheNextUpdate(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		node, c := f.node(t)
		got := mustCheckIn(t, c, in("1"), in("2"), in("1"))
		if got.Accepted != 2 || got.Duplicates != 1 || got.Crowd.Occupancy != 2 {
			t.Fatalf("%+v", got)
		}
		time.Sleep(700 * time.Millisecond)
		synctest.Wait()
		us := updates(t, node.Broadcasts())
		if len(us) != 1 || us[0].Occupancy != 2 || us[0].Hall != hall.Name || us[0].Source != "gate" || us[0].Stale {
			t.Fatalf("%+v", us)
		}
	})
}

func TestCallersOfOneMomentShareACommit(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		wantInside(t, c, 0)
		open := make(chan struct{})
		f.on(func(_ context.Context, call string) error {
			if call == "record" {
				<-open
			}
			return nil
		})
		results := make(chan nexus.CheckInResult, 101)
		ask := func(id string) {
			go func() {
				got, err := c.CheckIn(t.Context(), hall.ID, []nexus.CrowdEvent{in(id)})
				if err != nil {
					t.Error(err)
				}
				results <- got
			}()
		}
		ask("first")
		synctest.Wait()
		for i := range 100 {
			ask(fmt.Sprint(i % 50)) // each twice
		}
		synctest.Wait()
		if len(results) != 0 || f.called("record") != 0 {
			t.Fatal("answered before the commit")
		}
		wantInside(t, c, 0) // the hall itself is not held up
		close(open)
		accepted, duplicates := 0, 0
		for range 101 {
			r := <-results
			accepted, duplicates = accepted+r.Accepted, duplicates+r.Duplicates
		}
		if accepted != 51 || duplicates != 50 || f.called("record") != 2 {
			t.Fatalf("%d accepted, %d duplicates in %d commits", accepted, duplicates, f.called("record"))
		}
		wantInside(t, c, 51)
	})
}

func TestBatchesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		wantInside(t, c, 0)
		open := make(chan struct{})
		f.on(func(_ context.Context, call string) error {
			if call == "record" {
				<-open
			}
			return nil
		})
		var all sync.WaitGroup
		ask := func(name string, n int, want nexus.Code) {
			events := make([]nexus.CrowdEvent, n)
			for i := range events {
				events[i] = in(fmt.Sprint(name, i))
			}
			all.Go(func() {
				_, err := c.CheckIn(t.Context(), hall.ID, events)
				var e *nexus.Error
				if nexus.CodeOf(err) != want || want != "" && (!errors.As(err, &e) || e.RetryAfter != time.Second) {
					t.Errorf("%s: %v, want %q", name, err, want)
				}
			})
			synctest.Wait()
		}
		ask("under way ", 1, "")
		for i := range maxWaiting / 1000 {
			ask(fmt.Sprint("waiting ", i, " "), 1000, "")
		}
		ask("one too many ", 1, nexus.Unavailable)
		close(open)
		all.Wait()
		if want := 1 + maxWaiting/maxBatch; f.called("record") != want || f.people() != maxWaiting+1 {
			t.Fatalf("%d kept in %d commits, want %d", f.people(), f.called("record"), want)
		}
		wantInside(t, c, maxWaiting+1)
	})
}

func TestUncertainCommitIsFoundAndCountedOnce(t *testing.T) {
	for name, wrong := range map[string]error{"with a code": errAway, "without": errors.New("connection reset"), "in time": context.DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *fake) {
				_, c := f.node(t)
				wantInside(t, c, 0)
				f.doubt(wrong)
				mine := in("mine")
				if _, err := c.CheckIn(t.Context(), hall.ID, []nexus.CrowdEvent{mine}); nexus.CodeOf(err) != nexus.CodeOf(wrong) {
					t.Fatalf("got %v", err)
				}
				synctest.Wait()
				wantInside(t, c, 1)
				if got := mustCheckIn(t, c, mine, in("other")); got.Accepted != 1 || got.Duplicates != 1 || got.Crowd.Occupancy != 2 {
					t.Fatalf("%+v", got)
				}
			})
		})
	}
}

// TestLateCommitIsWaitedFor has a Record go on in the database after its caller has given it up.
func TestLateCommitIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		wantInside(t, c, 0)
		late := in("late")
		f.on(func(ctx context.Context, call string) error {
			if call != "record" {
				return nil
			}
			f.on(nil)
			f.row <- struct{}{}
			go func() {
				time.Sleep(3 * time.Second)
				f.with(func() { f.keep(Recorded{Seq: 1, Event: late}) })
				<-f.row
			}()
			<-ctx.Done()
			return ctx.Err()
		})
		if _, err := c.CheckIn(t.Context(), hall.ID, []nexus.CrowdEvent{late}); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("got %v", err)
		}
		if got := mustCheckIn(t, c, late, in("other")); got.Accepted != 1 || got.Duplicates != 1 || got.Crowd.Occupancy != 2 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestStoreAway(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		node, c := f.node(t)
		mustCheckIn(t, c, in("before"))
		f.on(func(context.Context, string) error { return errAway })
		node.Broadcasts()
		for i := range 10 {
			began := time.Now()
			if _, err := c.CheckIn(t.Context(), hall.ID, []nexus.CrowdEvent{in(fmt.Sprint("away", i))}); nexus.CodeOf(err) != nexus.Unavailable {
				t.Fatalf("got %v", err)
			}
			if took := time.Since(began); took != 0 {
				t.Fatalf("the caller waited %v for nothing", took)
			}
			wantInside(t, c, 1)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		if us := updates(t, node.Broadcasts()); len(us) != 10 || us[9].Occupancy != 1 {
			t.Fatalf("%d updates while the store was away", len(us))
		}
		f.on(nil)
		time.Sleep(time.Second) // the next tick makes sure of what was left open
		synctest.Wait()
		records := f.called("record")
		if got := mustCheckIn(t, c, in("after")); got.Accepted != 1 || got.Crowd.Occupancy != 2 || f.called("record") != records+1 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestFrozenStoreHoldsUpNeitherTicksNorCallersForLong(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		node, c := f.node(t)
		mustCheckIn(t, c, in("before"))
		node.Broadcasts()
		f.on(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		began := time.Now()
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Second / 2)
				asked := time.Now()
				_, err := c.CheckIn(t.Context(), hall.ID, []nexus.CrowdEvent{in(fmt.Sprint("frozen", i))})
				// The batch before, a snapshot, and the own one, each given up after 2 s.
				if took := time.Since(asked); nexus.CodeOf(err) != nexus.Unavailable || took > 6*time.Second {
					t.Errorf("%v after %v", err, took)
				}
			})
		}
		all.Wait()
		synctest.Wait()
		if got, want := len(updates(t, node.Broadcasts())), int(time.Since(began)/time.Second); got < want || got > want+1 {
			t.Fatalf("%d updates in %d s", got, want)
		}
	})
}

func TestFencedHallWritesNothingAndSendsItsCallersOn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		old, before := f.node(t)
		mustCheckIn(t, before, in("1"))
		_, after := f.node(t)
		mustCheckIn(t, after, in("2"))
		// The old node does not know yet; its caller must not hear of fences and must not wait.
		began := time.Now()
		got, err := before.CheckIn(t.Context(), hall.ID, []nexus.CrowdEvent{in("3")})
		if err != nil || got.Accepted != 1 || got.Crowd.Occupancy != 3 || time.Since(began) > time.Second {
			t.Fatalf("%+v, %v after %v", got, err, time.Since(began))
		}
		if f.people() != 3 {
			t.Fatalf("%d kept", f.people())
		}
		// Now the old node has the newer activation, and the other finds out by its snapshot.
		time.Sleep(10 * time.Second)
		old.Broadcasts()
		wantInside(t, after, 3)
	})
}

func TestFencedWhileLoadingSendsCallersOn(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		f.on(func(ctx context.Context, call string) error {
			if call == "since" {
				f.on(nil)
				_, _, err := f.fences.Claim(ctx, KindName, string(hall.ID)) // somebody was faster
				return err
			}
			return nil
		})
		if got := mustCheckIn(t, c, in("1")); got.Accepted != 1 || got.Crowd.Occupancy != 1 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestKilledHallComesBackExact(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		sent := 0
		for life := range 5 {
			_, c := f.node(t) // the one before is not stopped: it never saves again
			for range 100 {
				mustCheckIn(t, c, in(fmt.Sprint(sent)))
				sent++
				time.Sleep(100 * time.Millisecond)
			}
			if life == 2 {
				f.doubt(errAway)
				if _, err := c.CheckIn(t.Context(), hall.ID, []nexus.CrowdEvent{in(fmt.Sprint(sent))}); err == nil {
					t.Fatal("no error")
				}
				sent++
			}
			_, next := f.node(t)
			wantInside(t, next, sent)
		}
	})
}

func TestStopSavesAndTheNextActivationReadsLittle(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		node, c := f.node(t)
		mustCheckIn(t, c, in("1"))
		node.Close()
		f.forget() // what is in the snapshot need not be read again
		_, c = f.node(t)
		wantInside(t, c, 1)
	})
}

// TestStopKeepsWhatWaitsToBeSaved ends the hall while a snapshot with a sample waits behind a slow Record.
func TestStopKeepsWhatWaitsToBeSaved(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		node, c := f.node(t)
		mustCheckIn(t, c, in("1"))
		time.Sleep(59 * time.Second)
		open := make(chan struct{})
		f.on(func(_ context.Context, call string) error {
			if call == "record" {
				f.on(nil)
				<-open
			}
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := c.CheckIn(ctx, hall.ID, []nexus.CrowdEvent{in("2")}); nexus.CodeOf(err) != nexus.Unavailable {
			t.Fatalf("got %v", err)
		}
		time.Sleep(6 * time.Second) // past the full minute and the next save
		closed := make(chan struct{})
		go func() { node.Close(); close(closed) }()
		synctest.Wait()
		close(open)
		<-closed
		if f.samples() != 1 {
			t.Fatalf("%d samples kept, want 1", f.samples())
		}
		_, c = f.node(t)
		wantInside(t, c, f.people()) // whether the slow Record was committed or not
	})
}

func TestUnknownHallIsNotFound(t *testing.T) {
	bubble(t, func(t *testing.T, f *fake) {
		_, c := f.node(t)
		if _, err := c.Live(t.Context(), "elsewhere"); nexus.CodeOf(err) != nexus.NotFound {
			t.Fatalf("got %v", err)
		}
	})
}
