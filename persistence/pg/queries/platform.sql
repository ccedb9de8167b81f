-- name: ClaimGrain :one
insert into grain_snapshot (kind, identity, epoch)
values (@kind, @identity, 1)
on conflict (kind, identity) do update set epoch = grain_snapshot.epoch + 1
returning epoch, version, payload, saved_at;

-- name: RenewGrain :one
update grain_snapshot set epoch = epoch + 1
where kind = @kind and identity = @identity and epoch = @epoch
returning epoch;

-- name: SaveGrain :execrows
update grain_snapshot
set version = @version, payload = @payload, saved_at = now()
where kind = @kind and identity = @identity and epoch = @epoch and version < @version;

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

-- name: PurgeAnswers :execrows
-- At most so many. Rows that another node is at are left to it.
delete from idempotency where ctid = any(array(
    select i.ctid from idempotency i where i.created_at <= now() - interval '24 hours' limit @most for update skip locked
));
