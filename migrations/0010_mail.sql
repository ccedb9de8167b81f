-- +goose Up

-- A mail that came, once for however many people it came to.
create table mail_letter (
    id          uuid primary key,
    key         bytea not null unique check (octet_length(key) = 32), -- by which a second delivery is known
    message_id  text not null default '' check (length(message_id) <= 1000),
    from_addr   text not null check (length(from_addr) <= 320),
    from_name   text not null default '' check (length(from_name) <= 320),
    subject     text not null default '' check (length(subject) <= 1000),
    body        text not null check (octet_length(body) <= 262144),
    sent_at     timestamptz, -- by its own word; null: it says nothing
    received_at timestamptz not null default now()
);

-- What somebody received.
create table mail (
    id          uuid primary key, -- they grow with time, and lists go by them
    letter_id   uuid not null references mail_letter,
    user_id     uuid not null references app_user on delete cascade,
    tz          text not null, -- the reader's zone when it came
    received_at timestamptz not null default now(),
    unique (user_id, letter_id)
);
create index mail_user_id_idx on mail (user_id, id desc);
create index mail_letter_id_idx on mail (letter_id, tz);

-- What a letter comes to for readers in a zone, by whose clock things are due. There is one, whoever made it.
create table mail_summary (
    letter_id  uuid not null references mail_letter on delete cascade,
    tz         text not null,
    summary    text not null check (length(summary) between 1 and 1000),
    category   text not null check (category in ('academic', 'admin', 'event', 'placement', 'hostel', 'safety', 'other')),
    urgent     boolean not null,
    suspicious boolean not null,
    engine     text not null check (length(engine) between 1 and 100), -- 'local', or a model's name
    tokens     integer not null default 0 check (tokens >= 0), -- that making it took
    made_at    timestamptz not null default now(),
    primary key (letter_id, tz)
);

create table mail_action (
    letter_id uuid not null,
    tz        text not null,
    n         smallint not null check (n >= 1),
    text      text not null check (length(text) between 1 and 500),
    due_at    timestamptz,
    evidence  text not null check (length(evidence) between 1 and 1000),
    primary key (letter_id, tz, n),
    foreign key (letter_id, tz) references mail_summary on delete cascade
);

-- What somebody has done of what a mail asks for.
create table mail_done (
    mail_id uuid not null references mail on delete cascade,
    n       smallint not null check (n >= 1),
    done_at timestamptz not null default now(),
    primary key (mail_id, n)
);
