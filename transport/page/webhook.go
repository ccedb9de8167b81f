package page

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"nexus"
)

// Webhook posts pages as JSON to one URL, signed: X-Nexus-Signature is "t=<unix seconds>,v1=<HMAC-SHA-256 over t, a dot and the
// body, in hexadecimal>". A receiver checks it, and that t is near, and knows a repetition by the id.
type Webhook struct {
	Channel nexus.PagedChannel // ChannelWebhook, or ChannelSMS for a provider of text messages
	URL     string
	Secret  []byte
	Client  *http.Client // nil: one that follows no redirect
}

var _ Channel = Webhook{}

// Name implements Channel.
func (w Webhook) Name() nexus.PagedChannel { return w.Channel }

// hook is the body that is posted.
type hook struct {
	ID         string           `json:"id"`
	To         string           `json:"to,omitempty"` // the number, for text messages
	Text       string           `json:"text"`
	IncidentID nexus.IncidentID `json:"incidentId"`
	Seq        int64            `json:"seq"`
	State      nexus.SOSState   `json:"state"`
	Category   string           `json:"category"`
	Name       string           `json:"name"`
	RaisedAt   string           `json:"raisedAt"`
	Location   *nexus.Position  `json:"location"`
}

// Send implements Channel.
func (w Webhook) Send(ctx context.Context, p nexus.OutPage) error {
	text := textOf(p)
	h := hook{
		ID: p.ID, Text: text.headline + ". " + text.body, IncidentID: p.Incident.ID, Seq: p.EventSeq, State: p.Incident.State, Category: p.Incident.Category,
		Name: p.Name, RaisedAt: p.Incident.RaisedAt.UTC().Format(nexus.TimeLayout),
	}
	if w.Channel == nexus.ChannelSMS {
		h.To = p.Address
	}
	if p.Incident.Last != nil {
		h.Location = &p.Incident.Last.Position
	}
	body, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Nexus-Signature", signature(w.Secret, time.Now(), body))
	client := w.Client
	if client == nil {
		client = direct
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	return judge(answer)
}

func signature(secret []byte, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// direct follows no redirect: a page goes where the operator said, and nowhere else.
var direct = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// judge closes an answer and says whether it took the page. 404 and 410 say that the address is gone; other refusals may pass.
func judge(answer *http.Response) error {
	defer answer.Body.Close()                                     //nolint:errcheck // it was only read
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 4096)) // so that the connection can be used again
	switch {
	case answer.StatusCode < 300:
		return nil
	case answer.StatusCode == http.StatusNotFound, answer.StatusCode == http.StatusGone:
		return fmt.Errorf("%w: %s", ErrGone, answer.Status)
	default:
		return fmt.Errorf("answered %s", answer.Status)
	}
}
