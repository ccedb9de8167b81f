package smtp

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nexus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inbox is one in memory, for asha and ravi.
type inbox struct {
	mu    sync.Mutex
	mails map[nexus.UserID][]string
	err   error
	hold  chan struct{} // deliveries wait for it
}

func (i *inbox) Recipient(_ context.Context, address string) (nexus.UserID, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return "", i.err
	}
	if local, domain, _ := strings.Cut(address, "@"); domain == "campus.test" && (local == "asha" || local == "ravi") {
		return nexus.UserID(local), nil
	}
	return "", nexus.Errorf(nexus.NotFound, "nobody")
}

func (i *inbox) Deliver(ctx context.Context, to []nexus.UserID, raw []byte) error {
	i.mu.Lock()
	hold, err := i.hold, i.err
	i.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, u := range to {
		i.mails[u] = append(i.mails[u], string(raw))
	}
	return nil
}

func (i *inbox) set(err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.err = err
}

func (i *inbox) of(u nexus.UserID) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.mails[u])
}

func start(t testing.TB, change ...func(*Options)) (*Server, *inbox) {
	t.Helper()
	i := &inbox{mails: map[nexus.UserID][]string{}}
	o := Options{Addr: "127.0.0.1:0", Domain: "campus.test", Inbox: i, Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, i
}

// talk is a conversation by hand.
type talk struct {
	testing.TB
	net.Conn
	*textproto.Reader
}

// dial waits until there is room: the server may not have heard yet of the end of an earlier conversation.
func dial(t testing.TB, s *Server) *talk {
	t.Helper()
	for range 1000 {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		x := &talk{t, c, textproto.NewReader(bufio.NewReader(c))}
		if code, _, _ := x.ReadResponse(0); code == 220 {
			t.Cleanup(func() { _ = c.Close() })
			return x
		}
		_ = c.Close()
		nexus.Pause(t.Context(), time.Millisecond)
	}
	t.Fatal("never let in")
	return nil
}

func (x *talk) expect(code int) string {
	x.Helper()
	_, message, err := x.ReadResponse(code)
	if err != nil {
		x.Fatalf("want %d: %v", code, err)
	}
	return message
}

func (x *talk) say(code int, line string) string {
	x.Helper()
	if _, err := io.WriteString(x.Conn, line+"\r\n"); err != nil {
		x.Fatal(err)
	}
	return x.expect(code)
}

const mail = "From: a@b.test\r\nSubject: x\r\n\r\nhello"

func send(s *Server, to ...string) error {
	return smtp.SendMail(s.Addr(), nil, "fees@elsewhere.test", to, []byte(mail))
}

func TestAMailIsTakenForPeopleOfTheCampusAlone(t *testing.T) {
	outcomes := map[string]int{}
	s, i := start(t, func(o *Options) { o.Count = func(what string) { outcomes[what]++ } })
	if err := send(s, "asha@campus.test", "ravi@campus.test"); err != nil {
		t.Fatal(err)
	}
	if i.of("asha") != 1 || i.of("ravi") != 1 || !strings.Contains(i.mails["asha"][0], "hello") {
		t.Errorf("%v", i.mails)
	}
	for _, other := range []string{"asha@elsewhere.test", "nobody@campus.test", "asha%elsewhere.test@campus.test"} {
		var e *textproto.Error
		if err := send(s, other); !errors.As(err, &e) || e.Code != 550 {
			t.Errorf("%s: %v", other, err)
		}
	}
	x := dial(t, s)
	x.say(250, "EHLO me")
	x.say(250, "MAIL FROM:<a@b.test>")
	x.say(250, "RCPT TO:<asha@campus.test>")
	x.say(550, "RCPT TO:<nobody@campus.test>")
	x.say(354, "DATA")
	x.say(250, mail+"\r\n.")
	if i.of("asha") != 2 || outcomes["kept"] != 2 || outcomes["unknown"] != 4 {
		t.Errorf("%d mails, %v", i.of("asha"), outcomes)
	}
	for _, refused := range []string{"VRFY asha", "EXPN all", "AUTH PLAIN AGEAYg=="} {
		x.Helper()
		if _, err := io.WriteString(x.Conn, refused+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if code, _, _ := x.ReadResponse(0); code < 250 || code == 250 || code == 235 {
			t.Errorf("%s: %d", refused, code)
		}
	}
	x.say(221, "QUIT")
}

// TestAMailIsNotTakenBeforeItIsKept.
func TestAMailIsNotTakenBeforeItIsKept(t *testing.T) {
	s, i := start(t)
	i.set(nexus.Errorf(nexus.Unavailable, "the database is away"))
	var e *textproto.Error
	if err := send(s, "asha@campus.test"); !errors.As(err, &e) || e.Code != 451 || strings.Contains(e.Msg, "database") {
		t.Errorf("%v", err)
	}
	i.set(nil)
	x := dial(t, s)
	x.say(250, "EHLO me")
	for want, err := range map[int]error{451: errors.New("a bug"), 554: nexus.InvalidField("mail", "is none"), 552: nexus.Errorf(nexus.TooLarge, "x")} {
		x.say(250, "MAIL FROM:<a@b.test>")
		x.say(250, "RCPT TO:<asha@campus.test>")
		x.say(354, "DATA")
		i.set(err)
		x.say(want, mail+"\r\n.")
		i.set(nil)
	}
	if i.of("asha") != 0 {
		t.Error("kept all the same")
	}
}

func TestWhatIsTooMuchIsRefused(t *testing.T) {
	s, i := start(t, func(o *Options) { o.MaxBytes, o.MaxRecipients, o.MaxPerAddress, o.PerMinute = 10_000, 2, 3, 7 })
	var e *textproto.Error
	if err := smtp.SendMail(s.Addr(), nil, "a@b.test", []string{"asha@campus.test"}, []byte(mail+strings.Repeat("line\r\n", 5000))); !errors.As(err, &e) || e.Code != 552 {
		t.Errorf("large: %v", err)
	}
	if err := send(s, "asha@campus.test", "ravi@campus.test", "asha@campus.test"); !errors.As(err, &e) || e.Code != 452 {
		t.Errorf("many recipients: %v", err)
	}
	first, second := dial(t, s), dial(t, s)
	third := dial(t, s)
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := io.ReadAll(c); !strings.HasPrefix(string(text), "421 ") {
		t.Errorf("a fourth connection hears %q", text)
	}
	_ = c.Close()
	for _, x := range []*talk{first, second, third} {
		x.say(221, "QUIT")
	}
	x := dial(t, s)
	x.say(250, "EHLO me")
	for range 2 {
		x.say(250, "MAIL FROM:<a@b.test>")
		x.say(250, "RSET")
	}
	x.say(450, "MAIL FROM:<a@b.test>")
	if i.of("asha") != 0 {
		t.Errorf("%d mails", i.of("asha"))
	}
}

// TestNoMailIsSmuggled within another, by an end of data that only some servers take for one.
func TestNoMailIsSmuggled(t *testing.T) {
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r"} {
		s, i := start(t)
		x := dial(t, s)
		x.say(250, "EHLO me")
		x.say(250, "MAIL FROM:<a@b.test>")
		x.say(250, "RCPT TO:<asha@campus.test>")
		x.say(354, "DATA")
		if _, err := io.WriteString(x.Conn, mail+end+"MAIL FROM:<dean@campus.test>\r\nRCPT TO:<ravi@campus.test>\r\nDATA\r\nSubject: evil\r\n\r\nx\r\n.\r\n"); err != nil {
			t.Fatal(err)
		}
		_, _, _ = x.ReadResponse(250) // it may be refused altogether
		if i.of("ravi") != 0 || i.of("asha") > 1 {
			t.Errorf("%q: %d smuggled", end, i.of("ravi"))
		}
	}
}

func TestASilentSenderIsCut(t *testing.T) {
	s, _ := start(t, func(o *Options) { o.Timeout = 100 * time.Millisecond })
	x := dial(t, s)
	if text, err := io.ReadAll(x.Conn); err != nil || len(text) > 200 {
		t.Errorf("%q %v", text, err)
	}
}

func TestStartTLS(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "campus.test"}, DNSNames: []string{"127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s, i := start(t, func(o *Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	})
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	c, err := smtp.Dial(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.StartTLS(&tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Mail("a@b.test"), c.Rcpt("asha@campus.test")); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(w, mail)
	if err := errors.Join(w.Close(), c.Quit()); err != nil || i.of("asha") != 1 {
		t.Errorf("%v", err)
	}
}

func TestLMTP(t *testing.T) {
	s, i := start(t, func(o *Options) { o.LMTP = true })
	x := dial(t, s)
	x.say(250, "LHLO me")
	x.say(250, "MAIL FROM:<a@b.test>")
	x.say(250, "RCPT TO:<asha@campus.test>")
	x.say(250, "RCPT TO:<ravi@campus.test>")
	x.say(354, "DATA")
	x.say(250, mail+"\r\n.")
	x.expect(250) // one for each
	if i.of("asha") != 1 || i.of("ravi") != 1 {
		t.Errorf("%v", i.mails)
	}
}

// TestAtTheEndWhatIsUnderWayIsKeptOrRefused, and never lost.
func TestAtTheEndWhatIsUnderWayIsKeptOrRefused(t *testing.T) {
	s, i := start(t)
	i.hold = make(chan struct{})
	x := dial(t, s)
	x.say(250, "EHLO me")
	x.say(250, "MAIL FROM:<a@b.test>")
	x.say(250, "RCPT TO:<asha@campus.test>")
	x.say(354, "DATA")
	if _, err := io.WriteString(x.Conn, mail+"\r\n.\r\n"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	code, _, err := x.ReadResponse(0)
	if code == 250 && i.of("asha") == 0 || err == nil && code == 250 {
		t.Errorf("taken with %d, and %d are kept", code, i.of("asha"))
	}
	close(i.hold)
}

func BenchmarkMails(b *testing.B) {
	s, _ := start(b, func(o *Options) { o.PerMinute = 1e9 })
	c, err := smtp.Dial(s.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // the server is gone by then
	for b.Loop() {
		if err := errors.Join(c.Mail("a@b.test"), c.Rcpt("asha@campus.test")); err != nil {
			b.Fatal(err)
		}
		w, err := c.Data()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := fmt.Fprint(w, mail); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
