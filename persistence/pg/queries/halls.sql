-- name: Halls :many
select * from mess_hall order by lower(name);

-- name: Hall :one
select * from mess_hall where id = @id;

-- name: LockHall :one
select * from mess_hall where id = @id for no key update;

-- name: InsertHall :one
insert into mess_hall (id, name, capacity, service_rate_per_min, dwell_min, tz, is_default)
values (@id, @name, @capacity, @service_rate_per_min, @dwell_min, @tz, @is_default)
returning *;

-- name: UpdateHall :one
update mess_hall
set name = @name, capacity = @capacity, service_rate_per_min = @service_rate_per_min, dwell_min = @dwell_min,
    tz = @tz, version = version + 1
where id = @id
returning *;

-- name: RecordEvents :one
-- In one round trip: locks and checks the fence, keeps what was not kept before, and says whether the
-- fence held and which seqs are new. Equal positions of the arrays belong together.
with fence as (
    select epoch from grain_snapshot
    where kind = @kind and identity = @identity and epoch = @epoch
    for update
), recorded as (
    insert into crowd_event (source, source_event_id, hall_id, seq, at, delta, absolute)
    select e.source, e.event_id, @hall_id, e.seq, e.at,
           case when e.counted then null else e.amount end,
           case when e.counted then e.amount end
    from fence, (select unnest(@sources::text[]) as source, unnest(@event_ids::text[]) as event_id,
                        unnest(@seqs::bigint[]) as seq, unnest(@ats::timestamptz[]) as at,
                        unnest(@counted::boolean[]) as counted, unnest(@amounts::integer[]) as amount) e
    on conflict (source, source_event_id) do nothing
    returning seq
)
select exists (select from fence)::boolean as held,
       array(select seq from recorded order by seq)::bigint[] as seqs;

-- name: EventsSince :many
select source, source_event_id, seq, at, delta, absolute from crowd_event
where hall_id = @hall_id and seq > @after_seq
order by seq;

-- name: SaveHall :one
-- The snapshot and the minute samples together. A minute may occur once in the arrays.
with saved as (
    update grain_snapshot
    set version = @version, payload = @payload, saved_at = now()
    where kind = @kind and identity = @identity and epoch = @epoch and version < @version
    returning 1
), sampled as (
    insert into crowd_sample (hall_id, minute, occupancy, source)
    select @hall_id, s.minute, s.occupancy, s.source
    from saved, (select unnest(@minutes::timestamptz[]) as minute, unnest(@occupancies::integer[]) as occupancy,
                        unnest(@sources::text[]) as source) s
    on conflict (hall_id, minute) do update set occupancy = excluded.occupancy, source = excluded.source
)
select exists (select from saved)::boolean as saved;

-- name: History :many
select date_bin(make_interval(secs => @step_seconds::double precision), minute, @from_at::timestamptz)::timestamptz as at,
       avg(occupancy)::double precision as occupancy, max(occupancy)::integer as max
from crowd_sample
where hall_id = @hall_id and minute >= @from_at::timestamptz and minute < @to_at::timestamptz
group by 1
order by 1;
