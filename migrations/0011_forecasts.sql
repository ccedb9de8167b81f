-- +goose Up

-- What is expected of each hall, as it was made last.
create table crowd_forecast (
    hall_id uuid primary key references mess_hall on delete cascade,
    model   text not null check (length(model) between 1 and 60),
    points  json not null, -- [{t, p10, p50, p90}]
    made_at timestamptz not null
);

-- How far off each model was in the weeks before a day, by a back-test.
create table forecast_score (
    hall_id     uuid not null references mess_hall on delete cascade,
    day         date not null,
    model       text not null check (length(model) between 1 and 60),
    horizon_min integer not null check (horizon_min > 0),
    n           integer not null check (n >= 0),
    mae         double precision not null,
    mase        double precision not null,
    pinball     double precision not null,
    cover80     double precision not null,
    chosen      boolean not null,
    primary key (hall_id, day, model, horizon_min)
);
