-- Where the rows of an import stand until they are taken over: tables of the run's own transaction, which go with it. sqlc reads this file
-- as a part of the schema, and the program creates the tables from it. An id is a new one until the row is found to be of something that
-- is there; null in a column is a cell that leaves what is there as it is. action is made, changed or unchanged.

create temporary table import_fault (
    file   text   not null,
    line   bigint not null,
    field  text   not null,
    value  text   not null,
    detail text   not null
) on commit drop;

create temporary table staged_term (
    line       bigint not null,
    sourced_id text   not null,
    name       text   not null,
    starts_on  date   not null,
    ends_on    date   not null,
    tz         text   not null,
    id         text   not null,
    action     text   not null default ''
) on commit drop;

create temporary table staged_user (
    line       bigint  not null,
    sourced_id text    not null, -- empty: none
    email      text    not null,
    reg_no     text    not null, -- empty: as it is
    name       text    not null,
    roles      text[]  not null, -- empty: as they are
    department text,
    course     text,
    semester   smallint,
    phone      text,
    leaves     boolean not null, -- the account is suspended
    id         uuid    not null,
    by_sourced uuid,
    by_email   uuid,
    by_reg_no  uuid,
    ends       boolean not null default false, -- what the account may do has changed: its tokens die
    action     text    not null default ''
) on commit drop;

create temporary table staged_course (
    line              bigint not null,
    sourced_id        text   not null,
    term_ref          text   not null,
    term_id           text, -- null: no such term
    code              text   not null,
    title             text   not null,
    credits           numeric(4,1),
    capacity          integer,
    waitlist_capacity integer,
    min_attendance    smallint,
    instructors       text[], -- e-mail addresses
    prerequisites     text[],
    id                uuid   not null,
    by_sourced        uuid,
    by_code           uuid,
    action            text   not null default ''
) on commit drop;

-- Who teaches what, in order.
create temporary table staged_staff (
    line      bigint   not null,
    course_id uuid     not null,
    user_ref  text     not null,
    user_id   uuid, -- null: no such user
    kind      text     not null,
    position  smallint not null,
    action    text     not null default ''
) on commit drop;

create temporary table staged_enrollment (
    line       bigint  not null,
    term_ref   text    not null,
    course_ref text    not null,
    user_ref   text    not null,
    role       text    not null, -- STUDENT, or the kind of staff
    first      boolean not null, -- of several instructors the one that students are shown
    status     text    not null,
    course_id  uuid,
    user_id    uuid,
    seat_no    integer,
    action     text    not null default ''
) on commit drop;
