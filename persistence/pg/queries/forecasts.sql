-- name: PutForecast :exec
-- An older one does not replace a newer.
insert into crowd_forecast (hall_id, model, points, made_at) values (@hall_id, @model, @points, @made_at)
on conflict (hall_id) do update set model = excluded.model, points = excluded.points, made_at = excluded.made_at
where crowd_forecast.made_at < excluded.made_at;

-- name: Forecast :one
select f.hall_id, f.model, f.points, f.made_at from crowd_forecast f where f.hall_id = @hall_id;

-- name: PutForecastScores :exec
insert into forecast_score (hall_id, day, model, horizon_min, n, mae, mase, pinball, cover80, chosen)
select @hall_id, (@day::text)::date, s.model, s.horizon_min, s.n, s.mae, s.mase, s.pinball, s.cover80, s.chosen
from (select unnest(@models::text[]) as model, unnest(@horizons::integer[]) as horizon_min, unnest(@ns::integer[]) as n, unnest(@maes::double precision[]) as mae,
             unnest(@mases::double precision[]) as mase, unnest(@pinballs::double precision[]) as pinball, unnest(@cover80s::double precision[]) as cover80,
             unnest(@chosens::boolean[]) as chosen) s
on conflict (hall_id, day, model, horizon_min) do update
set n = excluded.n, mae = excluded.mae, mase = excluded.mase, pinball = excluded.pinball, cover80 = excluded.cover80, chosen = excluded.chosen;

-- name: ForecastScores :many
-- Those of the latest days, the newest first.
select to_char(s.day, 'YYYY-MM-DD')::text as day, s.model, s.horizon_min, s.n, s.mae, s.mase, s.pinball, s.cover80, s.chosen
from forecast_score s where s.hall_id = @hall_id
order by s.day desc, s.horizon_min, s.model limit @max_rows;

-- name: SlotMeans :many
-- Means over quarters of an hour; those without a sample are left out.
select date_bin(interval '15 minutes', minute, '2000-01-01 00:00:00+00')::timestamptz as at, avg(occupancy)::double precision as people
from crowd_sample
where hall_id = @hall_id and minute >= @from_at::timestamptz and minute < @to_at::timestamptz
group by 1 order by 1;

-- name: PurgeForecastScores :execrows
delete from forecast_score where day < (now() - interval '400 days')::date;

-- name: CampusCalendar :many
select to_char(day, 'YYYY-MM-DD')::text as day, kind, name from campus_calendar
where day >= (@from_day::text)::date and day <= (@to_day::text)::date order by day limit @max_rows;

-- name: PutSpecialDay :exec
insert into special_day (day, kind, name) values ((@day::text)::date, @kind, @name)
on conflict (day) do update set kind = excluded.kind, name = excluded.name;

-- name: SpecialDay :one
select to_char(day, 'YYYY-MM-DD')::text as day, kind, name from special_day where day = (@day::text)::date for update;

-- name: DeleteSpecialDay :exec
delete from special_day where day = (@day::text)::date;

-- name: PutForecastTrials :exec
insert into forecast_trial (hall_id, model, horizon_min, at, p10, p50, p90)
select @hall_id, t.model, t.horizon_min, t.at, t.p10, t.p50, t.p90
from (select unnest(@models::text[]) as model, unnest(@horizons::integer[]) as horizon_min, unnest(@ats::timestamptz[]) as at,
             unnest(@p10s::double precision[]) as p10, unnest(@p50s::double precision[]) as p50, unnest(@p90s::double precision[]) as p90) t
on conflict do nothing;

-- name: ForecastTrials :many
select model, horizon_min, at, p10, p50, p90 from forecast_trial
where hall_id = @hall_id and at >= @from_at::timestamptz and at < @to_at::timestamptz order by at, model, horizon_min;

-- name: PurgeForecastTrials :execrows
delete from forecast_trial where at < now() - interval '60 days';

-- name: PutForecastAdvice :exec
insert into forecast_advice (hall_id, model, factors, made_at) values (@hall_id, @model, @factors, @made_at)
on conflict (hall_id) do update set model = excluded.model, factors = excluded.factors, made_at = excluded.made_at
where forecast_advice.made_at < excluded.made_at;

-- name: ForecastAdvice :one
select model, factors, made_at from forecast_advice where hall_id = @hall_id;
