package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/encoding/protodelim"

	"nexus"
	"nexus/actors/grain"
)

const (
	// dialTimeout bounds the making of a connection, writeTimeout one write to it.
	dialTimeout  = time.Second
	writeTimeout = 2 * time.Second
	// beatEvery is how often each end of a connection shows that it lives, silentAfter how long the other may say nothing:
	// a frozen machine keeps its connections.
	beatEvery   = time.Second
	silentAfter = 3 * time.Second
	// redialAfter is how long messages for a node that could not be reached bounce at once.
	redialAfter = 200 * time.Millisecond
	// retireAfter is how long the way to a node is kept that nobody uses and that does not call either.
	retireAfter = 30 * time.Second
	// maxParcel bounds one message between nodes.
	maxParcel = 4 << 20
	// maxOutgoing and maxOutgoingBytes bound what waits for one node. Past them messages bounce: the caller asks
	// again, or is told that the service is busy.
	maxOutgoing      = 8192
	maxOutgoingBytes = 16 << 20
	// complainEvery is how often the log tells of messages that this node does not understand; all are counted.
	complainEvery = 10 * time.Second
	// linkBuffer is what one write to a connection carries at the most, of messages that wait together.
	linkBuffer = 64 << 10
)

// Network makes the connections between nodes: TCP, TLS, or pipes within a test.
type Network interface {
	Listen(address string) (net.Listener, error)
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// link carries messages between the actors of this node and those of others. An actor's address is
// "host:port#node": host and port say where to call, and the node's id makes sure that it is not
// another process that lives there by now.
//
// Messages from one node to another keep their order while a connection lasts. What cannot be delivered bounces: whoever
// waits for an answer hears at once that the actor is gone, and whoever watches an actor of a node that is lost
// hears of its end. Nothing is repeated here; grain.Ask does that.
type link struct {
	system   *actor.ActorSystem
	network  Network
	listener net.Listener
	log      *slog.Logger
	bounced  func()               // counts a message that could not leave
	unknown  func()               // counts a message that was not understood
	broken   func(address string) // hears of a connection with another node that has ended, or could not be made

	complained atomic.Int64 // Unix nanoseconds of the log's last line about the latter

	ctx    context.Context // ends with the link
	cancel context.CancelFunc
	all    sync.WaitGroup

	mu    sync.Mutex
	peers map[string]*peer // by address
	conns map[net.Conn]struct{}
}

// openLink listens at bind and gives the system its address: advertise if it is not empty, with the listener's port.
func openLink(system *actor.ActorSystem, network Network, bind, advertise, node string, log *slog.Logger, bounced, unknown func(), broken func(address string)) (*link, error) {
	listener, err := network.Listen(bind)
	if err != nil {
		return nil, fmt.Errorf("listen for messages at %s: %w", bind, err)
	}
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("address for messages: %w", err), listener.Close())
	}
	if advertise != "" {
		host = advertise
	}
	l := &link{
		system: system, network: network, listener: listener, log: log, bounced: bounced, unknown: unknown, broken: broken,
		peers: make(map[string]*peer), conns: make(map[net.Conn]struct{}),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	system.ProcessRegistry.Address = net.JoinHostPort(host, port) + "#" + node
	system.ProcessRegistry.RegisterAddressResolver(func(*actor.PID) (actor.Process, bool) { return far{l}, true })
	l.all.Go(l.accept)
	return l, nil
}

// close ends every connection. What still waits bounces.
func (l *link) close() error {
	err := l.listener.Close()
	l.mu.Lock()
	l.cancel() // under the lock: nobody begins after it
	conns := make([]net.Conn, 0, len(l.conns))
	for c := range l.conns {
		conns = append(conns, c)
	}
	l.mu.Unlock()
	for _, c := range conns {
		l.hangUp(c)
	}
	l.all.Wait()
	return err
}

// hold keeps a connection for close to find, and reports whether the link is open.
func (l *link) hold(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

// drop ends a connection and forgets it.
func (l *link) drop(c net.Conn) {
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
	l.hangUp(c)
}

// hangUp ends a connection at once. Under TLS the good-bye could wait for seconds for a peer that reads nothing.
func (l *link) hangUp(c net.Conn) {
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		l.closed(t.NetConn().Close())
	}
	l.closed(c.Close())
}

func (l *link) closed(err error) {
	if err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
		l.log.Debug("close link", "err", err)
	}
}

// peer returns the way to the node at address, making it if there is none.
func (l *link) peer(address string) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[address]
	if p == nil {
		p = newPeer(l, address)
		l.peers[address] = p
		if l.ctx.Err() == nil {
			l.all.Go(p.run)
		}
	}
	return p
}

// part ends what there is with a node that is no member any more: whoever waits for it hears so now. The node may
// still call, for it may be a member that was given up too soon.
func (l *link) part(address string) {
	l.mu.Lock()
	p := l.peers[address]
	l.mu.Unlock()
	if p != nil {
		p.lost()
	}
}

// meet opens a connection to a node.
func (l *link) meet(address string) { l.peer(address).send(parcel{frame: beat()}) }

// refused reports whether the machine of a node says that nobody takes connections at its address.
func (l *link) refused(address string) bool {
	ctx, cancel := context.WithTimeout(l.ctx, dialTimeout)
	defer cancel()
	c, err := l.network.Dial(ctx, host(address))
	if err == nil {
		l.hangUp(c)
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// retire forgets a peer that nobody needs, and reports whether it did.
func (l *link) retire(p *peer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) > 0 || len(p.watched) > 0 || p.in != nil {
		return false
	}
	delete(l.peers, p.address)
	p.cancel()
	return true
}

func (l *link) accept() {
	for {
		c, err := l.listener.Accept()
		if err != nil && (l.ctx.Err() != nil || errors.Is(err, net.ErrClosed)) {
			return
		}
		if err != nil { // such as too many open files: the listener itself is well
			l.log.Error("a connection of another node could not be taken", "err", err)
			if !nexus.Pause(l.ctx, redialAfter) {
				return
			}
			continue
		}
		if !l.hold(c) {
			l.drop(c)
			return
		}
		l.all.Go(func() {
			defer l.drop(c)
			if err := l.serve(c); err != nil && l.ctx.Err() == nil {
				l.log.Debug("link from another node ended", "err", err)
			}
		})
	}
}

// serve takes what another node sends until the connection ends.
func (l *link) serve(c net.Conn) (err error) {
	defer func() {
		if r := recover(); r != nil { // what another node says must not end this one
			err = fmt.Errorf("message of another node panicked: %v", r)
			l.log.Error("link panicked", "err", err, "stack", string(debug.Stack()))
		}
	}()
	in := bufio.NewReaderSize(c, linkBuffer)
	from, err := l.greet(c, in)
	if err != nil {
		return err
	}
	p := l.peer(from)
	i, err := p.adopt(c)
	if err != nil {
		return err
	}
	defer l.broken(from)
	defer p.release(i)
	read := protodelim.UnmarshalOptions{MaxSize: maxParcel}
	for {
		if err := c.SetReadDeadline(time.Now().Add(silentAfter)); err != nil {
			return err
		}
		var x Parcel
		if err := read.UnmarshalFrom(in, &x); err != nil {
			return err
		}
		if x.GetBeat() != nil {
			if err := write(c, beat()); err != nil {
				return err
			}
			continue
		}
		l.take(p, i, &x)
	}
}

// greet learns who calls, and makes sure that it is this node that is meant.
func (l *link) greet(c net.Conn, in *bufio.Reader) (from string, err error) {
	if err := c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return "", err
	}
	var h Hello
	if err := (protodelim.UnmarshalOptions{MaxSize: 4096}).UnmarshalFrom(in, &h); err != nil {
		return "", err
	}
	if h.GetAddress() != l.system.Address() || h.GetFrom() == "" {
		return "", fmt.Errorf("called as %q by %q", h.GetAddress(), h.GetFrom())
	}
	return h.GetFrom(), nil
}

// take hands a parcel of a peer to the actor it is for.
func (l *link) take(p *peer, i *inbound, x *Parcel) {
	switch b := x.GetBody().(type) {
	case *Parcel_Deliver:
		l.deliver(b.Deliver)
	case *Parcel_Watch:
		w := bondOf(b.Watch)
		if p.watching(i, w) {
			l.lifeCycle(w.watchee, &actor.Watch{Watcher: actor.NewPID(p.address, w.watcher)})
		}
	case *Parcel_Unwatch:
		w := bondOf(b.Unwatch)
		p.stopWatching(i, w)
		l.lifeCycle(w.watchee, &actor.Unwatch{Watcher: actor.NewPID(p.address, w.watcher)})
	case *Parcel_Terminated:
		if w := bondOf(b.Terminated); p.noLongerWatched(w) {
			l.lifeCycle(w.watcher, &actor.Terminated{Who: actor.NewPID(p.address, w.watchee), Why: actor.TerminatedReason_Stopped})
		}
	}
}

var errUnknown = nexus.Errorf(nexus.Internal, "the node does not know the message")

func (l *link) deliver(d *Deliver) {
	var sender *actor.PID
	if s := d.GetSender(); s != nil {
		sender = actor.NewPID(s.GetAddress(), s.GetId())
	}
	m, err := d.GetMessage().UnmarshalNew()
	if err != nil {
		// A newer version may send what this one does not know. Its sender hears so, and the connection goes on.
		l.complain(d, err)
		l.refuse(sender, errUnknown)
		return
	}
	registry := l.system.ProcessRegistry
	target := actor.NewPID(registry.Address, d.GetTarget())
	process, _ := registry.GetLocal(target.GetId())
	process.SendUserMessage(target, actor.WrapEnvelope(&actor.MessageEnvelope{Message: m, Sender: sender}))
}

// complain counts a message that is not understood, and logs one now and then: while versions are mixed there may be many.
func (l *link) complain(d *Deliver, err error) {
	l.unknown()
	last, now := l.complained.Load(), time.Now().UnixNano()
	if time.Duration(now-last) >= complainEvery && l.complained.CompareAndSwap(last, now) {
		l.log.Warn("message not understood", "type", d.GetMessage().GetTypeUrl(), "to", d.GetTarget(), "err", err)
	}
}

// lifeCycle gives a life-cycle message to an actor of this node.
func (l *link) lifeCycle(id string, m any) {
	process, _ := l.system.ProcessRegistry.GetLocal(id)
	process.SendSystemMessage(actor.NewPID(l.system.Address(), id), m)
}

// bounce tells whoever waits for an answer to a message that it cannot be delivered.
func (l *link) bounce(sender *actor.PID) {
	l.bounced()
	if sender != nil {
		l.system.Root.Send(sender, &actor.DeadLetterResponse{})
	}
}

// refuse tells whoever waits for an answer to a message that it never can be delivered.
func (l *link) refuse(sender *actor.PID, err error) {
	if sender != nil {
		l.system.Root.Send(sender, grain.Failed(err))
	}
}

// host is the part of an address that can be called.
func host(address string) string {
	h, _, _ := strings.Cut(address, "#")
	return h
}
