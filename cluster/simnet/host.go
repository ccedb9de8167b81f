package simnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

var (
	errReset   = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}
	errRefused = os.NewSyscallError("connect", syscall.ECONNREFUSED)
)

// Host is one machine on the network. It implements cluster.Network.
type Host struct {
	net       *Net
	ip        string
	listeners map[string]*listener // by address; guarded by the net's lock, as all below
	ends      map[*end]struct{}
	gossip    *Gossip
	port      int // given out last
	frozen    bool
	crashed   bool
	silent    bool
}

// IP is the host's address.
func (h *Host) IP() string { return h.ip }

// Listen implements cluster.Network. Port 0 takes a free one.
func (h *Host) Listen(address string) (net.Listener, error) {
	ip, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip != h.ip {
		return nil, fmt.Errorf("%s is not an address of %s", ip, h.ip)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if port == "0" {
		h.port++
		port = strconv.Itoa(h.port)
	}
	at := addr(net.JoinHostPort(ip, port))
	if h.listeners[string(at)] != nil {
		return nil, fmt.Errorf("%s is in use", at)
	}
	l := &listener{host: h, at: at, queue: make(chan net.Conn, 64), closed: make(chan struct{})}
	h.listeners[string(at)] = l
	return l, nil
}

// Dial implements cluster.Network. Into a cut, and to a host that has lost power, it waits until ctx ends.
func (h *Host) Dial(ctx context.Context, address string) (net.Conn, error) {
	to, err := h.net.host(address)
	if err != nil {
		return nil, err
	}
	for {
		again := h.net.again()
		ok, err := h.reaches(to)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
		if ok {
			break
		}
		select {
		case <-ctx.Done():
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: context.Cause(ctx)}
		case <-again:
		}
	}
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-time.After(2 * h.net.takes()):
	}
	return h.connect(to, address)
}

// reaches reports whether a connection can be made now, or why it never can. The system of a frozen process makes it.
func (h *Host) reaches(to *Host) (bool, error) {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if h.crashed {
		return false, errReset
	}
	if to.crashed && !to.silent {
		return false, errRefused
	}
	_, there := h.net.cut[way{h.ip, to.ip}]
	_, back := h.net.cut[way{to.ip, h.ip}]
	return !there && !back && !to.crashed && !h.frozen, nil
}

// connect makes a connection to whoever listens at the address.
func (h *Host) connect(to *Host, address string) (net.Conn, error) {
	h.net.mu.Lock()
	l := to.listeners[address]
	h.port++
	mine := addr(net.JoinHostPort(h.ip, strconv.Itoa(h.port)))
	h.net.mu.Unlock()
	if l == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errRefused}
	}
	a, b := h.pair(to, mine, l.at)
	select {
	case l.queue <- b:
		return a, nil
	default:
		_ = a.Close() // nobody has it yet
		_ = b.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errRefused}
	}
}

type addr string

func (addr) Network() string  { return "sim" }
func (a addr) String() string { return string(a) }

type listener struct {
	host   *Host
	at     addr
	queue  chan net.Conn
	closed chan struct{}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	case c := <-l.queue:
		return c, nil
	}
}

// Close implements net.Listener. Who waits to be accepted is turned away.
func (l *listener) Close() error {
	l.host.net.mu.Lock()
	defer l.host.net.mu.Unlock()
	if l.host.listeners[string(l.at)] != l {
		return net.ErrClosed
	}
	delete(l.host.listeners, string(l.at))
	close(l.closed)
	for {
		select {
		case c := <-l.queue:
			go func() { _ = c.Close() }() // its end takes the lock
			continue
		default:
		}
		return nil
	}
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.at }
