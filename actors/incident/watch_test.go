package incident

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
)

// watched is a bubble with a watch.
func watched(t *testing.T, run func(o *office)) {
	bubble(t, func(o *office) {
		w := StartWatch(o.desk)
		o.Cleanup(w.Close)
		run(o)
	})
}

// lostGrains makes what grains do fail, and nothing else: a watch carries no fence.
func (o *office) lostGrains() {
	o.with(func() { o.fences.Fault = func() error { return nexus.Errorf(nexus.Fenced, "a newer one") } })
}

func TestTheWatchDoesWhatNoGrainDoes(t *testing.T) {
	watched(t, func(o *office) {
		o.lostGrains()
		id := o.raise(press()).Incident
		o.sent()
		time.Sleep(19 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 18 PAGED1")
		alarm := fmt.Sprintf(`safety/alerts SAFETY_ALARM {"incidentId":"%s","reason":"overdue"}`, id)
		o.wantSent("news asha dev omar sara", alarm)
		time.Sleep(45 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 18 PAGED1, 63 PAGED2")
		if got := o.read("nexus_sos_self_alarms_total", ReasonOverdue); got != 2 || o.log.count("an SOS needs eyes") != 2 {
			o.Fatalf("%v alarms", got)
		}
	})
}

func TestTheWatchLeavesAloneWhatGrainsDo(t *testing.T) {
	watched(t, func(o *office) {
		id := o.raise(press()).Incident
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := o.read("nexus_sos_self_alarms_total", ""); got != 0 {
			o.Fatalf("%v alarms: %s", got, o.happened(o.T, id))
		}
	})
}

// Two nodes notice the same: one does it, and one cries out.
func TestTwoWatchesDoItOnce(t *testing.T) {
	watched(t, func(o *office) {
		o.lostGrains()
		other := open(o.T, o.fake)
		w := StartWatch(other.desk)
		o.Cleanup(w.Close)
		id := o.raise(press()).Incident
		time.Sleep(20 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 18 PAGED1")
		if n := o.read("nexus_sos_self_alarms_total", "") + other.read("nexus_sos_self_alarms_total", ""); n != 1 {
			o.Fatalf("%v alarms", n)
		}
	})
}

func TestASafetyTimerThatRunsOutRaisesAnAlarm(t *testing.T) {
	watched(t, func(o *office) {
		p := press()
		p.ClientKey = "timer:1"
		o.with(func() { o.timers = append(o.timers, p) })
		time.Sleep(2 * time.Second)
		o.wantSent("news asha dev")
		time.Sleep(16 * time.Second) // and its grain knows
		o.wants(o.order[0], "0 RAISED, 0 PAGED0, 15 PAGED1")
		if o.read("nexus_sos_raised_total", "true") != 1 {
			o.Fatal("not counted")
		}
	})
}

// TestATimerThatCannotBeRaisedIsCriedOut, once a minute, for as long as it is tried; what another node is at for a moment is not.
func TestATimerThatCannotBeRaisedIsCriedOut(t *testing.T) {
	watched(t, func(o *office) {
		o.with(func() {
			o.broken = []FailedTimer{{ID: "t1", User: asha, Err: errors.New("a fault")}, {ID: "t2", User: ravi, Err: errAway}, {ID: "t3", User: omar}}
		})
		time.Sleep(1500 * time.Millisecond)
		o.with(func() { o.broken = o.broken[:2] })
		time.Sleep(1400 * time.Millisecond)
		o.wantSent()
		time.Sleep(time.Second)
		alarm := func(timer string, user nexus.UserID) string {
			return fmt.Sprintf(`safety/alerts SAFETY_ALARM {"incidentId":"","reason":"timer","timerId":"%s","userId":"%s"}`, timer, user)
		}
		o.wantSent(alarm("t1", asha), alarm("t2", ravi))
		time.Sleep(2 * time.Minute)
		o.wantSent(alarm("t1", asha), alarm("t2", ravi), alarm("t1", asha), alarm("t2", ravi))
		if n := o.called("expire"); n < 120 || o.read("nexus_sos_self_alarms_total", ReasonTimer) != 6 || o.log.count("a safety timer needs eyes") != 6 {
			o.Fatalf("tried %d times", n)
		}
		o.with(func() { o.broken = nil })
		time.Sleep(2 * time.Minute)
		o.wantSent()
	})
}

// TestTheWatchWaitsForTheStore, and does what was missed when it is back.
func TestTheWatchWaitsForTheStore(t *testing.T) {
	watched(t, func(o *office) {
		o.lostGrains()
		id := o.raise(press()).Incident
		o.fail(errAway)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if n := o.log.count("cannot see"); n != 1 {
			o.Fatalf("%d lines about a store that is away", n)
		}
		o.on(nil)
		time.Sleep(2 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 31 PAGED1")
		if n := o.log.count("sees again"); n != 1 {
			o.Fatalf("%d lines about its return", n)
		}
	})
}

// Safety timers that cannot be read keep nobody from being paged.
func TestTheWatchsDutiesAreApart(t *testing.T) {
	watched(t, func(o *office) {
		o.lostGrains()
		id := o.raise(press()).Incident
		o.fail(errors.New("a fault"), "expire")
		time.Sleep(20 * time.Second)
		o.wants(id, "0 RAISED, 0 PAGED0, 18 PAGED1")
	})
}

// TestAnIncidentThatIsStuckHoldsUpNoOther: it is cried out, once a minute.
func TestAnIncidentThatIsStuckHoldsUpNoOther(t *testing.T) {
	watched(t, func(o *office) {
		o.lostGrains()
		id := o.raise(press()).Incident
		other := press()
		other.User = ravi
		next := o.raise(other).Incident
		o.with(func() { o.incidents[id].events = append(o.incidents[id].events, Event{Kind: "NONSENSE"}) })
		time.Sleep(130 * time.Second)
		synctest.Wait()
		o.sent() // to all but its raiser, though its history cannot be read
		if got := o.read("nexus_sos_self_alarms_total", ReasonStuck); got != 3 || o.log.count("cannot be advanced") != 3 {
			o.Fatalf("%v alarms", got)
		}
		o.wants(next, "0 RAISED, 0 PAGED0, 18 PAGED1, 63 PAGED2, 126 PAGED2")
	})
}

func TestTheWatchEndsWhileTheStoreHangs(t *testing.T) {
	bubble(t, func(o *office) {
		o.on(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		w := StartWatch(o.desk)
		time.Sleep(1500 * time.Millisecond)
		began := time.Now()
		w.Close()
		if took := time.Since(began); took != 0 {
			o.Fatalf("it took %v", took)
		}
		if o.log.count("cannot see") != 0 {
			o.Fatal("its own end is an error to it")
		}
	})
}
