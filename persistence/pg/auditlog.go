package pg

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// AuditLog reads the audit log. Only the stores' own mutations write it.
type AuditLog struct{ db *DB }

// NewAuditLog returns the audit log in db.
func NewAuditLog(db *DB) *AuditLog { return &AuditLog{db: db} }

// Entries lists the log, the newest first; the cursor is a seq. Before and After are json.RawMessage,
// and nil where there is none or it was erased.
func (a *AuditLog) Entries(ctx context.Context, f nexus.AuditFilter, p nexus.Page) (nexus.List[nexus.AuditEntry], error) {
	var list nexus.List[nexus.AuditEntry]
	before, limit := int64(math.MaxInt64), limitOf(p)
	if p.After != "" {
		n, err := strconv.ParseInt(p.After, 10, 64)
		if err != nil || n < 1 {
			return list, nexus.InvalidField("after", "is no cursor of this list")
		}
		before = n
	}
	err := a.db.do(ctx, "list the audit log", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.AuditEntries(ctx, sqlcgen.AuditEntriesParams{
			BeforeSeq: before, Actor: f.Actor, Action: f.Action, Entity: f.Entity, EntityID: f.EntityID,
			FromAt: timeOrNil(f.From), ToAt: timeOrNil(f.To), MaxRows: limit + 1,
		})
		list = pageOf(rows, limit, auditEntryOf, func(e nexus.AuditEntry) string { return strconv.FormatInt(e.Seq, 10) })
		return err
	})
	return list, err
}

func auditEntryOf(r sqlcgen.AuditEntriesRow) nexus.AuditEntry {
	e := nexus.AuditEntry{
		Seq: r.Seq, At: r.At, Actor: r.Actor, Action: r.Action, Entity: r.Entity, EntityID: r.EntityID,
		RequestID: r.RequestID, Hash: hex.EncodeToString(r.Hash),
	}
	if r.Before != nil {
		e.Before = json.RawMessage(r.Before)
	}
	if r.After != nil {
		e.After = json.RawMessage(r.After)
	}
	return e
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// verifyBatch is how many entries are checked with one query.
const verifyBatch = 1000

// Verify walks the chain up to its present end and returns how many entries the log holds and the
// first seq that does not fit: one that is missing, was edited, or whose detail was edited; the one
// behind the last if the log was cut off. 0 if all fit. An erased detail fits. What it cannot find is a
// tail that somebody with the owner's rights wrote anew, hashes and all.
func (a *AuditLog) Verify(ctx context.Context) (entries, firstBad int64, err error) {
	var head sqlcgen.AuditHeadRow
	err = a.db.do(ctx, "read the audit log's end", func(ctx context.Context, q *sqlcgen.Queries) error {
		if head, err = q.AuditHead(ctx); err != nil {
			return err
		}
		entries, err = q.CountAudit(ctx, head.Seq)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	c := chain{hash: make([]byte, 32)}
	for c.seq < head.Seq {
		var rows []sqlcgen.AuditChainRow
		err := a.db.do(ctx, "read the audit log", func(ctx context.Context, q *sqlcgen.Queries) error {
			rows, err = q.AuditChain(ctx, c.seq, head.Seq, verifyBatch)
			return err
		})
		if err != nil {
			return 0, 0, err
		}
		if !c.follow(rows) {
			return entries, c.seq + 1, nil
		}
	}
	if !bytes.Equal(c.hash, head.Hash) {
		return entries, max(c.seq, 1), nil
	}
	return entries, 0, nil
}

// chain is how far a walk along the log has come: the last entry that fits.
type chain struct {
	seq  int64
	hash []byte
}

// follow walks on over the next entries, and reports whether there were any and all fit.
func (c *chain) follow(rows []sqlcgen.AuditChainRow) bool {
	for _, r := range rows {
		e := entry{
			Seq: r.Seq, At: r.At, Actor: r.Actor, Action: r.Action, Entity: r.Entity, EntityID: r.EntityID,
			RequestID: r.RequestID, DetailCommit: r.DetailCommit, PrevHash: r.PrevHash,
		}
		if e.Seq != c.seq+1 || !bytes.Equal(e.PrevHash, c.hash) || !bytes.Equal(r.Hash, entryHash(e)) {
			return false
		}
		if r.Salt != nil && !bytes.Equal(e.DetailCommit, detailCommit(r.Salt, r.Ip, r.Before, r.After)) {
			return false
		}
		c.seq, c.hash = e.Seq, r.Hash
	}
	return len(rows) > 0
}
