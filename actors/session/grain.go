// Package session is the grain of one user: it knows the user's live sockets on every node. Hubs attach
// sockets to it and are told which to close; both sides watch each other:
//
//	hub --Attach--> session      the session forgets the sockets of a hub that ends, or that speaks of them no more
//	hub <--Close--- session
//	hub <--Ended--- session      the hub attaches its sockets again
//
// A session that loses sight of a hub ends: it cannot know whether that hub still counts on it.
//
// It keeps nothing: sockets do not outlive their node, and hubs tell a new activation what is there.
package session

import (
	"context"
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/grain"
)

// KindName is the kind of sessions; their identity is the user's id.
const KindName = "session"

// idle is how long a session without sockets stays: a phone that changes networks is back before. It is also how often one looks for ghosts.
const idle = time.Minute

// ReasonTooMany closes the oldest socket of a user who opens more than are allowed.
const ReasonTooMany = "too many sockets"

// Grain is one user's session.
type Grain struct {
	state State
	ctx   *grain.Context // for Busy, which is given none
}

// Kind returns the kind of sessions.
func Kind() grain.Kind {
	return grain.Kind{Name: KindName, New: func(string) grain.Grain { return &Grain{} }, Idle: idle, Volatile: true}
}

// Load implements grain.Grain. A new activation knows nobody; the hubs attach their sockets again.
func (g *Grain) Load(_ context.Context, c *grain.Context, _ nexus.Snapshot) error {
	g.ctx = c
	return nil
}

// Stop implements grain.Grain.
func (g *Grain) Stop(context.Context, *grain.Context) {}

// Ended implements grain.Ender: the hub of this node is told, the others watch.
func (g *Grain) Ended(c *grain.Context) {
	self := c.Self()
	for _, hub := range g.state.hubs(self.Address) {
		c.Send(hub.pid(), &Ended{Session: address(self)})
	}
}

// Busy implements grain.Busy: a session with sockets stays. A timer of its own to look for ghosts would cost each session as much again.
func (g *Grain) Busy() bool {
	g.sweep(g.ctx)
	return len(g.state.sockets) > 0
}

// Receive implements grain.Grain.
func (g *Grain) Receive(c *grain.Context, msg any) {
	switch m := msg.(type) {
	case *Attach:
		g.attach(c, m)
	case *Detach:
		g.detach(c, m)
	case *Disconnect:
		g.disconnect(c, m)
	case *actor.Terminated:
		g.lost(c, m)
	default:
		c.Log.Error("unknown message", "type", fmt.Sprintf("%T", msg))
		c.Fail(nexus.Errorf(nexus.Internal, "session does not know %T", msg))
	}
}

func (g *Grain) attach(c *grain.Context, m *Attach) {
	hub := placeOf(m.GetHub())
	g.sweep(c) // before somebody who lives has to make room
	c.Watch(hub.pid())
	evicted := g.state.attach(socket{hub: hub, id: m.GetSocket(), namespace: m.GetNamespace(), login: m.GetLogin(), told: time.Now()})
	g.closeAll(c, evicted, ReasonTooMany)
	self := c.Self()
	c.Reply(&Attached{Session: &Address{Node: self.GetAddress(), Actor: self.GetId()}})
}

func (g *Grain) detach(c *grain.Context, m *Detach) {
	hub := placeOf(m.GetHub())
	g.state.detach(hub, m.GetSocket())
	g.unwatch(c, hub)
}

// sweep forgets sockets whose hub does not speak of them any more: it cannot be told to close what it does not know.
func (g *Grain) sweep(c *grain.Context) {
	for _, ghost := range g.state.expire(time.Now()) {
		g.unwatch(c, ghost.hub)
	}
}

func (g *Grain) disconnect(c *grain.Context, m *Disconnect) {
	closed := g.state.disconnect(m.GetLogin())
	g.closeAll(c, closed, m.GetReason())
	c.Reply(&Disconnected{Sockets: int32(len(closed))})
}

// lost forgets the sockets of a hub that has ended. One that is merely out of reach may live and count on this session,
// which therefore ends: whatever hub still lives, or comes back, hears of that and attaches its sockets to the next.
func (g *Grain) lost(c *grain.Context, m *actor.Terminated) {
	hub := place{m.Who.GetAddress(), m.Who.GetId()}
	if m.Why == actor.TerminatedReason_AddressTerminated && g.state.at(hub) {
		c.Abandon(fmt.Errorf("hub %s is out of reach", hub.node))
		return
	}
	g.state.lose(hub)
}

// closeAll tells each hub once which of its sockets to close. A hub that is left with none is watched no more.
func (g *Grain) closeAll(c *grain.Context, sockets []socket, reason string) {
	byHub := make(map[place]*Close)
	for _, s := range sockets {
		m := byHub[s.hub]
		if m == nil {
			m = &Close{Reason: reason}
			byHub[s.hub] = m
		}
		m.Sockets = append(m.Sockets, s.id)
	}
	for hub, m := range byHub {
		c.Send(hub.pid(), m)
		g.unwatch(c, hub)
	}
}

// unwatch takes the watch of a hub back that is left with no socket.
func (g *Grain) unwatch(c *grain.Context, hub place) {
	if !g.state.at(hub) {
		c.Unwatch(hub.pid())
	}
}

func (p place) pid() *actor.PID { return actor.NewPID(p.node, p.actor) }

func placeOf(a *Address) place { return place{a.GetNode(), a.GetActor()} }
