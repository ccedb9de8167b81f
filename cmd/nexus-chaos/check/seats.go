package check

import (
	"context"
	"fmt"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus"
	"nexus/cmd/nexus-chaos/history"
)

// line is a course as those who ask for seats should see it: the first so many have a seat, all others the place behind those before them. The
// state is how many have asked.
func line(seats int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, input, _ any) (bool, any) {
			n, o := state.(int), input.(history.Op)
			if n < seats {
				return o.Event == string(nexus.Enrolled), n + 1
			}
			return o.Event == string(nexus.Waitlisted) && o.Value == n-seats+1, n + 1
		},
		Equal: func(a, b any) bool { return a == b },
	}
}

// Race checks that what those who asked were answered fits one order that agrees with real time, and that everybody was answered.
func Race(ops []history.Op, seats int) []Result {
	var lost []string
	all := make([]porcupine.Operation, len(ops))
	for i, o := range ops {
		if o.Outcome != history.OK {
			lost = append(lost, fmt.Sprintf("%s: %v", o.Client, o.Troubles))
		}
		all[i] = porcupine.Operation{Input: o, Call: o.Call, Return: o.Return}
	}
	order := porcupine.CheckOperationsTimeout(line(seats), all, deciding)
	return []Result{
		none("students without an answer", len(ops), lost),
		Holds("seats and places are linearizable (porcupine)", string(porcupine.Ok), fmt.Sprintf("%s, of %d", order, len(ops)), order == porcupine.Ok),
	}
}

// Roll compares the course's rows with what everybody was answered: exactly so many seats are taken, by those who were told so, and the others
// wait in the order that they were told.
func Roll(ctx context.Context, db *pgxpool.Pool, course string, ops []history.Op, seats int) ([]Result, error) {
	told := make(map[string]history.Op, len(ops))
	for _, o := range ops {
		told[o.Client] = o
	}
	rows, err := db.Query(ctx, `
select user_id::text, status, (case when place is not null then row_number() over (partition by status order by place) else 0 end)::int
from enrollment where course_id = $1`, course)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var wrong []string
	taken, there := 0, 0
	for rows.Next() {
		var user, status string
		var position int
		if err := rows.Scan(&user, &status, &position); err != nil {
			return nil, err
		}
		there++
		if status == string(nexus.Enrolled) {
			taken++
		}
		if o := told[user]; o.Event != status || o.Value != position {
			wrong = append(wrong, fmt.Sprintf("%s was told %s %d and is %s %d", user, o.Event, o.Value, status, position))
		}
	}
	return []Result{
		Holds("seats that are taken", fmt.Sprint(seats), fmt.Sprint(taken), taken == seats),
		Holds("students in the course or its line", fmt.Sprint(len(ops)), fmt.Sprint(there), there == len(ops)),
		none("students who stand otherwise than they were told", len(ops), wrong),
	}, rows.Err()
}

// Promotions checks that nobody waits beside a free seat of a course, and that everybody who moved up was told once.
func Promotions(ctx context.Context, db *pgxpool.Pool, course string) (Result, error) {
	wrong, err := lines(ctx, db, `
select 'seat ' || s.seat_no || ' is free while ' || w.n || ' wait' from course_seat s
join lateral (select count(*) as n from enrollment e where e.course_id = s.course_id and e.status = 'WAITLISTED') w on w.n > 0
where s.course_id = $1 and not exists (select from enrollment e where e.course_id = s.course_id and e.seat_no = s.seat_no)
union all
select user_id || ' was told ' || count(*) || ' times' from notification
where kind = 'seat.promoted' and data ->> 'courseId' = $1::text group by user_id having count(*) > 1`, course)
	r := none(WrongSeats, len(wrong), wrong)
	r.Measured = fmt.Sprint(len(wrong))
	return r, err
}
