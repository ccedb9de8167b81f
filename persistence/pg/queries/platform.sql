-- name: ClaimGrain :one
insert into grain_snapshot (kind, identity, epoch)
values (@kind, @identity, 1)
on conflict (kind, identity) do update set epoch = grain_snapshot.epoch + 1
returning epoch, version, payload, saved_at;

-- name: ClaimGrains :many
-- Those that exist and that nobody is writing at this moment; for the others somebody has to wait.
with free as (
    select g.kind, g.identity
    from (select unnest(@kinds::text[]) as kind, unnest(@identities::text[]) as identity) want
    join grain_snapshot g on g.kind = want.kind and g.identity = want.identity
    for update of g skip locked
)
update grain_snapshot g set epoch = g.epoch + 1
from free
where g.kind = free.kind and g.identity = free.identity
returning g.kind, g.identity, g.epoch, g.version, g.payload, g.saved_at;

-- name: PresentGrains :many
-- Which of these fences are the present ones.
select g.kind, g.identity, g.epoch
from (select unnest(@kinds::text[]) as kind, unnest(@identities::text[]) as identity, unnest(@epochs::bigint[]) as epoch) want
join grain_snapshot g on g.kind = want.kind and g.identity = want.identity and g.epoch = want.epoch;

-- name: RenewGrain :one
update grain_snapshot set epoch = epoch + 1
where kind = @kind and identity = @identity and epoch = @epoch
returning epoch;

-- name: SaveGrain :execrows
update grain_snapshot
set version = @version, payload = @payload, saved_at = now()
where kind = @kind and identity = @identity and epoch = @epoch and version < @version;

-- name: SaveGrains :many
-- Those that may be saved and that nobody else is writing at this moment.
with want as (
    select unnest(@kinds::text[]) as kind, unnest(@identities::text[]) as identity, unnest(@epochs::bigint[]) as epoch,
           unnest(@versions::bigint[]) as version, unnest(@payloads::bytea[]) as payload
), free as (
    select g.kind, g.identity
    from want join grain_snapshot g on g.kind = want.kind and g.identity = want.identity
    where g.epoch = want.epoch and g.version < want.version
    for update of g skip locked
)
update grain_snapshot g
set version = want.version, payload = want.payload, saved_at = now()
from free join want on want.kind = free.kind and want.identity = free.identity
where g.kind = free.kind and g.identity = free.identity and g.epoch = want.epoch and g.version < want.version
returning g.kind, g.identity, g.epoch, g.version;

-- name: HoldFence :one
-- Locks the grain's row until the transaction ends: other writers of the grain wait, and so does whoever claims it.
select version from grain_snapshot
where kind = @kind and identity = @identity and epoch = @epoch
for update;

-- name: ReserveAnswer :one
-- Takes the key, waiting for whoever holds it. No row if the key has an answer that is younger than a day.
insert into idempotency (caller, key, request_hash)
values (@caller, @key, @request_hash)
on conflict (caller, key) do update
set request_hash = excluded.request_hash, response = null, created_at = now()
where idempotency.created_at <= now() - interval '24 hours'
returning key;

-- name: KeptAnswer :one
select request_hash, response from idempotency
where caller = @caller and key = @key;

-- name: KeepAnswer :exec
update idempotency set response = @response
where caller = @caller and key = @key;

-- name: ReserveAnswers :many
-- Takes keys as ReserveAnswer does, in an order that all writers keep, and returns those that have no answer.
insert into idempotency (caller, key, request_hash)
select r.caller, r.key, r.request_hash
from (select unnest(@callers::uuid[]) as caller, unnest(@keys::text[]) as key, unnest(@request_hashes::bytea[]) as request_hash) r
order by r.caller, r.key
on conflict (caller, key) do update
set request_hash = excluded.request_hash, response = null, created_at = now()
where idempotency.created_at <= now() - interval '24 hours'
returning caller, key;

-- name: KeptAnswers :many
select i.caller, i.key, i.request_hash, i.response
from (select unnest(@callers::uuid[]) as caller, unnest(@keys::text[]) as key) r
join idempotency i on i.caller = r.caller and i.key = r.key;

-- name: KeepAnswers :exec
update idempotency i set request_hash = r.request_hash, response = r.response::json
from (select unnest(@callers::uuid[]) as caller, unnest(@keys::text[]) as key, unnest(@request_hashes::bytea[]) as request_hash,
             unnest(@responses::text[]) as response) r
where i.caller = r.caller and i.key = r.key;

-- name: FreeAnswers :exec
delete from idempotency i using (select unnest(@callers::uuid[]) as caller, unnest(@keys::text[]) as key) r
where i.caller = r.caller and i.key = r.key and i.response is null;

-- name: PurgeAnswers :execrows
-- At most so many. Rows that another node is at are left to it.
delete from idempotency where ctid = any(array(
    select i.ctid from idempotency i where i.created_at <= now() - interval '24 hours' limit @most for update skip locked
));
