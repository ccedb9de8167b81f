-- name: Menus :many
select id, hall_id, to_char(serve_date, 'YYYY-MM-DD')::text as serve_date, meal, opens_at, closes_at, version
from mess_menu
where hall_id = @hall_id and serve_date between (@from_day::text)::date and (@to_day::text)::date
order by mess_menu.serve_date, array_position(array['BREAKFAST', 'LUNCH', 'SNACKS', 'DINNER'], meal);

-- name: MenuItems :many
select i.menu_id, i.station, sqlc.embed(d),
       array(select a.allergen from dish_allergen a where a.dish_id = d.id order by a.allergen)::text[] as allergens
from mess_menu_item i join dish d on d.id = i.dish_id
where i.menu_id = any(@menus::uuid[])
order by i.menu_id, i.position;

-- name: PutMenu :one
-- Makes the menu or moves its version; its row stays locked until the transaction ends.
insert into mess_menu (id, hall_id, serve_date, meal, opens_at, closes_at)
values (@id, @hall_id, (@serve_date::text)::date, @meal, @opens_at, @closes_at)
on conflict (hall_id, serve_date, meal) do update
set opens_at = excluded.opens_at, closes_at = excluded.closes_at, version = mess_menu.version + 1
returning id, version;

-- name: ClearMenu :exec
delete from mess_menu_item where menu_id = @menu_id;

-- name: FillMenu :exec
insert into mess_menu_item (menu_id, dish_id, station, position)
select @menu_id, e.dish_id, e.station, e.position
from (select unnest(@dishes::uuid[]) as dish_id, unnest(@stations::text[]) as station,
             unnest(@positions::smallint[]) as position) e;

-- name: DishByName :one
select id, diet from dish where lower(name) = lower(@name::text);

-- name: PutDish :one
-- Adds the dish, or updates the one of this name where a field is given.
insert into dish (id, name, diet, serving_g, kcal, protein_g, carbs_g, fat_g, sodium_mg)
values (@id, @name, @diet, sqlc.narg('serving_g'), sqlc.narg('kcal'), sqlc.narg('protein_g'), sqlc.narg('carbs_g'),
        sqlc.narg('fat_g'), sqlc.narg('sodium_mg'))
on conflict (lower(name)) do update
set diet      = excluded.diet,
    serving_g = coalesce(excluded.serving_g, dish.serving_g),
    kcal      = coalesce(excluded.kcal, dish.kcal),
    protein_g = coalesce(excluded.protein_g, dish.protein_g),
    carbs_g   = coalesce(excluded.carbs_g, dish.carbs_g),
    fat_g     = coalesce(excluded.fat_g, dish.fat_g),
    sodium_mg = coalesce(excluded.sodium_mg, dish.sodium_mg)
returning id;

-- name: ClearAllergens :exec
delete from dish_allergen where dish_id = @dish_id;

-- name: FillAllergens :exec
insert into dish_allergen (dish_id, allergen)
select @dish_id, unnest(@allergens::text[])
on conflict do nothing;

-- name: Dishes :many
-- strpos knows no wildcards, so nothing in the query needs escaping.
select sqlc.embed(dish),
       array(select a.allergen from dish_allergen a where a.dish_id = dish.id order by a.allergen)::text[] as allergens
from dish
where (@query::text = '' or strpos(lower(name), lower(@query::text)) > 0)
  and (@after::text = '' or lower(name) > lower(@after::text))
order by lower(name)
limit @max_rows;

-- name: MenuOpen :one
select (opens_at <= now())::boolean as open from mess_menu where id = @id;

-- name: PutRating :one
insert into mess_rating (menu_id, user_id, stars, comment)
values (@menu_id, @user_id, @stars, @comment)
on conflict (menu_id, user_id) do update
set stars = excluded.stars, comment = excluded.comment, updated_at = now()
returning menu_id, stars, comment, updated_at;

-- name: RatingSummary :one
-- No row for an unknown menu.
select count(r.stars) as count, coalesce(avg(r.stars), 0)::double precision as average,
       count(*) filter (where r.stars = 1) as one, count(*) filter (where r.stars = 2) as two,
       count(*) filter (where r.stars = 3) as three, count(*) filter (where r.stars = 4) as four,
       count(*) filter (where r.stars = 5) as five
from mess_menu m left join mess_rating r on r.menu_id = m.id
where m.id = @menu_id
group by m.id;
