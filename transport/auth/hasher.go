package auth

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"

	"nexus"
)

// DefaultHash costs some 26 ms of one core and 19 MiB: a little over OWASP's smallest advice for argon2id
// and no more, since a campus logs in at nine o'clock and the node has other work.
var DefaultHash = &argon2id.Params{Memory: 19 * 1024, Iterations: 3, Parallelism: 1, SaltLength: 16, KeyLength: 32}

const (
	maxWaiting = 64              // requests that wait for a hash; past that they are refused at once
	maxWait    = 2 * time.Second // and how long one waits
)

// hasher computes as many hashes at once as there are cores, so that a flood of logins neither
// starves the rest of the node nor piles up.
type hasher struct {
	params  *argon2id.Params
	running chan struct{}
	waiting chan struct{}
	dummy   string // checked for accounts that do not exist: the answer takes equally long
}

func newHasher(p *argon2id.Params) (*hasher, error) {
	if p == nil {
		p = DefaultHash
	}
	dummy, err := argon2id.CreateHash(nexus.NewID(), p)
	if err != nil {
		return nil, fmt.Errorf("hash a dummy password: %w", err)
	}
	return &hasher{
		params: p, dummy: dummy,
		running: make(chan struct{}, runtime.GOMAXPROCS(0)),
		waiting: make(chan struct{}, maxWaiting),
	}, nil
}

// do runs f when its turn comes. Unavailable if too many wait already or the wait is too long.
func (h *hasher) do(ctx context.Context, f func() error) error {
	busy := &nexus.Error{Code: nexus.Unavailable, Message: "too many people log in at once, please try again", RetryAfter: time.Second}
	select {
	case h.waiting <- struct{}{}:
	default:
		return busy
	}
	defer func() { <-h.waiting }()
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case h.running <- struct{}{}:
		defer func() { <-h.running }()
		return f()
	case <-timer.C:
		return busy
	case <-ctx.Done():
		return fmt.Errorf("wait for a hash: %w", ctx.Err())
	}
}

func (h *hasher) hash(ctx context.Context, password string) (hash string, err error) {
	err = h.do(ctx, func() error {
		hash, err = argon2id.CreateHash(normal(password), h.params)
		return err
	})
	return hash, err
}

// check compares, within do. An empty hash never matches, in the usual time.
func (h *hasher) check(password, hash string) (bool, error) {
	exists := hash != ""
	if !exists {
		hash = h.dummy
	}
	ok, err := argon2id.ComparePasswordAndHash(normal(password), hash)
	return ok && exists, err
}

// renew returns a hash at the present cost if the one there has another, else "". It runs within do.
func (h *hasher) renew(password, hash string) (string, error) {
	p, _, _, err := argon2id.DecodeHash(hash)
	if err != nil || *p == *h.params {
		return "", err
	}
	return argon2id.CreateHash(normal(password), h.params)
}

// normal gives a password the same bytes on every keyboard.
func normal(password string) string { return norm.NFC.String(password) }
