package incident

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
)

func TestAPressIsAnsweredAfterTheCommitAndOnce(t *testing.T) {
	bubble(t, func(o *office) {
		first := o.raise(press())
		if first.State != nexus.SOSRaised || first.Seq != 1 || !first.Durable || !nexus.ValidID(string(first.Incident)) {
			o.Fatalf("%+v", first)
		}
		o.wantSent("news asha dev")
		if again := o.raise(press()); again != first {
			o.Fatalf("%+v, again %+v", first, again)
		}
		o.wantSent()
		other := press()
		other.ClientKey = "other"
		if joined := o.raise(other); joined.Incident != first.Incident || joined.Seq != 3 {
			o.Fatalf("%+v", joined)
		}
		o.wantSent("news asha dev")
		other.Drill, other.ClientKey = true, "drill"
		if drill := o.raise(other); drill.Incident == first.Incident {
			o.Fatal("a drill joins an alarm")
		}
	})
}

// A press belongs to whoever presses, whatever it says itself.
func TestNobodyPressesForAnother(t *testing.T) {
	bubble(t, func(o *office) {
		p := press()
		p.User = ravi
		r, err := o.desk.Raise(o.Context(), as(asha), p)
		if err != nil {
			o.Fatal(err)
		}
		if s, _, err := o.Look(o.Context(), r.Incident); err != nil || s.User != asha {
			o.Fatalf("it is %s's, %v", s.User, err)
		}
		_, err = o.desk.Raise(o.Context(), nexus.Caller{Key: "gate"}, press())
		wantCode(o.T, err, nexus.Forbidden)
	})
}

func TestAPressCountsThoughItsPhoneHangsUp(t *testing.T) {
	bubble(t, func(o *office) {
		ctx, cancel := context.WithCancel(o.Context())
		cancel()
		r, err := o.desk.Raise(ctx, as(asha), press())
		if err != nil || !r.Durable {
			o.Fatalf("%+v, %v", r, err)
		}
	})
}

// TestTwoNodesGiveOnePressOneID, as long as the phone's clock can be believed; a broken one raises an alarm as well.
func TestTwoNodesGiveOnePressOneID(t *testing.T) {
	bubble(t, func(o *office) {
		other := open(o.T, newFake())
		p := press()
		p.At = time.Now().Add(-4 * time.Minute)
		a := o.raise(p).Incident
		time.Sleep(30 * time.Second)
		if b := other.raise(p).Incident; a != b {
			o.Fatalf("%s and %s", a, b)
		}
		for i, at := range []time.Time{{}, time.Unix(0, 0), time.Date(123456, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))} {
			p.ClientKey, p.At = fmt.Sprint("broken ", i), at
			if r := o.raise(p); !r.Durable {
				o.Fatalf("%v: %+v", at, r)
			}
		}
	})
}

func TestSayingTheSameTwiceIsAnsweredAlike(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		acked := o.act(dev, id, nexus.SOSAcknowledged)
		going := o.act(dev, id, nexus.SOSEnRoute)
		other := o.act(sara, id, nexus.SOSEnRoute)
		if acked != 3 || going != 4 || other != 5 {
			o.Fatalf("%d, %d, %d", acked, going, other)
		}
		o.wantSent("news asha dev", "news asha dev", "news asha dev", "news asha dev sara")
		for to, want := range map[nexus.SOSState]int64{nexus.SOSAcknowledged: acked, nexus.SOSEnRoute: going} {
			if seq := o.act(dev, id, to); seq != want {
				o.Fatalf("%s once more is %d", to, seq)
			}
		}
		end := o.act(sara, id, nexus.SOSResolved)
		if again := o.act(adi, id, nexus.SOSResolved); again != end {
			o.Fatalf("ended in %d and in %d", end, again)
		}
		o.wantSent("news asha dev sara")
	})
}

// TestWhoMayDoWhat is the matrix of commands and people, at an incident that asha raised and dev was paged for.
func TestWhoMayDoWhat(t *testing.T) {
	act := func(to nexus.SOSState) func(*Desk, context.Context, nexus.Caller, nexus.IncidentID) error {
		return func(d *Desk, ctx context.Context, by nexus.Caller, id nexus.IncidentID) error {
			_, err := d.Act(ctx, by, id, to, "")
			return err
		}
	}
	columns := []nexus.Caller{as(asha), as(dev), as(sara), as(adi), as(ravi), {Key: "gate"}, {}}
	for _, c := range []struct {
		name string
		do   func(*Desk, context.Context, nexus.Caller, nexus.IncidentID) error
		want string // raiser, paged, security, administration, other, device, stranger
	}{
		{"ack", act(nexus.SOSAcknowledged), "forbidden ok ok ok not_found not_found not_found"},
		{"en-route", act(nexus.SOSEnRoute), "forbidden ok ok ok not_found not_found not_found"},
		{"on-scene", act(nexus.SOSOnScene), "forbidden ok ok ok not_found not_found not_found"},
		{"resolve", act(nexus.SOSResolved), "forbidden forbidden ok ok not_found not_found not_found"},
		{"false alarm", act(nexus.SOSFalseAlarm), "forbidden forbidden ok ok not_found not_found not_found"},
		{"no answer", act("NONSENSE"), "invalid invalid invalid invalid not_found not_found not_found"},
		{"escalate", func(d *Desk, ctx context.Context, by nexus.Caller, id nexus.IncidentID) error {
			_, err := d.Escalate(ctx, by, id, "")
			return err
		}, "forbidden forbidden ok ok not_found not_found not_found"},
		{"cancel", func(d *Desk, ctx context.Context, by nexus.Caller, id nexus.IncidentID) error {
			_, err := d.Cancel(ctx, by, id, false)
			return err
		}, "ok forbidden forbidden forbidden not_found not_found not_found"},
		{"cancel under duress", func(d *Desk, ctx context.Context, by nexus.Caller, id nexus.IncidentID) error {
			_, err := d.Cancel(ctx, by, id, true)
			return err
		}, "ok forbidden forbidden forbidden not_found not_found not_found"},
		{"say", func(d *Desk, ctx context.Context, by nexus.Caller, id nexus.IncidentID) error {
			_, err := d.Say(ctx, by, id, "1", "hello")
			return err
		}, "ok ok ok ok not_found not_found not_found"},
		{"locate", func(d *Desk, ctx context.Context, by nexus.Caller, id nexus.IncidentID) error {
			return d.Locate(ctx, by, id, []nexus.Fix{{ClientSeq: 1, At: noon}})
		}, "ok forbidden forbidden forbidden not_found not_found not_found"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i, want := range strings.Fields(c.want) {
				bubble(t, func(o *office) {
					id := o.raise(press()).Incident
					if got := cmp.Or(string(nexus.CodeOf(c.do(o.desk, o.Context(), columns[i], id))), "ok"); got != want {
						t.Errorf("%+v: %s, want %s", columns[i], got, want)
					}
					for _, none := range []nexus.IncidentID{nexus.IncidentID(nexus.NewID()), "no id"} {
						if err := c.do(o.desk, o.Context(), columns[i], none); nexus.CodeOf(err) != nexus.NotFound {
							t.Errorf("%+v finds %s: %v", columns[i], none, err)
						}
					}
				})
			}
		})
	}
}

// An officer who is in need is nothing but that, in the own incident.
func TestAnOfficerInNeedDoesNotRespond(t *testing.T) {
	bubble(t, func(o *office) {
		p := press()
		p.User = sara
		id := o.raise(p).Incident
		if _, err := o.desk.Cancel(o.Context(), as(sara), id, true); err != nil {
			o.Fatal(err)
		}
		_, err := o.desk.Act(o.Context(), as(sara), id, nexus.SOSResolved, "")
		wantCode(o.T, err, nexus.Forbidden)
		_, err = o.desk.Escalate(o.Context(), as(sara), id, "")
		wantCode(o.T, err, nexus.Forbidden)
	})
}

func TestAConflictNamesTheState(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		o.act(dev, id, nexus.SOSEnRoute)
		_, err := o.desk.Act(o.Context(), as(sara), id, nexus.SOSAcknowledged, "")
		var e *nexus.Error
		if !errors.As(err, &e) || e.Code != nexus.StateConflict || e.State != string(nexus.SOSEnRoute) {
			o.Fatal(err)
		}
	})
}

// TestDuressIsAnsweredLikeACancel compares the two in answers and in what is sent to their raiser, while help goes on.
func TestDuressIsAnsweredLikeACancel(t *testing.T) {
	seen := map[bool]string{}
	for _, duress := range []bool{false, true} {
		bubble(t, func(o *office) {
			id := o.raise(press()).Incident
			o.sent()
			var got []string
			for range 2 {
				state, err := o.desk.Cancel(o.Context(), as(asha), id, duress)
				got = append(got, fmt.Sprint(state, err))
			}
			got = append(got, o.sent()...)
			time.Sleep(20 * time.Second)
			_, err := o.desk.Say(o.Context(), as(asha), id, "1", "hello")
			got = append(got, fmt.Sprint(err), fmt.Sprint(o.desk.Locate(o.Context(), as(asha), id, []nexus.Fix{{ClientSeq: 1, At: noon}})))
			for _, s := range o.sent() {
				if strings.Contains(s, string(asha)) || strings.Contains(s, Location) {
					got = append(got, s)
				}
			}
			p := press()
			p.ClientKey = "next"
			next := o.raise(p)
			got = append(got, fmt.Sprint(next.Incident == id, next.State, next.Seq, next.Durable), fmt.Sprint(o.raise(press()).State))
			seen[duress] = strings.Join(got, "\n")
			if paged := strings.Contains(o.happened(t, id), "15 PAGED1"); paged != duress {
				t.Errorf("duress %v: %s", duress, o.happened(t, id))
			}
		})
	}
	if seen[false] != seen[true] {
		t.Fatalf("%s\n\nunder duress:\n%s", seen[false], seen[true])
	}
}

// TestCommandsAreSafeToRepeat: each is answered alike, and makes its events once, whatever has happened in between; an escalation and what was said
// before an alarm was raised again, under their idempotency key.
func TestCommandsAreSafeToRepeat(t *testing.T) {
	once := func(by nexus.UserID, key string) nexus.Caller {
		c := as(by)
		c.Once.Key = key
		return c
	}
	act := func(to nexus.SOSState) func(*office, nexus.IncidentID) string {
		return func(o *office, id nexus.IncidentID) string {
			seq, err := o.desk.Act(o.Context(), once(sara, string(to)), id, to, "a note")
			return fmt.Sprint(seq, err)
		}
	}
	for name, c := range map[string]struct {
		do, between func(*office, nexus.IncidentID) string
	}{
		"ack, raised again meanwhile": {act(nexus.SOSAcknowledged), func(o *office, _ nexus.IncidentID) string {
			time.Sleep(time.Duration(policy.MoveSeconds+1) * time.Second)
			return ""
		}},
		"en-route": {act(nexus.SOSEnRoute), act(nexus.SOSOnScene)}, "on-scene": {act(nexus.SOSOnScene), act(nexus.SOSResolved)},
		"resolve": {act(nexus.SOSResolved), nil}, "false alarm": {act(nexus.SOSFalseAlarm), nil},
		"escalate": {func(o *office, id nexus.IncidentID) string {
			seq, err := o.desk.Escalate(o.Context(), once(sara, "more"), id, "more")
			return fmt.Sprint(seq, err)
		}, act(nexus.SOSResolved)},
		"cancel": {func(o *office, id nexus.IncidentID) string {
			state, err := o.desk.Cancel(o.Context(), as(asha), id, false)
			return fmt.Sprint(state, err)
		}, nil},
		"cancel, and late again": {func(o *office, id nexus.IncidentID) string {
			state, err := o.desk.Cancel(o.Context(), as(asha), id, true)
			return fmt.Sprint(state, err)
		}, func(o *office, _ nexus.IncidentID) string {
			time.Sleep(2 * CancelWindow)
			return ""
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(o *office) {
				id := o.raise(press()).Incident
				first := c.do(o, id)
				if c.between != nil {
					c.between(o, id)
				}
				synctest.Wait()
				before := o.happened(o.T, id)
				o.sent()
				if again := c.do(o, id); again != first || !strings.HasSuffix(first, "<nil>") {
					t.Errorf("%s, and again %s", first, again)
				}
				if after := o.happened(o.T, id); after != before {
					t.Errorf("%s\nbecame %s", before, after)
				}
				o.wantSent()
			})
		})
	}
}

// TestATimerEndedUnderDuressIsToldOf: the officers hear at once, and the grain keeps the time, as of any other alarm.
func TestATimerEndedUnderDuressIsToldOf(t *testing.T) {
	for _, duress := range []bool{false, true} {
		bubble(t, func(o *office) {
			timer, err := o.desk.EndTimer(o.Context(), as(asha), "1", duress)
			if err != nil || timer.State != "DONE" {
				o.Fatalf("%+v, %v", timer, err)
			}
			if !duress {
				o.wantSent()
				return
			}
			o.wantSent("news asha dev")
			time.Sleep(16 * time.Second)
			o.wants(o.order[0], "0 RAISED, 0 PAGED0, 15 PAGED1")
		})
	}
}

func TestAMessageIsSaidOnce(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		o.sent()
		say := func(by nexus.UserID, key string, want int64) {
			o.Helper()
			if seq, err := o.desk.Say(o.Context(), as(by), id, key, "where are you?\n"); err != nil || seq != want {
				o.Fatalf("%d, %v; want %d", seq, err, want)
			}
		}
		say(dev, "1", 3)
		say(dev, "1", 3)
		say(asha, "1", 4)
		o.wantSent("news asha dev", "news asha dev")
	})
}

func TestWhereThePersonIsGoesToThoseWhoFollow(t *testing.T) {
	bubble(t, func(o *office) {
		id := o.raise(press()).Incident
		o.sent()
		near := 12.5
		fixes := []nexus.Fix{
			{ClientSeq: 7, At: noon.Add(1234567 * time.Microsecond), Position: nexus.Position{Lat: 12.5, Lng: -77.25, Accuracy: &near}},
			{ClientSeq: 6, At: noon, Position: nexus.Position{Lat: 12, Lng: -77}},
		}
		locate := func() {
			if err := o.desk.Locate(o.Context(), as(asha), id, fixes); err != nil {
				o.Fatal(err)
			}
		}
		locate()
		o.wantSent(fmt.Sprintf(`safety/%s LOCATION {"incidentId":"%s","lat":12.5,"lng":-77.25,"accuracy":12.5,"at":"2026-03-02T12:00:01.234Z"}`, id, id))
		if s, _, err := o.Look(o.Context(), id); err != nil || s.Last == nil {
			o.Fatalf("not kept, %v", err)
		}
		locate()
		bs := o.node.Broadcasts()
		if len(bs) != 1 || bs[0].GetSlot() != "location:"+string(id) || bs[0].GetSeq() != 7 {
			o.Fatalf("%v", bs)
		}
		o.fail(errAway)
		wantCode(o.T, o.desk.Locate(o.Context(), as(asha), id, fixes), nexus.Unavailable)
		o.wantSent()
		if o.log.count("12.5") > 0 {
			o.Fatal("a position was logged")
		}
	})
}

// TestWrongInputIsRefusedByName gives every field what it must not take, and what it just takes.
func TestWrongInputIsRefusedByName(t *testing.T) {
	long := func(n int) string { return strings.Repeat("é", n) }
	off := func(x float64) *float64 { return &x }
	per := func(x int) *int { return &x }
	raising := func(change func(*nexus.Press)) func(*office, nexus.IncidentID) error {
		return func(o *office, _ nexus.IncidentID) error {
			p := press()
			p.ClientKey = "another"
			change(&p)
			_, err := o.desk.Raise(o.Context(), as(asha), p)
			return err
		}
	}
	at := func(p nexus.Position) func(*office, nexus.IncidentID) error {
		return raising(func(press *nexus.Press) { press.Position = &p })
	}
	acting := func(note string) func(*office, nexus.IncidentID) error {
		return func(o *office, id nexus.IncidentID) error {
			_, err := o.desk.Act(o.Context(), as(dev), id, nexus.SOSAcknowledged, note)
			return err
		}
	}
	saying := func(key, body string) func(*office, nexus.IncidentID) error {
		return func(o *office, id nexus.IncidentID) error {
			_, err := o.desk.Say(o.Context(), as(dev), id, key, body)
			return err
		}
	}
	locating := func(n int, change func(*nexus.Fix)) func(*office, nexus.IncidentID) error {
		return func(o *office, id nexus.IncidentID) error {
			fixes := make([]nexus.Fix, n)
			for i := range fixes {
				fixes[i] = nexus.Fix{ClientSeq: int64(i + 1), At: noon}
			}
			if n > 0 {
				change(&fixes[n-1])
			}
			return o.desk.Locate(o.Context(), as(asha), id, fixes)
		}
	}
	same := func(*nexus.Fix) {}
	for _, c := range []struct {
		name  string
		do    func(*office, nexus.IncidentID) error
		field string // empty: it is taken
	}{
		{"no key", raising(func(p *nexus.Press) { p.ClientKey = "" }), "clientKey"},
		{"a long key", raising(func(p *nexus.Press) { p.ClientKey = long(200) }), ""},
		{"a key too long", raising(func(p *nexus.Press) { p.ClientKey = long(201) }), "clientKey"},
		{"a key that is no text", raising(func(p *nexus.Press) { p.ClientKey = "a\xff" }), "clientKey"},
		{"a key with a NUL", raising(func(p *nexus.Press) { p.ClientKey = "a\x00" }), "clientKey"},
		{"a safety timer's key", raising(func(p *nexus.Press) { p.ClientKey = "timer:1" }), "clientKey"},
		{"no category", raising(func(p *nexus.Press) { p.Category = "" }), ""},
		{"a long category", raising(func(p *nexus.Press) { p.Category = strings.Repeat("a-_9z0", 10) }), ""},
		{"a category too long", raising(func(p *nexus.Press) { p.Category = strings.Repeat("a", 61) }), "category"},
		{"a category in capitals", raising(func(p *nexus.Press) { p.Category = "Fire" }), "category"},
		{"a category with a space", raising(func(p *nexus.Press) { p.Category = "a b" }), "category"},
		{"a minute's countdown", raising(func(p *nexus.Press) { p.Countdown = time.Minute }), ""},
		{"a countdown too long", raising(func(p *nexus.Press) { p.Countdown = time.Minute + 1 }), "countdownSeconds"},
		{"a countdown backwards", raising(func(p *nexus.Press) { p.Countdown = -1 }), "countdownSeconds"},
		{"the south pole", at(nexus.Position{Lat: -90, Lng: 180, Accuracy: off(0)}), ""},
		{"north of the pole", at(nexus.Position{Lat: 90.1}), "lat"},
		{"nowhere", at(nexus.Position{Lat: math.NaN()}), "lat"},
		{"west of the west", at(nexus.Position{Lng: -180.1}), "lng"},
		{"endless east", at(nexus.Position{Lng: math.Inf(1)}), "lng"},
		{"better than exact", at(nexus.Position{Accuracy: off(-1)}), "accuracy"},
		{"anywhere", at(nexus.Position{Accuracy: off(math.Inf(1))}), "accuracy"},
		{"a long note", acting(long(1000)), ""},
		{"a note too long", acting(long(1001)), "note"},
		{"a note of escalation too long", func(o *office, id nexus.IncidentID) error {
			_, err := o.desk.Escalate(o.Context(), as(sara), id, long(1001))
			return err
		}, "note"},
		{"a long message", saying(long(200), long(2000)), ""},
		{"a message too long", saying("1", long(2001)), "body"},
		{"an empty message", saying("1", ""), "body"},
		{"a message without a key", saying("", "hello"), "clientMsgId"},
		{"a message's key too long", saying(long(201), "hello"), "clientMsgId"},
		{"no fix", locating(0, same), "fixes"},
		{"many fixes", locating(200, same), ""},
		{"too many fixes", locating(201, same), "fixes"},
		{"the press's own number", locating(1, func(f *nexus.Fix) { f.ClientSeq = 0 }), "fixes[0].clientSeq"},
		{"no time", locating(2, func(f *nexus.Fix) { f.At = time.Time{} }), "fixes[1].at"},
		{"a time after the last", locating(1, func(f *nexus.Fix) { f.At = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }), "fixes[0].at"},
		{"a place that is none", locating(3, func(f *nexus.Fix) { f.Lng = 181 }), "fixes[2].lng"},
		{"an empty battery", locating(1, func(f *nexus.Fix) { f.Battery = per(0) }), ""},
		{"a full battery", locating(1, func(f *nexus.Fix) { f.Battery = per(100) }), ""},
		{"a battery more than full", locating(1, func(f *nexus.Fix) { f.Battery = per(101) }), "fixes[0].battery"},
		{"a battery less than empty", locating(1, func(f *nexus.Fix) { f.Battery = per(-1) }), "fixes[0].battery"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(o *office) {
				err := c.do(o, o.raise(press()).Incident)
				var e *nexus.Error
				switch {
				case c.field == "" && err == nil:
				case c.field == "" || !errors.As(err, &e) || e.Code != nexus.Invalid || len(e.Fields) != 1 || e.Fields[0].Field != c.field:
					t.Fatalf("%v, want %q", err, c.field)
				}
			})
		})
	}
}

// TestHintsNeverHoldUpAnAnswer has grains that do not answer: what cannot be told to them is dropped and counted.
func TestHintsNeverHoldUpAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		metrics, read := measured()
		node := nowhere{graintest.NewNode(t, f.fences)}
		d := NewDesk(f, node, node, Options{Log: slog.New(slog.DiscardHandler), Metrics: metrics})
		defer d.Close()
		began := time.Now()
		r, err := d.Raise(t.Context(), as(asha), press())
		if err != nil {
			t.Fatal(err)
		}
		for i := range notifiers + maxNotices + 99 {
			d.grains.notify(r.Incident, int64(i))
			synctest.Wait() // each worker has taken one
		}
		if got := read("nexus_sos_hints_dropped_total", "full"); got != 100 {
			t.Fatalf("%v dropped", got)
		}
		if took := time.Since(began); took != 0 {
			t.Fatalf("held up for %v", took)
		}
		time.Sleep(noticeWait)
		synctest.Wait()
		if got := read("nexus_sos_hints_dropped_total", "failed"); got != notifiers {
			t.Fatalf("%v failed", got)
		}
	})
}

// nowhere is a campus whose grains are not found in time.
type nowhere struct{ *graintest.Node }

func (nowhere) Locate(ctx context.Context, _ grain.Ref) (*actor.PID, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// measured returns metrics and how to read one of them, the one with the label if there is any.
func measured() (*Metrics, func(name, label string) float64) {
	reg := prometheus.NewRegistry()
	return NewMetrics(reg), func(name, label string) float64 {
		families, err := reg.Gather()
		if err != nil {
			panic(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
					return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
				}
			}
		}
		return 0
	}
}
