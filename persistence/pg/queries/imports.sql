-- name: InsertImport :one
insert into import_run (id, kind, dry_run, created_by)
values (@id, @kind, @dry_run, @created_by)
returning *;

-- name: BeatImport :execrows
-- The node that carries the run on still lives, and has come so far.
update import_run
set beat_at = now(), step = @step, rows_total = @rows_total, rows_done = @rows_done
where id = @id and state = 'RUNNING';

-- name: EndImport :execrows
update import_run
set state = @state, step = @step, rows_total = @rows_total, rows_done = @rows_done, made = @made, changed = @changed, unchanged = @unchanged,
    errors = @errors, files = @files, failure = nullif(@failure::text, ''), detail = @detail, ended_at = now()
where id = @id and state = 'RUNNING';

-- name: LoseImports :many
-- Ends the runs whose nodes have been silent for long.
update import_run
set state = 'FAILED', failure = 'interrupted', detail = @detail, ended_at = now()
where state = 'RUNNING' and beat_at < now() - make_interval(secs => @silent::float8)
returning id;

-- name: ImportByID :one
select * from import_run where id = @id;

-- name: Imports :many
select * from import_run
where sqlc.narg('after')::uuid is null or id < sqlc.narg('after')::uuid
order by id desc
limit @max_rows;

-- name: ImportErrors :many
select * from import_error
where run_id = @run_id and n > @after
order by n
limit @max_rows;

-- name: InsertImportErrors :exec
insert into import_error (run_id, n, file, line, field, value, detail)
select @run_id, f.n, f.file, f.line, f.field, f.value, f.detail
from (select unnest(@ns::integer[]) as n, unnest(@files::text[]) as file, unnest(@lines::bigint[]) as line, unnest(@fields::text[]) as field,
             unnest(@values::text[]) as value, unnest(@details::text[]) as detail) f;

-- name: PurgeImports :execrows
delete from import_run where id = any(array(
    select i.id from import_run i where i.ended_at <= now() - interval '90 days' limit @most for update skip locked
));

-- name: AddFaults :exec
insert into import_fault (file, line, field, value, detail)
select unnest(@files::text[]), unnest(@lines::bigint[]), unnest(@fields::text[]), unnest(@values::text[]), unnest(@details::text[]);

-- name: CountFaults :one
select count(*) from import_fault;

-- name: FirstFaults :many
select * from import_fault order by file, line, field, detail limit @most;

-- name: DoubledTerms :exec
insert into import_fault (file, line, field, value, detail)
select @file::text, d.line, @field::text, d.sourced_id, 'is on line ' || d.first || ' already'
from (select line, sourced_id, first_value(line) over (partition by sourced_id order by line) as first from staged_term) d
where d.line <> d.first;

-- name: FindTerms :exec
update staged_term s set id = x.id
from external_id x join term t on t.id = x.id
where x.source = 'oneroster' and x.kind = 'term' and x.sourced_id = s.sourced_id;

-- name: SortTerms :exec
update staged_term s
set action = case when t.id is null then 'made'
                  when (t.name, t.starts_on, t.ends_on) is distinct from (w.name, w.starts_on, w.ends_on) then 'changed' else 'unchanged' end
from staged_term w left join term t on t.id = w.id
where w.line = s.line;

-- name: MakeTerms :exec
insert into term (id, name, starts_on, ends_on, tz)
select id, name, starts_on, ends_on, tz from staged_term where action = 'made';

-- name: ChangeTerms :exec
update term t set name = s.name, starts_on = s.starts_on, ends_on = s.ends_on, version = t.version + 1
from staged_term s where s.action = 'changed' and s.id = t.id;

-- name: NameTerms :exec
insert into external_id (source, kind, sourced_id, id)
select 'oneroster', 'term', sourced_id, id from staged_term
on conflict (source, kind, sourced_id) do update set id = excluded.id where external_id.id <> excluded.id;

-- name: FindUsers :exec
-- What each key of a row leads to; ids of new accounts stay as they are.
update staged_user s
set by_sourced = x.id, by_email = e.id, by_reg_no = r.id, id = coalesce(x.id, e.id, r.id, s.id)
from staged_user w
left join (select n.sourced_id, u.id from external_id n join app_user u on u.id::text = n.id where n.source = @source and n.kind = 'user') x
       on x.sourced_id = w.sourced_id
left join app_user e on lower(e.email) = lower(w.email)
left join app_user r on lower(r.reg_no) = lower(nullif(w.reg_no, ''))
where w.line = s.line;

-- name: DoubledUsers :exec
insert into import_fault (file, line, field, value, detail)
select @file::text, d.line, d.field, d.value, 'is on line ' || d.first || ' already'
from (
    select line, @email::text as field, email as value, first_value(line) over (partition by lower(email) order by line) as first
    from staged_user
    union all
    select line, @reg_no::text, reg_no, first_value(line) over (partition by lower(reg_no) order by line)
    from staged_user where reg_no <> ''
    union all
    select line, @sourced_id::text, sourced_id, first_value(line) over (partition by sourced_id order by line)
    from staged_user where sourced_id <> ''
) d
where d.line <> d.first;

-- name: TornUsers :exec
-- Rows whose keys lead to several accounts.
insert into import_fault (file, line, field, value, detail)
select @file::text, line, @reg_no::text, reg_no, 'belongs to another account than the e-mail address'
from staged_user where by_email <> by_reg_no
union all
select @file::text, line, @email::text, email, 'belongs to another account than ' || @sourced_id::text
from staged_user where by_sourced <> by_email
union all
select @file::text, line, @reg_no::text, reg_no, 'belongs to another account than ' || @sourced_id::text
from staged_user where by_sourced <> by_reg_no and by_email is null;

-- name: MetUsers :exec
-- Rows of which each is right by itself, and that are of one account.
insert into import_fault (file, line, field, value, detail)
select @file::text, d.line, @email::text, d.email, 'is of the same account as line ' || d.first
from (select line, email, first_value(line) over (partition by id order by line) as first from staged_user) d
where d.line <> d.first and not exists (select from import_fault f where f.file = @file::text and f.line = d.line);

-- name: UnfitUsers :exec
insert into import_fault (file, line, field, value, detail)
select @file::text, s.line, @email::text, s.email, 'the account is erased'
from staged_user s join app_user u on u.id = s.id where u.status = 'erased'
union all
select @file::text, s.line, @roles::text, '', 'is needed for a new account'
from staged_user s left join app_user u on u.id = s.id where u.id is null and cardinality(s.roles) = 0
union all
select @file::text, s.line, @email::text, s.email, 'an administrator is not suspended by an import'
from staged_user s join user_role r on r.user_id = s.id and r.role = 'ADMIN' where s.leaves;

-- name: LockUsers :exec
-- Those that change, in an order that all importers keep.
select count(*) from (select u.id from app_user u join staged_user s on s.id = u.id where s.action = 'changed' order by u.id for no key update of u) l;

-- name: SortUsers :exec
-- An administrator stays one; suspended accounts are not called back by a file.
update staged_user s
set ends = d.ends, action = case when d.fresh then 'made' when d.ends or d.differs then 'changed' else 'unchanged' end
from (
    select w.line, u.id is null as fresh,
           u.id is not null and (w.leaves and u.status = 'active'
               or cardinality(w.roles) > 0 and not (w.roles @> coalesce(r.roles, '{}') and w.roles <@ coalesce(r.roles, '{}'))) as ends,
           w.email is distinct from u.email or coalesce(nullif(w.reg_no, ''), u.reg_no) is distinct from u.reg_no
               or w.name is distinct from p.full_name or coalesce(w.department, p.department) is distinct from p.department
               or coalesce(w.course, p.course) is distinct from p.course or coalesce(w.semester, p.semester) is distinct from p.semester
               or coalesce(w.phone, p.phone) is distinct from p.phone as differs
    from staged_user w
    left join app_user u on u.id = w.id
    left join profile p on p.user_id = w.id
    left join (select user_id, array_agg(role) as roles from user_role where role <> 'ADMIN' group by user_id) r on r.user_id = w.id
) d
where d.line = s.line;

-- name: MakeUsers :exec
insert into app_user (id, email, reg_no, status)
select id, email, nullif(reg_no, ''), case when leaves then 'suspended' else 'active' end from staged_user where action = 'made';

-- name: MakeProfiles :exec
insert into profile (user_id, full_name, department, course, semester, phone)
select id, name, coalesce(department, ''), coalesce(course, ''), coalesce(semester, 0), coalesce(phone, '') from staged_user where action = 'made';

-- name: ChangeUsers :exec
update app_user u
set email = s.email, reg_no = coalesce(nullif(s.reg_no, ''), u.reg_no), status = case when s.leaves then 'suspended' else u.status end,
    token_epoch = u.token_epoch + s.ends::integer, version = u.version + 1
from staged_user s where s.action = 'changed' and s.id = u.id;

-- name: ChangeProfiles :exec
update profile p
set full_name = s.name, department = coalesce(s.department, p.department), course = coalesce(s.course, p.course),
    semester = coalesce(s.semester, p.semester), phone = coalesce(s.phone, p.phone), version = p.version + 1
from staged_user s where s.action = 'changed' and s.id = p.user_id;

-- name: TakeRoles :exec
delete from user_role r using staged_user s
where s.action = 'changed' and s.ends and s.id = r.user_id and cardinality(s.roles) > 0 and r.role <> 'ADMIN' and r.role <> all (s.roles);

-- name: GiveRoles :exec
insert into user_role (user_id, role)
select s.id, unnest(s.roles) from staged_user s where s.action = 'made' or s.ends
on conflict do nothing;

-- name: EndSuspended :exec
update auth_session a set revoked_at = now()
from staged_user s where s.leaves and s.ends and s.id = a.user_id and a.revoked_at is null;

-- name: EndedUsers :many
-- Those whose tokens have died and who may be connected.
select s.id from staged_user s where s.ends and exists (select from auth_session a where a.user_id = s.id and a.expires_at > now());

-- name: NameUsers :exec
insert into external_id (source, kind, sourced_id, id)
select @source, 'user', sourced_id, id::text from staged_user where sourced_id <> ''
on conflict (source, kind, sourced_id) do update set id = excluded.id where external_id.id <> excluded.id;

-- name: TermsOfCourses :exec
update staged_course s set term_id = t.id from term t where t.id = s.term_ref;

-- name: StagedTermsOfCourses :exec
update staged_course s set term_id = t.id from staged_term t where t.sourced_id = s.term_ref;

-- name: FindCourses :exec
update staged_course s
set by_sourced = x.id, by_code = c.id, id = coalesce(x.id, c.id, s.id)
from staged_course w
left join (select n.sourced_id, k.id from external_id n join course k on k.id::text = n.id where n.source = 'oneroster' and n.kind = 'course') x
       on x.sourced_id = w.sourced_id
left join course c on c.term_id = w.term_id and lower(c.code) = lower(w.code)
where w.line = s.line;

-- name: UnfitCourses :exec
insert into import_fault (file, line, field, value, detail)
select @file::text, line, @term::text, term_ref, 'there is no such term'
from staged_course where term_id is null
union all
select @file::text, d.line, @code::text, d.code, 'is on line ' || d.first || ' already, of the same term'
from (select line, code, first_value(line) over (partition by term_id, lower(code) order by line) as first from staged_course where term_id is not null) d
where d.line <> d.first
union all
select @file::text, d.line, 'sourcedId', d.sourced_id, 'is on line ' || d.first || ' already'
from (select line, sourced_id, first_value(line) over (partition by sourced_id order by line) as first from staged_course where sourced_id <> '') d
where d.line <> d.first
union all
select @file::text, line, @code::text, code, 'is of another course of the term than sourcedId'
from staged_course where by_sourced <> by_code
union all
select @file::text, s.line, @term::text, s.term_ref, 'the course is one of another term, which does not change'
from staged_course s join course c on c.id = s.id where c.term_id <> s.term_id;

-- name: StageInstructors :exec
-- The staff that courses.csv names. Whoever is not there any more is taken off.
insert into staged_staff (line, course_id, user_ref, user_id, kind, position)
select s.line, s.id, i.email, u.id, 'INSTRUCTOR', i.n - 1
from staged_course s cross join unnest(s.instructors) with ordinality i (email, n)
left join app_user u on lower(u.email) = lower(i.email) and u.status <> 'erased';

-- name: StageStaff :exec
insert into staged_staff (line, course_id, user_ref, user_id, kind, position)
select s.line, s.course_id, s.user_ref, s.user_id, s.role, row_number() over (partition by s.course_id order by s.role desc, s.first desc, s.line) - 1
from staged_enrollment s
where s.role <> 'STUDENT' and s.status <> 'DROPPED' and s.course_id is not null and s.user_id is not null;

-- name: UnfitStaff :exec
insert into import_fault (file, line, field, value, detail)
select @file::text, s.line, @field::text, s.user_ref, 'there is no such user'
from staged_staff s where s.user_id is null
union all
select @file::text, s.line, @field::text, s.user_ref, 'is no active account that may teach'
from staged_staff s
where s.user_id is not null and not exists (select from staged_user w where w.id = s.user_id and 'FACULTY' = any (w.roles) and not w.leaves)
  and not exists (select from app_user u join user_role r on r.user_id = u.id where u.id = s.user_id and u.status = 'active' and r.role in ('FACULTY', 'ADMIN'));

-- name: SortStaff :exec
update staged_staff s
set action = case when c.user_id is null then 'made'
                  when (c.kind, c.position) is distinct from (w.kind, w.position) then 'changed' else 'unchanged' end
from staged_staff w left join course_staff c on c.course_id = w.course_id and c.user_id = w.user_id
where w.course_id = s.course_id and w.user_id = s.user_id;

-- name: LockCourses :exec
-- Keeps the grains of all courses that the file speaks of from writing, and others from claiming them, until the transaction ends; one that
-- was never active gets its row. A grain locks its own row before all else, and so does this, in order.
insert into grain_snapshot (kind, identity, epoch)
select 'course', c.id, 1
from (select s.id::text as id from staged_course s join course k on k.id = s.id
      union select course_id::text from staged_enrollment where course_id is not null order by 1) c
on conflict (kind, identity) do update set epoch = grain_snapshot.epoch;

-- name: FenceCourses :many
-- Shuts out the activations of the courses that the import has changed: what they remember is not true any more.
update grain_snapshot g set epoch = g.epoch + 1
where g.kind = 'course' and g.identity in (
    select s.id::text from staged_course s where s.action = 'changed'
    union select s.course_id::text from staged_staff s where s.action <> 'unchanged'
    union select s.course_id::text from staged_enrollment s where s.role = 'STUDENT' and s.action <> 'unchanged')
  and exists (select from course c where c.id::text = g.identity)
returning g.identity;

-- name: FillCapacities :exec
-- A class of a bundle has as many seats as it had, and as many as it has students if those are more.
update staged_course s
set capacity = greatest(coalesce(c.capacity, 0), coalesce(n.held, 0))
from staged_course w
left join course c on c.id = w.id
left join (
    select h.course_id, count(*) as held
    from (select e.course_id, e.user_id from enrollment e where e.status = 'ENROLLED'
            and not exists (select from staged_enrollment o where o.course_id = e.course_id and o.user_id = e.user_id and o.role = 'STUDENT')
          union select o.course_id, o.user_id from staged_enrollment o where o.role = 'STUDENT' and o.status = 'ENROLLED') h
    group by h.course_id) n on n.course_id = w.id
where w.line = s.line and s.capacity is null;

-- name: FullCourses :exec
insert into import_fault (file, line, field, value, detail)
select @file::text, s.line, 'capacity', s.capacity::text, n.held || ' students have a seat in the course'
from staged_course s join (select course_id, count(*) as held from enrollment where status = 'ENROLLED' group by course_id) n on n.course_id = s.id
where s.capacity < n.held
union all
select @file::text, s.line, 'waitlistCapacity', s.waitlist_capacity::text, n.waiting || ' people wait for a seat in the course'
from staged_course s join (select course_id, count(*) as waiting from enrollment where status = 'WAITLISTED' group by course_id) n on n.course_id = s.id
where s.waitlist_capacity < n.waiting;

-- name: SortCourses :exec
update staged_course s
set action = case when c.id is null then 'made'
    when w.code is distinct from c.code or w.title is distinct from c.title or coalesce(w.credits, c.credits) is distinct from c.credits
      or w.capacity is distinct from c.capacity or coalesce(w.waitlist_capacity, c.waitlist_capacity) is distinct from c.waitlist_capacity
      or coalesce(w.min_attendance, c.min_attendance_pct) is distinct from c.min_attendance_pct
      or w.prerequisites is not null and not (w.prerequisites @> coalesce(p.codes, '{}') and w.prerequisites <@ coalesce(p.codes, '{}'))
      or exists (select from staged_staff f where f.course_id = w.id and f.action <> 'unchanged')
      or w.instructors is not null and exists (
          select from course_staff f where f.course_id = w.id and f.kind = 'INSTRUCTOR'
             and not exists (select from staged_staff g where g.course_id = f.course_id and g.user_id = f.user_id))
    then 'changed' else 'unchanged' end
from staged_course w
left join course c on c.id = w.id
left join (select course_id, array_agg(code) as codes from course_prerequisite group by course_id) p on p.course_id = w.id
where w.line = s.line;

-- name: MakeCourses :exec
insert into course (id, term_id, code, title, credits, capacity, waitlist_capacity, min_attendance_pct)
select id, term_id, code, title, coalesce(credits, 0), capacity, coalesce(waitlist_capacity, 0), coalesce(min_attendance, 75)
from staged_course where action = 'made';

-- name: ChangeCourses :exec
update course c
set code = s.code, title = s.title, credits = coalesce(s.credits, c.credits), capacity = s.capacity,
    waitlist_capacity = coalesce(s.waitlist_capacity, c.waitlist_capacity), min_attendance_pct = coalesce(s.min_attendance, c.min_attendance_pct),
    version = c.version + 1
from staged_course s where s.action = 'changed' and s.id = c.id;

-- name: MoveToLowerSeats :exec
-- Whoever sits on a seat that is taken away gets a free one below; that there are enough has been checked.
with high as (
    select e.course_id, e.user_id, row_number() over (partition by e.course_id order by e.seat_no) as n
    from enrollment e join staged_course s on s.id = e.course_id
    where s.action = 'changed' and e.seat_no > s.capacity
), free as (
    select t.course_id, t.seat_no, row_number() over (partition by t.course_id order by t.seat_no) as n
    from course_seat t join staged_course s on s.id = t.course_id
    where s.action = 'changed' and t.seat_no <= s.capacity
      and not exists (select from enrollment e where e.course_id = t.course_id and e.seat_no = t.seat_no)
)
update enrollment e set seat_no = free.seat_no
from high join free on free.course_id = high.course_id and free.n = high.n
where e.course_id = high.course_id and e.user_id = high.user_id;

-- name: TakeSeats :exec
delete from course_seat t using staged_course s
where s.action = 'changed' and s.id = t.course_id and t.seat_no > s.capacity;

-- name: GiveSeats :exec
insert into course_seat (course_id, seat_no)
select s.id, generate_series(1, s.capacity) from staged_course s where s.action in ('made', 'changed')
on conflict do nothing;

-- name: TakeStaff :exec
delete from course_staff f using staged_course s
where s.id = f.course_id and s.instructors is not null and f.kind = 'INSTRUCTOR'
  and not exists (select from staged_staff g where g.course_id = f.course_id and g.user_id = f.user_id);

-- name: GiveStaff :exec
insert into course_staff (course_id, user_id, kind, position)
select course_id, user_id, kind, position from staged_staff where action <> 'unchanged'
on conflict (course_id, user_id) do update set kind = excluded.kind, position = excluded.position;

-- name: TakePrerequisites :exec
delete from course_prerequisite p using staged_course s
where s.id = p.course_id and s.prerequisites is not null and p.code <> all (s.prerequisites);

-- name: GivePrerequisites :exec
insert into course_prerequisite (course_id, code)
select s.id, unnest(s.prerequisites) from staged_course s where s.action <> 'unchanged'
on conflict do nothing;

-- name: NameCourses :exec
insert into external_id (source, kind, sourced_id, id)
select 'oneroster', 'course', sourced_id, id::text from staged_course where sourced_id <> ''
on conflict (source, kind, sourced_id) do update set id = excluded.id where external_id.id <> excluded.id;

-- name: FindEnrolled :exec
-- Courses by term and code; people by address or registration number, of which the address wins.
update staged_enrollment s
set course_id = c.id, user_id = coalesce(e.id, r.id)
from staged_enrollment w
left join course c on c.term_id = w.term_ref and lower(c.code) = lower(w.course_ref)
left join app_user e on lower(e.email) = lower(w.user_ref) and e.status <> 'erased'
left join app_user r on lower(r.reg_no) = lower(w.user_ref) and r.status <> 'erased'
where w.line = s.line;

-- name: FindStagedEnrolled :exec
update staged_enrollment s
set course_id = c.id, user_id = u.id
from staged_enrollment w
left join staged_course c on c.sourced_id = w.course_ref
left join staged_user u on u.sourced_id = w.user_ref
where w.line = s.line;

-- name: UnfitEnrollments :exec
insert into import_fault (file, line, field, value, detail)
select @file::text, s.line, @term::text, s.term_ref, 'there is no such term'
from staged_enrollment s where s.course_id is null and @by_term::boolean and not exists (select from term t where t.id = s.term_ref)
union all
select @file::text, s.line, @course::text, s.course_ref, 'there is no such course'
from staged_enrollment s where s.course_id is null and (not @by_term::boolean or exists (select from term t where t.id = s.term_ref))
union all
select @file::text, s.line, @person::text, s.user_ref, 'there is no such user'
from staged_enrollment s where s.user_id is null
union all
select @file::text, d.line, @person::text, d.user_ref, 'is in the same course on line ' || d.first || ' already'
from (select line, user_ref, first_value(line) over (partition by course_id, user_id order by line) as first
      from staged_enrollment where course_id is not null and user_id is not null) d
where d.line <> d.first;

-- name: CrowdedEnrollments :exec
-- Those for whom no seat is left, in the order of the file.
insert into import_fault (file, line, field, value, detail)
select @file::text, w.line, @person::text, w.user_ref, 'the course ' || coalesce(p.code, c.code) || ' has ' || coalesce(p.capacity, c.capacity) || ' seats, and none is left'
from (
    select s.line, s.course_id, s.user_ref, row_number() over (partition by s.course_id order by s.line) as n
    from staged_enrollment s left join enrollment e on e.course_id = s.course_id and e.user_id = s.user_id
    where s.role = 'STUDENT' and s.status = 'ENROLLED' and e.status is distinct from 'ENROLLED'
      and not exists (select from import_fault f where f.file = @file::text and f.line = s.line)
) w
left join course c on c.id = w.course_id
left join staged_course p on p.id = w.course_id
left join (
    select e.course_id, count(*) as held
    from enrollment e left join staged_enrollment o on o.course_id = e.course_id and o.user_id = e.user_id
    where e.status = 'ENROLLED' and coalesce(o.status, 'ENROLLED') = 'ENROLLED'
    group by e.course_id) h on h.course_id = w.course_id
where w.n > coalesce(p.capacity, c.capacity) - coalesce(h.held, 0);

-- name: SortEnrollments :exec
update staged_enrollment s
set action = case when e.user_id is null then 'made' when e.status <> w.status then 'changed' else 'unchanged' end
from staged_enrollment w left join enrollment e on e.course_id = w.course_id and e.user_id = w.user_id
where w.line = s.line and w.role = 'STUDENT';

-- name: SortStaffEnrollments :exec
-- A row of a bundle that makes somebody staff; one that ends counts as a change if there was something to end.
update staged_enrollment s
set action = case when w.status = 'DROPPED' then case when f.user_id is null then 'unchanged' else 'changed' end else g.action end
from staged_enrollment w
left join staged_staff g on g.course_id = w.course_id and g.user_id = w.user_id
left join course_staff f on f.course_id = w.course_id and f.user_id = w.user_id
where w.line = s.line and w.role <> 'STUDENT';

-- name: DropStaff :exec
delete from course_staff f using staged_enrollment s
where s.role <> 'STUDENT' and s.status = 'DROPPED' and s.course_id = f.course_id and s.user_id = f.user_id;

-- name: FreeSeats :exec
update enrollment e set status = s.status, seat_no = null, place = null, changed_at = now()
from staged_enrollment s
where s.role = 'STUDENT' and s.action = 'changed' and s.status <> 'ENROLLED' and s.course_id = e.course_id and s.user_id = e.user_id;

-- name: ChooseSeats :exec
with want as (
    select s.line, s.course_id, row_number() over (partition by s.course_id order by s.line) as n
    from staged_enrollment s where s.role = 'STUDENT' and s.action in ('made', 'changed') and s.status = 'ENROLLED'
), free as (
    select t.course_id, t.seat_no, row_number() over (partition by t.course_id order by t.seat_no) as n
    from course_seat t
    where t.course_id in (select course_id from want)
      and not exists (select from enrollment e where e.course_id = t.course_id and e.seat_no = t.seat_no)
)
update staged_enrollment s set seat_no = free.seat_no
from want join free on free.course_id = want.course_id and free.n = want.n
where want.line = s.line;

-- name: Enrol :exec
insert into enrollment (course_id, user_id, status, seat_no)
select course_id, user_id, status, seat_no from staged_enrollment
where role = 'STUDENT' and (action = 'made' or action = 'changed' and status = 'ENROLLED')
on conflict (course_id, user_id) do update set status = excluded.status, seat_no = excluded.seat_no, place = null, changed_at = now();

-- name: CountStaged :many
select 'terms'::text as what, action, count(*) from staged_term group by action
union all select 'users', action, count(*) from staged_user group by action
union all select 'courses', action, count(*) from staged_course group by action
union all select 'enrollments', action, count(*) from staged_enrollment group by action;
