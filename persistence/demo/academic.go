package demo

import (
	"context"
	"fmt"
	"time"

	"nexus"
)

// lecture is one of the demo courses. No two of them meet at one time, so that anybody may take any.
type lecture struct {
	code, title string
	credits     float64
	capacity    int
	waitlist    int
	teacher     int // of faculty, from 1
	room        int // of rooms, from 0
}

var lectures = []lecture{
	{"CS201", "Data Structures", 4, 40, 10, 1, 0},
	{"EE210", "Signals and Systems", 4, 40, 10, 2, 1},
	{"MA205", "Linear Algebra", 3, 40, 10, 3, 2},
	{"ME220", "Thermodynamics", 3, 40, 10, 4, 3},
	{"CS310", "Operating Systems", 4.5, 40, 10, 1, 0},
	{"DS150", "Design Studio", 2, 12, 10, 2, 3}, // small, full, and some wait
}

// meeting is when a course meets each week.
type meeting struct {
	code, kind, starts, ends string
	weekday                  int
}

var meetings = []meeting{
	{"CS201", "LECTURE", "09:00", "10:00", 1},
	{"CS201", "LECTURE", "09:00", "10:00", 3},
	{"CS201", "TUTORIAL", "09:00", "10:00", 5},
	{"EE210", "LECTURE", "10:15", "11:15", 1},
	{"EE210", "LECTURE", "10:15", "11:15", 3},
	{"EE210", "LAB", "10:00", "12:00", 6},
	{"MA205", "LECTURE", "09:00", "10:00", 2},
	{"MA205", "LECTURE", "09:00", "10:00", 4},
	{"MA205", "TUTORIAL", "10:00", "11:00", 7},
	{"ME220", "LECTURE", "10:15", "11:15", 2},
	{"ME220", "LECTURE", "10:15", "11:15", 4},
	{"ME220", "LECTURE", "10:15", "11:15", 5},
	{"CS310", "LECTURE", "11:30", "13:00", 1},
	{"CS310", "LECTURE", "11:30", "13:00", 3},
	{"CS310", "LAB", "13:00", "15:00", 6},
	{"DS150", "STUDIO", "14:00", "16:00", 2},
	{"DS150", "STUDIO", "14:00", "16:00", 4},
	{"DS150", "STUDIO", "14:00", "15:00", 7},
}

// enrolled is how many of the students take courses: the first ones, each three of the five larger courses, and half of them the small one.
const enrolled = 30

// room is where courses meet.
type room struct {
	block, name, number string
	lat, lng            float64
}

var rooms = []room{
	{"A", "Aryabhata Block", "101", 12.9716, 77.5946},
	{"A", "Aryabhata Block", "204", 12.9717, 77.5947},
	{"B", "Bhaskara Block", "110", 12.9722, 77.5952},
	{"B", "Bhaskara Block", "305", 12.9723, 77.5953},
}

// fence is the radius of a room's fence in metres.
const fence = 60

// half is the half of a year that a day lies in, as a term.
type half struct {
	id, name    string
	first, last time.Time
}

func halfOf(day time.Time) half {
	first, n := time.Date(day.Year(), time.January, 1, 0, 0, 0, 0, day.Location()), 1
	if day.Month() >= time.July {
		first, n = first.AddDate(0, 6, 0), 2
	}
	return half{
		id: fmt.Sprintf("%d-h%d", day.Year(), n), name: fmt.Sprintf("Semester %d of %d", n, day.Year()), first: first, last: first.AddDate(0, 6, -1),
	}
}

// past is how far back the demo campus has held classes.
const past = 28 * 24 * time.Hour

// terms are that of today and that of four weeks ago, which may be another.
func (s seeder) terms() ([]half, error) {
	place, err := time.LoadLocation(zone)
	if err != nil {
		return nil, err
	}
	before, now := halfOf(s.now.In(place).Add(-past)), halfOf(s.now.In(place))
	if before.id == now.id {
		return []half{now}, nil
	}
	return []half{before, now}, nil
}

// courses adds the terms, rooms and courses that are missing, with staff, meetings, students and assignments, and returns how many courses it made.
func (s seeder) courses(ctx context.Context) (made int64, err error) {
	terms, err := s.terms()
	if err != nil {
		return 0, err
	}
	if _, err := s.insert(ctx, `
insert into room (id, block_code, block_name, number, lat, lng, fence_m)
select i.* , $7 from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[]) as i(id, code, name, number, lat, lng)
on conflict do nothing`, ids(len(rooms)), each(rooms, func(r room) string { return r.block }), each(rooms, func(r room) string { return r.name }),
		each(rooms, func(r room) string { return r.number }), each(rooms, func(r room) float64 { return r.lat }), each(rooms, func(r room) float64 { return r.lng }), fence); err != nil {
		return 0, err
	}
	for _, t := range terms {
		n, err := s.term(ctx, t)
		if err != nil {
			return made, fmt.Errorf("%s: %w", t.id, err)
		}
		made += n
	}
	return made, nil
}

// term adds one term and what happens in it. One that is there already stays as people have made it.
func (s seeder) term(ctx context.Context, t half) (made int64, err error) {
	n, err := s.insert(ctx, `insert into term (id, name, starts_on, ends_on, tz) values ($1, $2, $3, $4, $5) on conflict do nothing`,
		t.id, t.name, t.first, t.last, zone)
	if err != nil || n == 0 {
		return 0, err
	}
	made, err = s.insert(ctx, `
insert into course (id, term_id, code, title, credits, capacity, waitlist_capacity)
select i.id, $1, i.code, i.title, i.credits, i.capacity, i.waitlist
from unnest($2::uuid[], $3::text[], $4::text[], $5::numeric[], $6::int[], $7::int[]) as i(id, code, title, credits, capacity, waitlist)`,
		t.id, ids(len(lectures)), each(lectures, func(l lecture) string { return l.code }), each(lectures, func(l lecture) string { return l.title }),
		each(lectures, func(l lecture) float64 { return l.credits }), each(lectures, func(l lecture) int { return l.capacity }),
		each(lectures, func(l lecture) int { return l.waitlist }))
	if err != nil {
		return 0, err
	}
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`insert into course_seat (course_id, seat_no) select id, generate_series(1, capacity) from course where term_id = $1`, []any{t.id}},
		{
			`insert into course_staff (course_id, user_id, kind)
select c.id, u.id, 'INSTRUCTOR' from unnest($2::text[], $3::text[]) as i(code, email)
join course c on c.term_id = $1 and c.code = i.code join app_user u on lower(u.email) = i.email`,
			[]any{t.id, each(lectures, func(l lecture) string { return l.code }), each(lectures, func(l lecture) string { return fmt.Sprintf("faculty%d@demo.nexus", l.teacher) })},
		},
		{
			`insert into course_meeting (id, course_id, weekday, starts, ends, kind, room_id)
select i.id, c.id, i.weekday, i.starts::time, i.ends::time, i.kind,
       (select r.id from room r join unnest($8::text[], $9::text[], $10::text[]) as l(code, block, number) on r.block_code = l.block and r.number = l.number
        where l.code = i.code)
from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[]) as i(id, code, kind, starts, ends, weekday)
join course c on c.term_id = $1 and c.code = i.code`,
			[]any{
				t.id, ids(len(meetings)), each(meetings, func(m meeting) string { return m.code }), each(meetings, func(m meeting) string { return m.kind }),
				each(meetings, func(m meeting) string { return m.starts }), each(meetings, func(m meeting) string { return m.ends }), each(meetings, func(m meeting) int { return m.weekday }),
				each(lectures, func(l lecture) string { return l.code }), each(lectures, func(l lecture) string { return rooms[l.room].block }),
				each(lectures, func(l lecture) string { return rooms[l.room].number }),
			},
		},
		{
			`insert into assignment (id, course_id, title, description, due_at, points, created_by)
select i.id, c.id, i.title, 'Hand in by the end of the day.', $5::timestamptz + i.days * interval '1 day', 20, s.user_id
from unnest($2::uuid[], $3::text[], $4::text[], $6::int[]) as i(id, code, title, days)
join course c on c.term_id = $1 and c.code = i.code join course_staff s on s.course_id = c.id`,
			[]any{t.id, ids(3), []string{"CS201", "MA205", "CS310"}, []string{"Balanced trees", "Eigenvalues by hand", "A scheduler of your own"}, s.now.Truncate(time.Hour), []int{3, 5, 9}},
		},
	} {
		if _, err := s.insert(ctx, step.sql, step.args...); err != nil {
			return made, err
		}
	}
	return made, s.seats(ctx, t)
}

// seats lets the students enrol, in order, until a course is full; the others wait.
func (s seeder) seats(ctx context.Context, t half) error {
	var emails, codes []string
	for i := range enrolled {
		email := fmt.Sprintf("student%d@demo.nexus", i+1)
		larger := len(lectures) - 1
		for j := range 3 {
			emails, codes = append(emails, email), append(codes, lectures[(i+j)%larger].code)
		}
		if i%2 == 0 {
			emails, codes = append(emails, email), append(codes, lectures[larger].code)
		}
	}
	_, err := s.insert(ctx, `
with input as (
    select c.id as course_id, u.id as user_id, c.capacity, row_number() over (partition by c.id order by i.n) as n
    from unnest($2::text[], $3::text[]) with ordinality as i(email, code, n)
    join course c on c.term_id = $1 and c.code = i.code join app_user u on lower(u.email) = i.email
), made as (
    insert into enrollment (course_id, user_id, status, seat_no, place)
    select course_id, user_id, case when n <= capacity then $4 else $5 end, case when n <= capacity then n end, case when n > capacity then n - capacity end
    from input returning course_id, place
)
update course set last_place = m.last from (select course_id, max(place) as last from made where place is not null group by course_id) m where id = m.course_id`,
		t.id, emails, codes, string(nexus.Enrolled), string(nexus.Waitlisted))
	return err
}
