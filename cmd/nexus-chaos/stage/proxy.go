package stage

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy passes TCP connections on, and spoils them on request.
type Proxy struct {
	listener net.Listener
	dial     func() (net.Conn, error) // to whom connections are passed on
	delay    atomic.Int64             // nanoseconds before each piece is passed on
	refuse   atomic.Bool

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

// NewProxy listens on host at a free port and passes connections on to the network address.
func NewProxy(host, network, address string) (*Proxy, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	p := &Proxy{listener: l, conns: make(map[net.Conn]struct{}), dial: func() (net.Conn, error) {
		return (&net.Dialer{Timeout: 3 * time.Second}).DialContext(context.Background(), network, address)
	}}
	p.wg.Go(p.accept)
	return p, nil
}

// Addr is where it listens.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Delay has each piece of data wait, in both directions; 0 ends that.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Refuse has new connections closed at once, or no more.
func (p *Proxy) Refuse(on bool) { p.refuse.Store(on) }

// Reset breaks every connection with a reset, as a firewall does that has forgotten them.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	// All are set before the first is closed: the end of one side has the other closed, which must not be in order.
	for c := range p.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // fails on what is closed already, which is broken enough
		}
	}
	for c := range p.conns {
		_ = c.Close()
	}
}

// Close ends the proxy and what it carries.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	p.Reset()
	p.wg.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		if p.refuse.Load() {
			_ = client.Close() // nobody has said anything on it
			continue
		}
		p.wg.Go(func() { p.carry(client) })
	}
}

func (p *Proxy) carry(client net.Conn) {
	server, err := p.dial()
	if err != nil {
		_ = client.Close() // the client sees what it would have seen without us
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{server, client}, {client, server}} {
		both.Go(func() {
			p.copy(way[0], way[1])
			_, _ = client.Close(), server.Close() // one end takes the other with it; they may be closed already
		})
	}
	both.Wait()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// copy passes on until either side ends.
func (p *Proxy) copy(to io.Writer, from io.Reader) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if d := p.delay.Load(); d > 0 {
				time.Sleep(time.Duration(d))
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
