package rest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"io"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"

	"nexus"
	"nexus/transport/limit"
)

// guard finds out who asks, checks the access and the caller's rate, and puts the
// caller into the context. On a public route bad credentials count as none: an old token must
// not keep anybody from logging in.
func (a *API) guard(access Access, once bool) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		ctx = read{ctx}
		c, err := a.identify(ctx, access)
		if err == nil || access.Public {
			err = access.Check(c)
		}
		if err != nil && access.Hook != nil && access.Hook(ctx.Header("Content-Type")) {
			c, err = nexus.Caller{IP: c.IP, RequestID: c.RequestID}, nil
		}
		// Guesses count like the rest, as a stranger's.
		if slow := a.throttle(ctx, c, access.Bucket); slow != nil {
			err = slow
		}
		if err != nil {
			a.fail(ctx, err)
			return
		}
		if key := ctx.Header("Idempotency-Key"); once && key != "" {
			f := humafiber.Unwrap(ctx)
			h, err := a.requestHash(f.Method(), f.Path())
			if err != nil {
				a.fail(ctx, err)
				return
			}
			h.Write(append(f.Request().Body(), 0))
			c.Once = nexus.Once{Key: key, Hash: h.Sum(nil)}
			if err := c.Once.Check(); err != nil {
				a.fail(ctx, err)
				return
			}
		}
		next(huma.WithValue(ctx, callerKey{}, c))
	}
}

// KeyHeader is the header that holds a device's API key.
const KeyHeader = "X-Api-Key"

// identify returns the caller. One without credentials is a stranger, and no error. Where a role is what counts, it must be known
// that the login stands.
func (a *API) identify(ctx huma.Context, access Access) (nexus.Caller, error) {
	o := OriginOf(ctx.Context())
	verify := a.Auth.Verify
	if len(access.Roles) > 0 {
		verify = a.Auth.VerifyNow
	}
	var c nexus.Caller
	var err error
	scheme, token, _ := strings.Cut(ctx.Header("Authorization"), " ")
	switch {
	case ctx.Header(KeyHeader) != "":
		c, err = a.Auth.VerifyKey(ctx.Context(), ctx.Header(KeyHeader))
	case strings.EqualFold(scheme, "Bearer"):
		c, _, err = verify(ctx.Context(), strings.TrimSpace(token))
	case scheme != "":
		err = nexus.Errorf(nexus.Unauthenticated, "expected a bearer token")
	}
	if err != nil {
		c = nexus.Caller{}
	}
	c.IP, c.RequestID = o.IP, o.RequestID
	return c, err
}

// Limits is how often one caller may call the REST routes; zero rules are the defaults.
type Limits struct {
	Stranger limit.Rule // per address without valid credentials, which a whole campus may share: 500 a second, 2000 at once
	User     limit.Rule // per account: 50 a second for long, 500 at once
	Device   limit.Rule // per API key, which may serve all gates of a campus: 1000 a second, 5000 at once
	SOS      limit.Rule // presses of an account, and cancels likewise: limit.SOS
	Incident limit.Rule // what an account says and does in incidents: limit.Incident
	Seats    limit.Rule // seats that an account asks for and gives back: two a second for long, 60 at once
	Import   limit.Rule // files that an account hands in: one in six seconds for long, 20 at once
	Summary  limit.Rule // summaries that an account asks for: one in three seconds for long, 20 at once
}

func (l Limits) orDefault() Limits {
	fill := func(r *limit.Rule, rate float64, burst int) {
		if *r == (limit.Rule{}) {
			*r = limit.Rule{Rate: rate, Burst: burst}
		}
	}
	fill(&l.Stranger, 500, 2000)
	fill(&l.User, 50, 500)
	fill(&l.Device, 1000, 5000)
	fill(&l.SOS, limit.SOS.Rate, limit.SOS.Burst)
	fill(&l.Incident, limit.Incident.Rate, limit.Incident.Burst)
	fill(&l.Seats, 2, 60)
	fill(&l.Import, 1.0/6, 20)
	fill(&l.Summary, 1.0/3, 20)
	return l
}

// of is the rule of an operation's own bucket.
func (l Limits) of(b bucket) limit.Rule {
	switch b {
	case bucketIncident:
		return l.Incident
	case bucketSeats:
		return l.Seats
	case bucketImport:
		return l.Import
	case bucketSummaries:
		return l.Summary
	}
	return l.SOS
}

// throttle counts a call against the operation's own bucket, for an account, or else against the caller's general one.
func (a *API) throttle(ctx huma.Context, c nexus.Caller, own bucket) error {
	key, rule := "stranger:"+limit.Household(c.IP), a.Limits.Stranger
	switch {
	case c.Key != "":
		key, rule = "key:"+string(c.Key), a.Limits.Device
	case c.User != "" && own != "":
		key, rule = string(own)+string(c.User), a.Limits.of(own)
	case c.User != "":
		key, rule = "user:"+string(c.User), a.Limits.User
	}
	d := a.Limiter.Allow(ctx.Context(), key, rule)
	for name, value := range d.Headers() {
		ctx.SetHeader(name, value)
	}
	return d.Err()
}

// requestHash begins the hash that identifies a request, to which its body is added: two bodies under one key are two intentions. It is kept
// for a day and a body may hold a password, so that nobody can try bodies against it without the secret. A new secret makes another request of
// an old one.
func (a *API) requestHash(method, path string) (hash.Hash, error) {
	key, err := a.Auth.Derive("nexus request hash")
	if err != nil {
		return nil, err
	}
	h := hmac.New(sha256.New, key)
	for _, part := range []string{method, path} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h, nil
}

// read is a request whose body the server has read.
type read struct{ request }

type request = huma.Context

// BodyReader implements huma.Context.
func (r read) BodyReader() io.Reader { return bytes.NewReader(humafiber.Unwrap(r).Request().Body()) }

// Unwrap returns the context below.
func (r read) Unwrap() huma.Context { return r.request }
