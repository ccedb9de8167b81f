package session

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// TestASocketThatNobodySpeaksOfIsForgotten: one of a hub that never came back keeps neither the session nor anybody's place in it.
func TestASocketThatNobodySpeaksOfIsForgotten(t *testing.T) {
	live(t, func(c *campus) {
		c.attach(c.one, "ghost", "phone")
		session := c.attach(c.two, "alive", "phone")
		for range ghostAfter/time.Minute + 1 {
			time.Sleep(time.Minute)
			c.attach(c.two, "alive", "phone")
		}
		c.disconnect("")
		c.want(c.one)
		c.want(c.two, "alive logged_out")

		c.attach(c.one, "ghost", "phone")
		time.Sleep(ghostAfter - time.Minute)
		if !c.lives(session) {
			t.Fatal("the session left before its time")
		}
		time.Sleep(idle + 3*time.Minute)
		if c.lives(session) {
			t.Fatal("a ghost keeps the session")
		}
	})
}

// TestAGhostMakesRoomFirst: whoever comes does not put out a socket that lives while there is one that does not.
func TestAGhostMakesRoomFirst(t *testing.T) {
	live(t, func(c *campus) {
		time.Sleep(idle / 2) // so that the sweep comes too late
		for i := range maxSockets - 1 {
			c.attach(c.one, fmt.Sprint(i), "phone")
		}
		c.attach(c.two, "ghost", "phone")
		time.Sleep(ghostAfter - time.Second)
		for i := range maxSockets - 1 {
			c.attach(c.one, fmt.Sprint(i), "phone")
		}
		time.Sleep(time.Second)
		c.attach(c.one, "one more", "phone")
		c.want(c.one)
	})
}

// TestTheHubOfAGhostIsNotWatched, like any hub without sockets.
func TestTheHubOfAGhostIsNotWatched(t *testing.T) {
	live(t, func(c *campus) {
		watchers := 0
		spy := c.node.System().Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}, actor.WithMailbox(actor.Unbounded(countWatchers{&watchers}))))
		c.attach(&hub{pid: spy}, "1", "phone")
		for range ghostAfter/time.Minute + 1 {
			time.Sleep(time.Minute)
			c.attach(c.two, "2", "phone")
		}
		if synctest.Wait(); watchers != 0 {
			t.Errorf("%d watch the hub of a ghost", watchers)
		}
	})
}
