package page

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"nexus"
)

// Push sends pages to browsers by web push (RFC 8030), encrypted for each (RFC 8291) and signed with the campus's key (VAPID, RFC 8292).
type Push struct {
	Subscriber string // a mailto: or https: address of whoever runs the server
	PublicKey  string
	PrivateKey string
	Client     webpush.HTTPClient // nil: one that follows no redirect and reaches public addresses alone
}

var _ Channel = Push{}

// Name implements Channel.
func (Push) Name() nexus.PagedChannel { return nexus.ChannelPush }

// pushTTL is how long, in seconds, a push service keeps a page for a browser that is away: an hour, after which others have come.
const pushTTL = 3600

// Send implements Channel. No position is sent: it is fetched from the campus by whoever may see it.
func (p Push) Send(ctx context.Context, page nexus.OutPage) error {
	if page.Push == nil {
		return fmt.Errorf("%w: the subscription is gone", ErrRefused)
	}
	text := textOf(page)
	body, err := json.Marshal(map[string]any{"kind": "sos", "incidentId": page.Incident.ID, "title": text.headline, "drill": page.Incident.Drill})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	client := p.Client
	if client == nil {
		client = outside
	}
	answer, err := webpush.SendNotificationWithContext(ctx, body, &webpush.Subscription{
		Endpoint: page.Push.Endpoint, Keys: webpush.Keys{P256dh: page.Push.P256DH, Auth: page.Push.Auth},
	}, &webpush.Options{
		HTTPClient: client, Subscriber: p.Subscriber, VAPIDPublicKey: p.PublicKey, VAPIDPrivateKey: p.PrivateKey, TTL: pushTTL, Urgency: webpush.UrgencyHigh,
	})
	if err != nil {
		return err
	}
	return judge(answer)
}

// outside is for addresses that strangers name: a browser's push service is on the Internet, and what is inside the campus, or on this
// machine, must not be reached by way of us. The check is made on the address that is dialled, after the name was looked up.
var outside = &http.Client{
	CheckRedirect: direct.CheckRedirect,
	Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: sendTimeout, Control: publicOnly}).DialContext,
		TLSHandshakeTimeout:   sendTimeout,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: sendTimeout,
		ForceAttemptHTTP2:     true,
	},
}

func publicOnly(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	ip := a.Addr().Unmap()
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || shared.Contains(ip) {
		return fmt.Errorf("%w: not a public address", ErrRefused)
	}
	return nil
}

// shared is the range of carriers' own networks (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")
