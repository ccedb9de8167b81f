-- +goose Up

-- Both are trusted: who owns the database may create them.
create extension if not exists pg_trgm;
create extension if not exists btree_gin;

-- What somebody sells.
create table listing (
    id          uuid primary key, -- they grow with time, and lists go by them
    seller_id   uuid not null references app_user on delete cascade,
    title       text not null check (length(title) between 1 and 120),
    description text not null default '' check (length(description) <= 4000),
    category    text not null check (length(category) between 1 and 40),
    condition   text not null check (condition in ('NEW', 'LIKE_NEW', 'GOOD', 'FAIR', 'POOR')),
    price_minor bigint not null check (price_minor between 0 and 1000000000000),
    currency    text not null check (currency ~ '^[A-Z]{3}$'),
    status      text not null default 'AVAILABLE' check (status in ('AVAILABLE', 'RESERVED', 'SOLD', 'WITHDRAWN', 'REMOVED')),
    reason      text not null default '' check (length(reason) <= 1000), -- why it was removed
    search      tsvector not null generated always as (to_tsvector('english', title || ' ' || description)) stored,
    version     bigint not null default 1 check (version > 0),
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null
);
-- A frequent word and a filter that hardly ever meet are met in the index. No search pays for what was written before it.
create index listing_search_idx on listing using gin (search, lower(category), condition, status) with (fastupdate = off);
create index listing_status_idx on listing (status, id);
create index listing_category_idx on listing (lower(category), status, id);
create index listing_price_idx on listing (status, price_minor);
create index listing_seller_id_idx on listing (seller_id, id);
create index listing_expires_at_idx on listing (expires_at) where status = 'AVAILABLE';

-- Words of titles: a word that no listing has is looked for among them, which are few, and not among all listings.
create table listing_word (word text collate "C" primary key check (length(word) between 3 and 40));
create index listing_word_trgm_idx on listing_word using gin (word gin_trgm_ops);

-- Pictures, re-encoded and small. One that no listing shows within a day is dropped.
create table listing_image (
    url        text primary key check (length(url) between 1 and 200),
    owner_id   uuid not null references app_user on delete cascade,
    listing_id uuid references listing on delete cascade,
    position   smallint not null default 0 check (position between 0 and 7),
    jpeg       bytea not null check (length(jpeg) between 1 and 1048576),
    created_at timestamptz not null default now()
);
create index listing_image_listing_id_idx on listing_image (listing_id, position);
create index listing_image_loose_idx on listing_image (owner_id, created_at) where listing_id is null;

-- A listing as others see it.
create view listing_view as
select l.id, l.seller_id, p.full_name as seller_name, p.avatar_url as seller_avatar, l.title, l.description, l.category, l.condition, l.price_minor, l.currency,
       l.status, l.reason, l.version, l.created_at, l.expires_at,
       array(select i.url from listing_image i where i.listing_id = l.id order by i.position)::text[] as images
from listing l join profile p on p.user_id = l.seller_id;

create table offer (
    id           uuid primary key,
    listing_id   uuid not null references listing on delete cascade,
    buyer_id     uuid not null references app_user on delete cascade,
    amount_minor bigint not null check (amount_minor between 0 and 1000000000000),
    status       text not null default 'OPEN' check (status in ('OPEN', 'ACCEPTED', 'DECLINED', 'WITHDRAWN', 'EXPIRED')),
    created_at   timestamptz not null default now()
);
-- Whatever the program believes, nothing is promised to two people.
create unique index offer_accepted_key on offer (listing_id) where status = 'ACCEPTED';
create unique index offer_open_key on offer (listing_id, buyer_id) where status = 'OPEN';
create index offer_listing_id_idx on offer (listing_id, id);
create index offer_buyer_id_idx on offer (buyer_id, id);

create view offer_view as
select o.id, o.listing_id, o.buyer_id, p.full_name as buyer_name, p.avatar_url as buyer_avatar, o.amount_minor, o.status, o.created_at,
       l.seller_id, l.title, l.currency, l.status as listing_status, l.version as listing_version
from offer o join listing l on l.id = o.listing_id join profile p on p.user_id = o.buyer_id;

-- What somebody lost or found.
create table lost_item (
    id          uuid primary key,
    reporter_id uuid not null references app_user on delete cascade,
    kind        text not null check (kind in ('LOST', 'FOUND')),
    title       text not null check (length(title) between 1 and 120),
    description text not null default '' check (length(description) <= 4000),
    place       text not null default '' check (length(place) <= 200),
    seen_at     timestamptz,
    secret      text not null default '' check (length(secret) <= 200), -- what only the owner of a found thing can know; the reporter alone sees it
    status      text not null default 'OPEN' check (status in ('OPEN', 'CLAIMED', 'RETURNED', 'CLOSED')),
    claimed_by  uuid references app_user on delete set null,
    created_at  timestamptz not null default now(),
    check ((kind = 'FOUND') = (secret <> ''))
);
create index lost_item_kind_idx on lost_item (kind, status, id);
create index lost_item_reporter_id_idx on lost_item (reporter_id, created_at);
create index lost_item_title_idx on lost_item using gin (title gin_trgm_ops);

create view lost_item_view as
select i.id, i.reporter_id, p.full_name as reporter_name, p.avatar_url as reporter_avatar, i.kind, i.title, i.description, i.place, i.seen_at, i.secret, i.status,
       i.claimed_by, i.created_at
from lost_item i join profile p on p.user_id = i.reporter_id;

-- How often somebody has tried to claim a thing. What they said is not kept.
create table lost_claim (
    item_id  uuid not null references lost_item on delete cascade,
    user_id  uuid not null references app_user on delete cascade,
    tries    smallint not null check (tries between 1 and 3),
    tried_at timestamptz not null default now(),
    primary key (item_id, user_id)
);

create table content_report (
    id          uuid primary key,
    reporter_id uuid not null references app_user on delete cascade,
    entity      text not null check (entity in ('listing', 'lost-found')),
    entity_id   uuid not null,
    reason      text not null check (length(reason) between 1 and 1000),
    created_at  timestamptz not null default now(),
    resolved_by uuid references app_user on delete set null,
    resolution  text not null default '' check (length(resolution) <= 1000),
    resolved_at timestamptz,
    unique (reporter_id, entity, entity_id)
);
create index content_report_entity_idx on content_report (entity, entity_id) where resolved_at is null;
create index content_report_resolved_idx on content_report ((resolved_at is not null), id);
