package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"nexus"
)

// campus is the server as its REST clients see it.
type campus struct {
	base            string
	client          *http.Client
	key             string // belongs to Run until the senders start, who only read it
	admin, password string
	speed           float64
	patience        time.Duration
}

func newCampus(o Options) *campus {
	return &campus{
		base: strings.TrimRight(o.URL, "/") + "/api/v1", client: o.Client, key: o.APIKey,
		admin: o.Admin, password: o.Password, speed: o.Speed, patience: o.Patience,
	}
}

// event is one check-in as the server takes it.
type event struct {
	Source   string `json:"source"`
	EventID  string `json:"eventId"`
	At       string `json:"at"`
	Delta    *int   `json:"delta,omitempty"`
	Absolute *int   `json:"absolute,omitempty"`
}

// tally is the server's answer to a batch.
type tally struct {
	Accepted   int `json:"accepted"`
	Duplicates int `json:"duplicates"`
}

// halls lists the campus's mess halls.
func (c *campus) halls(ctx context.Context) ([]nexus.Hall, error) {
	var list nexus.List[nexus.Hall]
	err := patiently(ctx, c.patience, nil, func() error {
		return c.do(ctx, http.MethodGet, "/mess/halls", nil, nil, &list)
	})
	return list.Items, err
}

// checkIn reports a batch once. The caller repeats it, unchanged, while the error is worth it.
func (c *campus) checkIn(ctx context.Context, hall nexus.HallID, batch []event) (tally, error) {
	var t tally
	err := c.do(ctx, http.MethodPost, "/mess/halls/"+string(hall)+"/checkins",
		http.Header{"X-Api-Key": {c.key}}, map[string]any{"events": batch}, &t)
	return t, err
}

// authorize makes sure that there is an API key. forget removes the key again if it was made here, also when
// its context has ended.
func (c *campus) authorize(ctx context.Context) (forget func(context.Context) error, err error) {
	if c.key != "" {
		return func(context.Context) error { return nil }, nil
	}
	var made struct {
		Key    nexus.APIKey `json:"key"`
		Secret string       `json:"secret"`
	}
	// The key outlives a forgotten simulation by an hour, no more. A replay's length is not known; a week bounds it.
	life := min(time.Duration(float64(Day)/c.speed)+time.Hour, 7*Day)
	body := map[string]any{
		"name": "simulate", "scopes": []nexus.Scope{nexus.ScopeCheckins},
		"expiresAt": stamp(time.Now().Add(life)),
	}
	err = c.asAdmin(ctx, func(h http.Header) error {
		return c.do(ctx, http.MethodPost, "/admin/api-keys", h, body, &made)
	})
	if err != nil {
		return nil, err
	}
	c.key = made.Secret
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err := c.asAdmin(ctx, func(h http.Header) error {
			return c.do(ctx, http.MethodDelete, "/admin/api-keys/"+string(made.Key.ID), h, nil, nil)
		})
		if err != nil {
			return fmt.Errorf("remove the API key %s: %w", made.Key.ID, err)
		}
		return nil
	}, nil
}

// asAdmin logs in, does one thing, and logs out: an access token would not outlive a simulation.
func (c *campus) asAdmin(ctx context.Context, fn func(http.Header) error) error {
	var login struct {
		Token string `json:"token"`
	}
	who := map[string]string{"email": c.admin, "password": c.password}
	if err := c.do(ctx, http.MethodPost, "/auth/login/admin", nil, who, &login); err != nil {
		return fmt.Errorf("log in as %s: %w", c.admin, err)
	}
	h := http.Header{"Authorization": {"Bearer " + login.Token}}
	err := fn(h)
	return errors.Join(err, c.do(ctx, http.MethodPost, "/auth/logout", h, nil, nil))
}

// maxAnswer bounds how much of an answer is read.
const maxAnswer = 1 << 20

// do sends one request and reads the answer into out. An answer that is no success becomes a *nexus.Error with
// the code and words of the problem body; so does a server that cannot be reached, as Unavailable.
func (c *campus) do(ctx context.Context, method, path string, h http.Header, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode a request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nexus.InvalidField("url", "%v", err)
	}
	if h != nil {
		req.Header = h.Clone()
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return nexus.Wrap(nexus.Unavailable, err, "the server does not answer")
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nexus.Wrap(nexus.Unavailable, err, "the answer broke off")
	}
	if resp.StatusCode >= 300 {
		return problem(resp, answer)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s answers something else than JSON: %w", method, path, err)
	}
	return nil
}

// problem turns a refusal into an error. What is worth repeating is Unavailable or RateLimited.
func problem(resp *http.Response, answer []byte) error {
	var p struct {
		Code   nexus.Code         `json:"code"`
		Detail string             `json:"detail"`
		Errors []nexus.FieldError `json:"errors"`
	}
	if json.Unmarshal(answer, &p) != nil || p.Detail == "" { // not ours: a proxy's page
		p.Detail = resp.Status
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		p.Code = nexus.RateLimited
	case resp.StatusCode >= 500:
		p.Code = nexus.Unavailable
	case p.Code == "":
		p.Code = nexus.Invalid
	}
	e := nexus.Errorf(p.Code, "%s", p.Detail)
	e.Fields = p.Errors
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}

// stamp writes a time as the contract has it: RFC 3339, UTC, milliseconds.
func stamp(t time.Time) string { return t.UTC().Format(nexus.TimeLayout) }
