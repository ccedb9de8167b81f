-- name: IncidentView :one
select * from sos_view where id = @id;

-- name: IncidentViews :many
select * from sos_view where id = any(@ids::uuid[]);

-- name: IncidentIDs :many
-- Also those that only their events speak of.
select i.id from (
    select s.id from sos_incident s union select e.incident_id from sos_event e
) i
where sqlc.narg('after')::uuid is null or i.id > sqlc.narg('after')::uuid
order by i.id
limit @most;

-- name: ListIncidents :many
-- The newest first, as one person may see them: whatever became of an alarm that they cancelled under duress, to them it is cancelled,
-- and one that was under duress from its first moment they do not see at all.
select * from sos_view i
where (sqlc.narg('before')::uuid is null or i.id < sqlc.narg('before')::uuid)
  and (@everything::boolean or i.user_id = @viewer::uuid
       or exists (select from sos_responder r where r.incident_id = i.id and r.user_id = @viewer::uuid))
  and (@state::text = ''
       or @state::text = 'open' and i.closed_at is null and not (i.duress and i.user_id = @viewer::uuid)
       or @state::text = case when i.duress and i.user_id = @viewer::uuid then 'CANCELLED' else i.state end)
  and not (i.duress and i.user_id = @viewer::uuid and exists (
      select from sos_event e where e.incident_id = i.id and e.kind = 'DURESS' and e.at = i.raised_at))
order by i.id desc
limit @max_rows;

-- name: Deliveries :many
select stream, event_seq, kind, committed_at, sent_at, delivered_at, acknowledged_at from safety_delivery
where incident_id = @incident_id
order by event_seq, stream;

-- name: SeenEvents :many
-- The events of incidents, each as far as one person may see it: to whoever cancelled their alarm under duress it ends there.
select e.* from sos_event e join sos_incident i on i.id = e.incident_id
where e.incident_id = any(@ids::uuid[])
  and (not i.duress or i.user_id <> @viewer::uuid
       or e.seq <= (select d.seq from sos_event d where d.incident_id = i.id and d.kind = 'DURESS'))
order by e.incident_id, e.seq;

-- name: LastFixes :many
-- Where people were last, in each of some incidents, as far as it was kept by a time.
select l.* from (select unnest(@ids::uuid[]) as id, unnest(@uptos::timestamptz[]) as upto) w
cross join lateral (
    select * from sos_location x where x.incident_id = w.id and x.stored_at <= w.upto order by x.client_seq desc limit 1
) l;

-- name: Fixes :many
-- The next positions that were kept by a time, in order.
select * from sos_location
where incident_id = @incident_id and client_seq > @after and stored_at <= @upto
order by client_seq
limit @max_rows;

-- name: SafetyMetrics :many
-- How long help took in a period, drills left out. What one person cancelled under duress is, for them, cancelled and no more. Samples are:
-- deliver, from the commit to the acknowledgement by the first client of each person who was paged; acknowledge, of each alarm but those that were
-- taken back while they counted down, to the first human, whatever has become of that one; arrive, to the first on the scene. What has not happened
-- counts against the goal once its time is over, but not when the alarm was ended before by nobody but its raiser.
with own as (
    select e.incident_id, e.seq, e.at from sos_incident i join sos_event e on e.incident_id = i.id
    where i.user_id = @viewer::uuid and i.duress and e.kind = 'DURESS'
), alarm as (
    select i.id, i.raised_at, coalesce(o.at, i.closed_at, clock_timestamp()) as until, coalesce(o.seq, i.last_seq + 1) as end_seq,
           case when o.seq is null then i.on_scene_at end as on_scene_at
    from sos_incident i left join own o on o.incident_id = i.id
    where i.raised_at >= @from_at and i.raised_at < @to_at and not i.drill and o.at is distinct from i.raised_at
), raised as (
    select a.id, a.raised_at, a.until,
           (select min(e.at) from sos_event e
            where e.incident_id = a.id and e.seq < a.end_seq and e.kind in ('ACKNOWLEDGED', 'EN_ROUTE', 'ON_SCENE')) as answered_at
    from alarm a
    where exists (select from sos_event e where e.incident_id = a.id and e.seq < a.end_seq and e.kind = 'RAISED')
), sample as (
    select 'deliver' as what, d.committed_at as began, d.delivered_at as ended, clock_timestamp() as until, @deliver_goal::double precision as goal
    from alarm a join safety_delivery d on d.incident_id = a.id and d.event_seq < a.end_seq and d.kind = 'ALERT'
    union all
    select 'acknowledge', r.raised_at, r.answered_at, r.until, @acknowledge_goal::double precision from raised r
    union all
    select 'arrive', a.raised_at, a.on_scene_at, a.on_scene_at, 0 from alarm a where a.on_scene_at is not null
), timed as (
    select s.what, s.goal, extract(epoch from s.ended - s.began)::double precision as took, extract(epoch from s.until - s.began)::double precision as age
    from sample s
)
select t.what, count(*) as alarms, count(t.took) as samples,
       coalesce(percentile_cont(array[0.5, 0.9, 0.99]) within group (order by t.took), '{}')::double precision[] as percentiles,
       count(*) filter (where t.took <= t.goal) as within_goal,
       count(*) filter (where t.took is not null or t.age > t.goal) as counted
from timed t
group by t.what;
