package cluster

import (
	"net"

	"github.com/asynkron/protoactor-go/actor"
)

// watch notes who watches an actor of the other node, to tell it if that node is lost, and passes the wish on. Both
// happen together: a wish never stays noted that will not be passed on.
func (p *peer) watch(w bond) {
	p.mu.Lock()
	taken := p.put(parcel{frame: frame(&Parcel{Body: &Parcel_Watch{Watch: w.notice()}})})
	if taken {
		p.watched[w] = struct{}{}
	}
	p.mu.Unlock()
	if !taken {
		p.gone(w)
	}
}

// unwatch takes watch back. What cannot be passed on does no harm: a word of an end that nobody waits for is dropped, and
// the other side forgets who watches when the connection ends.
func (p *peer) unwatch(w bond) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.watched[w]; !ok {
		return
	}
	delete(p.watched, w)
	p.put(parcel{frame: frame(&Parcel{Body: &Parcel_Unwatch{Unwatch: w.notice()}})})
}

// noLongerWatched takes the other node's word that an actor has ended, and reports whether anybody here waited for it.
func (p *peer) noLongerWatched(w bond) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.watched[w]
	delete(p.watched, w)
	return ok
}

// terminated tells the other node that an actor of this one has ended. If that cannot leave, the other node's connection
// ends instead, from which it concludes the same.
func (p *peer) terminated(w bond) {
	p.mu.Lock()
	taken := p.put(parcel{frame: frame(&Parcel{Body: &Parcel_Terminated{Terminated: w.notice()}})})
	in := p.in
	if in != nil {
		delete(in.watches, w)
	}
	p.mu.Unlock()
	if !taken && in != nil {
		p.link.hangUp(in.conn)
	}
}

// inbound is the connection that another node has made.
type inbound struct {
	conn    net.Conn
	watches map[bond]struct{} // actors of this node, by actors of the other; guarded by the peer's lock
	done    chan struct{}     // closed when nothing of this connection is being handled any more
}

// adopt takes a connection of the other node. An older one, which that node has given up, ends first: what came through
// it is handled before anything that comes through this one.
func (p *peer) adopt(c net.Conn) (*inbound, error) {
	i := &inbound{conn: c, watches: make(map[bond]struct{}), done: make(chan struct{})}
	p.mu.Lock()
	if p.ctx.Err() != nil {
		p.mu.Unlock()
		return nil, net.ErrClosed
	}
	old := p.in
	p.in = i
	p.mu.Unlock()
	if old != nil {
		p.link.hangUp(old.conn)
		<-old.done
	}
	return i, nil
}

// release ends what came through a connection: nobody there watches anybody here any more.
func (p *peer) release(i *inbound) {
	p.mu.Lock()
	watches := i.watches
	i.watches = nil
	if p.in == i {
		p.in = nil
	}
	p.mu.Unlock()
	for w := range watches {
		p.link.lifeCycle(w.watchee, &actor.Unwatch{Watcher: actor.NewPID(p.address, w.watcher)})
	}
	close(i.done)
}

// watching notes that an actor of the other node watches one of this. It reports false when the connection has
// been replaced.
func (p *peer) watching(i *inbound, w bond) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.in != i {
		return false
	}
	i.watches[w] = struct{}{}
	return true
}

func (p *peer) stopWatching(i *inbound, w bond) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(i.watches, w)
}
