-- +goose Up

create table mess_hall (
    id                   uuid primary key,
    name                 text not null check (length(name) between 1 and 200),
    capacity             integer not null check (capacity between 1 and 100000),
    service_rate_per_min double precision not null check (service_rate_per_min > 0 and service_rate_per_min <= 10000),
    dwell_min            integer not null check (dwell_min between 1 and 1440),
    tz                   text not null check (length(tz) between 1 and 60),
    is_default           boolean not null default false,
    version              bigint  not null default 1 check (version > 0)
);
create unique index mess_hall_name_key on mess_hall (lower(name));
create unique index mess_hall_is_default_key on mess_hall (is_default) where is_default;

create table mess_menu (
    id         uuid primary key,
    hall_id    uuid not null references mess_hall,
    serve_date date not null check (serve_date between '2000-01-01' and '2200-01-01'),
    meal       text not null check (meal in ('BREAKFAST', 'LUNCH', 'SNACKS', 'DINNER')),
    opens_at   timestamptz not null,
    closes_at  timestamptz not null,
    version    bigint not null default 1 check (version > 0),
    unique (hall_id, serve_date, meal),
    constraint mess_menu_closes_at_check check (closes_at > opens_at)
);

-- Dishes are known by their name, whatever its case. Amounts are per serving; null is unknown. The
-- upper bounds also keep out NaN and Infinity, which are above every number here.
create table dish (
    id        uuid primary key,
    name      text not null check (length(name) between 1 and 200),
    diet      text not null check (diet in ('VEGAN', 'VEG', 'EGG', 'NONVEG')),
    serving_g double precision check (serving_g between 0 and 10000),
    kcal      double precision check (kcal between 0 and 20000),
    protein_g double precision check (protein_g between 0 and 5000),
    carbs_g   double precision check (carbs_g between 0 and 5000),
    fat_g     double precision check (fat_g between 0 and 5000),
    sodium_mg double precision check (sodium_mg between 0 and 100000)
);
create unique index dish_name_key on dish (lower(name));

create table dish_allergen (
    dish_id  uuid not null references dish on delete cascade,
    allergen text not null check (length(allergen) between 1 and 60),
    primary key (dish_id, allergen)
);

create table mess_menu_item (
    menu_id  uuid not null references mess_menu on delete cascade,
    dish_id  uuid not null references dish,
    station  text not null default '' check (length(station) <= 100),
    position smallint not null check (position >= 0),
    primary key (menu_id, dish_id)
);
create index mess_menu_item_dish_id_idx on mess_menu_item (dish_id);

create table mess_rating (
    menu_id    uuid not null references mess_menu on delete cascade,
    user_id    uuid not null references app_user on delete cascade,
    stars      smallint not null check (stars between 1 and 5),
    comment    text not null default '' check (length(comment) <= 2000),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (menu_id, user_id)
);
create index mess_rating_user_id_idx on mess_rating (user_id);

-- What gates and sensors reported. (source, source_event_id) identifies a report on the whole
-- campus; seq is the order in which the hall's grain took them.
create table crowd_event (
    source          text not null check (length(source) between 1 and 200),
    source_event_id text not null check (length(source_event_id) between 1 and 200),
    hall_id         uuid not null references mess_hall,
    seq             bigint not null check (seq > 0),
    at              timestamptz not null,
    delta           integer check (delta between -100000 and 100000),
    absolute        integer check (absolute between 0 and 1000000),
    primary key (source, source_event_id),
    constraint crowd_event_kind_check check (num_nonnulls(delta, absolute) = 1)
);
create unique index crowd_event_hall_id_seq_key on crowd_event (hall_id, seq);

-- People inside at the end of each minute.
create table crowd_sample (
    hall_id   uuid not null references mess_hall,
    minute    timestamptz not null check (extract(epoch from minute) % 60 = 0),
    occupancy integer not null check (occupancy >= 0),
    source    text not null check (length(source) <= 200),
    primary key (hall_id, minute)
);
