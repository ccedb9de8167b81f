-- name: PlanAnew :exec
-- The best way to look for something depends on what it is: until the transaction ends, no plan is made for all there may be, and none is compiled, which
-- takes longer than the search.
select set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true);

-- name: SearchWords :many
-- The lexemes by which each of the words is found: its own, and those of the three that look most like it if it begins none of the titles' words. Words
-- that say nothing have none.
select w.word::text as word, unnest(ts_lexize('english_stem', w.word))::text as lexeme
from (select unnest(@words::text[]) as word) w
union
select w.word::text, unnest(ts_lexize('english_stem', n.word))::text
from (select unnest(@words::text[]) as word) w
cross join lateral (select v.word from listing_word v where v.word % w.word order by similarity(v.word, w.word) desc, v.word limit 3) n
where not exists (select from listing_word v where v.word >= w.word and v.word < w.word || chr(1114111)); -- no character is behind that

-- name: Listings :many
-- The newest first. Empty filters let all pass; what is withdrawn or removed its seller and moderators see.
select * from listing_view v
where v.id = any(array(
    select l.id from listing l
    where l.id < @before::uuid
      and (@query::text = '' or l.search @@ to_tsquery('simple', @query::text))
      and (@status::text = '' or l.status = @status::text)
      and (@category::text = '' or lower(l.category) = lower(@category::text))
      and (@condition::text = '' or l.condition = @condition::text)
      and (@seller::text = '' or l.seller_id = nullif(@seller::text, '')::uuid)
      and l.price_minor >= @min_price and l.price_minor <= @max_price
      and (l.status in ('AVAILABLE', 'RESERVED', 'SOLD') or l.seller_id = @viewer or @moderator::boolean)
    order by l.id desc limit @max_rows))
order by v.id desc;

-- name: Listing :one
select * from listing_view where id = @id;

-- name: LockListing :one
select id from listing where id = @id for no key update;

-- name: InsertListing :exec
insert into listing (id, seller_id, title, description, category, condition, price_minor, currency, expires_at)
values (@id, @seller_id, @title, @description, @category, @condition, @price_minor, @currency, @expires_at);

-- name: UpdateListing :exec
update listing
set title = @title, description = @description, category = @category, condition = @condition, price_minor = @price_minor, currency = @currency,
    status = @status, reason = @reason, expires_at = @expires_at, version = version + 1
where id = @id;

-- name: LearnWords :exec
-- In an order that all writers keep.
insert into listing_word (word)
select w.word from (select unnest(tsvector_to_array(to_tsvector('simple', @title::text))) as word) w
where length(w.word) between 3 and 40 order by w.word
on conflict do nothing;

-- name: KeepImage :execrows
-- Unless its owner has as many already that no listing shows.
insert into listing_image (url, owner_id, jpeg)
select @url, @owner_id, @jpeg
where (select count(*) from listing_image i where i.owner_id = @owner_id and i.listing_id is null) < @most::integer;

-- name: ListingImage :one
-- What was removed is not shown any more.
select i.jpeg from listing_image i left join listing l on l.id = i.listing_id where i.url = @url and l.status is distinct from 'REMOVED';

-- name: ShowImages :execrows
-- Has a listing show pictures of its seller's, in order.
update listing_image i set listing_id = @listing_id::uuid, position = (u.n - 1)::smallint
from unnest(@urls::text[]) with ordinality as u (url, n)
where i.url = u.url and i.owner_id = @owner_id and (i.listing_id is null or i.listing_id = @listing_id::uuid);

-- name: DropImages :exec
delete from listing_image where listing_id = @listing_id::uuid and not url = any(@urls::text[]);

-- name: PurgeImages :execrows
delete from listing_image where url = any(array(
    select i.url from listing_image i where i.listing_id is null and i.created_at < now() - interval '1 day' limit @most for update skip locked
));

-- name: ExpiredListings :many
-- Locked; those that somebody is at are left to the next round.
select id from listing where status = 'AVAILABLE' and expires_at <= @now order by expires_at limit @most for no key update skip locked;

-- name: InsertOffer :exec
insert into offer (id, listing_id, buyer_id, amount_minor) values (@id, @listing_id, @buyer_id, @amount_minor);

-- name: Offer :one
select * from offer_view where id = @id;

-- name: OffersOn :many
-- A listing's offers, the newest first; of one buyer alone if one is named.
select * from offer_view
where listing_id = @listing_id and id < @before::uuid and (@buyer::text = '' or buyer_id = nullif(@buyer::text, '')::uuid)
order by id desc limit @max_rows;

-- name: OffersBy :many
select * from offer_view where buyer_id = @buyer_id and id < @before::uuid order by id desc limit @max_rows;

-- name: MoveOffer :exec
update offer set status = @status where id = @id;

-- name: CloseOffers :many
-- Ends what is open of a listing's offers, and what is accepted if that is asked for. Their buyers are returned.
update offer set status = @status
where listing_id = @listing_id and (offer.status = 'OPEN' or @accepted::boolean and offer.status = 'ACCEPTED')
returning buyer_id;

-- name: AcceptedBuyer :one
select buyer_id from offer where listing_id = @listing_id and status = 'ACCEPTED';
