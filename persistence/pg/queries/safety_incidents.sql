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

-- name: CountRaised :one
-- Incidents raised in a period, without drills and without those that were taken back while they counted down.
select count(*) from sos_incident i
where i.raised_at >= @from_at and i.raised_at < @to_at and not i.drill
  and exists (select from sos_event e where e.incident_id = i.id and e.kind = 'RAISED');

-- name: DeliverLatency :one
-- From the commit to the acknowledgement by the first client of each person who was paged. What has not arrived counts against the goal
-- once its time is over.
with sample as (
    select extract(epoch from d.delivered_at - d.committed_at)::double precision as took,
           extract(epoch from clock_timestamp() - d.committed_at)::double precision as age
    from sos_incident i join safety_delivery d on d.incident_id = i.id
    where i.raised_at >= @from_at and i.raised_at < @to_at and not i.drill and d.kind = 'ALERT'
)
select count(took) as samples,
       coalesce(percentile_cont(array[0.5, 0.9, 0.99]) within group (order by took), '{}')::double precision[] as percentiles,
       count(*) filter (where took <= @goal::double precision) as within_goal,
       count(*) filter (where took is not null or age > @goal::double precision) as counted
from sample;

-- name: AcknowledgeLatency :one
-- From the alarm to the first human, whatever has become of that one. An alarm that was ended before its time was over by nobody
-- but its raiser counts for nothing.
with alarm as (
    select i.raised_at, coalesce(i.closed_at, clock_timestamp()) as until,
           (select min(e.at) from sos_event e where e.incident_id = i.id and e.kind in ('ACKNOWLEDGED', 'EN_ROUTE', 'ON_SCENE')) as answered_at
    from sos_incident i
    where i.raised_at >= @from_at and i.raised_at < @to_at and not i.drill
      and exists (select from sos_event e where e.incident_id = i.id and e.kind = 'RAISED')
), sample as (
    select extract(epoch from answered_at - raised_at)::double precision as took,
           extract(epoch from until - raised_at)::double precision as age
    from alarm
)
select count(took) as samples,
       coalesce(percentile_cont(array[0.5, 0.9, 0.99]) within group (order by took), '{}')::double precision[] as percentiles,
       count(*) filter (where took <= @goal::double precision) as within_goal,
       count(*) filter (where took is not null or age > @goal::double precision) as counted
from sample;

-- name: ArriveLatency :one
-- From the alarm to the first on the scene.
with sample as (
    select extract(epoch from i.on_scene_at - i.raised_at)::double precision as took
    from sos_incident i
    where i.raised_at >= @from_at and i.raised_at < @to_at and not i.drill and i.on_scene_at is not null
)
select count(took) as samples,
       coalesce(percentile_cont(array[0.5, 0.9, 0.99]) within group (order by took), '{}')::double precision[] as percentiles
from sample;
