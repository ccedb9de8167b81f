package check

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"nexus"
	"nexus/cmd/nexus-chaos/history"
	"nexus/persistence/pg/pgfix"
)

func enrolled(who string, call, ret int64) history.Op {
	return history.Op{Kind: history.Enrol, Client: who, Call: call, Return: ret, Event: string(nexus.Enrolled), Outcome: history.OK}
}

func waits(who string, call, ret int64, position int) history.Op {
	o := enrolled(who, call, ret)
	o.Event, o.Value = string(nexus.Waitlisted), position
	return o
}

func TestRaceForTwoSeats(t *testing.T) {
	const answer, order = "students without an answer", "seats and places are linearizable (porcupine)"
	for _, c := range []struct {
		name  string
		ops   []history.Op
		wrong string
	}{
		{"nobody", nil, ""},
		{"one after the other", []history.Op{enrolled("a", 1, 2), enrolled("b", 3, 4), waits("c", 5, 6, 1), waits("d", 7, 8, 2)}, ""},
		{"all at once, in any order", []history.Op{waits("d", 1, 9, 2), waits("c", 1, 9, 1), enrolled("b", 1, 9), enrolled("a", 1, 9)}, ""},
		{"three have a seat", []history.Op{enrolled("a", 1, 9), enrolled("b", 1, 9), enrolled("c", 1, 9)}, order},
		{"who came later is before", []history.Op{enrolled("a", 1, 2), enrolled("b", 1, 2), waits("c", 3, 4, 2), waits("d", 5, 6, 1)}, order},
		{"who came later has the seat", []history.Op{enrolled("a", 1, 2), waits("b", 3, 4, 1), enrolled("c", 5, 6)}, order},
		{"two have one place", []history.Op{enrolled("a", 1, 9), enrolled("b", 1, 9), waits("c", 1, 9, 1), waits("d", 1, 9, 1)}, order},
		{"a place is left out", []history.Op{enrolled("a", 1, 9), enrolled("b", 1, 9), waits("c", 1, 9, 2)}, order},
		{"waits beside a free seat", []history.Op{enrolled("a", 1, 9), waits("b", 1, 9, 1)}, order},
		{"heard nothing", []history.Op{as(history.Op{Client: "a", Call: 1, Return: 2}, history.Unknown)}, answer + ", " + order},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := missed(Race(c.ops, 2)); got != c.wrong {
				t.Errorf("missed %q, want %q", got, c.wrong)
			}
		})
	}
}

// TestRaceOfARealLine has a line that takes everybody at some moment between call and return: no check may blame it, and none may miss that two have
// changed places of whom one was answered before the other came.
func TestRaceOfARealLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const apart = 10
		seats, n := rapid.IntRange(0, 5).Draw(t, "seats"), rapid.IntRange(2, 40).Draw(t, "students")
		ops := make([]history.Op, n)
		for i := range ops { // everybody is taken at a time of their own
			at := int64(apart * (i + 1))
			call, ret := at-rapid.Int64Range(0, 5*apart).Draw(t, "before"), at+rapid.Int64Range(0, 5*apart).Draw(t, "after")
			if ops[i] = enrolled(fmt.Sprint(i), call, ret); i >= seats {
				ops[i] = waits(fmt.Sprint(i), call, ret, i-seats+1)
			}
		}
		if got := missed(Race(ops, seats)); got != "" {
			t.Fatalf("blames %v: %v", ops, got)
		}
		i, j := rapid.IntRange(0, n-1).Draw(t, "one"), rapid.IntRange(0, n-1).Draw(t, "other")
		if ops[i].Return < ops[j].Call && j >= seats {
			ops[i].Event, ops[j].Event = ops[j].Event, ops[i].Event
			ops[i].Value, ops[j].Value = ops[j].Value, ops[i].Value
			if missed(Race(ops, seats)) == "" {
				t.Fatalf("does not miss that %d and %d have changed places: %v", i, j, ops)
			}
		}
	})
}

// twoMoved is a course of two seats that were given back, of whose three who waited two moved up and were told.
const twoMoved = `
insert into enrollment (course_id, user_id, status, seat_no, place)
	select $1, u, s, n, p from unnest($2::uuid[], '{DROPPED,DROPPED,ENROLLED,ENROLLED,WAITLISTED}'::text[], '{null,null,2,1,null}'::int[], '{null,null,null,null,7}'::bigint[]) x (u, s, n, p)`

// note tells those of one status of a seat.
const note = `
insert into notification (id, user_id, seq, kind, priority, title, data)
	select gen_random_uuid(), user_id, coalesce((select max(seq) from notification), 0) + 1, 'seat.promoted', 'high', 'A seat', json_build_object('courseId', course_id)
	from enrollment where status = `

// TestSpoiltSeatsAreNoticed breaks each rule in the tables of a real database.
func TestSpoiltSeatsAreNoticed(t *testing.T) {
	db := pgfix.DB(t)
	pgfix.Term(t, db)
	course, who := string(pgfix.Course(t, db, "T1", "CS1", 2, 9, "")), pgfix.Users(t, db, "s", nexus.Student, 5)
	ops := []history.Op{
		enrolled(string(who[0]), 1, 1), enrolled(string(who[1]), 2, 2),
		waits(string(who[2]), 3, 3, 1), waits(string(who[3]), 4, 4, 2), waits(string(who[4]), 5, 5, 3),
	}
	for _, sql := range []struct {
		text string
		args []any
	}{{twoMoved, []any{course, who}}, {note + `'ENROLLED'`, nil}} {
		if _, err := db.Pool().Exec(t.Context(), sql.text, sql.args...); err != nil {
			t.Fatal(err)
		}
	}
	const taken, known, stand = "seats that are taken now", "students whom the course knows now", "students who stand otherwise than they were told now"
	for _, c := range []struct{ name, spoil, wrong string }{
		{"whole", `select`, ""},
		{"a seat is free", `update enrollment set status = 'DROPPED', seat_no = null where seat_no = 1`, taken + ", " + stand + ", " + WrongSeats},
		{"a seat too many", `insert into course_seat select course_id, 3 from course_seat where seat_no = 1`, WrongSeats},
		{"somebody is forgotten", `delete from enrollment where place = 7`, known},
		{
			"who was not next has the seat", `update enrollment set status = 'WAITLISTED', seat_no = null, place = 6 where seat_no = 1;
			update enrollment set status = 'ENROLLED', seat_no = 1, place = null where place = 7`, stand + ", " + WrongSeats,
		},
		{"told twice", note + `'ENROLLED' and seat_no = 1`, WrongSeats},
		{"told, and waits still", note + `'WAITLISTED'`, WrongSeats},
		{"not told", `delete from notification where user_id = (select user_id from enrollment where seat_no = 1)`, WrongSeats},
	} {
		t.Run(c.name, func(t *testing.T) {
			tx, err := db.Pool().Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := tx.Rollback(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			if _, err := tx.Exec(t.Context(), c.spoil); err != nil {
				t.Fatal(err)
			}
			rs, err := Roll(t.Context(), tx, "now", course, ops, 2, 2)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Promotions(t.Context(), tx, course, 2)
			if err != nil {
				t.Fatal(err)
			}
			if got := missed(append(rs, p)); got != c.wrong {
				t.Errorf("missed %q, want %q: %v", got, c.wrong, p.Detail)
			}
		})
	}
}
