-- name: Terms :many
select id, name, to_char(starts_on, 'YYYY-MM-DD')::text as starts_on, to_char(ends_on, 'YYYY-MM-DD')::text as ends_on, tz, version,
       coalesce((select json_agg(json_build_object('day', to_char(h.day, 'YYYY-MM-DD'), 'name', h.name) order by h.day)
                 from term_holiday h where h.term_id = term.id), '[]')::json as holidays
from term
where @id::text = '' or id = @id::text
order by term.starts_on desc, id;

-- name: LockTerm :one
select version from term where id = @id for update;

-- name: InsertTerm :exec
insert into term (id, name, starts_on, ends_on, tz)
values (@id, @name, (@starts_on::text)::date, (@ends_on::text)::date, @tz);

-- name: UpdateTerm :exec
update term set name = @name, starts_on = (@starts_on::text)::date, ends_on = (@ends_on::text)::date, tz = @tz, version = version + 1
where id = @id;

-- name: ClearHolidays :exec
delete from term_holiday where term_id = @term_id;

-- name: FillHolidays :exec
insert into term_holiday (term_id, day, name)
select @term_id, h.day::date, h.name from (select unnest(@days::text[]) as day, unnest(@names::text[]) as name) h;

-- name: Rooms :many
select * from room where lower(block_code) || ' ' || lower(number) > @after::text order by lower(block_code) || ' ' || lower(number) limit @max_rows;

-- name: LockRoom :one
select * from room where id = @id for update;

-- name: InsertRoom :one
insert into room (id, block_code, block_name, number, lat, lng, fence_m)
values (@id, @block_code, @block_name, @number, sqlc.narg('lat'), sqlc.narg('lng'), sqlc.narg('fence_m')) returning *;

-- name: UpdateRoom :one
update room set block_code = @block_code, block_name = @block_name, number = @number, lat = sqlc.narg('lat'), lng = sqlc.narg('lng'),
       fence_m = sqlc.narg('fence_m'), version = version + 1
where id = @id returning *;

-- name: Courses :many
-- Courses in order of id. Empty filters let all pass.
select * from course_view c
where c.id > @after::uuid
  and (@term::text = '' or c.term_id = @term::text)
  and (@query::text = '' or strpos(lower(c.code), lower(@query::text)) > 0 or strpos(lower(c.title), lower(@query::text)) > 0)
  and (sqlc.narg('teacher')::uuid is null or exists (select from course_staff s where s.course_id = c.id and s.user_id = sqlc.narg('teacher')::uuid))
  and (sqlc.narg('student')::uuid is null or exists (select from enrollment e where e.course_id = c.id and e.user_id = sqlc.narg('student')::uuid and e.status = 'ENROLLED'))
order by c.id limit @max_rows;

-- name: CoursesByID :many
select * from course_view where id = any(@ids::uuid[]);

-- name: LockCourse :one
-- What refers to the course may be added meanwhile: a class, by whoever waits for its room.
select version from course where id = @id for no key update;

-- name: InsertCourse :exec
insert into course (id, term_id, code, title, credits, capacity, waitlist_capacity, min_attendance_pct)
values (@id, @term_id, @code, @title, (@credits::float8)::numeric, @capacity, @waitlist_capacity, @min_attendance_pct);

-- name: UpdateCourse :exec
update course set code = @code, title = @title, credits = (@credits::float8)::numeric, min_attendance_pct = @min_attendance_pct, version = version + 1
where id = @id;

-- name: TouchCourse :exec
update course set version = version + 1 where id = @id;

-- name: AddSeats :exec
insert into course_seat (course_id, seat_no)
select @course_id, n
from generate_series(1, (select count(*) + @seats::integer from course_seat s where s.course_id = @course_id)) n
where not exists (select from course_seat s where s.course_id = @course_id and s.seat_no = n)
order by n limit @seats::integer;

-- name: ClearPrerequisites :exec
delete from course_prerequisite where course_id = @course_id;

-- name: FillPrerequisites :exec
insert into course_prerequisite (course_id, code) select @course_id, unnest(@codes::text[]);

-- name: ClearStaff :exec
delete from course_staff where course_id = @course_id;

-- name: FillStaff :exec
insert into course_staff (course_id, user_id, kind, position)
select @course_id, s.user_id, s.kind, s.position
from (select unnest(@users::uuid[]) as user_id, unnest(@kinds::text[]) as kind, unnest(@positions::smallint[]) as position) s;

-- name: TeachersAmong :many
-- Those of the accounts that may teach.
select u.id from app_user u
where u.id = any(@users::uuid[]) and u.status = 'active'
  and exists (select from user_role r where r.user_id = u.id and r.role in ('FACULTY', 'ADMIN'));

-- name: Meetings :many
select m.id, m.course_id, m.weekday, to_char(m.starts, 'HH24:MI')::text as starts, to_char(m.ends, 'HH24:MI')::text as ends,
       coalesce(to_char(m.from_day, 'YYYY-MM-DD'), '')::text as from_day, coalesce(to_char(m.until_day, 'YYYY-MM-DD'), '')::text as until_day,
       m.room_id, m.teacher, m.kind, m.notes
from course_meeting m
where m.course_id = any(@courses::uuid[])
order by m.course_id, m.weekday, m.starts, m.id;

-- name: ClearMeetings :exec
-- Meetings that stay keep their rows, for classes refer to them.
delete from course_meeting where course_id = @course_id and not id = any(@keep::uuid[]);

-- name: PutMeeting :execrows
insert into course_meeting (id, course_id, weekday, starts, ends, from_day, until_day, room_id, teacher, kind, notes)
values (@id, @course_id, @weekday, (@starts::text)::time, (@ends::text)::time, (nullif(@from_day::text, ''))::date, (nullif(@until_day::text, ''))::date,
        sqlc.narg('room_id'), sqlc.narg('teacher'), @kind, @notes)
on conflict (id) do update
set weekday = excluded.weekday, starts = excluded.starts, ends = excluded.ends, from_day = excluded.from_day, until_day = excluded.until_day,
    room_id = excluded.room_id, teacher = excluded.teacher, kind = excluded.kind, notes = excluded.notes
where course_meeting.course_id = excluded.course_id;

-- name: MeetingClashes :many
-- Meetings of other courses that need a room or a teacher when one of these does: on the same weekday, at overlapping times, within overlapping days.
select mine.code as course, o.code, b.weekday, to_char(b.starts, 'HH24:MI')::text as starts, to_char(b.ends, 'HH24:MI')::text as ends,
       coalesce(a.room_id = b.room_id, false)::boolean as room
from meeting_view a
join course mine on mine.id = a.course_id join term t on t.id = mine.term_id
join meeting_view b on b.weekday = a.weekday and b.course_id <> a.course_id and b.starts < a.ends and a.starts < b.ends
join course o on o.id = b.course_id join term u on u.id = o.term_id
where a.course_id = any(@courses::uuid[])
  and (a.room_id = b.room_id or a.taught_by = b.taught_by)
  and coalesce(a.from_day, t.starts_on) <= coalesce(b.until_day, u.ends_on) and coalesce(b.from_day, u.starts_on) <= coalesce(a.until_day, t.ends_on)
order by o.code, b.weekday, b.starts limit 1;

-- name: CoursesOfTerm :many
select id from course where term_id = @term_id;

-- name: LockRoomsAndTeachers :exec
-- Whoever plans meetings takes turns: two courses that ask for one room at once must not both get it.
select pg_advisory_xact_lock(hashtext('course_meeting'));

-- name: Taught :many
-- The newest courses of each of the people who may teach.
select u.id as user_id, s.course_id
from app_user u
cross join lateral (select f.course_id from course_staff f where f.user_id = u.id order by f.course_id desc limit @most) s
where u.id = any(@users::uuid[]) and u.status = 'active'
  and exists (select from user_role r where r.user_id = u.id and r.role in ('FACULTY', 'ADMIN'))
order by u.id, s.course_id desc;

-- name: CoursesOfPerson :many
-- Those in which a person has a seat, and those that they teach, of terms that have days at or after one.
select c.* from course_view c join term t on t.id = c.term_id
where t.ends_on >= (@day::text)::date
  and (exists (select from enrollment e where e.course_id = c.id and e.user_id = @user_id and e.status = 'ENROLLED')
    or exists (select from course_staff s where s.course_id = c.id and s.user_id = @user_id))
order by c.id limit 200;

-- name: RoomsByID :many
select * from room where id = any(@ids::uuid[]);

-- name: ClassesOfCourses :many
select * from class_view where course_id = any(@courses::uuid[]) order by starts_at, id limit 10000;

-- name: StaffByID :many
select id, email, name, avatar_url from user_view where id = any(@ids::uuid[]);

-- name: AssignmentsOfCourse :many
select * from assignment where course_id = @course_id and id > @after::uuid order by id limit @max_rows;

-- name: AssignmentsOfPerson :many
select a.*, c.code from assignment a join course c on c.id = a.course_id
where exists (select from enrollment e where e.course_id = c.id and e.user_id = @user_id and e.status = 'ENROLLED')
  and (case when @past::boolean then a.due_at < now() else a.due_at >= now() end)
order by case when @past::boolean then a.due_at end desc, a.due_at, a.id limit 200;

-- name: Assignment :one
select * from assignment where id = @id;

-- name: LockAssignment :one
select * from assignment where id = @id for update;

-- name: InsertAssignment :one
insert into assignment (id, course_id, title, description, due_at, points, created_by)
values (@id, @course_id, @title, @description, @due_at, sqlc.narg('points'), @created_by) returning *;

-- name: UpdateAssignment :one
update assignment set title = @title, description = @description, due_at = @due_at, points = sqlc.narg('points'), version = version + 1
where id = @id returning *;

-- name: DeleteAssignment :exec
delete from assignment where id = @id;

-- name: EnrolledIn :many
select user_id from enrollment where course_id = @course_id and status = 'ENROLLED';

-- name: PutFeed :exec
insert into calendar_feed (user_id, token_hash) values (@user_id, @token_hash)
on conflict (user_id) do update set token_hash = excluded.token_hash, created_at = now(), used_at = null;

-- name: Feed :one
select created_at, used_at from calendar_feed where user_id = @user_id;

-- name: DeleteFeed :execrows
delete from calendar_feed where user_id = @user_id;

-- name: UseFeed :one
-- Whose calendar it is, if the account is active.
update calendar_feed f set used_at = now() from app_user u
where f.token_hash = @token_hash and u.id = f.user_id and u.status = 'active' returning f.user_id;
