package pg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// once runs fn unless by's idempotency key has an answer already, and keeps fn's answer under the
// key in the same transaction: both are committed or neither is. Of two transactions with one key
// the second waits for the first, then answers alike. The same key with another request
// fails with KeyReused. An error of fn is not kept: the transaction is rolled back with the key.
func once[T any](ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, fn func() (T, error)) (T, error) {
	var none T
	if by.Once.Key == "" {
		return fn()
	}
	who, hash := keyOwner(by), append([]byte{}, by.Once.Hash...)
	_, err := q.ReserveAnswer(ctx, who, by.Once.Key, hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return keptAnswer[T](ctx, q, who, by.Once)
	}
	if err != nil {
		return none, fmt.Errorf("reserve the idempotency key: %w", err)
	}
	answer, err := fn()
	if err != nil {
		return none, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return none, fmt.Errorf("encode the answer: %w", err)
	}
	if err := q.KeepAnswer(ctx, text, who, by.Once.Key); err != nil {
		return none, fmt.Errorf("keep the answer: %w", err)
	}
	return answer, nil
}

func keptAnswer[T any](ctx context.Context, q *sqlcgen.Queries, who string, o nexus.Once) (T, error) {
	var answer, none T
	kept, err := q.KeptAnswer(ctx, who, o.Key)
	if err != nil {
		return none, fmt.Errorf("read the kept answer: %w", err)
	}
	if !bytes.Equal(kept.RequestHash, o.Hash) {
		return none, nexus.Errorf(nexus.KeyReused, "this idempotency key came with another request before")
	}
	if err := json.Unmarshal(kept.Response, &answer); err != nil {
		return none, fmt.Errorf("decode the kept answer: %w", err)
	}
	return answer, nil
}

// keyOwner is whose idempotency key it is: keys of different callers never meet, those
// of strangers share one space.
func keyOwner(by nexus.Caller) string {
	switch {
	case by.User != "":
		return string(by.User)
	case by.Key != "":
		return string(by.Key)
	default:
		return uuid.Nil.String()
	}
}

// PurgeIdempotency drops the answers that are older than 24 hours, after which a key means a new
// request, and says how many, also if it fails half way. It is meant to be called every hour or so, by any number of nodes.
func (db *DB) PurgeIdempotency(ctx context.Context) (purged int64, err error) {
	return db.purge(ctx, "purge idempotency keys", (*sqlcgen.Queries).PurgeAnswers)
}
