package stage

import "context"

// witness has the database itself write down who claims a grain and who writes for it, by the role of the connection and
// by the run of the process that made it: so the proof does not rest on what nodes say of themselves. While a grain's row
// is locked by a write nobody can claim it, so that the owner that a write finds is the one at its commit.
const witness = `
create schema chaos;
create function chaos.run() returns text language sql volatile as $$ select coalesce(current_setting('chaos.run', true), '') $$;
create table chaos.fence (raised boolean not null);
insert into chaos.fence values (true);
create table chaos.claim (
	n bigint generated always as identity primary key, kind text not null, identity text not null,
	epoch bigint not null, node text not null, run text not null default chaos.run(), at timestamptz not null default clock_timestamp()
);
create index claim_grain_idx on chaos.claim (kind, identity, n desc);
create table chaos.wrote (
	n bigint generated always as identity primary key, kind text not null, identity text not null, what text not null,
	first bigint, last bigint, events bigint, node text not null, run text not null default chaos.run(),
	owner text, owner_run text, epoch bigint, at timestamptz not null default clock_timestamp()
);

create function chaos.owner(k text, i text) returns chaos.claim language sql volatile as
	$$ select * from chaos.claim where kind = k and identity = i order by n desc limit 1 $$;

create function chaos.claimed() returns trigger language plpgsql as $$
begin
	insert into chaos.claim (kind, identity, epoch, node) values (new.kind, new.identity, new.epoch, session_user);
	if tg_op = 'UPDATE' and not (select raised from chaos.fence) then
		new.epoch := old.epoch; -- the fence is off: every activation that ever was may write
	end if;
	return new;
end $$;
create trigger chaos_first after insert on grain_snapshot for each row execute function chaos.claimed();
create trigger chaos_claimed before update on grain_snapshot for each row
	when (old.epoch is distinct from new.epoch) execute function chaos.claimed();

create function chaos.saved() returns trigger language plpgsql as $$
declare o chaos.claim := chaos.owner(new.kind, new.identity);
begin
	insert into chaos.wrote (kind, identity, what, node, owner, owner_run, epoch)
	values (new.kind, new.identity, 'snapshot', session_user, o.node, o.run, o.epoch);
	return null;
end $$;
create trigger chaos_saved after update on grain_snapshot for each row
	when (old.version is distinct from new.version) execute function chaos.saved();

create function chaos.recorded() returns trigger language plpgsql as $$
begin
	insert into chaos.wrote (kind, identity, what, first, last, events, node, owner, owner_run, epoch)
	select 'mess', e.hall_id, 'events', e.first, e.last, e.events, session_user, o.node, o.run, o.epoch
	from (select hall_id::text, min(seq) as first, max(seq) as last, count(*) as events from new_events group by hall_id) e
	cross join lateral chaos.owner('mess', e.hall_id) o;
	return null;
end $$;
create trigger chaos_recorded after insert on crowd_event referencing new table as new_events
	for each statement execute function chaos.recorded();

create function chaos.seated() returns trigger language plpgsql as $$
begin
	insert into chaos.wrote (kind, identity, what, events, node, owner, owner_run, epoch)
	select 'course', e.course_id, 'seats', e.rows, session_user, o.node, o.run, o.epoch
	from (select course_id::text, count(*) as rows from new_rows group by course_id) e
	cross join lateral chaos.owner('course', e.course_id) o;
	return null;
end $$;
create trigger chaos_seated after insert on enrollment referencing new table as new_rows for each statement execute function chaos.seated();
create trigger chaos_moved after update on enrollment referencing new table as new_rows for each statement execute function chaos.seated();
`

// unfence has claims change nothing from now on, and drops the unique numbers of a hall's events, which would stop most
// of what the fence then lets through.
const unfence = `
update chaos.fence set raised = false;
drop index crowd_event_hall_id_seq_key;
`

// Unfence switches fencing off in this stage's database, for good. NEXUS itself has no such switch.
func (s *Stage) Unfence(ctx context.Context) error {
	_, err := s.Postgres.pool.Exec(ctx, unfence)
	return err
}
