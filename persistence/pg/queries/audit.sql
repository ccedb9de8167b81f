-- name: LockAuditHead :one
-- The end of the chain, locked until the transaction ends, and the time of the next entry.
select seq, hash, clock_timestamp()::timestamptz as at from audit_head for update;

-- name: AuditHead :one
select seq, hash from audit_head;

-- name: AppendAudit :exec
-- Entries, details and head in one round trip; the foreign key of the details is checked at the end of the statement.
with e as (
    select unnest(@seqs::bigint[]) as seq, unnest(@actors::text[]) as actor, unnest(@actions::text[]) as action, unnest(@entities::text[]) as entity,
           unnest(@entity_ids::text[]) as entity_id, unnest(@request_ids::text[]) as request_id, unnest(@detail_commits::bytea[]) as detail_commit,
           unnest(@prev_hashes::bytea[]) as prev_hash, unnest(@hashes::bytea[]) as hash, unnest(@salts::bytea[]) as salt, unnest(@ips::text[]) as ip,
           unnest(@befores::text[]) as before, unnest(@afters::text[]) as after
), entry as (
    insert into audit_log (seq, at, actor, action, entity, entity_id, request_id, detail_commit, prev_hash, hash)
    select e.seq, @at, e.actor, e.action, e.entity, e.entity_id, e.request_id, e.detail_commit, e.prev_hash, e.hash from e order by e.seq
), detail as (
    insert into audit_detail (seq, salt, ip, before, after)
    select e.seq, e.salt, nullif(e.ip, '')::inet, nullif(e.before, '')::json, nullif(e.after, '')::json from e order by e.seq
)
update audit_head h set seq = last.seq, hash = last.hash from (select e.seq, e.hash from e order by e.seq desc limit 1) last;

-- name: AuditEntries :many
select l.seq, l.at, l.actor, l.action, l.entity, l.entity_id, l.request_id, l.hash, d.before, d.after
from audit_log l
left join audit_detail d on d.seq = l.seq
where l.seq < @before_seq::bigint
  and (@actor::text = '' or l.actor = @actor::text)
  and (@action::text = '' or l.action = @action::text)
  and (@entity::text = '' or l.entity = @entity::text)
  and (@entity_id::text = '' or l.entity_id = @entity_id::text)
  and (sqlc.narg('from_at')::timestamptz is null or l.at >= sqlc.narg('from_at')::timestamptz)
  and (sqlc.narg('to_at')::timestamptz is null or l.at < sqlc.narg('to_at')::timestamptz)
order by l.seq desc
limit @max_rows;

-- name: CountAudit :one
select count(*) from audit_log where seq <= @upto::bigint;

-- name: AuditChain :many
-- The next entries of the chain in order, with what their hashes were made of. A detail that was erased has no salt.
select l.seq, l.at, l.actor, l.action, l.entity, l.entity_id, l.request_id, l.detail_commit, l.prev_hash, l.hash,
       d.salt, d.ip, d.before, d.after
from audit_log l
left join audit_detail d on d.seq = l.seq
where l.seq > @after_seq::bigint and l.seq <= @upto::bigint
order by l.seq
limit @max_rows;
