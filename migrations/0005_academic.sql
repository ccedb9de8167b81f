-- +goose Up

-- A term's days are both included, and mean the zone of the campus as it is told here.
create table term (
    id        text primary key check (id ~ '^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$'),
    name      text not null check (length(name) between 1 and 200),
    starts_on date not null check (starts_on between '2000-01-01' and '2200-01-01'),
    ends_on   date not null check (ends_on between '2000-01-01' and '2200-01-01'),
    tz        text not null check (length(tz) between 1 and 60),
    version   bigint not null default 1 check (version > 0),
    constraint term_ends_on_check1 check (ends_on >= starts_on)
);

-- Days of a term on which nothing meets.
create table term_holiday (
    term_id text not null references term on delete cascade,
    day     date not null,
    name    text not null check (length(name) between 1 and 200),
    primary key (term_id, day)
);

-- Where classes are. A room with a place and a radius has a fence around it.
create table room (
    id         uuid primary key,
    block_code text not null check (length(block_code) between 1 and 20),
    block_name text not null check (length(block_name) between 1 and 200),
    number     text not null check (length(number) between 1 and 40),
    lat        double precision check (lat between -90 and 90),
    lng        double precision check (lng between -180 and 180),
    fence_m    integer check (fence_m between 5 and 10000),
    version    bigint not null default 1 check (version > 0),
    constraint room_place_check check (num_nonnulls(lat, lng) <> 1 and (fence_m is null or lat is not null))
);
create unique index room_block_code_number_key on room (lower(block_code), lower(number));

create table course (
    id                 uuid primary key,
    term_id            text not null references term,
    code               text not null check (length(code) between 1 and 40),
    title              text not null check (length(title) between 1 and 200),
    credits            numeric(4,1) not null check (credits between 0 and 100),
    capacity           integer not null check (capacity between 0 and 10000),
    waitlist_capacity  integer not null default 0 check (waitlist_capacity between 0 and 10000),
    min_attendance_pct smallint not null default 75 check (min_attendance_pct between 0 and 100),
    last_place         bigint not null default 0 check (last_place >= 0), -- in the waitlist, ever given out
    version            bigint not null default 1 check (version > 0)
);
create unique index course_term_id_code_key on course (term_id, lower(code));
create index course_code_idx on course (lower(code));

create table course_staff (
    course_id uuid not null references course on delete cascade,
    user_id   uuid not null references app_user,
    kind      text not null check (kind in ('INSTRUCTOR', 'ASSISTANT')),
    position  smallint not null default 0, -- the first instructor is the one that students are shown
    primary key (course_id, user_id)
);
create index course_staff_user_id_idx on course_staff (user_id);

-- What must have been completed before, by code, for courses are made anew each term.
create table course_prerequisite (
    course_id uuid not null references course on delete cascade,
    code      text not null check (length(code) between 1 and 40),
    primary key (course_id, code)
);

-- The seats that a course has. The grain of the course gives them out; that each is one row which one enrolment can hold is
-- the second lock.
create table course_seat (
    course_id uuid not null references course on delete cascade,
    seat_no   integer not null check (seat_no > 0),
    primary key (course_id, seat_no)
);

-- place orders the waitlist: it grows, and is never used twice within a course.
create table enrollment (
    course_id  uuid not null references course,
    user_id    uuid not null references app_user,
    status     text not null check (status in ('ENROLLED', 'WAITLISTED', 'DROPPED', 'COMPLETED')),
    seat_no    integer,
    place      bigint check (place > 0),
    changed_at timestamptz not null default now(),
    primary key (course_id, user_id),
    foreign key (course_id, seat_no) references course_seat,
    unique (course_id, seat_no),
    unique (course_id, place),
    constraint enrollment_seat_no_check check ((status = 'ENROLLED') = (seat_no is not null)),
    constraint enrollment_place_check1  check ((status = 'WAITLISTED') = (place is not null))
);
create index enrollment_user_id_idx on enrollment (user_id, status);

-- When and where a course meets each week of its term, or of some weeks of it. Times are those of the term's zone.
create table course_meeting (
    id        uuid primary key,
    course_id uuid not null references course on delete cascade,
    weekday   smallint not null check (weekday between 1 and 7), -- ISO: 1 is Monday
    starts    time not null,
    ends      time not null check (ends > starts),
    from_day  date, -- null: the term's first
    until_day date, -- null: the term's last
    room_id   uuid references room,
    teacher   uuid references app_user, -- null: the course's first instructor
    kind      text not null default 'LECTURE' check (length(kind) between 1 and 40),
    notes     text not null default '' check (length(notes) <= 1000),
    constraint course_meeting_until_day_check check (until_day >= from_day)
);
create index course_meeting_course_id_idx on course_meeting (course_id);
create index course_meeting_room_id_idx on course_meeting (room_id);

create table assignment (
    id          uuid primary key,
    course_id   uuid not null references course on delete cascade,
    title       text not null check (length(title) between 1 and 200),
    description text not null default '' check (length(description) <= 10000),
    due_at      timestamptz not null,
    points      integer check (points between 0 and 100000),
    created_by  uuid not null references app_user,
    created_at  timestamptz not null default now(),
    version     bigint not null default 1 check (version > 0)
);
create index assignment_course_id_idx on assignment (course_id, due_at);

-- The secret address under which a person's calendar may be read. Only its hash is kept.
create table calendar_feed (
    user_id    uuid primary key references app_user on delete cascade,
    token_hash bytea not null unique check (octet_length(token_hash) = 32),
    created_at timestamptz not null default now(),
    used_at    timestamptz
);

-- One class: an occurrence of a meeting, of which occurs_on is the day that it was planned for wherever it has been moved to, or
-- one of its own. Only what somebody has touched has a row; the others follow from the meeting.
create table class_session (
    id          uuid primary key,
    course_id   uuid not null references course,
    meeting_id  uuid references course_meeting on delete set null,
    occurs_on   date,
    starts_at   timestamptz not null,
    ends_at     timestamptz not null,
    room_id     uuid references room,
    topic       text not null default '' check (length(topic) <= 500),
    status      text not null default 'SCHEDULED' check (status in ('SCHEDULED', 'OPEN', 'CLOSED', 'CANCELLED')),
    reason      text not null default '' check (length(reason) <= 500),
    secret      bytea check (octet_length(secret) = 32), -- of its codes, while it is open
    fenced      boolean not null default false, -- marking asks for a position near the room
    late_min    smallint not null default 10 check (late_min between 0 and 600), -- minutes from its start after which a mark is LATE
    opened_by   uuid references app_user,
    opened_at   timestamptz,
    closed_at   timestamptz,
    version     bigint not null default 1 check (version > 0),
    unique (id, course_id),
    unique (meeting_id, occurs_on),
    constraint class_session_ends_at_check   check (ends_at > starts_at and ends_at <= starts_at + interval '24 hours'),
    constraint class_session_secret_check1   check (status <> 'OPEN' or secret is not null)
);
create index class_session_course_id_idx on class_session (course_id, starts_at);
-- One class of a course is open at a time: the second lock behind the course's grain.
create unique index class_session_open_key on class_session (course_id) where status = 'OPEN';
create index class_session_room_id_idx on class_session (room_id, starts_at) where room_id is not null;

-- Who was there. flags are reasons to look twice, never to refuse.
create table attendance (
    session_id uuid not null,
    course_id  uuid not null,
    user_id    uuid not null references app_user,
    status     text not null check (status in ('PRESENT', 'LATE', 'EXCUSED', 'ABSENT')),
    method     text not null check (method in ('CODE', 'MANUAL', 'IMPORT', 'AUTO')),
    device     bytea check (octet_length(device) = 32), -- a hash: which device, not whose
    flags      text[] not null default '{}',
    remarks    text not null default '' check (length(remarks) <= 500),
    marked_by  uuid references app_user, -- null: the clock
    marked_at  timestamptz not null default now(),
    primary key (session_id, user_id),
    foreign key (session_id, course_id) references class_session (id, course_id),
    foreign key (course_id, user_id) references enrollment (course_id, user_id)
);
create index attendance_user_id_idx on attendance (user_id, course_id);
create index attendance_device_idx on attendance (session_id, device) where device is not null;

-- Every try to be marked, and every change of a mark.
create table attendance_event (
    id         bigint generated always as identity primary key,
    session_id uuid not null references class_session,
    user_id    uuid not null references app_user,
    actor      uuid references app_user,
    outcome    text not null check (length(outcome) between 1 and 40),
    flags      text[] not null default '{}',
    reason     text not null default '' check (length(reason) <= 500),
    at         timestamptz not null default now()
);
create index attendance_event_session_id_idx on attendance_event (session_id, id);

-- Streams of class A other than those of safety: 'academic/<user>' and 'notifications/<user>'. The counter is taken under the row's lock and never
-- from a sequence, so that whoever has read up to a number has missed nothing below it.
create table outbox_stream (
    stream   text primary key check (length(stream) between 1 and 100),
    user_id  uuid not null references app_user on delete cascade,
    last_seq bigint not null default 0 check (last_seq >= 0)
);
create index outbox_stream_user_id_idx on outbox_stream (user_id);

create table outbox_line (
    stream       text not null references outbox_stream on delete cascade,
    seq          bigint not null check (seq > 0),
    event        text not null check (length(event) between 1 and 60),
    payload      json not null, -- an object, to which the seq is added on the way out
    committed_at timestamptz not null default now(),
    sent_at      timestamptz, -- first handed to a socket
    delivered_at timestamptz, -- first acknowledged by a client
    primary key (stream, seq)
);
create index outbox_line_committed_at_idx on outbox_line (committed_at);

-- How far each device has acknowledged a stream. A device is a login or a connection.
create table outbox_cursor (
    stream text not null references outbox_stream on delete cascade,
    device uuid not null,
    seq    bigint not null check (seq >= 0),
    at     timestamptz not null default now(),
    primary key (stream, device)
);

-- What a person is told. seq is that of its line in the person's stream of notifications; a dedupe key makes it be told once.
create table notification (
    id         uuid primary key,
    user_id    uuid not null references app_user on delete cascade,
    seq        bigint not null check (seq > 0),
    kind       text not null check (length(kind) between 1 and 60),
    priority   text not null check (priority in ('low', 'normal', 'high', 'critical')),
    title      text not null check (length(title) between 1 and 200),
    body       text not null default '' check (length(body) <= 4000),
    data       json not null default '{}',
    dedupe_key text check (length(dedupe_key) between 1 and 200),
    created_at timestamptz not null default now(),
    read_at    timestamptz,
    unique (user_id, seq),
    unique (user_id, dedupe_key)
);

-- A course as others see it. Who teaches it is JSON, as clients see it.
create view course_view as
select c.id, c.term_id, c.code, c.title, c.credits::float8 as credits, c.capacity, c.waitlist_capacity, c.min_attendance_pct, c.version,
       (select count(*) from enrollment e where e.course_id = c.id and e.status = 'ENROLLED')::integer as enrolled,
       (select count(*) from enrollment e where e.course_id = c.id and e.status = 'WAITLISTED')::integer as waitlisted,
       array(select p.code from course_prerequisite p where p.course_id = c.id order by p.code)::text[] as prerequisites,
       coalesce((select json_agg(json_build_object('userId', s.user_id, 'kind', s.kind, 'name', p.full_name, 'email', u.email, 'avatarUrl', p.avatar_url)
                                 order by s.kind desc, s.position, s.user_id)
                 from course_staff s join app_user u on u.id = s.user_id join profile p on p.user_id = s.user_id
                 where s.course_id = c.id), '[]')::json as staff
from course c;

-- A meeting with whoever is to teach it.
create view meeting_view as
select m.*, coalesce(m.teacher, (select s.user_id from course_staff s where s.course_id = m.course_id
                                 order by s.kind desc, s.position, s.user_id limit 1)) as taught_by
from course_meeting m;

-- A class as others see it: nothing of its codes.
create view class_view as
select id, course_id, meeting_id, coalesce(to_char(occurs_on, 'YYYY-MM-DD'), '')::text as occurs_on, starts_at, ends_at, room_id, topic, status, reason,
       fenced, late_min, opened_at, closed_at, version
from class_session;
