package session

import (
	"context"

	"github.com/asynkron/protoactor-go/actor"

	"nexus"
	"nexus/actors/grain"
)

// Client speaks to users' sessions, wherever they live.
type Client struct {
	dir grain.Directory
}

// NewClient returns a client that reaches grains through dir.
func NewClient(dir grain.Directory) Client { return Client{dir: dir} }

// Socket is a live socket of a user.
type Socket struct {
	ID        string // unique on its hub
	Namespace string
	Login     nexus.SessionID
}

// Attach makes a socket, which ends at hub, known to the user's session, and returns that session's
// activation for the hub to watch.
func (c Client) Attach(ctx context.Context, user nexus.UserID, hub *actor.PID, s Socket) (*actor.PID, error) {
	a, err := grain.Ask[*Attached](ctx, c.dir, ref(user), &Attach{
		Hub: address(hub), Socket: s.ID, Namespace: s.Namespace, Login: string(s.Login),
	})
	if err != nil {
		return nil, err
	}
	return placeOf(a.GetSession()).pid(), nil
}

// Detach makes a closed socket forgotten, at most once: a session that misses it
// tells the hub to close a socket that is no more, which does no harm.
func (c Client) Detach(session, hub *actor.PID, socket string) {
	c.dir.System().Root.Send(session, &Detach{Hub: address(hub), Socket: socket})
}

// Watch has a hub, within its turn, hear of the end of a session that it has attached sockets to, past or to come: as *Ended if that is of its own node, else
// as *actor.Terminated. To be watched costs an actor 700 bytes, and most sockets have their session beside them.
func Watch(hub actor.Context, session *actor.PID) {
	if session.Address != hub.Self().Address {
		hub.Watch(session)
		return
	}
	if _, lives := hub.ActorSystem().ProcessRegistry.Get(session); !lives {
		hub.Send(hub.Self(), &Ended{Session: address(session)})
	}
}

// PID is which activation has ended.
func (x *Ended) PID() *actor.PID { return placeOf(x.GetSession()).pid() }

// Disconnect closes the user's sockets: those of one login, or all for an empty one.
func (c Client) Disconnect(ctx context.Context, user nexus.UserID, login nexus.SessionID, reason string) error {
	_, err := grain.Ask[*Disconnected](ctx, c.dir, ref(user), &Disconnect{Login: string(login), Reason: reason})
	return err
}

func ref(user nexus.UserID) grain.Ref { return grain.Ref{Kind: KindName, ID: string(user)} }

func address(pid *actor.PID) *Address {
	return &Address{Node: pid.GetAddress(), Actor: pid.GetId()}
}
