// Package smtp takes mails over SMTP, or LMTP, for the people of a campus and nobody else: it relays nothing and keeps no queue. A mail is durable when its sender hears
// 250; until then it is the sender's to send again.
package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	"golang.org/x/time/rate"

	"nexus"
)

// Inbox takes mails; letter.Inbox is one.
type Inbox interface {
	// Recipient returns whose an address is. NotFound for nobody's.
	Recipient(ctx context.Context, address string) (nexus.UserID, error)
	// Deliver keeps a mail for people. It is durable when it returns.
	Deliver(ctx context.Context, to []nexus.UserID, raw []byte) error
}

// Options are how a server works. Those without a value have a usual one.
type Options struct {
	Addr     string // host:port
	LMTP     bool   // for a mail server of the campus's own, on this machine
	Domain   string // what it is called
	TLS      *tls.Config
	MaxBytes int64 // of a mail; 5 MiB

	MaxRecipients int     // of a mail; 50
	MaxConns      int     // at once; 40, each of which may hold a mail
	MaxPerAddress int     // of them, from one address; 10
	PerMinute     float64 // mails and recipients from one address; 2400
	Timeout       time.Duration

	Inbox  Inbox
	Log    *slog.Logger
	Count  func(outcome string) // what became of a mail, or of a recipient; nil: nobody counts
	listen net.Listener
}

// Server is one.
type Server struct {
	o        Options
	smtp     *smtp.Server
	listener net.Listener
	done     chan struct{}
	ctx      context.Context // of all sessions
	cancel   context.CancelFunc
	sessions sync.WaitGroup

	mu    sync.Mutex
	from  map[netip.Addr]*visitor
	conns map[*counted]struct{}
}

// visitor is who has connections from one address, or had some of late.
type visitor struct {
	conns int
	rate  *rate.Limiter
	last  time.Time
}

// maxUnknown is how many wrong addresses one connection may try.
const maxUnknown = 10

// maxVisitors bounds how many addresses are remembered.
const maxVisitors = 10_000

// Start begins to listen.
func Start(o Options) (*Server, error) {
	o = o.orUsual()
	l := o.listen
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", o.Addr); err != nil {
			return nil, err
		}
	}
	s := &Server{o: o, listener: l, done: make(chan struct{}), from: map[netip.Addr]*visitor{}, conns: map[*counted]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.session))
	s.smtp.LMTP, s.smtp.Domain, s.smtp.TLSConfig = o.LMTP, o.Domain, o.TLS
	s.smtp.MaxRecipients, s.smtp.MaxMessageBytes, s.smtp.MaxLineLength = o.MaxRecipients, o.MaxBytes, 2000
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = o.Timeout, o.Timeout
	s.smtp.ErrorLog = quiet{o.Log}
	go func() {
		defer close(s.done)
		if err := s.smtp.Serve(gate{l, s}); err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			o.Log.Error("mail is not taken any more", "err", err)
		}
	}()
	return s, nil
}

func (o Options) orUsual() Options {
	usual := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	usual(&o.MaxRecipients, 50)
	usual(&o.MaxConns, 40)
	usual(&o.MaxPerAddress, 10)
	if o.MaxBytes == 0 {
		o.MaxBytes = 5 << 20
	}
	if o.PerMinute == 0 {
		o.PerMinute = 2400
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Count == nil {
		o.Count = func(string) {}
	}
	return o
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close lets the mails under way end, until ctx ends, and then cuts them off: their senders have heard no 250. A second call does nothing.
func (s *Server) Close(ctx context.Context) error {
	err := s.smtp.Shutdown(ctx)
	s.cancel()
	s.cut()
	s.sessions.Wait()
	<-s.done
	if errors.Is(err, smtp.ErrServerClosed) {
		return nil
	}
	return err
}

// cut closes the connections that are left. The library does not, once it was asked to wait for them.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Conn.Close() // it is given up anyway
	}
}

// gate lets in as many as there is room for; others hear nothing.
type gate struct {
	net.Listener
	server *Server
}

// Accept implements net.Listener.
func (g gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		in := &counted{Conn: c, at: addressOf(c.RemoteAddr())}
		in.leave = sync.OnceFunc(func() { g.server.left(in) })
		if g.server.enter(in) {
			return in, nil
		}
		g.server.o.Count("refused")
		_ = c.SetDeadline(time.Now().Add(time.Second)) // to be gone; what fails here is only politeness
		_, _ = io.WriteString(c, "421 4.7.0 Too many connections, try again later\r\n")
		_ = c.Close()
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	at    netip.Addr
	leave func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}

func addressOf(a net.Addr) netip.Addr {
	ap, _ := netip.ParseAddrPort(a.String())
	at := ap.Addr().Unmap().WithZone("")
	if at.Is6() { // a household has 2^64 of them
		prefix, _ := at.Prefix(64)
		at = prefix.Addr()
	}
	return at
}

func (s *Server) enter(c *counted) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.visitor(c.at)
	if len(s.conns) >= s.o.MaxConns || v == nil || v.conns >= s.o.MaxPerAddress {
		return false
	}
	s.conns[c] = struct{}{}
	v.conns++
	return true
}

func (s *Server) left(c *counted) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	s.from[c.at].conns--
}

// visitor returns who comes from an address; nil if too many have come from others. It needs the lock.
func (s *Server) visitor(at netip.Addr) *visitor {
	v := s.from[at]
	if v == nil {
		if len(s.from) >= maxVisitors {
			s.forget()
		}
		if len(s.from) >= maxVisitors {
			return nil
		}
		v = &visitor{rate: rate.NewLimiter(rate.Limit(s.o.PerMinute/60), int(s.o.PerMinute))}
		s.from[at] = v
	}
	v.last = time.Now()
	return v
}

// forget drops those who are gone for so long that they may send as much as anybody. It needs the lock.
func (s *Server) forget() {
	for at, v := range s.from {
		if v.conns == 0 && time.Since(v.last) > time.Minute {
			delete(s.from, at)
		}
	}
}

// mayMail counts a mail.
func (s *Server) mayMail(at netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.visitor(at)
	return v != nil && v.rate.Allow()
}

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	s.sessions.Add(1)
	return &session{server: s, at: addressOf(c.Conn().RemoteAddr()), ended: sync.OnceFunc(s.sessions.Done)}, nil
}

// session is one sender's.
type session struct {
	server *Server
	at     netip.Addr
	ended  func()
	to     []nexus.UserID

	unknown int // recipients that are nobody
}

// Reset implements smtp.Session.
func (x *session) Reset() { x.to = nil }

// Logout implements smtp.Session.
func (x *session) Logout() error {
	x.ended()
	return nil
}

// Mail implements smtp.Session. Who a mail says that it is from is the mail's word alone: it is believed by nobody.
func (x *session) Mail(string, *smtp.MailOptions) error {
	if !x.server.mayMail(x.at) {
		x.server.o.Count("limited")
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Too many mails, try again later"}
	}
	return nil
}

// Rcpt implements smtp.Session.
func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if x.unknown >= maxUnknown || !x.server.mayMail(x.at) { // nobody finds out who is here by trying
		x.server.o.Count("limited")
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "Too many recipients, try again later"}
	}
	user, err := x.server.o.Inbox.Recipient(x.server.ctx, to)
	switch {
	case nexus.CodeOf(err) == nexus.NotFound:
		x.unknown++
		x.server.o.Count("unknown")
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "Nobody here has this address"}
	case err != nil:
		return x.away(err)
	}
	x.to = append(x.to, user)
	return nil
}

// Data implements smtp.Session.
func (x *session) Data(r io.Reader) error {
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(r); err != nil { // too large, too slow, or a line too long: the library says which
		x.server.o.Count("broken")
		return err
	}
	err := x.server.o.Inbox.Deliver(x.server.ctx, x.to, raw.Bytes())
	switch nexus.CodeOf(err) {
	case "":
		x.server.o.Count("kept")
		return nil
	case nexus.Invalid:
		x.server.o.Count("invalid")
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "This is no mail that can be read"}
	case nexus.TooLarge:
		x.server.o.Count("too large")
		return &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "The mail is too large"}
	}
	return x.away(err)
}

// away asks the sender to try again.
func (x *session) away(err error) error {
	x.server.o.Count("put off")
	x.server.o.Log.Warn("mail is put off", "err", err)
	return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Not now, try again later"}
}

// quiet logs the library's errors, which are those of senders and may hold what they sent, without their words.
type quiet struct{ log *slog.Logger }

// Printf implements smtp.Logger.
func (q quiet) Printf(string, ...any) { q.log.Debug("a sender's connection failed") }

// Println implements smtp.Logger.
func (q quiet) Println(...any) { q.log.Debug("a sender's connection failed") }
