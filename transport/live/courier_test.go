package live

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/transport/engineio/enginetest"
)

func TestLinesComeInOrderAndOnce(t *testing.T) {
	safely(t, func(s *safe) {
		p := s.phone(asha, "l1", "")
		s.publish(asha, 5)
		p.take(upTo(1, 5)...)
		s.publish(asha, 2)
		p.take(6, 7)
		s.pass(10 * time.Minute)
		p.quiet()
		if at := s.store.cursor(asha, "l1"); at != 7 {
			s.Errorf("the cursor is at %d", at)
		}
		for seq := range int64(7) {
			if m := s.store.marks[place{asha, seq + 1}]; m.Sent.IsZero() || m.Got.IsZero() {
				s.Errorf("line %d is marked %+v", seq+1, m)
			}
		}
		if n := s.metric("nexus_delivery_lines_total", "EVENT"); n != 7 {
			s.Errorf("%v lines are counted", n)
		}
		if n := s.metric("nexus_delivery_readers"); n != 2 {
			s.Errorf("%v readers", n)
		}
		p.Hangup()
		if n := s.metric("nexus_delivery_readers"); n != 0 {
			s.Errorf("%v readers are left", n)
		}
	})
}

// TestALineIsSentAgainUntilItIsAcknowledged, after 1, 2, 4 and up to 30 seconds.
func TestALineIsSentAgainUntilItIsAcknowledged(t *testing.T) {
	safely(t, func(s *safe) {
		p := s.phone(asha, "l1", "")
		s.publish(asha, 1)
		p.get(1)
		start := time.Now()
		var last delivery
		for _, want := range []time.Duration{1, 3, 7, 15, 31, 61, 91, 121} {
			last = p.get(1)[0]
			if at := time.Since(start); at != want*time.Second {
				s.Errorf("came again after %v, want %v", at, want*time.Second)
			}
		}
		p.answer(last)
		s.pass(10 * time.Minute)
		p.quiet()
		if n := s.metric("nexus_delivery_retries_total"); n != 8 {
			s.Errorf("%v retries", n)
		}
	})
}

// TestALateAnswerCounts: on a slow network the answer to the first copy comes after the second has left.
func TestALateAnswerCounts(t *testing.T) {
	safely(t, func(s *safe) {
		p := s.phone(asha, "l1", "")
		s.publish(asha, 1)
		first := p.get(1)[0]
		s.pass(1400 * time.Millisecond)
		p.get(1)
		p.answer(first)
		s.pass(10 * time.Minute)
		p.quiet()
		if at := s.store.cursor(asha, "l1"); at != 1 {
			s.Errorf("the cursor is at %d", at)
		}
	})
}

// TestWhatWasMissedComesOnceToTheNextSocket of the device.
func TestWhatWasMissedComesOnceToTheNextSocket(t *testing.T) {
	for name, offset := range map[string]string{"by the kept cursor": "", "by the client's offset": `,"offset":3`} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				p := s.phone(asha, "l1", "")
				s.publish(asha, 5)
				p.take(1, 2, 3)
				p.get(4, 5)
				p.Hangup()
				s.publish(asha, 2)
				p = s.phone(asha, "l1", offset)
				p.take(4, 5, 6, 7)
				s.pass(10 * time.Minute)
				p.quiet()
			})
		})
	}
}

// TestTheCursorStopsAtTheFirstLineThatIsMissing.
func TestTheCursorStopsAtTheFirstLineThatIsMissing(t *testing.T) {
	safely(t, func(s *safe) {
		p := s.phone(asha, "l1", "")
		s.publish(asha, 3)
		got := p.get(1, 2, 3)
		p.answer(got[0])
		p.answer(got[2])
		s.pass(500 * time.Millisecond)
		if at := s.store.cursor(asha, "l1"); at != 1 {
			s.Errorf("the cursor is at %d", at)
		}
		p.take(2) // alone: the third is not sent again
		s.pass(10 * time.Minute)
		p.quiet()
		if at := s.store.cursor(asha, "l1"); at != 3 {
			s.Errorf("the cursor is at %d", at)
		}
	})
}

func TestWhereAReaderBegins(t *testing.T) {
	for name, c := range map[string]struct {
		more  string
		reset string
		first int64 // of 10; the device has acknowledged 6
	}{
		"its cursor":                         {``, "", 7},
		"its offset":                         {`,"offset":8`, "", 9},
		"an offset behind its cursor":        {`,"offset":4`, "", 5},
		"the very beginning":                 {`,"offset":0`, "", 1},
		"all of it":                          {`,"offset":10`, "", 11},
		"no offset":                          {`,"offset":null`, "", 7},
		"beyond the end":                     {`,"offset":11`, `["stream:reset",{"stream":"own","offset":6}]`, 7},
		"beyond the end of the campus's one": {`,"offset":9,"campusOffset":3`, `["stream:reset",{"stream":"campus","offset":0}]`, 10},
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				s.store.commit(asha, 10)
				s.store.cursors[nexus.Reader{Stream: asha, Device: "l1"}] = 6
				p := s.phone(asha, "l1", c.more)
				if c.reset != "" {
					p.Expect("42/security," + c.reset)
				}
				p.take(upTo(c.first, 10)...)
				s.publish(asha, 1)
				p.take(11)
				s.pass(time.Minute)
				p.quiet()
			})
		})
	}
}

func TestAnOffsetThatIsNoneIsRefused(t *testing.T) {
	safely(t, func(s *safe) {
		for more, field := range map[string]string{`,"offset":-1`: "auth.offset", `,"offset":"7"`: "auth.offset", `,"campusOffset":1.5`: "auth.campusOffset"} {
			c := s.dial()
			c.Send(fmt.Sprintf(`40/security,{"token":%q%s}`, s.issue(asha, "l1"), more))
			if got := c.NextText(); codeOf(t, got) != "invalid" || !strings.Contains(got, `"field":"`+field+`"`) {
				s.Errorf("%s: %s", more, got)
			}
		}
	})
}

// TestALongBacklogComesInWindows, and a client that answers fast is not taken for one that floods.
func TestALongBacklogComesInWindows(t *testing.T) {
	safely(t, func(s *safe) {
		s.store.commit(asha, 3000)
		p := s.phone(asha, "l1", "")
		first := p.get(upTo(1, window)...)
		p.quiet()
		for _, d := range first {
			p.answer(d)
		}
		p.take(upTo(window+1, 3000)...)
		s.pass(time.Minute)
		p.quiet()
		if at := s.store.cursor(asha, "l1"); at != 3000 {
			s.Errorf("the cursor is at %d", at)
		}
	})
}

// TestAClientThatAnswersSomeLinesHearsTheNext: one that acknowledges alarms, and what follows them not, still hears the next alarm.
func TestAClientThatAnswersSomeLinesHearsTheNext(t *testing.T) {
	safely(t, func(s *safe) {
		s.store.commit(asha, 1)
		half := s.phone(asha, "half", "")
		half.take(1)
		seen, ended := map[string]bool{}, make(chan struct{})
		go func() { // from here on it only reads
			defer close(ended)
			for {
				f, ok := half.Next()
				if !ok || f.Op != enginetest.Text {
					return
				}
				var d delivery
				if json.Unmarshal([]byte(f.Payload[strings.IndexByte(f.Payload, '['):]), &[]any{&d.event, &d}) == nil {
					seen[d.DeliveryID] = true
				}
			}
		}()
		s.publish(asha, 2*window)
		s.pass(2 * time.Minute)
		s.publish(asha, 1)
		s.pass(2 * time.Minute)
		if last := fmt.Sprintf("%s:%d", asha, 2*window+2); !seen[last] {
			s.Errorf("of %d lines it did not hear %s", len(seen), last)
		}
		if at := s.store.cursor(asha, "half"); at != 1 {
			s.Errorf("its cursor is at %d", at)
		}
		if err := s.Close(s.Context()); err != nil {
			s.Error(err)
		}
		<-ended
	})
}

// TestAClientThatNeverAnswersDisturbsNobody: it keeps its window, hears what is new in the place of what it was told for long, and
// its cursor stays.
func TestAClientThatNeverAnswersDisturbsNobody(t *testing.T) {
	safely(t, func(s *safe) {
		s.store.commit(asha, 100)
		s.store.commit(nexus.CampusStream, 100)
		deaf := s.phone(asha, "deaf", "")
		ended := make(chan struct{})
		seen := map[string]int{}
		go func() { // it reads all the same
			defer close(ended)
			for {
				f, ok := deaf.Next()
				if !ok || f.Op != enginetest.Text {
					return
				}
				var d delivery
				text := f.Payload[strings.IndexByte(f.Payload, '['):]
				if json.Unmarshal([]byte(text), &[]any{&d.event, &d}) == nil {
					seen[d.DeliveryID]++
				}
			}
		}()
		p := s.phone(asha, "good", `,"campusOffset":100`)
		p.take(upTo(1, 100)...)
		s.pass(30 * time.Second)
		if len(seen) != 2*window {
			s.Errorf("%d lines before any was told for long", len(seen))
		}
		for n := range int64(5) {
			s.publish(asha, 1)
			p.take(101 + n)
		}
		s.pass(10 * time.Minute)
		p.quiet()
		if s.metric("nexus_sockets") != 2 {
			s.Error("a socket was closed")
		}
		if seen[asha+":105"] == 0 || seen[asha+":1"] != 6 {
			s.Errorf("the newest line came %d times, the first %d times", seen[asha+":105"], seen[asha+":1"])
		}
		if at := s.store.cursor(asha, "deaf"); at != 0 {
			s.Errorf("the cursor of the deaf one is at %d", at)
		}
		if err := s.Close(s.Context()); err != nil {
			s.Error(err)
		}
		<-ended
	})
}

// TestALostWordOfNewsCostsASecond for officers and the campus, and ten for everybody else.
func TestALostWordOfNewsCostsASecond(t *testing.T) {
	safely(t, func(s *safe) {
		officer, student := s.phone(guardID, "l1", "", nexus.Security), s.phone(asha, "l2", "")
		s.pass(time.Minute)
		start := time.Now()
		s.store.commit(guardID, 1)
		s.store.commit(asha, 1)
		s.store.commit(nexus.CampusStream, 1)
		heard := func(p *phone, stream string, within time.Duration) {
			s.Helper()
			d := p.next()
			if !strings.HasPrefix(d.DeliveryID, stream) || time.Since(start) > within {
				s.Errorf("%s after %v", d.DeliveryID, time.Since(start))
			}
			p.answer(d)
			synctest.Wait()
		}
		s.pass(headsEvery)
		for range 2 {
			d := officer.next()
			officer.answer(d)
		}
		heard(student, nexus.CampusStream, headsEvery)
		heard(student, asha, idleHeads+headsEvery)
		officer.quiet()
	})
}

// TestOneReaderThatCannotBePlacedKeepsNoOtherOut.
func TestOneReaderThatCannotBePlacedKeepsNoOtherOut(t *testing.T) {
	safely(t, func(s *safe) {
		s.store.refuse = ravi
		all := []*phone{s.phone(ravi, "l0", "")}
		for i := range 20 {
			user := fmt.Sprintf("01890a5d-ac96-774b-bcce-b30209%06d", i)
			s.store.commit(user, 1)
			all = append(all, s.phone(user, "l1", ""))
		}
		for _, p := range all[1:] {
			p.take(1)
		}
		all[0].quiet()
		s.store.mu.Lock()
		s.store.refuse = ""
		s.store.mu.Unlock()
		s.pass(courierRest)
		s.publish(ravi, 1)
		all[0].take(1)
	})
}

// TestNewsBetweenPlaceAndBeginIsNotLost: a line that is committed while a reader is placed is seen with its word of news.
func TestNewsBetweenPlaceAndBeginIsNotLost(t *testing.T) {
	safely(t, func(s *safe) {
		c := s.dial()
		s.store.slow = 100 * time.Millisecond
		c.Send(fmt.Sprintf(`40/security,{"token":%q}`, s.issue(asha, "l1")))
		c.NextText()
		synctest.Wait()
		s.pass(99 * time.Millisecond)
		s.hub.courier.wake([]string{asha})
		s.pass(time.Millisecond)
		s.store.mu.Lock()
		reads := s.store.reads
		s.store.mu.Unlock()
		s.pass(100 * time.Millisecond)
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		if s.store.reads != reads+1 {
			s.Errorf("%d reads, want %d", s.store.reads, reads+1)
		}
	})
}

// TestTheDatabaseGoesAndComesBack: what was sent is acknowledged and noted later, what is new comes when it is back, and who
// connects meanwhile waits for no more than that.
func TestTheDatabaseGoesAndComesBack(t *testing.T) {
	for name, away := range map[string]func(*streams){
		"refusing": func(s *streams) { s.fail(errAway) },
		"hanging":  func(s *streams) { s.slow = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				p := s.phone(asha, "l1", "")
				s.publish(asha, 3)
				got := p.get(1, 2, 3)
				s.pass(100 * time.Millisecond)
				away(s.store)
				for _, d := range got {
					p.answer(d)
				}
				s.publish(asha, 2)
				late := s.phone(asha, "l2", `,"offset":3`)
				s.pass(30 * time.Second)
				p.quiet()
				late.quiet()
				s.store.commit(asha, 1) // nobody is told
				s.store.fail(nil)
				s.store.mu.Lock()
				s.store.slow = 0
				s.store.mu.Unlock()
				start := time.Now()
				p.take(4, 5, 6)
				late.take(4, 5, 6)
				if took := time.Since(start); took > courierPatience+2*courierRest+headsEvery {
					s.Errorf("it took %v", took)
				}
				s.pass(10 * time.Second)
				p.quiet()
				late.quiet()
				for seq := range int64(6) {
					if s.store.marks[place{asha, seq + 1}].Got.IsZero() {
						s.Errorf("the acknowledgement of line %d is lost", seq+1)
					}
				}
				if a, b := s.store.cursor(asha, "l1"), s.store.cursor(asha, "l2"); a != 6 || b != 6 {
					s.Errorf("the cursors are at %d and %d", a, b)
				}
			})
		})
	}
}

// TestEverybodyHearsTheCampus: one read serves all who stand at the same place.
func TestEverybodyHearsTheCampus(t *testing.T) {
	safely(t, func(s *safe) {
		s.store.commit(nexus.CampusStream, 2)
		behind := s.phone(asha, "l1", "")
		behind.take(1, 2)
		var all []*phone
		for i := range 20 {
			all = append(all, s.phone(fmt.Sprintf("01890a5d-ac96-774b-bcce-b302099a9%03d", i), "x", `,"campusOffset":2`))
		}
		reads := s.store.reads
		s.publish(nexus.CampusStream, 1)
		if n := s.store.reads - reads; n != 1 {
			s.Errorf("%d reads", n)
		}
		for _, p := range append(all, behind) {
			d := p.get(3)[0]
			if d.event != "MASS_ALERT" || !strings.Contains(d.raw, `"identifier":"m3"`) || d.DeliveryID != nexus.CampusStream+":3" {
				s.Errorf("%+v", d)
			}
			p.answer(d)
		}
		s.pass(time.Minute)
		behind.quiet()
	})
}

func TestTwoDevicesOfAPersonGetAllEach(t *testing.T) {
	safely(t, func(s *safe) {
		a, b := s.phone(asha, "l1", ""), s.phone(asha, "l2", "")
		s.publish(asha, 100)
		a.take(upTo(1, 100)...)
		b.take(upTo(1, window)...)
		b.take(upTo(window+1, 100)...)
		s.pass(time.Minute)
		a.quiet()
		b.quiet()
		if x, y := s.store.cursor(asha, "l1"), s.store.cursor(asha, "l2"); x != 100 || y != 100 {
			s.Errorf("the cursors are at %d and %d", x, y)
		}
	})
}

// TestThousandsArePlacedTogether: sockets that come at once share queries.
func TestThousandsArePlacedTogether(t *testing.T) {
	safely(t, func(s *safe) {
		const many = 1000
		s.store.slow = 10 * time.Millisecond
		s.store.commit(nexus.CampusStream, 1)
		for i := range many {
			_, body := enginetest.Poll(s.Engine(), "GET", "", "")
			var open struct{ SID string }
			if err := json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &open); err != nil {
				s.Fatal(body, err)
			}
			user := fmt.Sprintf("01890a5d-ac96-774b-bcce-b302099a%04d", i)
			if status, _ := enginetest.Poll(s.Engine(), "POST", open.SID, "40/security,"+auth(s.issue(user, user))); status != 200 {
				s.Fatal(status)
			}
		}
		s.pass(5 * time.Second)
		asked, reads := 0, 0
		s.store.mu.Lock()
		for _, n := range s.store.placed {
			asked += n
			if n > standingsAtOnce {
				s.Errorf("%d readers in one query", n)
			}
		}
		queries := len(s.store.placed)
		reads = s.store.reads
		s.store.mu.Unlock()
		if asked != 2*many || queries > 2*many/standingsAtOnce+2 {
			s.Errorf("%d readers in %d queries", asked, queries)
		}
		if n := s.metric("nexus_delivery_lines_total", "MASS"); n != many || reads > queries+2 {
			s.Errorf("%v of %d heard the campus, with %d reads", n, many, reads)
		}
	})
}

// TestAcknowledgementsAreNotedTogether, and none is lost with the node.
func TestAcknowledgementsAreNotedTogether(t *testing.T) {
	safely(t, func(s *safe) {
		p := s.phone(asha, "l1", "")
		s.pass(time.Second)
		before := s.store.notes
		s.publish(asha, 60)
		p.take(upTo(1, 60)...)
		s.pass(time.Second)
		if n := s.store.notes - before; n > 2 {
			s.Errorf("%d writes", n)
		}
		s.publish(asha, 1)
		p.take(61)
		if err := s.Close(s.Context()); err != nil {
			s.Error(err)
		}
		if at := s.store.cursor(asha, "l1"); at != 61 {
			s.Errorf("the cursor is at %d", at)
		}
	})
}

// TestWhateverHappensEveryLineComesInOrder: lines, answers, lost answers, broken connections and a database that comes and goes, at
// random. On each socket first copies come in order and without a gap, from where the device is; at last everything is acknowledged.
func TestWhateverHappensEveryLineComesInOrder(t *testing.T) {
	for _, c := range []struct{ ns, stream string }{
		{securityNamespace, asha}, {academicNamespace, "academic/" + asha}, {rootNamespace, "notifications/" + asha},
	} {
		for seed := range uint64(8) {
			t.Run(fmt.Sprint(c.ns, seed), func(t *testing.T) { everyLineComesInOrder(t, c.ns, c.stream, seed) })
		}
	}
}

func everyLineComesInOrder(t *testing.T, ns, stream string, seed uint64) {
	safely(t, func(s *safe) {
		s.ns = ns
		r := rand.New(rand.NewPCG(seed, 1))
		total, acked := int64(0), map[int64]bool{}
		p, last := s.phone(asha, "l1", ""), int64(0)
		open, answered := map[int64]bool{}, map[int64]bool{} // on this socket
		answer := func(d delivery) {
			p.answer(d)
			acked[d.Offset], answered[d.Offset] = true, true
			delete(open, d.Offset)
		}
		step := func(reliable bool) {
			switch n := r.IntN(12); {
			case !reliable && n < 3:
				k := r.IntN(40)
				total += int64(k)
				s.store.commit(stream, k)
				if r.IntN(3) > 0 {
					s.Broadcast(&grain.Broadcast{News: []string{stream}})
				}
			case !reliable && n == 3:
				s.store.fail(errAway)
			case n == 4:
				s.store.fail(nil)
			case !reliable && n == 5:
				p.Hangup()
				p, last = s.phone(asha, "l1", ""), 0
				clear(open)
				clear(answered)
			case n == 6:
				s.pass(time.Duration(r.IntN(3000)) * time.Millisecond)
			}
			synctest.Wait()
			// An answer tells where what waits for the client ends.
			p.Send("42" + shown(ns) + `77["nothing"]`)
			for {
				text := p.NextText()
				if strings.HasPrefix(text, "43"+shown(ns)+"77") {
					break
				}
				var d delivery
				rest := strings.TrimPrefix(text, "42"+shown(ns))
				i := strings.IndexByte(rest, '[')
				d.ack = rest[:i]
				if err := json.Unmarshal([]byte(rest[i:]), &[]any{&d.event, &d}); err != nil {
					s.Fatal(text)
				}
				switch {
				case last == 0 || d.Offset == last+1:
					if last == 0 && d.Offset > 1 && !acked[d.Offset-1] {
						s.Fatalf("a socket begins with line %d, and the one before was not acknowledged", d.Offset)
					}
					last = d.Offset
				case d.Offset > last:
					s.Fatalf("line %d came after line %d", d.Offset, last)
				}
				if !answered[d.Offset] { // else the answer crossed this copy
					open[d.Offset] = true
				}
				if len(open) > window {
					s.Fatalf("%d lines are open", len(open))
				}
				if reliable || r.IntN(4) > 0 {
					answer(d)
				}
			}
		}
		for range 150 {
			step(false)
		}
		s.store.fail(nil)
		for range 20 {
			step(true)
		}
		for range 100 {
			s.pass(5 * time.Second)
			step(true)
		}
		if int64(len(acked)) != total || s.store.cursor(stream, "l1") != total {
			s.Errorf("%d of %d lines are acknowledged, the cursor is at %d", len(acked), total, s.store.cursor(stream, "l1"))
		}
	})
}
