package incident

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"

	"nexus"
	"nexus/actors/grain"
)

func TestNobodyAnswersAndTheStepsComeOnTheirSecond(t *testing.T) {
	for name, skew := range map[string]time.Duration{"one clock": 0, "the store's clock is ahead": 3 * time.Minute, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(o *office) {
				o.skew = skew
				id := o.raise(press()).Incident
				o.wantSent("news asha dev")
				time.Sleep(125 * time.Second)
				o.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1, 60 PAGED2, 120 PAGED2")
				o.wantSent("news asha dev omar sara", "news adi asha dev omar sara", "news adi asha dev omar sara")
				if n := o.called("advance"); n != 3 {
					o.Fatalf("%d advances for 3 steps", n)
				}
			})
		})
	}
}

func TestACountdownRaisesItself(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(counting(10 * time.Second)).Incident
		time.Sleep(30 * time.Second)
		o.wants(id, "0 ARMED, 10 RAISED, 10 PAGED0, 25 PAGED1")
	})
}

func TestAnAnswerStopsTheClockUntilNobodyMoves(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		time.Sleep(20 * time.Second)
		o.act(dev, id, nexus.SOSAcknowledged)
		time.Sleep(299 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1, 20 ACKNOWLEDGED")
		time.Sleep(20 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1, 20 ACKNOWLEDGED, 320 UNACKNOWLEDGED, 320 PAGED0, 335 PAGED1")
		o.act(sara, id, nexus.SOSEnRoute)
		time.Sleep(20 * time.Minute)
		o.act(sara, id, nexus.SOSResolved)
		time.Sleep(time.Hour)
		o.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1, 20 ACKNOWLEDGED, 320 UNACKNOWLEDGED, 320 PAGED0, 335 PAGED1, 339 EN_ROUTE, 1239 REMINDED, 1539 RESOLVED")
	})
}

// A hint may be lost: the timer of before finds nothing to do, and goes on from what it sees.
func TestAnUnheardAnswerIsSeenInTime(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		_, err := o.Change(o.Context(), nexus.Caller{}, id, func(s State, _ Roster, now time.Time) ([]Event, error) {
			return s.Act(dev, nexus.SOSAcknowledged, "", now)
		})
		if err != nil {
			o.Fatal(err)
		}
		time.Sleep(301 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 0 ACKNOWLEDGED, 300 UNACKNOWLEDGED, 300 PAGED0")
		if n := o.called("advance"); n != 2 {
			o.Fatalf("%d advances", n)
		}
	})
}

func TestARestartRebuildsTheTimers(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		time.Sleep(10 * time.Second)
		o.desk.Close()
		o.node.Close()
		next := open(o.T, o.fake)
		next.locate(id)
		time.Sleep(40 * time.Second)
		next.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1")
		next.desk.Close()
		next.node.Close()
		time.Sleep(30 * time.Second) // 80 s after the press: a step was missed
		last := open(o.T, o.fake)
		last.locate(id)
		time.Sleep(61 * time.Second)
		last.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1, 80.001 PAGED2, 140.001 PAGED2")
	})
}

func TestAGrainThatMovedLeavesTheClockToItsSuccessor(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		other := open(o.T, o.fake)
		other.locate(id) // and the first one lives on
		time.Sleep(70 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1, 60 PAGED2")
		if n := o.called("advance"); n != 3 { // one of them fenced, by which the first one ended
			o.Fatalf("%d advances", n)
		}
		other.act(dev, id, nexus.SOSAcknowledged)
		time.Sleep(time.Minute)
		o.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1, 60 PAGED2, 70 ACKNOWLEDGED")
	})
}

// TestFencesMatter shows that the last test would see two activations that both write.
func TestFencesMatter(t *testing.T) {
	bubble(t, func(o *office) {
		o.fences.Unfenced = true
		id := o.raise(press()).Incident
		other := open(o.T, o.fake)
		other.locate(id)
		time.Sleep(70 * time.Second)
		synctest.Wait()
		if n := o.called("advance"); n != 4 {
			o.Fatalf("%d advances of two activations for 2 steps", n)
		}
		o.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1, 60 PAGED2") // for the rules find nothing due the second time
	})
}

func TestAStoreThatIsAwayIsTriedTwiceASecond(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		o.fail(errAway)
		time.Sleep(25200 * time.Millisecond)
		if n := o.called("advance"); n != 21 { // from 15 s on
			o.Fatalf("%d advances", n)
		}
		o.on(nil)
		time.Sleep(time.Minute)
		o.wants(id, "0 RAISED, 0 PAGED0, 25.5 PAGED1, 60 PAGED2")
	})
}

// A change that is heard of while the grain tries on replaces the timer of the next try.
func TestOneTimerCounts(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		o.fail(errAway, "advance")
		time.Sleep(15100 * time.Millisecond)
		o.act(dev, id, nexus.SOSAcknowledged)
		o.on(nil)
		time.Sleep(4 * time.Minute)
		if n := o.called("advance"); n != 1 {
			o.Fatalf("%d advances", n)
		}
		time.Sleep(100 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 15.1 ACKNOWLEDGED, 315.1 UNACKNOWLEDGED, 315.1 PAGED0, 330.1 PAGED1")
	})
}

// An advance that was committed although it seemed to fail is not done again.
func TestAnUncertainAdvanceIsDoneOnce(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		o.with(func() {
			o.after = func(_ context.Context, call string) error {
				if call != "advance" {
					return nil
				}
				o.with(func() { o.after = nil })
				return errAway
			}
		})
		time.Sleep(30 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 15 PAGED1")
	})
}

func TestAStepThatReachesNobodyCriesOut(t *testing.T) {
	bubble(t, func(o *office) {
		o.who = Roster{{ID: asha}, {ID: dev, OnDuty: true}}
		id := o.raise(press()).Incident
		o.wantSent("news asha dev")
		time.Sleep(16 * time.Second)
		o.wantSent("news asha dev", `safety/alerts SAFETY_ALARM {"incidentId":"`+string(id)+`","reason":"paged_nobody"}`)
	})
}

func TestTheGrainOfAClosedIncidentLeaves(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		ref := grain.Ref{Kind: KindName, ID: string(id)}
		pid, err := o.node.Locate(o.Context(), ref)
		if err != nil {
			o.Fatal(err)
		}
		ended := func() bool {
			synctest.Wait()
			_, there := o.node.System().ProcessRegistry.GetLocal(pid.Id)
			return !there
		}
		o.act(dev, id, nexus.SOSOnScene)
		if time.Sleep(time.Hour); ended() {
			o.Fatal("it left an open incident")
		}
		o.act(sara, id, nexus.SOSResolved)
		if time.Sleep(2*time.Minute + time.Second); !ended() {
			o.Fatal("it stays with a closed incident")
		}
	})
}

func TestChangesAreReadTogether(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		looks := o.called("look")
		gate := make(chan struct{})
		o.on(func(_ context.Context, call string) error {
			if call == "look" {
				<-gate
			}
			return nil
		})
		for seq := range int64(50) {
			go func() {
				if _, err := grain.Ask[*grain.Done](o.Context(), o.node, grain.Ref{Kind: KindName, ID: string(id)}, &Changed{Seq: 100 + seq}); err != nil {
					o.Error(err)
				}
			}()
			synctest.Wait()
		}
		close(gate)
		synctest.Wait()
		if n := o.called("look") - looks; n != 2 {
			o.Fatalf("read %d times", n)
		}
		if _, err := grain.Ask[*grain.Done](o.Context(), o.node, grain.Ref{Kind: KindName, ID: string(id)}, &Changed{Seq: 2}); err != nil || o.called("look")-looks != 2 {
			o.Fatalf("what it knows was read again, %v", err)
		}
	})
}

func TestWhatAGrainIsAskedInVain(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		ask := func(id nexus.IncidentID, msg *Changed) error {
			_, err := grain.Ask[*grain.Done](o.Context(), o.node, grain.Ref{Kind: KindName, ID: string(id)}, msg)
			return err
		}
		wantCode(o.T, ask(nexus.IncidentID(nexus.NewID()), &Changed{Seq: 1}), nexus.NotFound)
		_, err := grain.Ask[*grain.Done](o.Context(), o.node, grain.Ref{Kind: KindName, ID: string(id)}, &emptypb.Empty{})
		wantCode(o.T, err, nexus.Internal)
		o.fail(errAway)
		wantCode(o.T, ask(id, &Changed{Seq: 9}), nexus.Unavailable)
		wantCode(o.T, ask(nexus.IncidentID(nexus.NewID()), &Changed{Seq: 1}), nexus.Unavailable)
		o.on(nil)
		if err := ask(id, &Changed{Seq: 9}); err != nil {
			o.Fatal(err)
		}
	})
}

// Who told of a change to an activation that is fenced or leaves is sent on to the next one.
func TestWhoWaitsIsSentOn(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		gate := make(chan struct{})
		o.on(func(_ context.Context, call string) error {
			if call == "look" {
				<-gate
			}
			return nil
		})
		answers := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := grain.Ask[*grain.Done](o.Context(), o.node, grain.Ref{Kind: KindName, ID: string(id)}, &Changed{Seq: 9})
				answers <- err
			}()
			synctest.Wait()
		}
		pid, err := o.node.Locate(o.Context(), grain.Ref{Kind: KindName, ID: string(id)})
		if err != nil {
			o.Fatal(err)
		}
		o.node.System().Root.Poison(pid)
		time.Sleep(100 * time.Millisecond)
		close(gate)
		for range 2 {
			if err := <-answers; err != nil {
				o.Fatal(err)
			}
		}
	})
}
