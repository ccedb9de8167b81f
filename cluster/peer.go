package cluster

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/encoding/protodelim"

	"nexus"
)

// parcel is a message on its way out.
type parcel struct {
	frame  []byte     // as it stands on the connection
	sender *actor.PID // who waits for an answer, and hears if it cannot leave; nil: nobody
}

// peer is what ties this node to one other: a bounded queue, a connection for what leaves, made when there is something
// to send, and one for what comes.
//
//	quiet --send--> talking --connection lost--> resting --redialAfter--> quiet --retireAfter--> forgotten
//
// Both connections share their fate: when what leaves is lost, so that the other node may have missed the end of an actor
// that it watches, its own connection is ended too, and it takes every actor that it watches here for ended.
type peer struct {
	link    *link
	address string
	ctx     context.Context
	cancel  context.CancelFunc
	wake    chan struct{} // one place: something waits

	mu      sync.Mutex
	queue   []parcel
	bytes   int               // in the queue
	resting bool              // nothing leaves for a while
	watched map[bond]struct{} // actors of the other node, by actors of this one
	out     net.Conn          // nil: none
	in      *inbound          // nil: none
}

func newPeer(l *link, address string) *peer {
	p := &peer{link: l, address: address, wake: make(chan struct{}, 1), watched: make(map[bond]struct{})}
	p.ctx, p.cancel = context.WithCancel(l.ctx)
	return p
}

// send queues a message, or bounces it.
func (p *peer) send(x parcel) {
	p.mu.Lock()
	taken := p.put(x)
	p.mu.Unlock()
	if !taken {
		p.link.bounce(x.sender)
	}
}

// put queues a parcel unless the queue is full or nothing leaves now. It needs the lock.
func (p *peer) put(x parcel) bool {
	full := len(p.queue) >= maxOutgoing || p.bytes+len(x.frame) > maxOutgoingBytes
	if full || p.resting || p.ctx.Err() != nil {
		return false
	}
	p.queue = append(p.queue, x)
	p.bytes += len(x.frame)
	p.poke()
	return true
}

func (p *peer) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next moves what waits to out, up to linkBuffer, and returns who waits for answers to it. It reports whether more waits.
func (p *peer) next(out []byte) (_ []byte, senders []*actor.PID, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for ; n < len(p.queue) && len(out) < linkBuffer; n++ {
		x := p.queue[n]
		out = append(out, x.frame...)
		p.bytes -= len(x.frame)
		if x.sender != nil {
			senders = append(senders, x.sender)
		}
	}
	clear(p.queue[:n])
	if p.queue = p.queue[n:]; len(p.queue) == 0 {
		p.queue = nil // its array may have grown
	}
	return out, senders, len(p.queue) > 0
}

// run sends what is queued until the peer is forgotten or the link closes.
func (p *peer) run() {
	defer p.lost()
	quiet := time.NewTicker(retireAfter)
	defer quiet.Stop()
	for {
		select {
		case <-p.ctx.Done():
			return
		case <-quiet.C:
			if p.link.retire(p) {
				return
			}
			continue
		case <-p.wake:
		}
		if !p.waiting() {
			continue
		}
		if err := p.talk(); err != nil && p.ctx.Err() == nil {
			p.link.log.Debug("link to another node ended", "peer", p.address, "err", err)
		}
		p.lost()
		p.link.broken(p.address)
		if !nexus.Pause(p.link.ctx, redialAfter) {
			return
		}
		p.mu.Lock()
		p.resting = false
		p.mu.Unlock()
		quiet.Reset(retireAfter)
	}
}

func (p *peer) waiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.queue) > 0
}

// lost gives up what leaves: it bounces what waits, tells the watchers of that node's actors that these are no more, and
// ends both connections. The peer rests if it was talking; run ends that.
func (p *peer) lost() {
	p.mu.Lock()
	queue, watched, out, in := p.queue, p.watched, p.out, p.in
	p.queue, p.bytes, p.out, p.watched = nil, 0, nil, make(map[bond]struct{})
	p.mu.Unlock()
	if out != nil {
		p.link.drop(out)
	}
	if in != nil {
		p.link.hangUp(in.conn)
	}
	for _, x := range queue {
		p.link.bounce(x.sender)
	}
	for w := range watched {
		p.gone(w)
	}
}

// gone tells an actor of this node that one that it watches is not to be reached any more.
func (p *peer) gone(w bond) {
	p.link.lifeCycle(w.watcher, &actor.Terminated{Who: actor.NewPID(p.address, w.watchee), Why: actor.TerminatedReason_AddressTerminated})
}

// talk connects and sends what is queued until the connection ends.
func (p *peer) talk() error {
	c, err := p.dial()
	if err != nil {
		p.rest()
		return err
	}
	defer p.rest()
	defer p.link.drop(c)
	silent := make(chan error, 1)
	p.link.all.Go(func() { silent <- listen(c) })
	beats := time.NewTicker(beatEvery)
	defer beats.Stop()
	p.poke()
	var out []byte
	for {
		if out = out[:0]; cap(out) > 4*linkBuffer {
			out = nil // it held a large one
		}
		select { // at random: neither beats nor messages starve the other
		case <-p.ctx.Done():
			return nil
		case err := <-silent:
			return err
		case <-beats.C:
			out = append(out, beat()...)
		case <-p.wake:
		}
		out, senders, more := p.next(out)
		if more {
			p.poke()
		}
		if err := write(c, out); err != nil {
			for _, s := range senders {
				p.link.bounce(s)
			}
			return err
		}
	}
}

func (p *peer) rest() {
	p.mu.Lock()
	p.resting = true
	p.mu.Unlock()
}

// dial connects and says who calls and who is meant.
func (p *peer) dial() (net.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, dialTimeout)
	defer cancel()
	c, err := p.link.network.Dial(ctx, host(p.address))
	if err != nil {
		return nil, err
	}
	if !p.link.hold(c) {
		err = net.ErrClosed
	} else {
		err = write(c, frame(&Hello{Address: p.address, From: p.link.system.Address()}))
	}
	if err != nil {
		p.link.drop(c)
		return nil, err
	}
	p.mu.Lock()
	p.out = c
	p.mu.Unlock()
	return c, nil
}

// listen waits for the beats of the other side, and ends when they do.
func listen(c net.Conn) error {
	in := bufio.NewReaderSize(c, 512)
	for {
		if err := c.SetReadDeadline(time.Now().Add(silentAfter)); err != nil {
			return err
		}
		var x Parcel
		if err := (protodelim.UnmarshalOptions{MaxSize: 4096}).UnmarshalFrom(in, &x); err != nil {
			return err
		}
	}
}

func write(c net.Conn, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err := c.Write(b)
	return err
}
