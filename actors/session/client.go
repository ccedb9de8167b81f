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

// Disconnect closes the user's sockets: those of one login, or all for an empty one.
func (c Client) Disconnect(ctx context.Context, user nexus.UserID, login nexus.SessionID, reason string) error {
	_, err := grain.Ask[*Disconnected](ctx, c.dir, ref(user), &Disconnect{Login: string(login), Reason: reason})
	return err
}

func ref(user nexus.UserID) grain.Ref { return grain.Ref{Kind: KindName, ID: string(user)} }

func address(pid *actor.PID) *Address {
	return &Address{Node: pid.GetAddress(), Actor: pid.GetId()}
}
