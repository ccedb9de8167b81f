-- name: LockPresses :exec
-- Presses of one person queue up here until their transactions end.
select pg_advisory_xact_lock(hashtextextended('nexus.sos ' || @user_id::text, 0));

-- name: FindPress :one
-- What a press with this key was answered with, if there was one.
select incident_id, seq from sos_press where user_id = @user_id and client_key = @client_key;

-- name: OpenIncidentOf :one
-- The incident that a press of this person joins. One that was cancelled under duress is none, for they think it over.
select id from sos_incident where user_id = @user_id and drill = @drill and closed_at is null and not duress;

-- name: InsertIncident :one
-- The place of a new incident, and the time by which it is decided; the write that follows fills it in.
insert into sos_incident (id, user_id, category, silent, drill, duress, state, raised_at, cancel_until, next_at, head_hash)
values (@id, @user_id, @category, @silent, @drill, @duress, 'ARMED', clock_timestamp(), clock_timestamp(), clock_timestamp(), @head_hash)
returning clock_timestamp()::timestamptz as at;

-- name: LockIncident :one
-- The incident, locked until the transaction ends, and the time after the lock was had. Read its events afterwards: what this
-- statement saw may be older than the lock.
with locked as materialized (
    select * from sos_incident i where i.id = @id for update
)
select l.user_id, l.head_hash, v.location, clock_timestamp()::timestamptz as at from locked l join sos_view v on v.id = l.id;

-- name: IncidentHead :one
select user_id, location, clock_timestamp()::timestamptz as at from sos_view where id = @id;

-- name: SOSEvents :many
select * from sos_event where incident_id = @incident_id order by seq;

-- name: DefaultPolicy :one
select * from escalation_policy where is_default;

-- name: Roster :many
-- Who may be paged now: active accounts with one of the roles, on a shift, or named.
with candidate as (
    select user_id from user_role where role = any(@roles::text[])
    union select user_id from duty_shift where starts_at <= now() and ends_at > now()
    union select unnest(@named::uuid[])
)
select u.id, array(select r.role from user_role r where r.user_id = u.id)::text[] as roles,
       exists (select from duty_shift s where s.user_id = u.id and s.starts_at <= now() and s.ends_at > now())::boolean as on_duty
from candidate c join app_user u on u.id = c.user_id
where u.status = 'active'
order by u.id;

-- name: AdvanceStreams :many
-- Takes the next numbers of streams under their locks, in order of id, so that two transactions cannot wait for each other.
insert into safety_stream (stream, last_seq)
select s.stream, s.lines
from (select unnest(@streams::uuid[]) as stream, unnest(@lines::bigint[]) as lines) s
order by s.stream
on conflict (stream) do update set last_seq = safety_stream.last_seq + excluded.last_seq
returning stream, last_seq;

-- name: AppendEvents :exec
-- Events, what they amount to and whom they go to in one round trip; foreign keys are checked at the end of the statement.
with event as (
    insert into sos_event (incident_id, seq, at, actor, kind, data, prev_hash, hash)
    select @id, e.seq, e.at, nullif(e.actor, '')::uuid, e.kind, e.data::json, e.prev_hash, e.hash
    from (select unnest(@seqs::bigint[]) as seq, unnest(@ats::timestamptz[]) as at, unnest(@actors::text[]) as actor,
                 unnest(@kinds::text[]) as kind, unnest(@datas::text[]) as data,
                 unnest(@prev_hashes::bytea[]) as prev_hash, unnest(@hashes::bytea[]) as hash) e
), responder as (
    insert into sos_responder (incident_id, user_id, state, since)
    select @id, r.user_id, r.state, r.since
    from (select unnest(@responders::uuid[]) as user_id, unnest(@responder_states::text[]) as state,
                 unnest(@responder_sinces::timestamptz[]) as since) r
    on conflict (incident_id, user_id) do update set state = excluded.state, since = excluded.since
), delivery as (
    insert into safety_delivery (stream, seq, kind, incident_id, event_seq, masked, committed_at)
    select d.stream, d.seq, d.kind, @id, d.event_seq, d.masked, d.at
    from (select unnest(@streams::uuid[]) as stream, unnest(@stream_seqs::bigint[]) as seq, unnest(@delivery_kinds::text[]) as kind,
                 unnest(@event_seqs::bigint[]) as event_seq, unnest(@masked::boolean[]) as masked,
                 unnest(@delivery_ats::timestamptz[]) as at) d
)
update sos_incident i
set category = @category, silent = @silent, drill = @drill, duress = @duress, state = @state, raised_at = @raised_at,
    cancel_until = @cancel_until, acked_at = sqlc.narg('acked_at'), on_scene_at = sqlc.narg('on_scene_at'),
    closed_at = sqlc.narg('closed_at'), next_at = sqlc.narg('next_at'), last_seq = @last_seq, head_hash = @head_hash
where i.id = @id;

-- name: KeepPress :exec
insert into sos_press (user_id, client_key, incident_id, seq) values (@user_id, @client_key, @incident_id, @seq);

-- name: KeepPressPosition :exec
-- Where the person pressed; where they pressed again counts.
insert into sos_location (incident_id, client_seq, at, lat, lng, accuracy)
values (@incident_id, 0, @at, @lat, @lng, sqlc.narg('accuracy'))
on conflict (incident_id, client_seq) do update
set at = excluded.at, lat = excluded.lat, lng = excluded.lng, accuracy = excluded.accuracy, stored_at = now();

-- name: KeepFixes :exec
insert into sos_location (incident_id, client_seq, at, lat, lng, accuracy, battery)
select @incident_id, f.client_seq, f.at, f.lat, f.lng, nullif(f.accuracy, -1), nullif(f.battery, -1)
from (select unnest(@client_seqs::bigint[]) as client_seq, unnest(@ats::timestamptz[]) as at,
             unnest(@lats::double precision[]) as lat, unnest(@lngs::double precision[]) as lng,
             unnest(@accuracies::double precision[]) as accuracy, unnest(@batteries::integer[]) as battery) f
on conflict do nothing;

-- name: ThinFixes :exec
-- Forgets every second position of the older half, once there are more than so many; where the person pressed is none of them.
with ranked as (
    select l.client_seq, row_number() over (order by l.client_seq) as n, count(*) over () as total
    from sos_location l
    where l.incident_id = @incident_id and l.client_seq > 0
      and (select count(*) from sos_location c where c.incident_id = @incident_id) > @most::bigint
)
delete from sos_location l using ranked r
where l.incident_id = @incident_id and l.client_seq = r.client_seq and r.n <= r.total / 2 and r.n % 2 = 0;

-- name: FindMessage :one
select seq from sos_message where incident_id = @incident_id and sender = @sender and client_msg_id = @client_msg_id;

-- name: KeepMessage :exec
insert into sos_message (incident_id, sender, client_msg_id, seq) values (@incident_id, @sender, @client_msg_id, @seq);

-- name: AcknowledgeDeliveries :exec
-- Whoever acts on an incident has seen what was sent to them of it before.
with seen as (
    select d.stream, d.seq from safety_delivery d
    where d.stream = @stream and d.incident_id = @incident_id and d.event_seq < @before_seq and d.acknowledged_at is null
    order by d.stream, d.seq
    for no key update
)
update safety_delivery d set acknowledged_at = @at::timestamptz
from seen where d.stream = seen.stream and d.seq = seen.seq;

-- name: AddPages :exec
-- One page for each way to reach those who are paged: the accounts, and, where the policy says so, the emergency contacts of the
-- person in need. The campus's own webhook hears the first page of an incident.
with account as (
    select u.id, u.email from app_user u
    where u.status = 'active' and (u.id = any(@users::uuid[]) or @contacts::boolean and u.id::text in (
        select c.address from emergency_contact c where c.user_id = @raiser and c.channel = 'user'))
)
insert into safety_page (id, incident_id, event_seq, channel, address, user_id, next_at)
select gen_random_uuid(), @incident_id, @event_seq, p.channel, p.address, p.user_id, @at::timestamptz
from (
    select 'email' as channel, a.email as address, a.id as user_id from account a
    union all
    select 'push', s.endpoint, s.user_id from push_subscription s join account a on a.id = s.user_id
    union all
    select c.channel, c.address, null from emergency_contact c
    where @contacts::boolean and c.user_id = @raiser and c.channel in ('sms', 'email')
    union all
    select 'webhook', 'campus', null
    where not exists (select from safety_page w where w.incident_id = @incident_id and w.channel = 'webhook')
) p
on conflict do nothing;

-- name: OpenIncidents :many
select id from sos_incident where closed_at is null order by id;

-- name: OverdueIncidents :many
select id from sos_incident
where closed_at is null and next_at < clock_timestamp() - make_interval(secs => @late_seconds::double precision)
order by next_at
limit @most;

-- name: Savepoint :exec
savepoint rehearsal;

-- name: ReleaseSavepoint :exec
release savepoint rehearsal;

-- name: RollbackToSavepoint :exec
rollback to savepoint rehearsal;
