package session

import (
	"slices"
	"time"
)

// maxSockets bounds the live sockets of one user: a few devices, a few tabs each. The oldest goes when one more comes.
const maxSockets = 64

// ghostAfter is how long a socket counts that nobody speaks of. Hubs tell their sockets again every minute or two, so that one
// that missed three turns has a hub that is no more, or that forgot it, without this session's having heard.
const ghostAfter = 5 * time.Minute

// place is a hub: the actor that owns sockets on one node.
type place struct{ node, actor string }

// socket is a live socket of the user.
type socket struct {
	hub       place
	id        string // unique on its hub
	namespace string
	login     string
	told      time.Time // when its hub last spoke of it
}

// State is the set of a user's live sockets, the oldest first.
type State struct {
	sockets []socket
}

// attach adds a socket and returns those that must go to make room for it. A socket that is known already is
// brought up to date: its token may have been renewed by another login.
func (s *State) attach(n socket) (evicted []socket) {
	if i := s.index(n.hub, n.id); i >= 0 {
		s.sockets[i] = n
		return nil
	}
	s.sockets = append(s.sockets, n)
	if over := len(s.sockets) - maxSockets; over > 0 {
		evicted = slices.Clone(s.sockets[:over])
		s.sockets = slices.Delete(s.sockets, 0, over)
	}
	return evicted
}

// expire takes out the sockets of which nobody has spoken for long, and returns them.
func (s *State) expire(now time.Time) (ghosts []socket) {
	return s.take(func(x socket) bool { return now.Sub(x.told) >= ghostAfter })
}

// detach forgets a socket.
func (s *State) detach(hub place, id string) {
	if i := s.index(hub, id); i >= 0 {
		s.sockets = slices.Delete(s.sockets, i, i+1)
	}
}

// lose forgets every socket of a hub that is no more.
func (s *State) lose(hub place) {
	s.sockets = slices.DeleteFunc(s.sockets, func(x socket) bool { return x.hub == hub })
}

// disconnect takes out the sockets of a login, or all for an empty one, and returns them.
func (s *State) disconnect(login string) (closed []socket) {
	return s.take(func(x socket) bool { return login == "" || x.login == login })
}

// take takes out the sockets that which chooses, and returns them.
func (s *State) take(which func(socket) bool) (taken []socket) {
	s.sockets = slices.DeleteFunc(s.sockets, func(x socket) bool {
		gone := which(x)
		if gone {
			taken = append(taken, x)
		}
		return gone
	})
	return taken
}

// at reports whether any socket is left on the hub.
func (s *State) at(hub place) bool {
	return slices.ContainsFunc(s.sockets, func(x socket) bool { return x.hub == hub })
}

// hubs lists the hubs on a node that have any socket here.
func (s *State) hubs(node string) (list []place) {
	for _, x := range s.sockets {
		if x.hub.node == node && !slices.Contains(list, x.hub) {
			list = append(list, x.hub)
		}
	}
	return list
}

func (s *State) index(hub place, id string) int {
	return slices.IndexFunc(s.sockets, func(x socket) bool { return x.hub == hub && x.id == id })
}
