package demo

import (
	"context"
	"hash/fnv"
	"time"

	"nexus"
)

// topics are what classes were about, one after another.
var topics = []string{"Introduction", "First principles", "Worked examples", "Where it goes wrong", "Proofs", "Revision", "Guest lecture", "Problem sheet"}

// classes adds the classes of the last four weeks that are missing, with who attended them, and returns how many it made.
func (s seeder) classes(ctx context.Context) (int64, error) {
	rows, err := s.tx.Query(ctx, `
select m.id::text, d.day::text
from course_meeting m join course c on c.id = m.course_id and c.code = any($3::text[]) join term t on t.id = c.term_id
cross join lateral (select generate_series($1::timestamptz at time zone t.tz, $2::timestamptz at time zone t.tz, interval '1 day')::date as day) d
where extract(isodow from d.day) = m.weekday and (d.day + m.ends) at time zone t.tz <= $2
  and d.day between coalesce(m.from_day, t.starts_on) and coalesce(m.until_day, t.ends_on)
  and not exists (select from term_holiday h where h.term_id = t.id and h.day = d.day)
  and not exists (select from class_session s where s.meeting_id = m.id and s.occurs_on = d.day)
order by d.day, m.starts`, s.now.Add(-past), s.now, each(lectures, func(l lecture) string { return l.code }))
	if err != nil {
		return 0, err
	}
	var meetings, days []string
	for rows.Next() {
		var meeting, day string
		if err := rows.Scan(&meeting, &day); err != nil {
			return 0, err
		}
		meetings, days = append(meetings, meeting), append(days, day)
	}
	if err := rows.Err(); err != nil {
		return 0, err
	}
	sessions := ids(len(meetings))
	made, err := s.insert(ctx, `
insert into class_session (id, course_id, meeting_id, occurs_on, starts_at, ends_at, room_id, topic, status, opened_by, opened_at, closed_at)
select i.id, c.id, m.id, i.day, x.starts_at, x.ends_at, m.room_id, ($4::text[])[1 + (i.day - t.starts_on) / 7 % $5], 'CLOSED', m.taught_by, x.starts_at, x.ends_at
from unnest($1::uuid[], $2::uuid[], $3::date[]) as i(id, meeting, day)
join meeting_view m on m.id = i.meeting join course c on c.id = m.course_id join term t on t.id = c.term_id
cross join lateral (select (i.day + m.starts) at time zone t.tz as starts_at, (i.day + m.ends) at time zone t.tz as ends_at) x`,
		sessions, meetings, days, topics, len(topics))
	if err != nil {
		return 0, err
	}
	return made, s.attend(ctx, sessions)
}

// attend marks everybody who has a seat in classes that were held.
func (s seeder) attend(ctx context.Context, classes []string) error {
	rows, err := s.tx.Query(ctx, `
select c.id::text, c.course_id::text, e.user_id::text, u.reg_no, k.code || to_char(c.occurs_on, 'YYYYMMDD') || c.starts_at::text, c.ends_at
from class_session c join enrollment e on e.course_id = c.course_id and e.status = 'ENROLLED' join app_user u on u.id = e.user_id join course k on k.id = c.course_id
where c.id = any($1::uuid[]) order by c.starts_at, u.reg_no`, classes)
	if err != nil {
		return err
	}
	var sessions, courses, users, statuses, methods []string
	var ats []time.Time
	for rows.Next() {
		var session, course, user, regNo, what string
		var ended time.Time
		if err := rows.Scan(&session, &course, &user, &regNo, &what, &ended); err != nil {
			return err
		}
		status, method := attended(regNo, what)
		sessions, courses, users = append(sessions, session), append(courses, course), append(users, user)
		statuses, methods, ats = append(statuses, string(status)), append(methods, method), append(ats, ended)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = s.insert(ctx, `
insert into attendance (session_id, course_id, user_id, status, method, marked_at)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[]) on conflict do nothing`,
		sessions, courses, users, statuses, methods, ats)
	return err
}

// attended is how a student attended a class: always the same, most of them nearly always, some so rarely that it shows.
func attended(regNo, what string) (nexus.AttendanceStatus, string) {
	h := fnv.New32a()
	h.Write([]byte(regNo + " " + what)) // a hash takes everything
	luck := int(h.Sum32() % 100)
	present := 94
	switch regNo[len(regNo)-1] {
	case '4', '9':
		present = 80
	case '7':
		present = 60
	}
	switch {
	case luck < 3:
		return nexus.Excused, "MANUAL"
	case luck < 9:
		return nexus.Late, "CODE"
	case luck < present:
		return nexus.Present, "CODE"
	default:
		return nexus.Absent, "AUTO"
	}
}
