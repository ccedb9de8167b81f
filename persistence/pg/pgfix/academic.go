package pgfix

import (
	"context"
	"fmt"
	"testing"

	"nexus"
	"nexus/persistence/pg"
)

// Term makes the term "T1" in UTC, from September 2026 to a December that no test will see: nobody enrols once a term is over.
func Term(t testing.TB, db *pg.DB) nexus.TermID {
	t.Helper()
	exec(t, db, `insert into term (id, name, starts_on, ends_on, tz) values ('T1', 'Term 1', '2026-09-01', '2099-12-18', 'UTC')`)
	return "T1"
}

// Course makes a course of a term with its seats, taught by teacher unless that is empty.
func Course(t testing.TB, db *pg.DB, term nexus.TermID, code string, capacity, waitlist int, teacher nexus.UserID) nexus.CourseID {
	t.Helper()
	id := nexus.NewID()
	exec(t, db, `insert into course (id, term_id, code, title, credits, capacity, waitlist_capacity) values ($1, $2, $3, $3, 4, $4, $5)`,
		id, string(term), code, capacity, waitlist)
	exec(t, db, `insert into course_seat (course_id, seat_no) select $1, generate_series(1, $2::integer)`, id, capacity)
	if teacher != "" {
		exec(t, db, `insert into course_staff (course_id, user_id, kind) values ($1, $2, 'INSTRUCTOR')`, id, string(teacher))
	}
	return nexus.CourseID(id)
}

// Users makes active accounts <name>1 to <name>n with one role and no password.
func Users(t testing.TB, db *pg.DB, name string, role nexus.Role, n int) []nexus.UserID {
	t.Helper()
	users := make([]nexus.UserID, n)
	ids, emails, names := make([]string, n), make([]string, n), make([]string, n)
	for i := range users {
		ids[i] = nexus.NewID()
		users[i] = nexus.UserID(ids[i])
		names[i] = fmt.Sprint(name, i+1)
		emails[i] = names[i] + "@campus.example"
	}
	exec(t, db, `insert into app_user (id, email, reg_no) select i, e, upper(n) from unnest($1::uuid[], $2::text[], $3::text[]) as x (i, e, n)`, ids, emails, names)
	exec(t, db, `insert into profile (user_id, full_name) select i, n from unnest($1::uuid[], $2::text[]) as x (i, n)`, ids, names)
	exec(t, db, `insert into user_role (user_id, role) select i, $2 from unnest($1::uuid[]) as x (i)`, ids, string(role))
	return users
}

func exec(t testing.TB, db *pg.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
