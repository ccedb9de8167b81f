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
