-- name: Standings :many
-- How far each device has come, and whether that is known: of a stream without a line it always is. One that is new begins below the first line that still matters: of an open incident, unless it is the
-- reader's own that they cancelled under duress, or of a mass alert that has not run out.
select r.stream::uuid as stream, r.device::uuid as device, coalesce(s.last_seq, 0)::bigint as last,
       (c.seq is not null or s.last_seq is null)::boolean as known,
       coalesce(c.seq, (
           select min(l.seq) - 1 from (
               select d.seq from sos_incident i join safety_delivery d on d.incident_id = i.id
               where i.closed_at is null and d.stream = r.stream and not (i.duress and i.user_id = r.stream)
               union all
               select d.seq from cap_alert a join safety_delivery d on d.alert = a.identifier
               where a.expires > clock_timestamp() and d.stream = r.stream
           ) l
       ), s.last_seq, 0)::bigint as cursor
from (select unnest(@streams::uuid[]) as stream, unnest(@devices::uuid[]) as device) r
left join safety_stream s on s.stream = r.stream
left join safety_cursor c on c.stream = r.stream and c.device = r.device;

-- name: StreamLines :many
-- The next lines of each stream, at most so many of each.
select d.stream, d.seq, d.kind, d.masked, d.committed_at, d.incident_id, d.event_seq, d.alert,
       e.at as event_at, e.actor, e.kind as event_kind, e.data, e.prev_hash, e.hash
from (select unnest(@streams::uuid[]) as stream, unnest(@afters::bigint[]) as after) r
cross join lateral (
    select * from safety_delivery l where l.stream = r.stream and l.seq > r.after order by l.seq limit @most
) d
left join sos_event e on e.incident_id = d.incident_id and e.seq = d.event_seq
order by d.stream, d.seq;

-- name: Alerts :many
select * from cap_alert where identifier = any(@identifiers::text[]);

-- name: StreamHeads :many
select stream, last_seq from safety_stream where stream = any(@streams::uuid[]);

-- name: MarkLines :exec
-- When lines were first sent and first acknowledged; the year 1 is no news. They are locked in order, so that two nodes cannot wait for each other.
with mark as (
    select m.stream, m.seq, min(nullif(m.sent, '0001-01-01 00:00:00+00')) as sent, min(nullif(m.got, '0001-01-01 00:00:00+00')) as got
    from (select unnest(@streams::uuid[]) as stream, unnest(@seqs::bigint[]) as seq,
                 unnest(@sents::timestamptz[]) as sent, unnest(@gots::timestamptz[]) as got) m
    group by m.stream, m.seq
), locked as (
    select d.stream, d.seq from safety_delivery d join mark m on m.stream = d.stream and m.seq = d.seq
    where d.sent_at is null and m.sent is not null or d.delivered_at is null and m.got is not null
    order by d.stream, d.seq
    for no key update of d
)
update safety_delivery d
set sent_at = coalesce(d.sent_at, m.sent), delivered_at = coalesce(d.delivered_at, m.got)
from locked l join mark m on m.stream = l.stream and m.seq = l.seq
where d.stream = l.stream and d.seq = l.seq;

-- name: RaiseCursors :exec
-- A cursor only ever rises, and never above the stream's end.
insert into safety_cursor (stream, device, seq, at)
select s.stream, c.device, greatest(least(max(c.seq), max(s.last_seq)), 0), clock_timestamp()
from (select unnest(@streams::uuid[]) as stream, unnest(@devices::uuid[]) as device, unnest(@seqs::bigint[]) as seq) c
join safety_stream s on s.stream = c.stream
group by s.stream, c.device
order by s.stream, c.device
on conflict (stream, device) do update set seq = excluded.seq, at = excluded.at where excluded.seq > safety_cursor.seq;

-- name: PurgeCursors :execrows
-- Those of logins that are no more, or of single connections, which have ids of their own. Rows that another node is at are left to it.
delete from safety_cursor where ctid = any(array(
    select c.ctid from safety_cursor c
    where c.at < now() - interval '1 day' and not exists (select from auth_session s where s.id = c.device)
    limit @most for update skip locked
));
