-- name: Class :one
select * from class_view where id = @id;

-- name: LockClass :exec
select id from class_session where id = @id for update;

-- name: ClassOfOccurrence :one
select id from class_session where meeting_id = @meeting_id and occurs_on = (@occurs_on::text)::date;

-- name: Classes :many
select * from class_view
where course_id = @course_id and starts_at >= @from_at::timestamptz and starts_at < @to_at::timestamptz
order by starts_at, id limit @max_rows;

-- name: OpenClassOf :one
select sqlc.embed(v), c.secret, r.lat, r.lng, r.fence_m
from class_session c join class_view v on v.id = c.id left join room r on r.id = c.room_id
where c.course_id = @course_id and c.status = 'OPEN';

-- name: CoursesWithOpenClass :many
select course_id from class_session where status = 'OPEN';

-- name: PutClass :exec
insert into class_session (id, course_id, meeting_id, occurs_on, starts_at, ends_at, room_id, topic, status, reason, secret, fenced, late_min, opened_by, opened_at, closed_at, version)
values (@id, @course_id, sqlc.narg('meeting_id'), (nullif(@occurs_on::text, ''))::date, @starts_at, @ends_at, sqlc.narg('room_id'), @topic, @status, @reason,
        sqlc.narg('secret'), @fenced, @late_min, sqlc.narg('opened_by'), sqlc.narg('opened_at'), sqlc.narg('closed_at'), @version)
on conflict (id) do update
set starts_at = excluded.starts_at, ends_at = excluded.ends_at, room_id = excluded.room_id, topic = excluded.topic, status = excluded.status, reason = excluded.reason,
    secret = excluded.secret, fenced = excluded.fenced, late_min = excluded.late_min, opened_by = coalesce(excluded.opened_by, class_session.opened_by),
    opened_at = excluded.opened_at, closed_at = excluded.closed_at, version = excluded.version;

-- name: RoomTakenByClass :many
-- Another class that somebody has planned in a room, or moved there, at that time.
select o.code, c.starts_at, c.ends_at
from class_session c join course o on o.id = c.course_id
where c.room_id = @room_id::uuid and c.id <> @id and c.status in ('SCHEDULED', 'OPEN') and c.starts_at < @ends_at and c.ends_at > @starts_at
order by c.starts_at limit 1;

-- name: RoomTakenByMeeting :many
-- A meeting that is held in a room at that time, other than the class's own.
select o.code, w.starts_at, w.ends_at
from meeting_occurrence w join course o on o.id = w.course_id
where w.room_id = @room_id::uuid and w.starts_at < @ends_at and w.ends_at > @starts_at
  and not (w.meeting_id = @meeting_id::uuid and to_char(w.day, 'YYYY-MM-DD') = @occurs_on::text)
order by w.starts_at limit 1;

-- name: RoomsTakenByClasses :many
-- A class of another course that somebody has planned in a room, or moved there, when a meeting of one of these is held in it.
select mine.code as course, o.code, c.starts_at, c.ends_at
from meeting_occurrence w
join class_session c on c.room_id = w.room_id and c.course_id <> w.course_id and c.starts_at < w.ends_at and c.ends_at > w.starts_at
join course o on o.id = c.course_id join course mine on mine.id = w.course_id
where w.course_id = any(@courses::uuid[]) and c.status in ('SCHEDULED', 'OPEN') and c.ends_at > now()
order by c.starts_at limit 1;

-- name: Concerned :many
-- Who has a seat in a course or teaches it.
select user_id from enrollment where enrollment.course_id = @course_id and status = 'ENROLLED'
union select user_id from course_staff where course_staff.course_id = @course_id;

-- name: MarkAbsent :exec
insert into attendance (session_id, course_id, user_id, status, method, marked_at)
select @session_id, e.course_id, e.user_id, 'ABSENT', 'AUTO', @marked_at
from enrollment e where e.course_id = @course_id and e.status = 'ENROLLED'
on conflict do nothing;

-- name: UnmarkAbsent :exec
delete from attendance where session_id = @session_id and method = 'AUTO';

-- name: MarksOf :many
select * from attendance where session_id = @session_id order by marked_at, user_id;

-- name: PutMarks :exec
-- Who has a mark keeps it.
insert into attendance (session_id, course_id, user_id, status, method, device, flags, marked_at)
select @session_id, @course_id, m.user_id, m.status, 'CODE', nullif(m.device, ''::bytea), string_to_array(m.flags, ','), m.at
from (select unnest(@users::uuid[]) as user_id, unnest(@statuses::text[]) as status, unnest(@devices::bytea[]) as device,
             unnest(@flags::text[]) as flags, unnest(@ats::timestamptz[]) as at) m
on conflict (session_id, user_id) do nothing;

-- name: LastDevices :many
-- The device by which each was marked in the latest class of the course before this one.
select distinct on (a.user_id) a.user_id, a.device
from attendance a join class_session c on c.id = a.session_id
where a.course_id = @course_id and a.session_id <> @session_id and a.user_id = any(@users::uuid[]) and a.device is not null
order by a.user_id, a.marked_at desc;

-- name: AddAttendanceEvents :exec
insert into attendance_event (session_id, user_id, actor, outcome, flags, reason, at)
select @session_id, e.user_id, nullif(e.actor, '')::uuid, e.outcome, string_to_array(e.flags, ','), e.reason, e.at
from (select unnest(@users::uuid[]) as user_id, unnest(@actors::text[]) as actor, unnest(@outcomes::text[]) as outcome, unnest(@flags::text[]) as flags,
             unnest(@reasons::text[]) as reason, unnest(@ats::timestamptz[]) as at) e;

-- name: CorrectMark :one
insert into attendance (session_id, course_id, user_id, status, method, remarks, marked_by, marked_at)
values (@session_id, @course_id, @user_id, @status, 'MANUAL', @remarks, @marked_by, @marked_at)
on conflict (session_id, user_id) do update
set status = excluded.status, method = 'MANUAL', remarks = excluded.remarks, marked_by = excluded.marked_by, marked_at = excluded.marked_at
returning *;

-- name: MarkOf :one
select * from attendance where session_id = @session_id and user_id = @user_id;

-- name: Attendees :many
select u.id as user_id, p.full_name as name, coalesce(u.reg_no, '')::text as reg_no, a.status, a.method, a.flags, a.remarks, a.marked_by, a.marked_at,
       (select count(*) from attendance_event v where v.session_id = @session_id and v.user_id = u.id)::integer as tries
from enrollment e join app_user u on u.id = e.user_id join profile p on p.user_id = u.id
left join attendance a on a.session_id = @session_id and a.user_id = u.id
where e.course_id = @course_id and (e.status = 'ENROLLED' or a.user_id is not null) and u.id > @after::uuid
order by u.id limit @max_rows;

-- name: AttendanceTotals :many
-- How students attended courses: of one student, of one course, or of both. What they are excused from does not count, nor what is not over.
select e.course_id, e.user_id, p.full_name as name, coalesce(u.reg_no, '')::text as reg_no,
       count(a.user_id) filter (where a.status <> 'EXCUSED')::integer as total,
       count(a.user_id) filter (where a.status in ('PRESENT', 'LATE'))::integer as attended,
       count(a.user_id) filter (where a.status = 'EXCUSED')::integer as excused
from enrollment e
join app_user u on u.id = e.user_id join profile p on p.user_id = e.user_id
left join class_session c on c.course_id = e.course_id and c.status = 'CLOSED'
left join attendance a on a.session_id = c.id and a.user_id = e.user_id
where e.status = 'ENROLLED'
  and (sqlc.narg('course_id')::uuid is null or e.course_id = sqlc.narg('course_id')::uuid)
  and (sqlc.narg('user_id')::uuid is null or e.user_id = sqlc.narg('user_id')::uuid)
group by e.course_id, e.user_id, p.full_name, u.reg_no
order by e.course_id, e.user_id;

-- name: AttendanceHistory :many
select c.id, c.starts_at, c.ends_at, c.topic, a.status, a.remarks, t.tz
from class_session c join course k on k.id = c.course_id join term t on t.id = k.term_id
join attendance a on a.session_id = c.id and a.user_id = @user_id
where c.course_id = @course_id and c.status = 'CLOSED'
order by c.starts_at desc limit 1000;

-- name: HeldClasses :many
select * from class_view where course_id = @course_id and status in ('OPEN', 'CLOSED') order by starts_at, id limit @max_rows;

-- name: CountEnrolled :one
select count(*) from enrollment where course_id = @course_id and status = 'ENROLLED';

-- name: Register :many
-- Everybody's marks in classes of a course, student by student.
select u.id as user_id, coalesce(u.reg_no, '')::text as reg_no, p.full_name as name, c.id as session_id, coalesce(a.status, '')::text as status
from enrollment e join app_user u on u.id = e.user_id join profile p on p.user_id = u.id
join class_session c on c.id = any(@sessions::uuid[])
left join attendance a on a.session_id = c.id and a.user_id = u.id
where e.course_id = @course_id and e.status = 'ENROLLED'
order by p.full_name, u.id, c.starts_at, c.id;
