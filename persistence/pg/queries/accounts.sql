-- name: CredentialsByLogin :one
select sqlc.embed(v), u.password_hash, u.token_epoch
from user_view v join app_user u on u.id = v.id
where lower(u.email) = lower(@identifier::text) or lower(u.reg_no) = lower(@identifier::text)
-- An address cannot be mistaken for a registration number of somebody else: the address wins.
order by lower(u.email) = lower(@identifier::text) desc
limit 1;

-- name: CredentialsByID :one
select sqlc.embed(v), u.password_hash, u.token_epoch
from user_view v join app_user u on u.id = v.id
where u.id = @id;

-- name: UserByID :one
select * from user_view where id = @id;

-- name: LockUser :one
-- The account, locked until the transaction ends. Read it afterwards: what this statement saw may be older than the lock.
select id from app_user where id = @id for no key update;

-- name: InsertUser :exec
insert into app_user (id, email, reg_no, password_hash)
values (@id, @email, nullif(@reg_no::text, ''), nullif(@password_hash::text, ''));

-- name: InsertProfile :exec
insert into profile (user_id, full_name) values (@user_id, @full_name);

-- name: InsertRoles :exec
insert into user_role (user_id, role)
select @user_id, unnest(@roles::text[])
on conflict do nothing;

-- name: DeleteRoles :exec
delete from user_role where user_id = @user_id;

-- name: SetPasswordHash :exec
update app_user set password_hash = @password_hash, token_epoch = token_epoch + 1 where id = @id;

-- name: Rehash :exec
update app_user set password_hash = @hash where id = @id and password_hash = @old;

-- name: Users :many
-- strpos knows no wildcards, so nothing in the query needs escaping.
select * from user_view
where (sqlc.narg('after')::uuid is null or id > sqlc.narg('after')::uuid)
  and (@query::text = ''
       or strpos(lower(name), lower(@query::text)) > 0
       or strpos(lower(email), lower(@query::text)) > 0
       or strpos(lower(reg_no), lower(@query::text)) > 0)
order by id
limit @max_rows;

-- name: TouchUser :exec
-- What others see of the account has changed; kill moves the token epoch.
update app_user
set status = coalesce(sqlc.narg('status'), status),
    reg_no = case when @set_reg_no::boolean then nullif(@reg_no::text, '') else reg_no end,
    token_epoch = token_epoch + @kill::integer,
    version = version + 1
where id = @id;

-- name: LockAdmins :exec
-- Whoever takes administrators away queues up here, so that two cannot each leave the other as the last one.
select pg_advisory_xact_lock(hashtextextended('nexus.administrators', 0));

-- name: OtherAdmins :one
select count(*) from app_user u join user_role r on r.user_id = u.id
where r.role = 'ADMIN' and u.status = 'active' and u.id <> @id;
