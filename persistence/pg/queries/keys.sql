-- name: InsertKey :one
insert into api_key (id, name, secret_hash, scopes, expires_at)
values (@id, @name, @secret_hash, @scopes, sqlc.narg('expires_at'))
returning *;

-- name: KeyByHash :one
select * from api_key
where secret_hash = @secret_hash and revoked_at is null and (expires_at is null or expires_at > now());

-- name: Keys :many
select * from api_key
order by created_at desc, id desc;

-- name: RevokeKey :one
update api_key set revoked_at = now()
where id = @id and revoked_at is null and (expires_at is null or expires_at > now())
returning *;
