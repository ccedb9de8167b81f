package live

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/mess"
)

// tick is a numbered CROWD_UPDATE of a hall, whose payload shows its number.
func tick(hall nexus.HallID, seq int64) *grain.Broadcast {
	topic := mess.Topic(hall)
	return &grain.Broadcast{
		Topic: topic, Namespace: mess.Namespace, Event: mess.CrowdUpdate, Slot: topic, Payload: fmt.Appendf(nil, `{"n":%d}`, seq), Seq: seq,
	}
}

// TestWhoComesHearsTheNewestTickAtOnce: a client that was cut off does not wait for the next second.
func TestWhoComesHearsTheNewestTickAtOnce(t *testing.T) {
	live(t, func(e *edge) {
		e.Broadcast(tick(north, 1))
		e.Broadcast(tick(south, 2))
		e.Broadcast(tick(north, 3))
		synctest.Wait()
		c := e.join("/mess", "")
		c.Expect(crowd(3))
		e.quiet(c) // once, and of the default hall alone
		e.Broadcast(tick(north, 4))
		c.Expect(crowd(4))
		c.Send(`42/mess,1["subscribe",{"halls":["*"]}]`)
		c.Expect(`43/mess,1[{"snapshots":[{"n":4},{"n":2}]}]`)
		e.quiet(c) // the answer has told it
	})
}

// TestAForecastIsNoTick: it is heard, and whoever comes later is shown the crowd.
func TestAForecastIsNoTick(t *testing.T) {
	live(t, func(e *edge) {
		early := e.join("/mess", "")
		e.Broadcast(tick(north, 7))
		early.Expect(crowd(7))
		topic := mess.Topic(north)
		e.Broadcast(&grain.Broadcast{Topic: topic, Namespace: mess.Namespace, Event: mess.ForecastUpdate, Slot: mess.ForecastUpdate + topic, Payload: []byte(`{"points":[]}`)})
		early.Expect(`42/mess,["FORECAST_UPDATE",{"points":[]}]`)
		e.join("/mess", "").Expect(crowd(7))
		e.Broadcast(tick(north, 6)) // of an owner that was replaced
		e.Broadcast(tick(north, 8))
		early.Expect(crowd(8))
	})
}

// TestAnOldTickIsNotOffered: it may be older than what the client has heard elsewhere, and says nothing about now.
func TestAnOldTickIsNotOffered(t *testing.T) {
	live(t, func(e *edge) {
		e.Broadcast(tick(north, 1))
		e.pass(offerFor - time.Millisecond)
		young := e.join("/mess", "")
		young.Expect(crowd(1))
		e.pass(time.Millisecond)
		c := e.join("/mess", "")
		e.quiet(c)
		e.Broadcast(tick(north, 2))
		c.Expect(crowd(2))
		young.Expect(crowd(2))
	})
}

// TestWhoComesInTheMiddleOfATickHearsItOnce: sockets come while ticks go out, and each hears every tick from its first on, none twice.
func TestWhoComesInTheMiddleOfATickHearsItOnce(t *testing.T) {
	live(t, func(e *edge) {
		const ticks = 40
		e.Broadcast(tick(north, 1))
		for seq := int64(2); seq < ticks; seq++ {
			c := e.dial()
			c.Send("40/mess,")
			e.Broadcast(tick(north, seq)) // while the socket is let in
			c.NextText()                  // the answer
			for heard := int64(0); heard < seq; {
				var n int64
				if _, err := fmt.Sscanf(c.NextText(), `42/mess,["CROWD_UPDATE",{"n":%d}]`, &n); err != nil || n <= heard {
					e.Fatalf("heard %d after %d: %v", n, heard, err)
				}
				heard = n
			}
			e.quiet(c)
			c.Hangup()
		}
	})
}

// TestALateTickIsDropped: what an owner that was replaced still says never takes the place of what its successor said.
func TestALateTickIsDropped(t *testing.T) {
	live(t, func(e *edge) {
		const epoch = 1 << 30
		c := e.join("/mess", "")
		for _, s := range []struct {
			seq  int64
			late bool
		}{
			{1*epoch + 7, false},
			{2*epoch + 1, false}, // its successor
			{1*epoch + 8, true},
			{2*epoch + 1, true}, // by two ways
			{2*epoch + 2, false},
			{0, false}, // of a sender that does not count
			{3*epoch + 1, false},
		} {
			e.Broadcast(tick(north, s.seq))
			if !s.late {
				c.Expect(crowd(int(s.seq)))
			}
		}
		e.Broadcast(tick(south, 1)) // another topic has seqs of its own
		synctest.Wait()
		e.Broadcast(tick(north, 2*epoch+3))
		synctest.Wait()
		c.Send(`42/mess,1["subscribe",{"halls":["*"]}]`)
		c.Expect(fmt.Sprintf(`43/mess,1[{"snapshots":[{"n":%d},{"n":1}]}]`, 3*epoch+1))
		if n := e.metric("nexus_broadcasts_late_total"); n != 3 {
			e.Errorf("%v late ones are counted", n)
		}
	})
}

// TestAHallWhoseSeqsBeginAnewIsHeardAgain, as after the database was set back: nobody else speaks for it.
func TestAHallWhoseSeqsBeginAnewIsHeardAgain(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", "")
		e.Broadcast(tick(north, 1000))
		c.Expect(crowd(1000))
		for seq := int64(1); seq < 10; seq++ {
			e.pass(time.Second)
			e.Broadcast(tick(north, seq))
		}
		e.quiet(c)
		for seq := int64(10); seq < 13; seq++ {
			e.pass(time.Second)
			e.Broadcast(tick(north, seq))
			c.Expect(crowd(int(seq)))
		}
	})
}
