-- name: Profile :one
select user_id, full_name, phone, address, bio, coalesce(to_char(dob, 'YYYY-MM-DD'), '')::text as dob, avatar_url,
       hostel, room, warden, department, course, semester, locale, tz, version
from profile where user_id = @user_id;

-- name: LockProfile :one
select version from profile where user_id = @user_id for no key update;

-- name: ChangeProfile :exec
update profile
set phone   = coalesce(sqlc.narg('phone'), phone),
    address = coalesce(sqlc.narg('address'), address),
    bio     = coalesce(sqlc.narg('bio'), bio),
    dob     = case when sqlc.narg('dob')::text is null then dob else nullif(sqlc.narg('dob')::text, '')::date end,
    locale  = coalesce(sqlc.narg('locale'), locale),
    tz      = coalesce(sqlc.narg('tz'), tz),
    version = version + 1
where user_id = @user_id;

-- name: ChangeOfficeData :exec
update profile
set full_name  = coalesce(sqlc.narg('full_name'), full_name),
    department = coalesce(sqlc.narg('department'), department),
    course     = coalesce(sqlc.narg('course'), course),
    semester   = coalesce(sqlc.narg('semester'), semester),
    hostel     = coalesce(sqlc.narg('hostel'), hostel),
    room       = coalesce(sqlc.narg('room'), room),
    warden     = coalesce(sqlc.narg('warden'), warden),
    version    = version + 1
where user_id = @user_id;

-- name: SetAvatar :exec
update profile set avatar_url = @avatar_url, version = version + 1 where user_id = @user_id;

-- name: KeepAvatar :exec
insert into avatar (url, user_id, jpeg) values (@url, @user_id, @jpeg)
on conflict (user_id) do update set url = excluded.url, jpeg = excluded.jpeg;

-- name: Avatar :one
select jpeg from avatar where url = @url;

-- name: Contacts :many
select name, channel, address from emergency_contact where user_id = @user_id order by rank;

-- name: DeleteContacts :exec
delete from emergency_contact where user_id = @user_id;

-- name: InsertContacts :exec
insert into emergency_contact (user_id, rank, name, channel, address)
select @user_id, c.rank, c.name, c.channel, c.address
from (select unnest(@ranks::smallint[]) as rank, unnest(@names::text[]) as name,
             unnest(@channels::text[]) as channel, unnest(@addresses::text[]) as address) c;
