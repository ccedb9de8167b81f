-- name: UnscoredComments :many
-- Comments of which nobody has said how they are meant.
select r.menu_id, r.user_id, r.comment from mess_rating r
where r.comment <> '' and not exists (select from comment_sentiment s where s.menu_id = r.menu_id and s.user_id = r.user_id)
order by r.menu_id, r.user_id limit @max_rows for update of r skip locked;

-- name: PutSentiment :exec
insert into comment_sentiment (menu_id, user_id, score, engine, words, weights) values (@menu_id, @user_id, @score, @engine, @words::text[], @weights::double precision[])
on conflict (menu_id, user_id) do update
set score = excluded.score, engine = excluded.engine, words = excluded.words, weights = excluded.weights, scored_at = now();

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
