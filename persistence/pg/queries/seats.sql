-- name: CourseSize :one
select c.waitlist_capacity, c.last_place, ((now() at time zone t.tz)::date > t.ends_on)::boolean as over
from course c join term t on t.id = c.term_id where c.id = @id;

-- name: SeatNumbers :many
select seat_no from course_seat where course_id = @course_id order by seat_no;

-- name: SeatsAndPlaces :many
select user_id, seat_no, place from enrollment
where course_id = @course_id and status in ('ENROLLED', 'WAITLISTED') order by place nulls first;

-- name: LockStudents :many
-- Those of the accounts that are active students, in an order that all writers keep: nobody gets two seats at one time of the week
-- from two courses at once.
select u.id from app_user u
where u.id = any(@users::uuid[]) and u.status = 'active' and exists (select from user_role r where r.user_id = u.id and r.role = 'STUDENT')
order by u.id for no key update of u;

-- name: EnrollmentClashes :many
-- Of each of the users one meeting of another course of theirs, also of one they wait for, that is held when this course meets: rather of one
-- in which they have a seat.
select distinct on (e.user_id) e.user_id, e.status, o.code, b.weekday, to_char(b.starts, 'HH24:MI')::text as starts, to_char(b.ends, 'HH24:MI')::text as ends
from course mine
join term t on t.id = mine.term_id
join course_meeting a on a.course_id = mine.id
join enrollment e on e.user_id = any(@users::uuid[]) and e.course_id <> mine.id and e.status in ('ENROLLED', 'WAITLISTED')
join course o on o.id = e.course_id
join term u on u.id = o.term_id
join course_meeting b on b.course_id = o.id and b.weekday = a.weekday and b.starts < a.ends and a.starts < b.ends
where mine.id = @course_id
  and coalesce(a.from_day, t.starts_on) <= coalesce(b.until_day, u.ends_on) and coalesce(b.from_day, u.starts_on) <= coalesce(a.until_day, t.ends_on)
order by e.user_id, e.status, o.code, b.weekday, b.starts;

-- name: PrerequisitesMissing :many
select w.user_id::uuid as user_id, array_agg(p.code order by p.code)::text[] as codes
from (select unnest(@users::uuid[]) as user_id) w
join course_prerequisite p on p.course_id = @course_id
where not exists (select from enrollment e join course c on c.id = e.course_id
                  where e.user_id = w.user_id and e.status = 'COMPLETED' and lower(c.code) = lower(p.code))
group by w.user_id;

-- name: CompletedAmong :many
select user_id from enrollment where course_id = @course_id and user_id = any(@users::uuid[]) and status = 'COMPLETED';

-- name: VacateSeats :exec
-- First whoever goes, so that a seat is free before another has it.
update enrollment set status = 'DROPPED', seat_no = null, place = null, changed_at = now()
where course_id = @course_id and user_id = any(@users::uuid[]);

-- name: PutEnrollments :exec
insert into enrollment (course_id, user_id, status, seat_no, place)
select @course_id, r.user_id, r.status, nullif(r.seat_no, 0), nullif(r.place, 0)
from (select unnest(@users::uuid[]) as user_id, unnest(@statuses::text[]) as status, unnest(@seats::integer[]) as seat_no, unnest(@places::bigint[]) as place) r
on conflict (course_id, user_id) do update
set status = excluded.status, seat_no = excluded.seat_no, place = excluded.place, changed_at = now();

-- name: SetLastPlace :exec
update course set last_place = @last_place where id = @id and last_place < @last_place;

-- name: ResizeCourse :exec
update course set capacity = @capacity, waitlist_capacity = @waitlist_capacity where id = @id;

-- name: AddSeatNumbers :exec
insert into course_seat (course_id, seat_no) select @course_id, unnest(@numbers::integer[]);

-- name: RemoveSeatNumbers :exec
delete from course_seat where course_id = @course_id and seat_no = any(@numbers::integer[]);

-- name: CourseRoster :many
select e.user_id, p.full_name as name, coalesce(u.reg_no, '')::text as reg_no, e.status,
       (case when e.status = 'WAITLISTED'
             then (select count(*) from enrollment w where w.course_id = e.course_id and w.status = 'WAITLISTED' and w.place <= e.place) else 0 end)::integer as position
from enrollment e join app_user u on u.id = e.user_id join profile p on p.user_id = e.user_id
where e.course_id = @course_id and e.user_id > @after::uuid and (@status::text = '' and e.status in ('ENROLLED', 'WAITLISTED') or e.status = @status::text)
order by e.user_id limit @max_rows;

-- name: EnrollmentsOf :many
select e.course_id, e.status,
       (case when e.status = 'WAITLISTED'
             then (select count(*) from enrollment w where w.course_id = e.course_id and w.status = 'WAITLISTED' and w.place <= e.place) else 0 end)::integer as position
from enrollment e
where e.user_id = @user_id and e.status <> 'DROPPED'
order by e.course_id;

-- name: EnrollmentOf :one
select e.status,
       (case when e.status = 'WAITLISTED'
             then (select count(*) from enrollment w where w.course_id = e.course_id and w.status = 'WAITLISTED' and w.place <= e.place) else 0 end)::integer as position
from enrollment e
where e.user_id = @user_id and e.course_id = @course_id;
