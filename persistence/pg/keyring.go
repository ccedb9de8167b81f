package pg

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"nexus"
	"nexus/actors/course"
	"nexus/persistence/pg/sqlcgen"
)

// keyring holds the idempotency keys of a batch of requests for a transaction: what once does for a single request, in as few round trips for many.
// A request that comes twice in the batch is answered once, and one that is refused gives its key back.
type keyring map[heldKey]*heldAnswer

type heldKey struct{ caller, key string }

type heldAnswer struct {
	hash     []byte // of the request
	response []byte // nil: not answered yet
	ours     bool   // taken by this transaction
}

func heldKeyOf(by nexus.Caller) heldKey { return heldKey{keyOwner(by), by.Once.Key} }

// take takes the keys, waiting for whoever holds one, and reads the answers of those that were answered before.
func (k *keyring) take(ctx context.Context, q *sqlcgen.Queries, requests []course.Request) error {
	*k = keyring{}
	var callers, keys []string
	var hashes [][]byte
	for _, r := range requests {
		if _, twice := (*k)[heldKeyOf(r.By)]; twice || r.By.Once.Key == "" || r.By.Once.Check() != nil {
			continue // answered says so of a key that cannot be kept
		}
		(*k)[heldKeyOf(r.By)] = &heldAnswer{}
		callers, keys = append(callers, keyOwner(r.By)), append(keys, r.By.Once.Key)
		hashes = append(hashes, append([]byte{}, r.By.Once.Hash...))
	}
	if len(keys) == 0 {
		return nil
	}
	ours, err := q.ReserveAnswers(ctx, callers, keys, hashes)
	if err != nil {
		return fmt.Errorf("reserve idempotency keys: %w", err)
	}
	for _, r := range ours {
		(*k)[heldKey{r.Caller, r.Key}].ours = true
	}
	if len(ours) == len(keys) {
		return nil
	}
	kept, err := q.KeptAnswers(ctx, callers, keys)
	if err != nil {
		return fmt.Errorf("read kept answers: %w", err)
	}
	for _, r := range kept {
		if a := (*k)[heldKey{r.Caller, r.Key}]; !a.ours {
			a.hash, a.response = r.RequestHash, r.Response
		}
	}
	return nil
}

// answered returns the answer that a request had before; that of another one under its key is KeyReused, and that of one whose key cannot be kept
// is Invalid: it is refused alone, whatever it comes together with.
func (k keyring) answered(by nexus.Caller) (s course.Settled, again bool) {
	if by.Once.Key == "" {
		return s, false
	}
	if s.Err = by.Once.Check(); s.Err != nil {
		return s, true
	}
	a := k[heldKeyOf(by)]
	if a.response == nil {
		return s, false
	}
	if !bytes.Equal(a.hash, by.Once.Hash) {
		s.Err = nexus.Errorf(nexus.KeyReused, "this idempotency key came with another request before")
	} else if err := json.Unmarshal(a.response, &s.Enrollment); err != nil {
		s.Err = nexus.Wrap(nexus.Internal, err, "decode the kept answer")
	}
	return s, true
}

// answer is what a request's key will be answered with.
func (k keyring) answer(by nexus.Caller, e nexus.Enrollment) error {
	if by.Once.Key == "" {
		return nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	a := k[heldKeyOf(by)]
	a.hash, a.response = append([]byte{}, by.Once.Hash...), text
	return nil
}

// keep keeps the answers of this transaction, and gives the keys back that have none.
func (k keyring) keep(ctx context.Context, q *sqlcgen.Queries) error {
	var kept sqlcgen.KeepAnswersParams
	var callers, keys []string
	for key, a := range k {
		switch {
		case !a.ours:
		case a.response == nil:
			callers, keys = append(callers, key.caller), append(keys, key.key)
		default:
			kept.Callers, kept.Keys = append(kept.Callers, key.caller), append(kept.Keys, key.key)
			kept.RequestHashes, kept.Responses = append(kept.RequestHashes, a.hash), append(kept.Responses, string(a.response))
		}
	}
	if len(kept.Keys) > 0 {
		if err := q.KeepAnswers(ctx, kept); err != nil {
			return fmt.Errorf("keep answers: %w", err)
		}
	}
	if len(keys) > 0 {
		if err := q.FreeAnswers(ctx, callers, keys); err != nil {
			return fmt.Errorf("give keys back: %w", err)
		}
	}
	return nil
}
