-- name: BumpOutbox :many
-- Takes the next number of each stream, in an order that all writers keep.
insert into outbox_stream (stream, user_id, last_seq)
select @channel::text || '/' || u.id, u.id, 1
from (select distinct unnest(@users::uuid[]) as id order by 1) u
on conflict (stream) do update set last_seq = outbox_stream.last_seq + 1
returning stream, last_seq;

-- name: AddOutboxLines :exec
insert into outbox_line (stream, seq, event, payload)
select l.stream, l.seq, @event::text, @payload::json
from (select unnest(@streams::text[]) as stream, unnest(@seqs::bigint[]) as seq) l;

-- name: LockOutbox :exec
-- Whoever else would write to the stream waits.
insert into outbox_stream (stream, user_id) values (@channel::text || '/' || @user_id::uuid, @user_id)
on conflict (stream) do update set last_seq = outbox_stream.last_seq;

-- name: NoticeTold :one
select exists (select from notification where user_id = @user_id and dedupe_key = @dedupe_key::text);

-- name: AddNotice :exec
insert into notification (id, user_id, seq, kind, priority, title, body, data, dedupe_key, created_at)
values (@id, @user_id, @seq, @kind, @priority, @title, @body, @data, nullif(@dedupe_key::text, ''), @created_at);

-- name: Notices :many
-- What a person was told after a seq, in order.
select * from notification
where user_id = @user_id and seq > @after and (not @unread::boolean or read_at is null)
order by seq limit @max_rows;

-- name: ReadNotice :one
update notification set read_at = coalesce(read_at, now()) where user_id = @user_id and id = @id returning *;

-- name: ReadNotices :execrows
update notification set read_at = now() where user_id = @user_id and seq <= @upto and read_at is null;
