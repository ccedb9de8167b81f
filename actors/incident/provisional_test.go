package incident

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
)

// alertOf is the CRITICAL_ALERT of a press that is not stored.
func alertOf(id nexus.IncidentID, at string) string {
	return fmt.Sprintf(`safety/alerts CRITICAL_ALERT {"incidentId":"%s","userId":"asha","location":null,"timestamp":"%s","seq":0,"state":"RAISED","category":"panic","drill":false,"durable":false,"deliveryId":""}`, id, at)
}

// A bubble's clock begins here.
const atOnce = "2000-01-01T00:00:00.000Z"

func TestWithoutTheDatabaseAPressReachesHumansAtOnce(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		first := o.raise(press())
		if first.Durable || first.Seq != 0 || first.State != nexus.SOSRaised || !nexus.ValidID(string(first.Incident)) {
			o.Fatalf("%+v", first)
		}
		o.wantSent(alertOf(first.Incident, atOnce))
		if again := o.raise(press()); again != first {
			o.Fatalf("%+v, again %+v", first, again)
		}
		o.wantSent()
		other := press()
		other.ClientKey = "other"
		if joined := o.raise(other); joined != first {
			o.Fatalf("%+v, and another %+v", first, joined)
		}
		time.Sleep(9900 * time.Millisecond)
		o.wantSent()
		time.Sleep(20 * time.Second) // who connects meanwhile hears of it too
		o.wantSent(alertOf(first.Incident, atOnce), alertOf(first.Incident, atOnce))
		if o.read("nexus_sos_provisional", "") != 1 || o.read("nexus_sos_raised_total", "false") != 3 {
			o.Fatal("not counted")
		}
		o.on(nil)
		time.Sleep(tryLast)
		o.wantSent("news asha dev", "news asha dev")
		o.wants(first.Incident, "0 RAISED, 0 PAGED0, 0 JOINED")
		if now := o.raise(press()); now.Incident != first.Incident || now.Seq != 1 || !now.Durable {
			o.Fatalf("%+v", now)
		}
		time.Sleep(16 * time.Second) // its grain has heard of it
		o.wants(first.Incident, "0 RAISED, 0 PAGED0, 0 JOINED, 15 PAGED1")
		if o.read("nexus_sos_provisional", "") != 0 || o.log.count("provisional SOS stored") != 2 {
			o.Fatal("it is still held")
		}
	})
}

// A database that says nothing is given a second; one that has a fault of its own is no better.
func TestADatabaseThatDoesNotTakeAPressIsAway(t *testing.T) {
	bubble(t, func(o *office) {
		o.on(func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() })
		began := time.Now()
		if r := o.raise(press()); r.Durable || time.Since(began) != storeWait {
			o.Fatalf("%+v after %v", r, time.Since(began))
		}
		if n := len(o.sent()); n != 1 {
			o.Fatalf("%d alerts", n)
		}
	})
	bubble(t, func(o *office) {
		o.fail(errors.New("the disk is full"))
		if r := o.raise(press()); r.Durable {
			o.Fatalf("%+v", r)
		}
		if n := len(o.sent()); n != 1 {
			o.Fatalf("%d alerts", n)
		}
	})
}

func TestAPressThatIsRefusedIsNotHeld(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(nexus.Errorf(nexus.NotFound, "no such person"))
		_, err := o.desk.Raise(o.Context(), as(asha), press())
		wantCode(o.T, err, nexus.NotFound)
		o.wantSent()
	})
}

// The commit was made, and its answer lost: the press is stored once, for its key is known.
func TestAnUncertainPressIsStoredOnce(t *testing.T) {
	bubble(t, func(o *office) {
		o.with(func() {
			o.after = func(_ context.Context, call string) error {
				if call != "raise" {
					return nil
				}
				o.with(func() { o.after = nil })
				return errAway
			}
		})
		r, err := o.desk.Raise(o.Context(), as(asha), press())
		if err != nil || r.Durable {
			o.Fatalf("%+v, %v", r, err)
		}
		time.Sleep(time.Second)
		o.wants(r.Incident, "0 RAISED, 0 PAGED0")
		if len(o.order) != 1 || o.read("nexus_sos_provisional", "") != 0 {
			o.Fatalf("%d incidents", len(o.order))
		}
		time.Sleep(15 * time.Second)
		o.wants(r.Incident, "0 RAISED, 0 PAGED0") // its grain hears of it by the keeper, and by the watch
		o.locate(r.Incident)
		time.Sleep(time.Second)
		o.wants(r.Incident, "0 RAISED, 0 PAGED0, 16.001 PAGED1")
	})
}

// None waits for another: one that was not taken goes behind the others, so that who comes first then is not said.
func TestPressesAreAllStoredAndRarelyTried(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		var want []nexus.IncidentID
		for i := range 5 {
			p := press()
			p.User = nexus.UserID(fmt.Sprint("user ", i))
			r, err := o.desk.Raise(o.Context(), nexus.Caller{User: p.User}, p)
			if err != nil {
				o.Fatal(err)
			}
			want = append(want, r.Incident)
		}
		synctest.Wait()
		before := o.called("raise")
		time.Sleep(time.Minute)
		if n := o.called("raise") - before; n < 25 || n > 40 { // 250 ms, 500 ms, 1 s, and then every 2 s
			o.Fatalf("tried %d times in a minute", n)
		}
		o.on(nil)
		time.Sleep(tryLast)
		synctest.Wait()
		slices.Sort(want)
		if got := slices.Sorted(slices.Values(o.order)); !slices.Equal(got, want) {
			o.Fatalf("%v, want %v", got, want)
		}
	})
}

// keyed is asha's press under a key.
func keyed(key string) nexus.Press {
	p := press()
	p.ClientKey = key
	return p
}

// Every press is known by its key afterwards, also one that joined an alarm that was held, and also when that is over by then.
func TestEveryPressThatJoinsIsStored(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		first := o.raise(keyed("one"))
		for _, key := range []string{"two", "three", "two"} {
			if joined := o.raise(keyed(key)); joined != first {
				o.Fatalf("%+v, and another %+v", first, joined)
			}
		}
		o.on(nil)
		time.Sleep(tryLast)
		o.wants(first.Incident, "0 RAISED, 0 PAGED0, 0 JOINED, 0 JOINED")
		if _, err := o.desk.Cancel(o.Context(), as(asha), first.Incident, false); err != nil {
			o.Fatal(err)
		}
		for key, seq := range map[string]int64{"one": 1, "two": 3, "three": 4} {
			if again := o.raise(keyed(key)); again.Incident != first.Incident || again.Seq != seq || !again.Durable {
				o.Fatalf("%s again: %+v", key, again)
			}
		}
	})
}

// A press joins in the moment in which the first is stored: before the store has it, and when it has it and has not said so.
func TestAPressThatJoinsWhileTheFirstIsStoredIsKept(t *testing.T) {
	for _, committed := range []bool{false, true} {
		bubble(t, func(o *office) {
			o.fail(errAway)
			first := o.raise(keyed("one"))
			hook, calls := func(_ context.Context, call string) error {
				if call != "raise" {
					return nil
				}
				var joins bool
				o.with(func() {
					o.before, o.after = nil, nil
					joins = true
				})
				if joins {
					r, err := o.desk.provisional.take("another", keyed("two"), time.Now())
					if err != nil || r.Incident != first.Incident {
						o.Errorf("%+v, %v", r, err)
					}
				}
				return nil
			}, o.called("raise")
			o.with(func() { o.before, o.after = hook, nil })
			if committed {
				o.with(func() { o.before, o.after = nil, hook })
			}
			time.Sleep(tryLast)
			synctest.Wait()
			if got := o.called("raise") - calls; got < 2 || o.presses[[2]string{string(asha), "two"}].Incident != first.Incident {
				o.Fatalf("committed %v: %v", committed, o.presses)
			}
			if o.read("nexus_sos_provisional", "") != 0 {
				o.Fatal("it is still held")
			}
		})
	}
}

// The store answers everybody but one person, whose row is locked.
func TestOneLockedRowHoldsBackNoOther(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		for i := range 5 {
			p := press()
			p.User = nexus.UserID(fmt.Sprint("user ", i))
			if _, err := o.desk.Raise(o.Context(), nexus.Caller{User: p.User}, p); err != nil {
				o.Fatal(err)
			}
		}
		o.on(nil)
		o.with(func() { o.locked = "user 0" })
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if n := o.read("nexus_sos_provisional", ""); n != 1 || len(o.order) != 4 {
			o.Fatalf("%v are held, %d stored", n, len(o.order))
		}
		o.with(func() { o.locked = "" })
		time.Sleep(2 * tryLast)
		synctest.Wait()
		if n := o.read("nexus_sos_provisional", ""); n != 0 || len(o.order) != 5 {
			o.Fatalf("%v are held, %d stored", n, len(o.order))
		}
	})
}

// One person does not use up the room of all others.
func TestThePressesOfOnePersonAreBounded(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		for i := range maxKeys {
			o.raise(keyed(fmt.Sprint(i)))
		}
		_, err := o.desk.Raise(o.Context(), as(asha), keyed("one more"))
		wantCode(o.T, err, nexus.Unavailable)
		o.raise(keyed("0"))
		if n := len(o.sent()); n != 1 {
			o.Fatalf("%d alerts", n)
		}
	})
}

// TestOnePressThatCannotBeStoredHoldsUpNoOther: a fault that is its own puts it behind the others; a refusal is cried out.
func TestOnePressThatCannotBeStoredHoldsUpNoOther(t *testing.T) {
	for _, refused := range []bool{false, true} {
		bubble(t, func(o *office) {
			o.fail(errAway)
			first := o.raise(press())
			p := press()
			p.User = ravi
			second := o.raise(p)
			o.sent()
			tries := 0
			o.on(func(_ context.Context, call string) error {
				if call != "raise" || tries > 0 {
					return nil
				}
				tries++
				if refused {
					return nexus.Errorf(nexus.NotFound, "no such person")
				}
				return errors.New("a fault")
			})
			time.Sleep(time.Minute)
			synctest.Wait()
			want, alarms := []nexus.IncidentID{second.Incident, first.Incident}, 0
			if refused {
				want, alarms = want[:1], 1
			}
			if !slices.Equal(o.order, want) || o.read("nexus_sos_provisional", "") != 0 {
				o.Fatalf("refused %v: %v, want %v", refused, o.order, want)
			}
			if n := int(o.read("nexus_sos_self_alarms_total", ReasonNotKept)); n != alarms {
				o.Fatalf("refused %v: %d alarms", refused, n)
			}
			if heard := strings.Contains(strings.Join(o.sent(), "\n"), `SAFETY_ALARM {"incidentId":"`+string(first.Incident)+`","reason":"not_kept"}`); heard != refused {
				o.Fatalf("refused %v: the alarm is heard: %v", refused, heard)
			}
		})
	}
}

func TestACountdownIsCountedWithoutTheDatabase(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		r := o.raise(counting(10 * time.Second))
		if r.State != nexus.SOSArmed || r.Durable {
			o.Fatalf("%+v", r)
		}
		time.Sleep(9900 * time.Millisecond)
		o.wantSent()
		time.Sleep(200 * time.Millisecond)
		o.wantSent(alertOf(r.Incident, atOnce))
		if again := o.raise(counting(10 * time.Second)); again.State != nexus.SOSRaised || again.Incident != r.Incident {
			o.Fatalf("%+v", again)
		}
		o.on(nil)
		time.Sleep(tryLast)
		o.wants(r.Incident, "0 RAISED, 0 PAGED0")
	})
}

// The database is back before the end of the countdown, which ends in the same moment all the same.
func TestACountdownGoesOnInTheDatabase(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		due := time.Now().Add(30 * time.Second)
		id := o.raise(counting(30 * time.Second)).Incident
		time.Sleep(5 * time.Second)
		o.on(nil)
		time.Sleep(20 * time.Second)
		if s, _, err := o.Look(o.Context(), id); err != nil || s.State != nexus.SOSArmed {
			o.Fatalf("%s, %v", s.State, err)
		}
		time.Sleep(6 * time.Second)
		if s, _, err := o.Look(o.Context(), id); err != nil || s.State != nexus.SOSRaised || !s.RaisedAt.Equal(due) {
			o.Fatalf("%s at %v, want %v, %v", s.State, s.RaisedAt, due, err)
		}
	})
}

// A second press raises what was counting down; also when it comes while the first is being stored.
func TestASecondPressRaisesWhatCountsDown(t *testing.T) {
	for _, storing := range []bool{false, true} {
		bubble(t, func(o *office) {
			o.fail(errAway)
			r := o.raise(counting(30 * time.Second))
			gate := make(chan struct{})
			second := press()
			second.ClientKey = "second"
			if storing { // the store takes what the desk holds, but nothing from the desk itself
				var calls atomic.Int32
				o.on(func(_ context.Context, call string) error {
					if call != "raise" {
						return nil
					}
					switch calls.Add(1) {
					case 1:
						<-gate
					case 2:
						return errAway
					}
					return nil
				})
				time.Sleep(300 * time.Millisecond)
			}
			if raised := o.raise(second); raised.State != nexus.SOSRaised || raised.Incident != r.Incident || raised.Durable {
				o.Fatalf("%+v", raised)
			}
			if n := len(o.sent()); n != 1 {
				o.Fatalf("%d alerts", n)
			}
			close(gate)
			if !storing {
				o.on(nil)
			}
			time.Sleep(tryLast)
			synctest.Wait()
			if s, _, err := o.Look(o.Context(), r.Incident); err != nil || s.State != nexus.SOSRaised || o.read("nexus_sos_provisional", "") != 0 {
				o.Fatalf("storing %v: it is %s, %v", storing, s.State, err)
			}
		})
	}
}

// The first press knew no place, the second does.
func TestThePlaceOfALaterPressIsTold(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		o.raise(press())
		p := press()
		p.Position = &nexus.Position{Lat: 12.5, Lng: -77.25}
		o.raise(p)
		o.sent()
		time.Sleep(repeatAlert)
		if got := o.sent(); len(got) != 1 || !strings.Contains(got[0], `"location":{"lat":12.5,"lng":-77.25}`) {
			o.Fatalf("%q", got)
		}
	})
}

func TestWhatIsHeldIsBounded(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		raise := func(i int) (nexus.Raised, error) {
			return o.desk.Raise(o.Context(), nexus.Caller{User: nexus.UserID(fmt.Sprint("user ", i))}, press())
		}
		for i := range maxProvisional {
			if _, err := raise(i); err != nil {
				o.Fatal(err)
			}
		}
		o.sent()
		_, err := raise(maxProvisional)
		var e *nexus.Error
		if !errors.As(err, &e) || e.Code != nexus.Unavailable || e.RetryAfter == 0 {
			o.Fatal(err)
		}
		if n := len(o.sent()); n != 1 {
			o.Fatalf("%d alerts of a press that is not kept", n)
		}
		if r, err := raise(0); err != nil || r.Durable {
			o.Fatalf("one that is held: %+v, %v", r, err)
		}
	})
}

func TestTheEndNamesWhatWasNotStored(t *testing.T) {
	bubble(t, func(o *office) {
		o.fail(errAway)
		p := press()
		p.Position = &nexus.Position{Lat: 12.5}
		r := o.raise(p)
		o.desk.Close()
		if o.log.count("not stored before the end") != 1 || o.log.count(string(r.Incident)) == 0 || o.log.count("12.5") > 0 {
			o.Fatal(o.log.text.String())
		}
		_, err := o.desk.Raise(o.Context(), as(asha), press())
		wantCode(o.T, err, nexus.Unavailable)
	})
}
