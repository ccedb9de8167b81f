package scenario

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nexus/actors/course"
	"nexus/cmd/nexus-chaos/check"
	"nexus/cmd/nexus-chaos/client"
	"nexus/cmd/nexus-chaos/history"
	"nexus/cmd/nexus-chaos/stage"
)

// raceLimit bounds what a student waits for a seat.
const raceLimit = time.Minute

// seats has students race for the seats of a course, through all nodes, and kills the node that gives them out on the way.
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
		var crowd sync.WaitGroup
		var answered atomic.Int64
		ops := make([]history.Op, students)
		for i, a := range all {
			crowd.Go(func() {
				ops[i] = web.Apply(racing, a, id)
				answered.Add(1)
			})
		}
		victim, err := t.killOwner(ctx, web, func() bool { return answered.Load() >= int64(students/5) })
		at := answered.Load()
		crowd.Wait()
		if err != nil {
			return err
		}
		if err := victim.Start(); err != nil {
			return err
		}
		if err := t.whole(ctx); err != nil {
			return err
		}
		t.add(check.Note("answered before the node that gave out the seats was killed", "%d of %d", at, students))
		t.add(check.Lasting(check.Race(ops, capacity))...)
		r, err := check.Roll(ctx, db, id, ops, capacity)
		t.add(check.Lasting(r)...)
		return err
	}
}

// killOwner kills the node on which a course lives, once it is time.
func (t *Trial) killOwner(ctx context.Context, web *client.Web, ripe func() bool) (*stage.Node, error) {
	admin, err := web.Login(ctx, "admin")
	if err != nil {
		return nil, err
	}
	if err := stage.Await(ctx, settleLimit, "some have their seats", func(context.Context) bool { return ripe() }); err != nil {
		return nil, err
	}
	members, err := web.Members(ctx, targets(t.Stage.Nodes[:1])[0], admin)
	if err != nil {
		return nil, err
	}
	for _, n := range t.Stage.Nodes[:3] {
		for _, m := range members {
			if m.Grains[course.KindName] > 0 && strings.HasSuffix(n.URL, m.HTTP) {
				return n, n.Kill()
			}
		}
	}
	return nil, fmt.Errorf("no node has a course: %+v", members)
}

// seatsApart has two campuses that do not see each other give seats of one course back: the second gives a free seat to who is next, and so does the
// first, which must not remember that somebody waits who does not any more.
func (t *Trial) seatsApart(ctx context.Context, one, other *stage.Node) error {
	const capacity, students = 4, 12
	web, db := t.web([]*stage.Node{one}), t.Stage.Postgres.Pool()
	defer web.Close()
	id, err := web.Course(ctx, capacity, students)
	if err != nil {
		return err
	}
	all, err := client.Applicants(ctx, db, stage.Secret, students)
	if err != nil {
		return err
	}
	for _, a := range all {
		if op := web.Apply(ctx, a, id); op.Outcome != history.OK {
			return fmt.Errorf("enrol: %v", op.Troubles)
		}
	}
	nodes := targets([]*stage.Node{one, other})
	for i := range capacity {
		if err := web.Withdraw(ctx, nodes[(i+1)%2], all[i], id); err != nil {
			return err
		}
	}
	r, err := check.Promotions(ctx, db, id)
	t.add(check.Lasting([]check.Result{r})...)
	return err
}
