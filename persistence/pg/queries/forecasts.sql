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
