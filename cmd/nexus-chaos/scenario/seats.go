package scenario

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"nexus"
	"nexus/actors/course"
	"nexus/cmd/nexus-chaos/check"
	"nexus/cmd/nexus-chaos/client"
	"nexus/cmd/nexus-chaos/history"
	"nexus/cmd/nexus-chaos/stage"
)

// raceLimit bounds what a student waits for a seat.
const raceLimit = time.Minute

// seats has students race for the seats of a course, through all nodes, and then has those who won give them back at once. Both times the node that
// the course lives on is killed while most of them have no answer yet.
func seats(students, capacity int) func(context.Context, *Trial) error {
	return func(ctx context.Context, t *Trial) error {
		web, db := t.web(t.Stage.Nodes[:3]), t.Stage.Postgres.Pool()
		defer web.Close()
		id, err := web.Course(ctx, capacity, students)
		if err != nil {
			return err
		}
		all, err := client.Applicants(ctx, db, stage.Secret, students)
		if err != nil {
			return err
		}
		racing, cancel := context.WithTimeout(ctx, raceLimit)
		defer cancel()
		took := make([]history.Op, students)
		took[0] = web.Apply(racing, all[0], id) // which wakes the course, so that it is known where it lives
		if err := t.crowd(ctx, id, students-1, students/20, func(i int) { took[i+1] = web.Apply(racing, all[i+1], id) }); err != nil {
			return err
		}
		t.add(unanswered("students who had to ask for a seat again, for the node died", took))
		t.add(check.Lasting(check.Race(took, capacity))...)
		r, err := check.Roll(ctx, db, "after the race", id, took, capacity, 0)
		if err != nil {
			return err
		}
		t.add(check.Lasting(r)...)
		return t.moveUp(ctx, web, id, all, took, capacity)
	}
}

// moveUp has everybody who has a seat give it back.
func (t *Trial) moveUp(ctx context.Context, web *client.Web, id string, all []client.Applicant, took []history.Op, capacity int) error {
	leaving, cancel := context.WithTimeout(ctx, raceLimit)
	defer cancel()
	var winners []client.Applicant
	for i, o := range took {
		if o.Event == string(nexus.Enrolled) {
			winners = append(winners, all[i])
		}
	}
	left := make([]history.Op, len(winners))
	if err := t.crowd(ctx, id, len(winners), 1, func(i int) { left[i] = web.Withdraw(leaving, winners[i], id) }); err != nil {
		return err
	}
	t.add(unanswered("students who had to give a seat back again, for the node died", left))
	db := t.Stage.Postgres.Pool()
	r, err := check.Roll(ctx, db, "after all seats were given back", id, took, capacity, len(winners))
	if err != nil {
		return err
	}
	p, err := check.Promotions(ctx, db, id, len(winners))
	t.add(check.Lasting(append(r, check.Answers("students who gave a seat back and heard nothing", left), p))...)
	return err
}

// crowd has n do something with a course at once, kills the node that it lives on as soon as so many are done, and leaves the campus whole.
func (t *Trial) crowd(ctx context.Context, id string, n, done int, do func(int)) error {
	owners, err := check.Owners(ctx, t.Stage.Postgres.Pool(), course.KindName)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(t.Stage.Nodes[:3], func(x *stage.Node) bool { return x.Name == owners[id] })
	if i < 0 {
		return fmt.Errorf("course %s lives on no node, but on %q", id, owners[id])
	}
	victim := t.Stage.Nodes[i]
	var all sync.WaitGroup
	var count atomic.Int64
	killed := make(chan error, 1)
	for i := range n {
		all.Go(func() {
			do(i)
			if count.Add(1) == int64(done) {
				killed <- victim.Kill()
			}
		})
	}
	all.Wait()
	if err := <-killed; err != nil {
		return err
	}
	if err := victim.Start(); err != nil {
		return err
	}
	return t.whole(ctx)
}

// unanswered shows that a kill came in time: it left somebody without an answer.
func unanswered(what string, ops []history.Op) check.Result {
	n := 0
	for _, o := range ops {
		if o.Attempts > 1 {
			n++
		}
	}
	return check.Holds(what, "some", fmt.Sprintf("%d of %d", n, len(ops)), n > 0)
}

// seatsApart has two campuses that do not see each other give seats of one course back: the second gives a free seat to who is next, and so does the
// first, which must not remember that somebody waits who does not any more.
func (t *Trial) seatsApart(ctx context.Context, one, other *stage.Node) error {
	const capacity, students = 4, 12
	db := t.Stage.Postgres.Pool()
	campuses := [2]*client.Web{t.web([]*stage.Node{one}), t.web([]*stage.Node{other})}
	for _, web := range campuses {
		defer web.Close()
	}
	id, err := campuses[0].Course(ctx, capacity, students)
	if err != nil {
		return err
	}
	all, err := client.Applicants(ctx, db, stage.Secret, students)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, raceLimit)
	defer cancel()
	var ops []history.Op
	for _, a := range all {
		ops = append(ops, campuses[0].Apply(ctx, a, id))
	}
	for i, a := range all[:capacity] {
		ops = append(ops, campuses[(i+1)%2].Withdraw(ctx, a, id))
	}
	p, err := check.Promotions(ctx, db, id, capacity)
	t.add(check.Lasting([]check.Result{check.Answers("students of two campuses who were not answered", ops), p})...)
	return err
}
