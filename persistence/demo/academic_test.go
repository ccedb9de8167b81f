package demo

import (
	"testing"
	"time"

	"nexus/persistence/pg/pgfix"
)

// TestTheCampusStudies: courses on every day of the week, everybody in at least three, four weeks behind them.
func TestTheCampusStudies(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	seed(t, db, time.Date(2026, 3, 18, 6, 30, 0, 0, time.UTC))
	for _, c := range []struct {
		what, query string
		want        int64
	}{
		{"terms", `select count(*) from term`, 1},
		{"courses", `select count(*) from course`, 6},
		{"days of the week with meetings", `select count(distinct weekday) from course_meeting`, 7},
		{"meetings without a room with a fence", `select count(*) from course_meeting m left join room r on r.id = m.room_id where r.fence_m is null`, 0},
		{"courses without a teacher", `select count(*) from course c where not exists (select from course_staff s where s.course_id = c.id)`, 0},
		{"students in three courses or more", `select count(*) from (select user_id from enrollment where status = 'ENROLLED' group by user_id having count(*) >= 3) x`, 30},
		{"students who wait", `select count(*) from enrollment where status = 'WAITLISTED'`, 3},
		{"waitlists that give a place again", `select count(*) from course c where last_place < (select coalesce(max(place), 0) from enrollment e where e.course_id = c.id)`, 0},
		{"students with two meetings at one time", `select count(*) from enrollment a join enrollment b on b.user_id = a.user_id and b.course_id <> a.course_id
			join course_meeting m on m.course_id = a.course_id join course_meeting n on n.course_id = b.course_id
			where m.weekday = n.weekday and m.starts < n.ends and n.starts < m.ends`, 0},
		{"classes of four weeks, and two of this morning", `select count(*) from class_session`, 4*18 + 2},
		{"classes that are not over", `select count(*) from class_session where ends_at > '2026-03-18T06:30:00Z' or status <> 'CLOSED'`, 0},
		{"seats without a mark", `select count(*) from class_session c join enrollment e on e.course_id = c.course_id and e.status = 'ENROLLED'
			where not exists (select from attendance a where a.session_id = c.id and a.user_id = e.user_id)`, 0},
		{"ids that are no UUIDv7", `select count(*) from class_session where substr(id::text, 15, 1) <> '7'`, 0},
		{"open assignments", `select count(*) from assignment where due_at > '2026-03-18T06:30:00Z'`, 3},
	} {
		if got := one[int64](t, db, c.query); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	levels := `select count(*) from (select 100.0 * count(*) filter (where a.status in ('PRESENT', 'LATE')) / count(*) filter (where a.status <> 'EXCUSED') as pct
		from attendance a join class_session c on c.id = a.session_id group by a.user_id, a.course_id) x where pct `
	for _, c := range []string{"< 75", "between 75 and 84.99", ">= 85"} {
		if got := one[int64](t, db, levels+c); got < 3 {
			t.Errorf("attendance %s: %d", c, got)
		}
	}
}

// TestTheNewYearBeginsANewTerm, and the last weeks' classes are those of the old one.
func TestTheNewYearBeginsANewTerm(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	seed(t, db, time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC))
	if got := one[int64](t, db, `select count(*) from class_session c join course k on k.id = c.course_id where k.term_id = '2025-h2'`); got == 0 {
		t.Error("the old term has no classes")
	}
	if got := one[int64](t, db, `select count(*) from class_session c join course k on k.id = c.course_id where k.term_id = '2026-h1'`); got == 0 {
		t.Error("the new term has no classes")
	}
	if got := one[int64](t, db, `select count(*) from course`); got != 12 {
		t.Errorf("%d courses", got)
	}
}

// TestWhatPeopleMakeOfTheCoursesStays: holidays, other staff, other meetings and courses of their own are no reason not to start again, and
// classes are only held as it is planned now.
func TestWhatPeopleMakeOfTheCoursesStays(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	now := time.Date(2026, 6, 29, 12, 0, 0, 0, time.UTC) // the last days of a term
	seed(t, db, now)
	for _, change := range []string{
		`insert into course_staff (course_id, user_id, kind) select c.id, u.id, 'ASSISTANT' from course c, app_user u where u.email = 'faculty3@demo.nexus' and c.code <> 'MA205'`,
		`delete from course_staff where course_id = (select id from course where code = 'ME220')`,
		`insert into term_holiday (term_id, day, name) values ('2026-h1', '2026-06-30', 'Rest')`,
		`update course_meeting m set from_day = '2026-01-01', until_day = '2026-06-29' from course c where c.id = m.course_id and c.code = 'CS310'`,
		`insert into term (id, name, starts_on, ends_on, tz) values ('2026-h2', 'Ours', '2026-07-01', '2026-12-31', 'UTC')`,
		`insert into course (id, term_id, code, title, credits, capacity) values (gen_random_uuid(), '2026-h2', 'OWN1', 'Our own', 1, 3)`,
		`insert into course_seat (course_id, seat_no) select id, 1 from course where code = 'OWN1'`,
	} {
		if _, err := db.Exec(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	seed(t, db, now.AddDate(0, 0, 10)) // by then the next term has begun
	for _, c := range []struct {
		what, query string
		want        int64
	}{
		{"classes on a holiday", `select count(*) from class_session where occurs_on = '2026-06-30'`, 0},
		{"classes after the last of their meeting", `select count(*) from class_session s join course c on c.id = s.course_id where c.code = 'CS310' and c.term_id = '2026-h1' and occurs_on > '2026-06-29'`, 0},
		{"seats of a course that is no demo", `select count(*) from course_seat s join course c on c.id = s.course_id where c.code = 'OWN1'`, 1},
		{"courses of a term that is ours", `select count(*) from course where term_id = '2026-h2'`, 1},
	} {
		if got := one[int64](t, db, c.query); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}
