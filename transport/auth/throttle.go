package auth

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"nexus/transport/limit"
	"nexus/transport/limit/lru"
)

// Failures are counted. The delay grows: five tries at once, then one
// in 15 s, after ten one in 90 s.
//
// A stranger who guesses is held by account and address, so the owner elsewhere notices nothing. One who guesses
// from many addresses is held by account too, but only where the account never logged in before: the owner's
// usual addresses stay open, as do the logins that exist. In the same way one address is held that tries many accounts.
var (
	quick    = limit.Rule{Rate: 1.0 / 15, Burst: 5}
	slow     = limit.Per(10, 15*time.Minute)
	strange  = limit.Per(50, 15*time.Minute)
	neighbor = limit.Per(1000, 15*time.Minute) // one address, all accounts: a campus may share one
)

// Each of these costs a hash, right or wrong. They are bounded far above what people need.
var (
	often     = limit.Rule{Rate: 1, Burst: 60} // logins of one account; taken when its turn has come, so that the bounds above keep strangers from using it up
	newcomers = limit.Rule{Rate: 1, Burst: 60} // accounts from one address: on the first day a campus may share one
)

// check is one bound that a login is held to.
type check struct {
	key  string
	rule limit.Rule
}

func (s *Service) checks(account string, ip netip.Addr) []check {
	account = strings.ToLower(account)
	where := limit.Household(ip)
	checks := []check{
		{"login:quick:" + account + "|" + where, quick},
		{"login:slow:" + account + "|" + where, slow},
	}
	if !s.homes.known(account, where) {
		checks = append(checks, check{"login:account:" + account, strange}, check{"login:ip:" + where, neighbor})
	}
	return checks
}

// admit returns RateLimited if any bound is reached. It takes nothing.
func (s *Service) admit(ctx context.Context, checks []check) error {
	var worst limit.Decision
	for _, c := range checks {
		if d := s.Limiter.Allow(ctx, c.key, c.rule.Asking()); !d.Allowed && d.RetryAfter > worst.RetryAfter {
			worst = d
		}
	}
	worst.Allowed = worst.RetryAfter == 0
	return worst.Err()
}

// fail counts a failure.
func (s *Service) fail(ctx context.Context, checks []check) {
	for _, c := range checks {
		s.Limiter.Allow(ctx, c.key, c.rule)
	}
}

// homes remembers from where accounts have logged in.
type homes struct {
	seen *lru.Cache[[2]string, struct{}]
}

func newHomes() *homes { return &homes{lru.New[[2]string, struct{}](20_000)} }

func (h *homes) known(account, where string) bool {
	_, ok := h.seen.Get([2]string{account, where})
	return ok
}

func (h *homes) learn(account, where string) { h.seen.Put([2]string{account, where}, struct{}{}) }
