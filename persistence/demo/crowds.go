package demo

import "context"

// crowds gives each hall that nobody has counted yet six weeks of a life: people come for meals, fewer at weekends, and no day is like another. Without it
// there would be nothing to forecast from.
func (s seeder) crowds(ctx context.Context) (int64, error) {
	return s.insert(ctx, `
insert into crowd_sample (hall_id, minute, occupancy, source)
select h.id, t.at, greatest(0, round(h.capacity * meals.share * week.share * day.share + 6 * (noise.a - 0.5)))::integer, 'demo'
from mess_hall h
cross join lateral (select date_bin('15 minutes', $1::timestamptz, '2000-01-01 00:00:00+00') - n * interval '15 minutes' as at from generate_series(1, 6 * 7 * 96) n) t
cross join lateral (select t.at at time zone h.tz as clock) c
cross join lateral (select extract(hour from c.clock) + extract(minute from c.clock) / 60.0 as hour) k
cross join lateral (select 0.55 * exp(-((k.hour - 8.5) ^ 2) / 0.7) + 0.85 * exp(-((k.hour - 13) ^ 2) / 0.8) + 0.3 * exp(-((k.hour - 17.25) ^ 2) / 0.4)
                         + 0.8 * exp(-((k.hour - 20.25) ^ 2) / 0.9) as share) meals
cross join lateral (select case when extract(isodow from c.clock) > 5 then 0.6 else 1 end as share) week
cross join lateral (select 0.85 + 0.3 * (get_byte(decode(md5(h.id::text || c.clock::date::text), 'hex'), 0) / 255.0) as share) day
cross join lateral (select get_byte(decode(md5(h.id::text || t.at::text), 'hex'), 0) / 255.0 as a) noise
where not exists (select from crowd_sample x where x.hall_id = h.id)
on conflict do nothing`, s.now)
}
