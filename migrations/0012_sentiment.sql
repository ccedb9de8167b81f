-- +goose Up

-- How the comment of a rating is meant. words made it so, by so much each.
create table comment_sentiment (
    menu_id   uuid not null,
    user_id   uuid not null,
    score     double precision not null check (score between -1 and 1),
    engine    text not null check (length(engine) between 1 and 100),
    words     text[] not null,
    weights   double precision[] not null check (cardinality(weights) = cardinality(words)),
    scored_at timestamptz not null default now(),
    primary key (menu_id, user_id),
    foreign key (menu_id, user_id) references mess_rating on delete cascade
);

-- What each comment is about: the hall and the day, and the dishes that it names.
create view comment_about as
select 'hall'::text as kind, h.id::text as key, h.name::text as name, m.serve_date, s.menu_id, s.user_id, s.score, s.words, s.weights
from comment_sentiment s join mess_menu m on m.id = s.menu_id join mess_hall h on h.id = m.hall_id
union all
select 'day', to_char(m.serve_date, 'YYYY-MM-DD'), to_char(m.serve_date, 'YYYY-MM-DD'), m.serve_date, s.menu_id, s.user_id, s.score, s.words, s.weights
from comment_sentiment s join mess_menu m on m.id = s.menu_id
union all
select 'dish', d.id::text, d.name, m.serve_date, s.menu_id, s.user_id, s.score, s.words, s.weights
from comment_sentiment s join mess_menu m on m.id = s.menu_id join mess_rating r on r.menu_id = s.menu_id and r.user_id = s.user_id
join mess_menu_item i on i.menu_id = m.id join dish d on d.id = i.dish_id and position(lower(d.name) in lower(r.comment)) > 0;
