-- +goose Up

-- How good a model's scores of an evaluation set were, beside the local method's of the same.
create table sentiment_trial (
    model     text primary key check (length(model) between 1 and 100),
    n         integer not null check (n > 0),
    r         double precision not null,
    mae       double precision not null,
    local_r   double precision not null,
    local_mae double precision not null,
    made_at   timestamptz not null
);

-- The model that was asked last how a comment is meant, whatever came of it.
alter table comment_sentiment add column asked text not null default '' check (length(asked) <= 100);

create or replace view comment_about as
select 'hall'::text as kind, h.id::text as key, h.name::text as name, m.serve_date, s.menu_id, s.user_id, s.score, s.words, s.weights, s.engine
from comment_sentiment s join mess_menu m on m.id = s.menu_id join mess_hall h on h.id = m.hall_id
union all
select 'day', to_char(m.serve_date, 'YYYY-MM-DD'), to_char(m.serve_date, 'YYYY-MM-DD'), m.serve_date, s.menu_id, s.user_id, s.score, s.words, s.weights, s.engine
from comment_sentiment s join mess_menu m on m.id = s.menu_id
union all
select 'dish', d.id::text, d.name, m.serve_date, s.menu_id, s.user_id, s.score, s.words, s.weights, s.engine
from comment_sentiment s join mess_menu m on m.id = s.menu_id join mess_rating r on r.menu_id = s.menu_id and r.user_id = s.user_id
join mess_menu_item i on i.menu_id = m.id join dish d on d.id = i.dish_id and position(lower(d.name) in lower(r.comment)) > 0;
