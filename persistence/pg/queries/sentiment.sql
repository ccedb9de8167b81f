-- name: UnscoredComments :many
-- Comments of which nobody has said how they are meant.
select r.menu_id, r.user_id, r.comment from mess_rating r
where r.comment <> '' and not exists (select from comment_sentiment s where s.menu_id = r.menu_id and s.user_id = r.user_id)
order by r.menu_id, r.user_id limit @max_rows for update of r skip locked;

-- name: PutSentiment :exec
insert into comment_sentiment (menu_id, user_id, score, engine, words, weights) values (@menu_id, @user_id, @score, @engine, @words::text[], @weights::double precision[])
on conflict (menu_id, user_id) do update
set score = excluded.score, engine = excluded.engine, words = excluded.words, weights = excluded.weights, asked = '', scored_at = now();

-- name: DropSentiment :exec
delete from comment_sentiment where menu_id = @menu_id and user_id = @user_id;

-- name: Sentiments :many
-- By hall, by dish or by day: how many comments there are, and how they are meant.
select a.key::text as key, a.name::text as name, count(*)::integer as comments, avg(a.score)::double precision as mean,
       count(*) filter (where a.score > 0.05)::integer as positive, count(*) filter (where a.score < -0.05)::integer as negative
from comment_about a
where a.kind = @kind and a.serve_date between (@from_day::text)::date and (@to_day::text)::date
group by a.key, a.name order by a.name, a.key limit @max_rows;

-- name: SentimentDrivers :many
-- The words that told most, of each group.
select t.key::text as key, t.word::text as word, t.comments::integer as comments, t.weight::double precision as weight
from (select w.key, w.word, count(*) as comments, sum(w.weight) as weight, row_number() over (partition by w.key order by abs(sum(w.weight)) desc, w.word) as place
      from (select a.key, unnest(a.words) as word, unnest(a.weights) as weight from comment_about a
            where a.kind = @kind and a.serve_date between (@from_day::text)::date and (@to_day::text)::date) w
      group by w.key, w.word) t
where t.place <= 8 order by t.key, t.place;

-- name: SentimentEngines :many
-- By which methods the comments of each group were scored.
select a.key::text as key, a.engine::text as engine, count(*)::integer as comments
from comment_about a
where a.kind = @kind and a.serve_date between (@from_day::text)::date and (@to_day::text)::date
group by a.key, a.engine order by a.key, a.engine;

-- name: CommentsToAsk :many
-- The newest comments that a model was not asked about.
select s.menu_id, s.user_id, r.comment, s.scored_at
from comment_sentiment s join mess_rating r on r.menu_id = s.menu_id and r.user_id = s.user_id
where s.asked <> @model and s.scored_at > now() - interval '30 days'
order by s.scored_at desc, s.menu_id, s.user_id limit @max_rows;

-- name: RescoreComments :execrows
-- A comment that was changed meanwhile keeps the score of what it says now.
update comment_sentiment s
set asked = @model::text, score = coalesce(n.score, s.score), engine = case when n.score is null then s.engine else @model::text end
from (select unnest(@menus::uuid[]) as menu_id, unnest(@users::uuid[]) as user_id, unnest(@scored_ats::timestamptz[]) as scored_at,
             nullif(unnest(@scores::double precision[]), 'NaN') as score) n
where s.menu_id = n.menu_id and s.user_id = n.user_id and s.scored_at = n.scored_at;

-- name: SentimentTrial :one
select * from sentiment_trial where model = @model;

-- name: PutSentimentTrial :exec
insert into sentiment_trial (model, n, r, mae, local_r, local_mae, made_at) values (@model, @n, @r, @mae, @local_r, @local_mae, @made_at)
on conflict (model) do update
set n = excluded.n, r = excluded.r, mae = excluded.mae, local_r = excluded.local_r, local_mae = excluded.local_mae, made_at = excluded.made_at;
