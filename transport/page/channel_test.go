package page

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"
	"github.com/emersion/go-smtp"

	"nexus"
)

func sample() nexus.OutPage {
	return nexus.OutPage{
		ID: "0190", Name: "Asha Rao", EventSeq: 2, Attempts: 1,
		Incident: nexus.Incident{
			ID: "0191", State: nexus.SOSRaised, Category: "panic", RaisedAt: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC),
			Last: &nexus.Fix{At: time.Date(2026, 11, 24, 1, 2, 4, 0, time.UTC), Position: nexus.Position{Lat: 12.5, Lng: 77.25}},
		},
	}
}

// receiver is a server that keeps the last request and answers with status.
type receiver struct {
	*httptest.Server
	status int
	header http.Header
	body   []byte
}

func receive(t *testing.T, start func(http.Handler) *httptest.Server) *receiver {
	r := &receiver{status: http.StatusOK}
	r.Server = start(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		r.header = in.Header.Clone()
		r.body, _ = io.ReadAll(in.Body) // a short body fails the test's checks
		if r.status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(r.Close)
	t.Cleanup(direct.CloseIdleConnections)
	return r
}

func TestWebhookIsSigned(t *testing.T) {
	server := receive(t, httptest.NewServer)
	w := Webhook{Channel: nexus.ChannelSMS, URL: server.URL, Secret: []byte("a secret that both know")}
	p := sample()
	p.Address = "+910000000000"
	if err := w.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	stamp, _, _ := strings.Cut(strings.TrimPrefix(server.header.Get("X-Nexus-Signature"), "t="), ",")
	var seconds int64
	if err := json.Unmarshal([]byte(stamp), &seconds); err != nil {
		t.Fatal(err)
	}
	at := time.Unix(seconds, 0)
	if got := server.header.Get("X-Nexus-Signature"); got != signature(w.Secret, at, server.body) || got == signature([]byte("another"), at, server.body) {
		t.Errorf("signature %s", got)
	}
	var h hook
	if err := json.Unmarshal(server.body, &h); err != nil || h.To != p.Address || h.IncidentID != "0191" || h.Location == nil || h.RaisedAt != "2026-11-24T01:02:03.000Z" {
		t.Errorf("%s, %v", server.body, err)
	}
}

func TestWebhookAnswers(t *testing.T) {
	server := receive(t, httptest.NewServer)
	w := Webhook{Channel: nexus.ChannelWebhook, URL: server.URL}
	for status, want := range map[int]struct{ ok, final bool }{
		200: {ok: true}, 204: {ok: true}, 302: {}, 400: {}, 404: {final: true}, 410: {final: true}, 429: {}, 500: {},
	} {
		server.status = status
		err := w.Send(t.Context(), sample())
		if (err == nil) != want.ok || errors.Is(err, ErrRefused) != want.final {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// browser is a subscription as a browser makes it.
func browser(t *testing.T, endpoint string) *nexus.PushSubscription {
	t.Helper()
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	auth := make([]byte, 16)
	rand.Read(auth)
	return &nexus.PushSubscription{
		Endpoint: endpoint, P256DH: base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()), Auth: base64.RawURLEncoding.EncodeToString(auth),
	}
}

func TestPushIsEncryptedAndUrgent(t *testing.T) {
	server := receive(t, httptest.NewTLSServer)
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	w := Push{Subscriber: "mailto:security@example.edu", PublicKey: public, PrivateKey: private, Client: server.Client()}
	t.Cleanup(server.Client().CloseIdleConnections)
	p := sample()
	p.Push = browser(t, server.URL)
	if err := w.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	h := server.header
	if h.Get("Content-Encoding") != "aes128gcm" || h.Get("Urgency") != "high" || h.Get("TTL") != "3600" || !strings.HasPrefix(h.Get("Authorization"), "vapid t=") {
		t.Errorf("headers %v", h)
	}
	if strings.Contains(string(server.body), "Asha") {
		t.Error("sent in the clear")
	}
	server.status = http.StatusGone
	if err := w.Send(t.Context(), p); !errors.Is(err, ErrRefused) {
		t.Errorf("a subscription that is gone: %v", err)
	}
	p.Push = nil
	if err := w.Send(t.Context(), p); !errors.Is(err, ErrRefused) {
		t.Errorf("no subscription: %v", err)
	}
}

// TestABrowserThatIsGoneIsForgotten, once its push service has said so; until that is kept the page is not done with, so that the service is
// asked again.
func TestABrowserThatIsGoneIsForgotten(t *testing.T) {
	for _, status := range []int{http.StatusNotFound, http.StatusGone, http.StatusTooManyRequests} {
		gone := status != http.StatusTooManyRequests
		server := receive(t, httptest.NewTLSServer)
		server.status = status
		t.Cleanup(server.Client().CloseIdleConnections)
		private, public, err := webpush.GenerateVAPIDKeys()
		if err != nil {
			t.Fatal(err)
		}
		push := Push{Subscriber: "mailto:security@example.edu", PublicKey: public, PrivateKey: private, Client: server.Client()}
		p := sample()
		p.Channel, p.Push = nexus.ChannelPush, browser(t, server.URL)
		q := newQueue(p)
		q.fails = errors.New("the database is away")
		pager := Pager{store: q, log: slog.New(slog.DiscardHandler), sent: counted()}
		for _, want := range []string{"", "failed"} {
			pager.send(t.Context(), push, p)
			if !gone {
				want = ""
			}
			if state, _ := q.state(p.ID); state != want {
				t.Errorf("%d: the page is %q, want %q", status, state, want)
			}
			q.fails = nil
		}
		if want := []nexus.PushSubscription{*p.Push, *p.Push}; gone && !slices.Equal(q.forgot, want) || !gone && len(q.forgot) > 0 {
			t.Errorf("%d: forgot %v", status, q.forgot)
		}
	}
	// Others' addresses are not ours to forget.
	server := receive(t, httptest.NewServer)
	server.status = http.StatusGone
	q := newQueue(sample())
	pager := Pager{store: q, log: slog.New(slog.DiscardHandler), sent: counted()}
	pager.send(t.Context(), Webhook{Channel: nexus.ChannelWebhook, URL: server.URL}, sample())
	if state, _ := q.state(sample().ID); state != "failed" || len(q.forgot) > 0 {
		t.Errorf("a webhook: %q, forgot %v", state, q.forgot)
	}
}

func TestWhoeverIsNotKnownByNameNeedsHelpToo(t *testing.T) {
	p := sample()
	p.Name = ""
	if got := textOf(p).headline; got != "SOS: somebody needs help" {
		t.Error(got)
	}
}

func TestPushReachesPublicAddressesAlone(t *testing.T) {
	for address, ok := range map[string]bool{
		"93.184.216.34:443": true, "[2606:4700::1111]:443": true,
		"127.0.0.1:443": false, "10.1.2.3:443": false, "192.168.0.1:443": false, "172.16.0.1:443": false, "169.254.169.254:80": false,
		"100.64.0.1:443": false, "0.0.0.0:443": false, "[::1]:443": false, "[fd00::1]:443": false, "[fe80::1]:443": false, "[::ffff:10.0.0.1]:443": false, "224.0.0.1:443": false,
	} {
		if err := publicOnly("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	p := sample()
	private, public, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		t.Fatal(err)
	}
	p.Push = browser(t, "https://localhost:1/")
	if err := (Push{PublicKey: public, PrivateKey: private}).Send(t.Context(), p); !errors.Is(err, ErrRefused) {
		t.Errorf("localhost: %v", err)
	}
}

// mailbox is an SMTP server that keeps what it gets, but for nobody@.
type mailbox struct{ got chan string }

func (b mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }
func (mailbox) Mail(string, *smtp.MailOptions) error          { return nil }
func (mailbox) Reset()                                        {}
func (mailbox) Logout() error                                 { return nil }

func (mailbox) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
	}
	return nil
}

func (b mailbox) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	b.got <- string(text)
	return err
}

func TestEmail(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	box := mailbox{make(chan string, 1)}
	server := smtp.NewServer(box)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), <-ended); err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			t.Error(err)
		}
	})
	e := Email{Addr: l.Addr().String(), From: "campus@example.edu", Insecure: true}
	p := sample()
	p.Address = "officer@example.edu"
	if err := e.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := <-box.got; !strings.Contains(got, "Subject: SOS: Asha Rao needs help") || !strings.Contains(got, "To: <officer@example.edu>") {
		t.Error(got)
	}
	for _, address := range []string{"nobody@example.edu", "not an address", "a@example.edu\r\nBcc: b@example.edu"} {
		p.Address = address
		if err := e.Send(t.Context(), p); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", address, err)
		}
	}
	p.Address = "officer@example.edu"
	e.Insecure = false
	if err := e.Send(t.Context(), p); err == nil {
		t.Error("sent to a server without TLS")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Send(ctx, p); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("after the end: %v", err)
	}
}
