package check

import (
	"context"
	"fmt"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"

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

// Answers checks that everybody was answered.
func Answers(what string, ops []history.Op) Result {
	var lost []string
	for _, o := range ops {
		if o.Outcome != history.OK {
			lost = append(lost, fmt.Sprintf("%s: %v", o.Client, o.Troubles))
		}
	}
	return none(what, len(ops), lost)
}

// Race checks that what those who asked were answered fits one order that agrees with real time, and that everybody was answered.
func Race(ops []history.Op, seats int) []Result {
	all := make([]porcupine.Operation, len(ops))
	for i, o := range ops {
		all[i] = porcupine.Operation{Input: o, Call: o.Call, Return: o.Return}
	}
	order := porcupine.CheckOperationsTimeout(line(seats), all, deciding)
	return []Result{
		Answers("students without an answer", ops),
		Holds("seats and places are linearizable (porcupine)", string(porcupine.Ok), fmt.Sprintf("%s, of %d", order, len(ops)), order == porcupine.Ok),
	}
}

// Roll compares the course's rows with what everybody was answered in a race, after so many of those who won a seat have given it back: whoever was
// that far ahead in the line has one now, and the others have moved up by as many places, in the order that they were told.
func Roll(ctx context.Context, db querier, when, course string, ops []history.Op, seats, gone int) ([]Result, error) {
	want := standings(ops, gone)
	rows, err := db.Query(ctx, `
select user_id::text, status, (case when place is not null then row_number() over (partition by status order by place) else 0 end)::int
from enrollment where course_id = $1`, course)
	if err != nil {
		return nil, err
	}
	var wrong []string
	var user string
	var is standing
	taken, there := 0, 0
	if _, err := pgx.ForEachRow(rows, []any{&user, &is.status, &is.position}, func() error {
		there++
		if is.status == string(nexus.Enrolled) {
			taken++
		}
		if is != want[user] {
			wrong = append(wrong, fmt.Sprintf("%s is %v, and should be %v", user, is, want[user]))
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return []Result{
		Holds("seats that are taken "+when, fmt.Sprint(seats), fmt.Sprint(taken), taken == seats),
		Holds("students whom the course knows "+when, fmt.Sprint(len(ops)), fmt.Sprint(there), there == len(ops)),
		none("students who stand otherwise than they were told "+when, len(ops), wrong),
	}, nil
}

// standing is how somebody stands to a course.
type standing struct {
	status   string
	position int
}

func standings(ops []history.Op, gone int) map[string]standing {
	all := make(map[string]standing, len(ops))
	for _, o := range ops {
		s := standing{o.Event, o.Value}
		switch {
		case gone == 0:
		case o.Event == string(nexus.Enrolled):
			s = standing{string(nexus.Dropped), 0}
		case o.Value <= gone:
			s = standing{string(nexus.Enrolled), 0}
		default:
			s.position -= gone
		}
		all[o.Client] = s
	}
	return all
}

// Promotions checks that nobody waits beside a free seat of a course, and that as many as moved up were told, each once.
func Promotions(ctx context.Context, db querier, course string, moved int) (Result, error) {
	wrong, err := lines(ctx, db, `
with told as (select user_id, count(*) as times from notification where kind = 'seat.promoted' and data ->> 'courseId' = $1::text group by user_id)
select 'seat ' || s.seat_no || ' is free while ' || w.n || ' wait' from course_seat s
join lateral (select count(*) as n from enrollment e where e.course_id = s.course_id and e.status = 'WAITLISTED') w on w.n > 0
where s.course_id = $1::uuid and not exists (select from enrollment e where e.course_id = s.course_id and e.seat_no = s.seat_no)
union all
select user_id || ' was told ' || times || ' times' from told where times > 1
union all
select user_id || ' was told, and has no seat' from told
where not exists (select from enrollment e where e.course_id = $1::uuid and e.user_id = told.user_id and e.status = 'ENROLLED')
union all
select count(*) || ' were told of a seat, not ' || $2::bigint from told having count(*) <> $2`, course, moved)
	r := none(WrongSeats, len(wrong), wrong)
	r.Measured = fmt.Sprint(len(wrong))
	return r, err
}
