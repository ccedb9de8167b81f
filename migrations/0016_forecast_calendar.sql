-- +goose Up

-- Days unlike others, but for the holidays of terms.
create table special_day (
    day  date primary key,
    kind text not null check (kind in ('HOLIDAY', 'EVENT')),
    name text not null check (length(name) between 1 and 200)
);

-- All days unlike others. What somebody says of a day counts more than that it is a term's holiday.
create view campus_calendar as
select s.day, s.kind, s.name from special_day s
union all
select h.day, 'HOLIDAY' as kind, min(h.name) as name from term_holiday h
where not exists (select from special_day s where s.day = h.day)
group by h.day;

-- What models said about slots to come, so that those which ask others for advice can be compared with those which do not: over the same slots, and
-- before anybody knew.
create table forecast_trial (
    hall_id     uuid not null references mess_hall on delete cascade,
    model       text not null check (length(model) between 1 and 200),
    horizon_min integer not null check (horizon_min > 0),
    at          timestamptz not null,
    p10         double precision not null,
    p50         double precision not null,
    p90         double precision not null,
    primary key (hall_id, at, model, horizon_min)
);

-- The last advice on each hall: factors by hour.
create table forecast_advice (
    hall_id uuid primary key references mess_hall on delete cascade,
    model   text not null check (length(model) between 1 and 200),
    factors json not null, -- {hour: factor}
    made_at timestamptz not null
);

alter table crowd_forecast drop constraint crowd_forecast_model_check, add check (length(model) between 1 and 200);
alter table forecast_score drop constraint forecast_score_model_check, add check (length(model) between 1 and 200);
