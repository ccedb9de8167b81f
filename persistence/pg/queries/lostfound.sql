-- name: LostItems :many
-- The newest first. Empty filters let all pass.
select * from lost_item_view
where id < @before::uuid
  and (@kind::text = '' or kind = @kind::text)
  and (@status::text = '' or status = @status::text)
  and (@query::text = '' or @query::text <% title)
order by id desc limit @max_rows;

-- name: LostItem :one
select * from lost_item_view where id = @id;

-- name: LockLostItem :one
select id from lost_item where id = @id for no key update;

-- name: InsertLostItem :exec
insert into lost_item (id, reporter_id, kind, title, description, place, seen_at, secret)
values (@id, @reporter_id, @kind, @title, @description, @place, sqlc.narg('seen_at'), @secret);

-- name: MoveLostItem :exec
update lost_item set status = @status, claimed_by = sqlc.narg('claimed_by') where id = @id;

-- name: DeleteLostItem :exec
delete from lost_item where id = @id;

-- name: LostItemsSince :one
select count(*) from lost_item where reporter_id = @reporter_id and created_at > @since;

-- name: LostItemsAlike :many
-- The open things of the other kind whose titles look most like one, of other people.
select v.* from lost_item_view v
where v.kind = @kind and v.status = 'OPEN' and v.title % @title::text and v.reporter_id <> @reporter_id
order by similarity(v.title, @title::text) desc, v.id desc limit @max_rows;

-- name: CountClaim :one
-- One more try of somebody's; no row when they have had all.
insert into lost_claim (item_id, user_id, tries) values (@item_id, @user_id, 1)
on conflict (item_id, user_id) do update set tries = lost_claim.tries + 1, tried_at = now() where lost_claim.tries < @most::smallint
returning tries;

-- name: InsertReport :one
insert into content_report (id, reporter_id, entity, entity_id, reason) values (@id, @reporter_id, @entity, @entity_id, @reason)
returning *;

-- name: Reports :many
-- The newest first.
select * from content_report
where id < @before::uuid and (resolved_at is not null) = @resolved::boolean
order by id desc limit @max_rows;

-- name: LockReport :one
select * from content_report where id = @id for no key update;

-- name: ResolveReports :exec
-- All that is open about a thing is answered at once.
update content_report set resolved_by = @resolved_by, resolution = @resolution, resolved_at = now()
where entity = @entity and entity_id = @entity_id and resolved_at is null;
