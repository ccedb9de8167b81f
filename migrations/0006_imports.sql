-- +goose Up

-- One import of a file. The node that took the file carries it on and says every few seconds that it lives; of a run about which nothing is
-- heard for long, nothing has been changed and nothing will: its transaction ends by marking this row, if that still runs.
create table import_run (
    id         uuid primary key,
    kind       text not null check (kind in ('users', 'courses', 'enrollments', 'oneroster')),
    dry_run    boolean not null,
    state      text not null default 'RUNNING' check (state in ('RUNNING', 'DONE', 'FAILED')),
    step       text not null default 'READING' check (step in ('READING', 'CHECKING', 'APPLYING')),
    rows_total bigint not null default 0,
    rows_done  bigint not null default 0,
    made       bigint not null default 0,
    changed    bigint not null default 0,
    unchanged  bigint not null default 0,
    errors     bigint not null default 0,
    files      json not null default '[]',
    failure    text check (failure in ('faults', 'interrupted', 'contended', 'internal')),
    detail     text not null default '',
    created_by uuid not null references app_user,
    created_at timestamptz not null default now(),
    beat_at    timestamptz not null default now(),
    ended_at   timestamptz,
    constraint import_run_end_check check ((state = 'FAILED') = (failure is not null) and (state = 'RUNNING') = (ended_at is null))
);
-- One at a time on the whole campus.
create unique index import_run_running_key on import_run (state) where state = 'RUNNING';

-- The first faults of a run, in order of file and line.
create table import_error (
    run_id uuid not null references import_run on delete cascade,
    n      integer not null,
    file   text not null,
    line   bigint not null,
    field  text not null,
    value  text not null,
    detail text not null,
    primary key (run_id, n)
);

-- What other systems call our things, so that they are found again under another e-mail address or title. id is that of the user,
-- course or term.
create table external_id (
    source     text not null check (source in ('office', 'oneroster')),
    kind       text not null check (kind in ('user', 'course', 'term')),
    sourced_id text not null check (length(sourced_id) between 1 and 255),
    id         text not null,
    primary key (source, kind, sourced_id)
);
create index external_id_id_idx on external_id (kind, id);
