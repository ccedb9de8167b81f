package simnet

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// gossipPort is where every host gossips.
const gossipPort = 7946

// Gossip is a host's memberlist.Transport.
type Gossip struct {
	host     *Host
	listener net.Listener
	packets  chan *memberlist.Packet
	streams  chan net.Conn
	done     chan struct{}
	accepts  sync.WaitGroup
}

var _ memberlist.Transport = (*Gossip)(nil)

// GossipAddress is where a host's gossip is found.
func GossipAddress(ip string) string { return net.JoinHostPort(ip, strconv.Itoa(gossipPort)) }

// Gossip opens the host's transport for memberlist, which closes it.
func (h *Host) Gossip() (*Gossip, error) {
	l, err := h.Listen(GossipAddress(h.ip))
	if err != nil {
		return nil, err
	}
	g := &Gossip{
		host: h, listener: l,
		packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn), done: make(chan struct{}),
	}
	g.accepts.Go(g.accept)
	h.net.mu.Lock()
	h.gossip = g
	h.net.mu.Unlock()
	return g, nil
}

func (g *Gossip) accept() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		select {
		case g.streams <- c:
		case <-g.done:
			_ = c.Close() // nobody has used it
			return
		}
	}
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (g *Gossip) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.ParseIP(g.host.ip).To4(), gossipPort, nil
}

// WriteTo implements memberlist.Transport. As with UDP nobody learns what becomes of the packet.
func (g *Gossip) WriteTo(b []byte, address string) (time.Time, error) {
	to, err := g.host.net.host(address)
	if err != nil {
		return time.Time{}, err
	}
	now := time.Now()
	p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: addr(GossipAddress(g.host.ip)), Timestamp: now}
	if !g.host.net.drops() {
		time.AfterFunc(g.host.net.takes(), func() { g.arrive(to, p) })
	}
	return now, nil
}

// arrive brings a packet to a host. What a frozen process was sent waits for it, as in the buffer of its socket.
func (g *Gossip) arrive(to *Host, p *memberlist.Packet) {
	for {
		pass, held := g.host.net.verdict(g.host, to)
		if held != nil {
			<-held
			continue
		}
		if !pass {
			return
		}
		g.host.net.mu.Lock()
		there := to.gossip
		g.host.net.mu.Unlock()
		if there != nil {
			select {
			case there.packets <- p:
			default: // its buffer is full
			}
		}
		return
	}
}

// PacketCh implements memberlist.Transport.
func (g *Gossip) PacketCh() <-chan *memberlist.Packet { return g.packets }

// DialTimeout implements memberlist.Transport.
func (g *Gossip) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return g.host.Dial(ctx, address)
}

// StreamCh implements memberlist.Transport.
func (g *Gossip) StreamCh() <-chan net.Conn { return g.streams }

// Shutdown implements memberlist.Transport.
func (g *Gossip) Shutdown() error {
	g.host.net.mu.Lock()
	if g.host.gossip == g {
		g.host.gossip = nil
	}
	g.host.net.mu.Unlock()
	err := g.listener.Close()
	close(g.done)
	g.accepts.Wait()
	return err
}
