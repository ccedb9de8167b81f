-- name: InsertSession :execrows
-- No row unless the account may log in and is still as it was when its password was checked. Whoever changes the
-- account waits for this transaction or this statement for theirs, so that no login slips past them.
insert into auth_session (id, user_id, device, ip, expires_at)
select @id, u.id, @device, sqlc.narg('ip'), @expires_at
from app_user u
where u.id = @user_id and u.status = 'active' and u.token_epoch = @token_epoch
for share of u;

-- name: InsertRefresh :exec
insert into auth_refresh (hash, session_id, expires_at) values (@hash, @session_id, @expires_at);

-- name: UseRefresh :one
-- Uses a token up, once. Of two that race, one waits for the other's transaction and then finds no row.
update auth_refresh set used_at = now()
where hash = @hash and used_at is null
returning session_id, (expires_at <= now())::boolean as expired;

-- name: RefreshFamily :one
-- The family of a token that was used before.
select s.id, s.user_id from auth_refresh r join auth_session s on s.id = r.session_id
where r.hash = @hash;

-- name: ProlongSession :one
-- No row for a login that was revoked, has lived its life, or whose account may not log in.
update auth_session s
set last_used_at = now(), expires_at = least(@expires_at::timestamptz, s.created_at + make_interval(secs => @life_secs::double precision))
from app_user u
where s.id = @id and s.revoked_at is null and s.created_at + make_interval(secs => @life_secs::double precision) > now()
  and u.id = s.user_id and u.status = 'active'
returning s.*;

-- name: RevokeSession :execrows
update auth_session set revoked_at = now()
where id = @id and user_id = @user_id and revoked_at is null and expires_at > now();

-- name: RevokeSessions :execrows
-- Ends every login of the user but one, which may be none.
update auth_session set revoked_at = now()
where user_id = @user_id and revoked_at is null and id is distinct from sqlc.narg('except_id')::uuid;

-- name: LivingSessions :many
select * from auth_session
where user_id = @user_id and revoked_at is null and expires_at > now()
order by last_used_at desc, id desc
limit 1000;

-- name: SessionState :one
select s.user_id, u.status, u.token_epoch, (s.revoked_at is not null or s.expires_at <= now())::boolean as revoked
from auth_session s join app_user u on u.id = s.user_id
where s.id = @id;

-- name: PurgeRefresh :execrows
-- At most so many. Rows that another node is at are left to it.
delete from auth_refresh where ctid = any(array(
    select r.ctid from auth_refresh r where r.expires_at <= now() limit @most for update skip locked
));

-- name: PurgeSessions :execrows
-- A month of grace keeps the device and address of old logins at hand when something has to be cleared up.
delete from auth_session where ctid = any(array(
    select s.ctid from auth_session s where s.expires_at <= now() - interval '30 days' limit @most for update skip locked
));
