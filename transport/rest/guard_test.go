package rest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"testing"

	"nexus"
	"nexus/transport/auth"
	"nexus/transport/rest/resttest"
)

// hashes notes by which hashes the requests are known that make accounts.
type hashes struct {
	auth.Accounts
	seen [][]byte
}

func (h *hashes) Create(ctx context.Context, by nexus.Caller, a nexus.NewAccount) (nexus.User, error) {
	h.seen = append(h.seen, by.Once.Hash)
	return h.Accounts.Create(ctx, by, a)
}

// TestAnIdempotencyKeyIsBounded in bytes, as the stores are, before anything is done under it.
func TestAnIdempotencyKeyIsBounded(t *testing.T) {
	h := resttest.New(t)
	const body = `{"email":"asha@example.edu","password":"a long password","name":"Asha"}`
	for _, key := range []string{strings.Repeat("k", 201), strings.Repeat("é", 101), "\xff\xfe"} {
		if r := h.Call("POST", "/api/v1/auth/register", body, "Idempotency-Key", key); r.Status != 422 || !strings.Contains(string(r.Body), "Idempotency-Key") {
			t.Errorf("%q: %d %s", key, r.Status, r.Body)
		}
	}
	if r := h.Call("POST", "/api/v1/auth/register", body, "Idempotency-Key", strings.Repeat("é", 100)); r.Status != 201 {
		t.Errorf("%d %s", r.Status, r.Body)
	}
}

// TestAKeptRequestTellsNobodyItsPassword: without the secret nobody can try passwords against the hash.
func TestAKeptRequestTellsNobodyItsPassword(t *testing.T) {
	h := resttest.New(t)
	kept := &hashes{Accounts: h.Auth.Accounts}
	h.Auth.Accounts = kept
	const body = `{"email":"asha@example.edu","password":"a long password","name":"Asha"}`
	for range 2 {
		if r := h.Call("POST", "/api/v1/auth/register", body, "Idempotency-Key", "k"); r.Status != 201 {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
	}
	key, err := h.Auth.Derive("nexus request hash")
	if err != nil {
		t.Fatal(err)
	}
	request := []byte("POST\x00/api/v1/auth/register\x00" + body + "\x00")
	plain, sealed := sha256.Sum256(request), hmac.New(sha256.New, key)
	sealed.Write(request)
	for _, got := range kept.seen {
		if bytes.Equal(got, plain[:]) || !bytes.Equal(got, sealed.Sum(nil)) {
			t.Errorf("kept %x", got)
		}
	}
	if len(kept.seen) != 2 {
		t.Errorf("%d requests", len(kept.seen))
	}
}
