-- +goose Up

-- Who is paged when nobody answers. The steps are JSON, checked by the program: an incident carries a copy of its policy
-- in its first event, so that nothing refers into a step.
create table escalation_policy (
    id            uuid primary key,
    name          text not null unique check (length(name) between 1 and 100),
    is_default    boolean not null default false,
    steps         json not null,
    every_seconds integer not null check (every_seconds between 5 and 3600),
    move_seconds  integer not null check (move_seconds between 30 and 86400),
    version       bigint not null default 1 check (version > 0)
);
create unique index escalation_policy_default_idx on escalation_policy (is_default) where is_default;

create table duty_shift (
    id        uuid primary key,
    user_id   uuid not null references app_user on delete cascade,
    starts_at timestamptz not null,
    ends_at   timestamptz not null check (ends_at > starts_at)
);
create index duty_shift_ends_at_idx on duty_shift (ends_at);
create index duty_shift_user_id_idx on duty_shift (user_id);

-- The two numbers that end an alarm: one of them only seems to. Both are argon2id.
create table safety_pin (
    user_id     uuid primary key references app_user on delete cascade,
    pin_hash    text not null,
    duress_hash text not null,
    changed_at  timestamptz not null default now()
);

-- An SOS as it stands: what its events, folded, amount to. last_seq and head_hash are the end of its chain. Every open
-- incident has a time at which something happens by itself; that is the promise that none is forgotten.
create table sos_incident (
    id           uuid primary key,
    user_id      uuid not null references app_user,
    category     text not null check (length(category) between 1 and 60),
    silent       boolean not null,
    drill        boolean not null,
    duress       boolean not null default false,
    state        text not null check (state in
        ('ARMED', 'RAISED', 'ACKNOWLEDGED', 'EN_ROUTE', 'ON_SCENE', 'RESOLVED', 'CANCELLED', 'FALSE_ALARM')),
    raised_at    timestamptz not null,
    cancel_until timestamptz not null,
    acked_at     timestamptz,
    on_scene_at  timestamptz,
    closed_at    timestamptz,
    next_at      timestamptz,
    last_seq     bigint not null default 0 check (last_seq >= 0),
    head_hash    bytea  not null check (octet_length(head_hash) = 32),
    constraint sos_incident_closed_check check ((state in ('RESOLVED', 'CANCELLED', 'FALSE_ALARM')) = (closed_at is not null)),
    constraint sos_incident_next_check   check ((next_at is null) = (closed_at is not null))
);
-- One open incident for each person, and one drill. One that was cancelled under duress goes on unseen, so that the next
-- press must be answered as if there were none.
create unique index sos_incident_one_open_idx on sos_incident (user_id, drill) where closed_at is null and not duress;
create index sos_incident_next_at_idx on sos_incident (next_at) where closed_at is null;
create index sos_incident_user_id_idx on sos_incident (user_id, raised_at);
create index sos_incident_raised_at_idx on sos_incident (raised_at);

-- Every press that was ever answered, by the key that the phone gave it.
create table sos_press (
    user_id     uuid not null references app_user,
    client_key  text not null check (length(client_key) between 1 and 200),
    incident_id uuid not null references sos_incident,
    seq         bigint not null check (seq > 0),
    primary key (user_id, client_key)
);

-- What happened, chained. json and not jsonb: the chain commits to the text as it was written.
create table sos_event (
    incident_id uuid   not null references sos_incident,
    seq         bigint not null check (seq > 0),
    at          timestamptz not null,
    actor       uuid references app_user,
    kind        text not null check (length(kind) between 1 and 40),
    data        json not null,
    prev_hash   bytea not null check (octet_length(prev_hash) = 32),
    hash        bytea not null check (octet_length(hash) = 32),
    primary key (incident_id, seq)
);
create trigger sos_event_append_only before update or delete on sos_event
    for each row execute function audit_is_append_only();
create trigger sos_event_no_truncate before truncate on sos_event
    for each statement execute function audit_is_append_only();

create table sos_responder (
    incident_id uuid not null references sos_incident,
    user_id     uuid not null references app_user,
    state       text not null check (state in ('PAGED', 'ACKNOWLEDGED', 'EN_ROUTE', 'ON_SCENE')),
    since       timestamptz not null,
    primary key (incident_id, user_id)
);
create index sos_responder_user_id_idx on sos_responder (user_id);

-- Where the person is. Not in the chain: positions are forgotten one day, what happened is not.
create table sos_location (
    incident_id uuid   not null references sos_incident on delete cascade,
    client_seq  bigint not null check (client_seq >= 0), -- 0 came with the press
    at          timestamptz not null,
    lat         double precision not null check (lat between -90 and 90),
    lng         double precision not null check (lng between -180 and 180),
    accuracy    double precision check (accuracy between 0 and 10000000), -- metres
    battery     smallint check (battery between 0 and 100),
    stored_at   timestamptz not null default now(),
    primary key (incident_id, client_seq)
);

-- An incident as others see it: with who responds, and where the person was last. Both are JSON, as clients see them.
create view sos_view as
select i.*,
       coalesce((select json_agg(json_build_object('userId', r.user_id, 'state', r.state, 'since', r.since) order by r.user_id)
                 from sos_responder r where r.incident_id = i.id), '[]')::json as responders,
       (select json_build_object('clientSeq', l.client_seq, 'at', l.at, 'lat', l.lat, 'lng', l.lng,
                                 'accuracy', l.accuracy, 'battery', l.battery)
        from sos_location l where l.incident_id = i.id order by l.client_seq desc limit 1) as location
from sos_incident i;

create table sos_message (
    incident_id   uuid   not null references sos_incident,
    sender        uuid   not null references app_user,
    client_msg_id text   not null check (length(client_msg_id) between 1 and 200),
    seq           bigint not null,
    primary key (incident_id, sender, client_msg_id)
);

-- Streams of class A: one for each person, and one, the nil UUID, that everybody hears. The counter is taken under the row's
-- lock and never from a sequence, so that whoever has read up to a number has missed nothing below it.
create table safety_stream (
    stream   uuid primary key,
    last_seq bigint not null default 0 check (last_seq >= 0)
);

create table cap_alert (
    identifier  text primary key check (length(identifier) between 1 and 200),
    sender      text not null check (length(sender) between 1 and 200),
    sent        timestamptz not null,
    status      text not null check (status in ('Actual', 'Exercise', 'System', 'Test')),
    msg_type    text not null check (msg_type in ('Alert', 'Update', 'Cancel')),
    reference   text references cap_alert,
    category    text not null check (category in
        ('Geo', 'Met', 'Safety', 'Security', 'Rescue', 'Fire', 'Health', 'Env', 'Transport', 'Infra', 'CBRNE', 'Other')),
    event       text not null check (length(event) between 1 and 200),
    urgency     text not null check (urgency in ('Immediate', 'Expected', 'Future', 'Past', 'Unknown')),
    severity    text not null check (severity in ('Extreme', 'Severe', 'Moderate', 'Minor', 'Unknown')),
    certainty   text not null check (certainty in ('Observed', 'Likely', 'Possible', 'Unlikely', 'Unknown')),
    headline    text not null check (length(headline) between 1 and 200),
    description text not null default '' check (length(description) <= 4000),
    instruction text not null default '' check (length(instruction) <= 4000),
    area        text not null check (length(area) between 1 and 200),
    expires     timestamptz not null,
    created_by  uuid not null references app_user,
    constraint cap_alert_expires_check check (expires > sent)
);
create index cap_alert_expires_idx on cap_alert (expires);

create table safety_delivery (
    stream         uuid   not null references safety_stream,
    seq            bigint not null check (seq > 0),
    kind           text   not null check (kind in ('ALERT', 'EVENT', 'MASS')),
    incident_id    uuid references sos_incident,
    event_seq      bigint,
    alert          text references cap_alert,
    masked         boolean not null default false, -- as the person in need may see it, after a cancel under duress
    committed_at   timestamptz not null default now(),
    sent_at        timestamptz, -- first handed to a socket
    delivered_at   timestamptz, -- first acknowledged by a client
    acknowledged_at timestamptz, -- by the human
    primary key (stream, seq),
    foreign key (incident_id, event_seq) references sos_event,
    check ((kind = 'MASS') = (alert is not null)),
    check ((kind = 'MASS') = (incident_id is null)),
    check ((incident_id is null) = (event_seq is null))
);
create index safety_delivery_incident_idx on safety_delivery (incident_id, event_seq);
create index safety_delivery_alert_idx on safety_delivery (alert) where alert is not null;

-- How far each device has acknowledged a stream. A device is a login.
create table safety_cursor (
    stream uuid not null references safety_stream on delete cascade,
    device uuid not null,
    seq    bigint not null check (seq >= 0),
    at     timestamptz not null default now(),
    primary key (stream, device)
);

-- What leaves the campus: e-mail, web push, webhooks. One row for each address, tried by whichever node takes it.
create table safety_page (
    id          uuid primary key,
    incident_id uuid not null references sos_incident,
    event_seq   bigint not null,
    channel     text not null check (channel in ('email', 'push', 'webhook', 'sms')),
    address     text not null check (length(address) between 1 and 2000),
    user_id     uuid references app_user, -- null for an emergency contact
    state       text not null default 'pending' check (state in ('pending', 'sent', 'failed', 'dropped')),
    attempts    integer not null default 0,
    next_at     timestamptz not null default now(),
    sent_at     timestamptz,
    last_error  text not null default '' check (length(last_error) <= 500),
    unique (incident_id, event_seq, channel, address)
);
create index safety_page_due_idx on safety_page (channel, next_at) where state = 'pending';

create table push_subscription (
    endpoint   text primary key check (length(endpoint) between 1 and 2000),
    user_id    uuid not null references app_user on delete cascade,
    p256dh     text not null check (length(p256dh) between 1 and 200),
    auth       text not null check (length(auth) between 1 and 100),
    created_at timestamptz not null default now()
);
create index push_subscription_user_id_idx on push_subscription (user_id);

create table safety_timer (
    id          uuid primary key,
    user_id     uuid not null references app_user on delete cascade,
    note        text not null default '' check (length(note) <= 500),
    category    text not null check (length(category) between 1 and 60),
    due_at      timestamptz not null,
    state       text not null default 'RUNNING' check (state in ('RUNNING', 'DONE', 'EXPIRED')),
    incident_id uuid references sos_incident,
    version     bigint not null default 1 check (version > 0),
    created_at  timestamptz not null default now()
);
create index safety_timer_due_at_idx on safety_timer (due_at) where state = 'RUNNING';
create index safety_timer_user_id_idx on safety_timer (user_id);

-- The default: whoever is on duty at once, all of security after 15 s, and after a minute the administration and
-- the person's own contacts as well.
insert into escalation_policy (id, name, is_default, steps, every_seconds, move_seconds) values
    ('00000000-0000-7000-8000-000000000001', 'Default', true,
     '[{"afterSeconds":0,"targets":[{"onDuty":true}]},{"afterSeconds":15,"targets":[{"role":"SECURITY"}]},{"afterSeconds":60,"targets":[{"role":"SECURITY"},{"role":"ADMIN"},{"contacts":true}]}]',
     60, 300);
insert into safety_stream (stream) values ('00000000-0000-0000-0000-000000000000');
