-- name: BumpOutbox :many
-- Takes as many of the next numbers of each stream as its user is named times, in an order that all writers keep, and returns the last of each.
insert into outbox_stream (stream, user_id, last_seq)
select @channel::text || '/' || u.id, u.id, u.n
from (select r.id, count(*) as n from (select unnest(@users::uuid[]) as id) r group by r.id order by r.id) u
on conflict (stream) do update set last_seq = outbox_stream.last_seq + excluded.last_seq
returning stream, user_id, last_seq;

-- name: AddOutboxLines :exec
insert into outbox_line (stream, seq, event, payload)
select l.stream, l.seq, @event::text, l.payload::json
from (select unnest(@streams::text[]) as stream, unnest(@seqs::bigint[]) as seq, unnest(@payloads::text[]) as payload) l;

-- name: LockOutbox :exec
-- Whoever else would write to the streams waits.
insert into outbox_stream (stream, user_id)
select @channel::text || '/' || u.id, u.id
from (select distinct r.id from (select unnest(@users::uuid[]) as id) r order by r.id) u
on conflict (stream) do update set last_seq = outbox_stream.last_seq;

-- name: NoticesTold :many
-- Which of the people have been told before, and what.
select n.user_id, n.dedupe_key::text as dedupe_key
from (select unnest(@users::uuid[]) as user_id, unnest(@dedupe_keys::text[]) as dedupe_key) r
join notification n on n.user_id = r.user_id and n.dedupe_key = r.dedupe_key;

-- name: AddNotices :exec
insert into notification (id, user_id, seq, kind, priority, title, body, data, dedupe_key, created_at)
select n.id, n.user_id, n.seq, n.kind, n.priority, n.title, n.body, n.data::json, nullif(n.dedupe_key, ''), @created_at
from (select unnest(@ids::uuid[]) as id, unnest(@users::uuid[]) as user_id, unnest(@seqs::bigint[]) as seq, unnest(@kinds::text[]) as kind,
             unnest(@priorities::text[]) as priority, unnest(@titles::text[]) as title, unnest(@bodies::text[]) as body, unnest(@data::text[]) as data,
             unnest(@dedupe_keys::text[]) as dedupe_key) n;

-- name: Notices :many
-- What a person was told after a seq, in order.
select * from notification
where user_id = @user_id and seq > @after and (not @unread::boolean or read_at is null)
order by seq limit @max_rows;

-- name: ReadNotice :one
update notification set read_at = coalesce(read_at, now()) where user_id = @user_id and id = @id returning *;

-- name: ReadNotices :execrows
update notification set read_at = now() where user_id = @user_id and seq <= @upto and read_at is null;

-- name: OutboxStandings :many
-- How far each device has come, and whether that is known: of a stream without a line it always is. One that is new begins at the end.
select r.stream::text as stream, r.device::uuid as device, coalesce(s.last_seq, 0)::bigint as last,
       (c.seq is not null or s.last_seq is null)::boolean as known, coalesce(c.seq, s.last_seq, 0)::bigint as cursor
from (select unnest(@streams::text[]) as stream, unnest(@devices::uuid[]) as device) r
left join outbox_stream s on s.stream = r.stream
left join outbox_cursor c on c.stream = r.stream and c.device = r.device;

-- name: OutboxLines :many
-- The next lines of each stream, at most so many of each.
select l.stream, l.seq, l.event, l.payload, l.committed_at
from (select unnest(@streams::text[]) as stream, unnest(@afters::bigint[]) as after) r
cross join lateral (select * from outbox_line o where o.stream = r.stream and o.seq > r.after order by o.seq limit @most) l
order by l.stream, l.seq;

-- name: OutboxHeads :many
select stream, last_seq from outbox_stream where stream = any(@streams::text[]);

-- name: MarkOutboxLines :exec
-- When lines were first sent and first acknowledged; the year 1 is no news. They are locked in order, so that two nodes cannot wait for each other.
with mark as (
    select m.stream, m.seq, min(nullif(m.sent, '0001-01-01 00:00:00+00')) as sent, min(nullif(m.got, '0001-01-01 00:00:00+00')) as got
    from (select unnest(@streams::text[]) as stream, unnest(@seqs::bigint[]) as seq,
                 unnest(@sents::timestamptz[]) as sent, unnest(@gots::timestamptz[]) as got) m
    group by m.stream, m.seq
), locked as (
    select d.stream, d.seq from outbox_line d join mark m on m.stream = d.stream and m.seq = d.seq
    where d.sent_at is null and m.sent is not null or d.delivered_at is null and m.got is not null
    order by d.stream, d.seq
    for no key update of d
)
update outbox_line d
set sent_at = coalesce(d.sent_at, m.sent), delivered_at = coalesce(d.delivered_at, m.got)
from locked l join mark m on m.stream = l.stream and m.seq = l.seq
where d.stream = l.stream and d.seq = l.seq;

-- name: RaiseOutboxCursors :exec
-- A cursor only ever rises, and never above the stream's end.
insert into outbox_cursor (stream, device, seq, at)
select s.stream, c.device, greatest(least(max(c.seq), max(s.last_seq)), 0), clock_timestamp()
from (select unnest(@streams::text[]) as stream, unnest(@devices::uuid[]) as device, unnest(@seqs::bigint[]) as seq) c
join outbox_stream s on s.stream = c.stream
group by s.stream, c.device
order by s.stream, c.device
on conflict (stream, device) do update set seq = excluded.seq, at = excluded.at where excluded.seq > outbox_cursor.seq;

-- name: PurgeOutboxCursors :execrows
-- Those of logins that are no more. Rows that another node is at are left to it.
delete from outbox_cursor where ctid = any(array(
    select c.ctid from outbox_cursor c
    where c.at < now() - interval '1 day' and not exists (select from auth_session s where s.id = c.device)
    limit @most for update skip locked
));

-- name: PurgeOutboxLines :execrows
-- What was said a month ago: whoever was away for longer finds what still holds over REST.
delete from outbox_line where ctid = any(array(
    select l.ctid from outbox_line l where l.committed_at < now() - interval '30 days' limit @most for update skip locked
));
