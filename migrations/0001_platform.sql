-- +goose Up

-- Fences and snapshots of the grains. One row per grain that was ever active: claiming raises the
-- epoch, saving raises the version, and every write of a grain locks and checks its row.
create table grain_snapshot (
    kind     text   not null check (length(kind) between 1 and 60),
    identity text   not null check (length(identity) between 1 and 200),
    epoch    bigint not null check (epoch > 0),
    version  bigint not null default 0 check (version >= 0),
    payload  bytea,
    saved_at timestamptz,
    primary key (kind, identity)
) with (fillfactor = 70); -- room for updates in place: no index column ever changes

-- Answers of mutations by idempotency key. caller is the user, the key of a device, or the nil UUID
-- for strangers. The response is empty only inside the transaction that makes the change.
create table idempotency (
    caller       uuid  not null,
    key          text  not null check (octet_length(key) between 1 and 200),
    request_hash bytea not null,
    response     json,
    created_at   timestamptz not null default now(),
    primary key (caller, key)
);
create index idempotency_created_at_idx on idempotency (created_at);

-- The audit log: a chain of hashes without gaps. audit_head is its end, and the row that writers
-- queue up at. What may have to be forgotten one day is in audit_detail, which the chain commits to
-- by a salted hash: deleting a detail leaves the chain whole.
create table audit_head (
    one  boolean primary key default true check (one),
    seq  bigint not null check (seq >= 0),
    hash bytea  not null check (octet_length(hash) = 32)
);
insert into audit_head (seq, hash) values (0, decode(repeat('00', 32), 'hex'));

create table audit_log (
    seq           bigint primary key check (seq > 0),
    at            timestamptz not null,
    actor         text  not null,
    action        text  not null,
    entity        text  not null,
    entity_id     text  not null,
    request_id    text  not null,
    detail_commit bytea not null check (octet_length(detail_commit) = 32),
    prev_hash     bytea not null check (octet_length(prev_hash) = 32),
    hash          bytea not null unique check (octet_length(hash) = 32)
);
create index audit_log_actor_idx on audit_log (actor, seq);
create index audit_log_action_idx on audit_log (action, seq);
create index audit_log_entity_idx on audit_log (entity, entity_id, seq);
create index audit_log_at_idx on audit_log (at);

-- json and not jsonb: the chain commits to the text as it was written.
create table audit_detail (
    seq    bigint primary key references audit_log,
    salt   bytea not null check (octet_length(salt) = 32),
    ip     inet,
    before json,
    after  json
);

-- Entries are never changed nor removed, details are removed at most. Triggers hold the program to
-- that. The owner of the tables could drop them: where it matters, migrate as the owner and run the
-- server as a second role that has only insert and select on audit_log, insert, select and
-- delete on audit_detail, and select and update on audit_head. A role of that kind cannot rewrite
-- history even if the program is taken over; without it, a rewritten tail is found only by
-- comparing with a hash that was noted elsewhere.
-- +goose StatementBegin
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception '% on % is refused: the audit log is append-only', tg_op, tg_table_name
        using errcode = 'insufficient_privilege';
end $$;
-- +goose StatementEnd
create trigger audit_log_append_only before update or delete on audit_log
    for each row execute function audit_is_append_only();
create trigger audit_log_no_truncate before truncate on audit_log
    for each statement execute function audit_is_append_only();
create trigger audit_detail_no_update before update on audit_detail
    for each row execute function audit_is_append_only();
create trigger audit_detail_no_truncate before truncate on audit_detail
    for each statement execute function audit_is_append_only();
create trigger audit_head_stays before delete on audit_head
    for each row execute function audit_is_append_only();
create trigger audit_head_no_truncate before truncate on audit_head
    for each statement execute function audit_is_append_only();

-- How long what is kept. What has no rule is kept for ever.
create table retention_rule (
    entity text primary key check (length(entity) between 1 and 60),
    keep   interval not null check (keep > interval '0'),
    action text not null check (action in ('delete', 'anonymise'))
);
