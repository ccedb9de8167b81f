package pg

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// The chain. Every hash is SHA-256 over a list of fields, each written as its length in bytes
// (4 bytes, big-endian) and then the bytes, so that no two lists have one encoding:
//
//	detail_commit = "nexus audit detail 1", salt, ip, before, after
//	hash          = "nexus audit entry 1", prev_hash, seq, at, actor, action, entity, entity_id,
//	                request_id, detail_commit
//
// seq and at are 8 bytes, big-endian; at counts microseconds since 1970-01-01 UTC. ip is its text
// (RFC 5952), before and after are the JSON texts as they are kept; what is absent has length 0.
// The first entry's prev_hash is 32 zero bytes. salt is 32 random bytes: without it an erased
// detail could be guessed from its hash.
const (
	detailLabel = "nexus audit detail 1"
	entryLabel  = "nexus audit entry 1"
)

func hashFields(fields ...[]byte) []byte {
	h := sha256.New()
	for _, f := range fields {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(f)))
		h.Write(size[:])
		h.Write(f)
	}
	return h.Sum(nil)
}

func uint64Bytes(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func detailCommit(salt []byte, ip *netip.Addr, before, after []byte) []byte {
	var address string
	if ip != nil {
		address = ip.String()
	}
	return hashFields([]byte(detailLabel), salt, []byte(address), before, after)
}

// entry is what an entry's hash is made of.
type entry struct {
	Seq                                        int64
	At                                         time.Time
	Actor, Action, Entity, EntityID, RequestID string
	DetailCommit, PrevHash                     []byte
}

func entryHash(e entry) []byte {
	return hashFields([]byte(entryLabel), e.PrevHash, uint64Bytes(e.Seq), uint64Bytes(e.At.UnixMicro()),
		[]byte(e.Actor), []byte(e.Action), []byte(e.Entity), []byte(e.EntityID), []byte(e.RequestID), e.DetailCommit)
}

// deed is what an entry of the audit log tells of. before and after are kept as JSON, nil is absent; they must not hold anything that proves
// who somebody is, such as hashes of passwords, tokens and keys.
type deed struct {
	by                       nexus.Caller
	action, entity, entityID string
	before, after            any
}

// audit adds an entry to the chain, as auditAll does.
func audit(ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, action, entity, entityID string, before, after any) error {
	return auditAll(ctx, q, []deed{{by, action, entity, entityID, before, after}})
}

// auditAll adds entries to the chain, in the transaction of the changes that they tell of. It comes last in the transaction: from here to the
// commit every other change waits.
func auditAll(ctx context.Context, q *sqlcgen.Queries, deeds []deed) error {
	if len(deeds) == 0 {
		return nil
	}
	was, is := make([][]byte, len(deeds)), make([][]byte, len(deeds))
	for i, d := range deeds {
		var err error
		if was[i], err = detail(d.before); err != nil {
			return err
		}
		if is[i], err = detail(d.after); err != nil {
			return err
		}
	}
	head, err := q.LockAuditHead(ctx)
	if err != nil {
		return fmt.Errorf("lock the audit log: %w", err)
	}
	p := sqlcgen.AppendAuditParams{At: head.At.Truncate(time.Microsecond)}
	for i, d := range deeds {
		salt := make([]byte, 32)
		rand.Read(salt) // never fails
		ip := addressOf(d.by.IP)
		e := entry{
			Seq: head.Seq + 1, At: p.At, Actor: actorOf(d.by), Action: d.action, Entity: d.entity, EntityID: d.entityID, RequestID: d.by.RequestID,
			DetailCommit: detailCommit(salt, ip, was[i], is[i]), PrevHash: head.Hash,
		}
		head.Seq, head.Hash = e.Seq, entryHash(e)
		address := ""
		if ip != nil {
			address = ip.String()
		}
		p.Seqs, p.Actors, p.Actions, p.Entities = append(p.Seqs, e.Seq), append(p.Actors, e.Actor), append(p.Actions, e.Action), append(p.Entities, e.Entity)
		p.EntityIds, p.RequestIds = append(p.EntityIds, e.EntityID), append(p.RequestIds, e.RequestID)
		p.DetailCommits, p.PrevHashes = append(p.DetailCommits, e.DetailCommit), append(p.PrevHashes, e.PrevHash)
		p.Hashes, p.Salts, p.Ips = append(p.Hashes, head.Hash), append(p.Salts, salt), append(p.Ips, address)
		p.Befores, p.Afters = append(p.Befores, string(was[i])), append(p.Afters, string(is[i]))
	}
	if err := q.AppendAudit(ctx, p); err != nil {
		return fmt.Errorf("append to the audit log: %w", err)
	}
	return nil
}

func detail(v any) ([]byte, error) {
	if v == nil {
		return nil, nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode an audit detail: %w", err)
	}
	return text, nil
}

// actorOf is who the audit log says did it.
func actorOf(by nexus.Caller) string {
	switch {
	case by.User != "":
		return string(by.User)
	case by.Key != "":
		return "key:" + string(by.Key)
	default:
		return "system"
	}
}

// addressOf is an address the way the database keeps and gives it back: no zone, no IPv4 inside IPv6.
func addressOf(a netip.Addr) *netip.Addr {
	if !a.IsValid() {
		return nil
	}
	a = a.Unmap().WithZone("")
	return &a
}
