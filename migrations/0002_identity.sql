-- +goose Up

create table app_user (
    id            uuid primary key,
    email         text not null check (length(email) between 3 and 254),
    reg_no        text check (length(reg_no) between 1 and 40),
    password_hash text,
    status        text not null default 'active' check (status in ('active', 'suspended', 'erased')),
    token_epoch   integer not null default 0 check (token_epoch >= 0),
    version       bigint  not null default 1 check (version > 0),
    created_at    timestamptz not null default now()
);
-- One account per address and registration number, whatever their case.
create unique index app_user_email_key on app_user (lower(email));
create unique index app_user_reg_no_key on app_user (lower(reg_no));

create table user_role (
    user_id uuid not null references app_user on delete cascade,
    role    text not null check (role in ('STUDENT', 'FACULTY', 'MESS_STAFF', 'SECURITY', 'ADMIN')),
    primary key (user_id, role)
);
create index user_role_role_idx on user_role (role);

-- A person's picture, re-encoded and small. It lives here, not on a disk, so that every node can serve it.
create table avatar (
    url     text primary key check (length(url) between 1 and 1000),
    user_id uuid not null unique references app_user on delete cascade,
    jpeg    bytea not null check (length(jpeg) between 1 and 1048576)
);

-- What a person says of themselves and what the office says of them. Empty text is unknown.
create table profile (
    user_id    uuid primary key references app_user on delete cascade,
    full_name  text not null check (length(full_name) between 1 and 200),
    phone      text not null default '' check (length(phone) <= 40),
    address    text not null default '' check (length(address) <= 1000),
    bio        text not null default '' check (length(bio) <= 4000),
    dob        date check (dob between '1900-01-01' and '2200-01-01'),
    avatar_url text not null default '' check (length(avatar_url) <= 1000),
    hostel     text not null default '' check (length(hostel) <= 200),
    room       text not null default '' check (length(room) <= 60),
    warden     text not null default '' check (length(warden) <= 200),
    department text not null default '' check (length(department) <= 200),
    course     text not null default '' check (length(course) <= 200),
    semester   smallint not null default 0 check (semester between 0 and 40),
    locale     text not null default 'en' check (length(locale) between 1 and 35),
    tz         text not null default 'UTC' check (length(tz) between 1 and 60),
    version    bigint not null default 1 check (version > 0)
);

-- An account as others see it: one place for what belongs to it.
create view user_view as
select u.id, u.email, coalesce(u.reg_no, '') as reg_no, p.full_name as name, u.status, p.avatar_url, p.department,
       array(select r.role from user_role r where r.user_id = u.id order by r.role)::text[] as roles,
       u.created_at, u.version
from app_user u join profile p on p.user_id = u.id;

create table emergency_contact (
    user_id uuid not null references app_user on delete cascade,
    rank    smallint not null check (rank between 1 and 20),
    name    text not null check (length(name) between 1 and 200),
    channel text not null check (channel in ('sms', 'email', 'user')),
    address text not null check (length(address) between 1 and 254),
    primary key (user_id, rank)
);

-- A login on one device, and the chain of refresh tokens that descends from it. Only hashes of
-- tokens are kept; a used one stays until it would have expired, so that its second use is noticed.
create table auth_session (
    id           uuid primary key,
    user_id      uuid not null references app_user on delete cascade,
    device       text not null default '' check (length(device) <= 1000),
    ip           inet,
    created_at   timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    expires_at   timestamptz not null,
    revoked_at   timestamptz
);
create index auth_session_user_id_idx on auth_session (user_id) where revoked_at is null;
create index auth_session_expires_at_idx on auth_session (expires_at);

create table auth_refresh (
    hash       bytea primary key check (octet_length(hash) = 32),
    session_id uuid not null references auth_session on delete cascade,
    expires_at timestamptz not null,
    used_at    timestamptz
);
create index auth_refresh_session_id_idx on auth_refresh (session_id);
create index auth_refresh_expires_at_idx on auth_refresh (expires_at);

create table api_key (
    id          uuid primary key,
    name        text not null check (length(name) between 1 and 200),
    secret_hash bytea not null unique check (octet_length(secret_hash) = 32),
    scopes      text[] not null check (cardinality(scopes) > 0 and scopes <@ array['mess:checkins', 'mail:inbound']),
    created_at  timestamptz not null default now(),
    expires_at  timestamptz,
    revoked_at  timestamptz
);
