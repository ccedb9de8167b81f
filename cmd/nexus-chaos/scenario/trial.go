// Package scenario is what the rig puts a campus through: each scenario is a load, some faults, and the goals that must
// hold all the same.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"nexus"
	"nexus/cmd/nexus-chaos/check"
	"nexus/cmd/nexus-chaos/client"
	"nexus/cmd/nexus-chaos/history"
	"nexus/cmd/nexus-chaos/stage"
)

// Scenario is one trial of a stage. The stage is whole before it and after it.
type Scenario struct {
	Name     string
	Faults   string // what is done, for the report
	Size     client.Size
	Silence  time.Duration             // the longest that a socket may be without a tick; 0: a figure
	Loose    bool                      // a node that is cut off or frozen may show what was: looks and ticks of old are figures
	Patient  bool                      // the machine may be slow, or stand still for a while: see hang
	OneRetry bool                      // what goes through the balancer bears one retry
	Redis    bool                      // nodes have Redis beside each other's messages
	Grains   bool                      // all nodes are of the next version, and keep Grains of its kind
	Unfenced bool                      // fencing is switched off first, and the trial must fail
	Needs    func(*stage.Stage) string // why this stage cannot have it; empty if it can
	Act      func(context.Context, *Trial) error
}

// Trial is a scenario under way.
type Trial struct {
	Stage *stage.Stage
	Crowd *client.Crowd
	Log   *history.Log

	scenario Scenario
	cast     client.Cast
	results  []check.Result
	probes   int
	frozen   int              // nodes that had ended because they stood still, before it
	ended    int              // nodes that had ended for any reason, before it
	until    map[string]int64 // the ends of the streams that the devices were to hear in the end
}

// Report is what came of a scenario.
type Report struct {
	Name    string         `json:"name"`
	Faults  string         `json:"faults"`
	Took    time.Duration  `json:"took"`
	Skipped string         `json:"skipped,omitempty"`
	Error   string         `json:"error,omitempty"` // the trial itself went wrong
	Inverse bool           `json:"inverse,omitempty"`
	Results []check.Result `json:"results"`
}

// OK reports whether all goals were reached. Of an inverse trial the very damage must have been noticed that fences keep away:
// stale writes, wrong counts and wrong seats.
func (r Report) OK() bool {
	missed := make(map[string]bool)
	for _, x := range r.Results {
		if !x.OK {
			missed[x.What] = true
		}
	}
	switch {
	case r.Skipped != "":
		return true
	case r.Error != "":
		return false
	case r.Inverse:
		return missed[check.StaleWrites] && missed[check.WrongCounts] && missed[check.WrongSeats]
	default:
		return len(missed) == 0
	}
}

// Damaged reports whether a goal was missed that speaks of what is kept, so that no slowness of the machine explains it.
func (r Report) Damaged() bool {
	return !r.Inverse && slices.ContainsFunc(r.Results, func(x check.Result) bool { return x.Lasting && !x.OK })
}

const (
	startLimit  = 3 * time.Minute
	settleLimit = time.Minute      // for requests under way at the end, and for the stage to be whole again
	stopLimit   = 65 * time.Second // for a node to end in order: what it allows itself, and a little
)

// hang is what a patient trial bounds waits by: only what never comes takes as long, whatever else the machine does meanwhile.
const hang = time.Minute

// bound is the limit of something that should not take long.
func (t *Trial) bound(limit time.Duration) time.Duration {
	if t.scenario.Patient {
		return max(limit, hang)
	}
	return limit
}

// stoodStill counts the ends of nodes that stood still for too long.
func (t *Trial) stoodStill() (n int) {
	for _, x := range t.Stage.Nodes {
		for _, status := range x.Exits() {
			if status == stage.FrozenStatus {
				n++
			}
		}
	}
	return n
}

// Run puts the stage through a scenario. Histories go to the folder out.
func Run(ctx context.Context, s *stage.Stage, c Scenario, out string) (r Report) {
	began := time.Now()
	r = Report{Name: c.Name, Faults: c.Faults, Inverse: c.Unfenced}
	if c.Needs != nil {
		if r.Skipped = c.Needs(s); r.Skipped != "" {
			return r
		}
	}
	t := &Trial{Stage: s, Log: history.New(), scenario: c}
	err := t.run(ctx)
	err = errors.Join(err, t.Log.Save(filepath.Join(out, c.Name+".jsonl")))
	if err != nil {
		r.Error = err.Error()
	}
	r.Results, r.Took = t.results, time.Since(began).Round(time.Second)
	return r
}

func (t *Trial) run(ctx context.Context) error {
	db := t.Stage.Postgres.Pool()
	t.frozen, t.ended = t.stoodStill(), t.ends()
	if t.scenario.Unfenced {
		if err := t.Stage.Unfence(ctx); err != nil {
			return err
		}
	}
	from, err := check.Counts(ctx, db)
	if err != nil {
		return err
	}
	mark, err := check.Mark(ctx, db)
	if err != nil {
		return err
	}
	web := t.web(t.Stage.Nodes)
	defer web.Close()
	if t.cast, err = cast(ctx, t.Stage, web, t.scenario.Name); err != nil {
		return err
	}
	if t.cast.Heads, err = check.Heads(ctx, db); err != nil {
		return err
	}
	if t.Crowd, err = client.Gather(ctx, web, t.cast, t.scenario.Size); err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := t.Crowd.Start(starting); err != nil {
		return err
	}
	defer t.Crowd.Hush()
	err = t.scenario.Act(ctx, t)
	t.Crowd.Stop(settleLimit)
	if err != nil {
		return err
	}
	if err := t.Stage.Whole(ctx, 3, settleLimit); err != nil {
		return err
	}
	if err := t.catchUp(ctx); err != nil {
		return err
	}
	return t.judge(ctx, web, from, mark)
}

// web is the clients' way to the nodes, and to the balancer.
func (t *Trial) web(nodes []*stage.Node) *client.Web {
	var balancer client.Target
	if b := t.Stage.Balancer; b != nil {
		balancer = client.Target{Name: "balancer", URL: b.URL}
	}
	return client.NewWeb(t.Log, balancer, targets(nodes))
}

func targets(nodes []*stage.Node) []client.Target {
	all := make([]client.Target, len(nodes))
	for i, n := range nodes {
		all[i] = client.Target{Name: n.Name, URL: n.URL}
	}
	return all
}

// keysAtOnce is how many API keys the gates share; each may send a hundred requests a second.
const keysAtOnce = 6

func cast(ctx context.Context, s *stage.Stage, web *client.Web, name string) (client.Cast, error) {
	keys, err := web.Keys(ctx, keysAtOnce)
	if err != nil {
		return client.Cast{}, err
	}
	rows, err := s.Postgres.Pool().Query(ctx, `select id::text from mess_menu where closes_at < now() order by opens_at desc limit 4`)
	if err != nil {
		return client.Cast{}, err
	}
	defer rows.Close()
	c := client.Cast{Halls: s.Halls, Keys: client.NewKeys(keys), Tag: name + "-" + nexus.NewID()[24:]}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return c, err
		}
		c.Menus = append(c.Menus, id)
	}
	return c, rows.Err()
}

func (t *Trial) add(r ...check.Result) { t.results = append(t.results, r...) }

// judge checks everything that must hold in every trial, and what this one adds.
func (t *Trial) judge(ctx context.Context, web *client.Web, from map[string]int, mark int64) error {
	db, ops := t.Stage.Postgres.Pool(), t.Log.Ops(history.CheckIn)
	for _, of := range []func() ([]check.Result, error){
		func() ([]check.Result, error) { return check.Events(ctx, db, t.cast.Tag, ops) },
		func() ([]check.Result, error) { return t.shown(ctx, web) },
		func() ([]check.Result, error) { return check.Stale(ctx, db, mark) },
		func() ([]check.Result, error) {
			return check.People(ctx, db, t.Log.Ops(history.Rate, history.Edit, history.Login, history.Refresh))
		},
		func() ([]check.Result, error) {
			entries, bad, err := web.Audit(ctx)
			return []check.Result{check.Holds("audit chain", "whole", fmt.Sprintf("%d entries, first bad %d", entries, bad), bad == 0)}, err
		},
		func() ([]check.Result, error) { return t.judgeSafety(ctx) },
	} {
		r, err := of()
		if err != nil {
			return err
		}
		t.add(check.Lasting(r)...)
	}
	all := t.Log.Ops(history.CheckIn, history.Look)
	if t.loose() {
		t.add(check.Figure(check.StaleLooks(all, from)))
	} else {
		t.add(check.Looks(all, from))
	}
	t.judgeClients()
	return nil
}

// loose reports whether looks and the order of ticks are figures. They are as well when the machine has let a node stand still,
// which no scenario asked it to.
func (t *Trial) loose() bool {
	return t.scenario.Loose || t.scenario.Patient && t.stoodStill() > t.frozen
}

// shown compares what every node shows of every hall with the table of events. What its client has given up may still
// be under way: only what stays wrong is wrong.
func (t *Trial) shown(ctx context.Context, web *client.Web) (r []check.Result, err error) {
	for range 5 {
		if r, err = t.shownNow(ctx, web); err != nil || r[0].OK {
			return r, err
		}
		if err := calm(ctx, time.Second); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (t *Trial) shownNow(ctx context.Context, web *client.Web) ([]check.Result, error) {
	counts, err := check.Counts(ctx, t.Stage.Postgres.Pool())
	if err != nil {
		return nil, err
	}
	var wrong []string
	for _, hall := range t.Stage.Halls {
		for _, to := range targets(t.Stage.Nodes[:3]) {
			n, err := web.Occupancy(ctx, to, string(hall))
			if err != nil {
				return nil, err
			}
			if n != counts[string(hall)] {
				wrong = append(wrong, fmt.Sprintf("hall %s: %s shows %d, the events add up to %d", hall, to.Name, n, counts[string(hall)]))
			}
		}
	}
	return []check.Result{{
		What: check.WrongCounts, Goal: "0", Measured: fmt.Sprintf("%d of %d looks", len(wrong), 3*len(t.Stage.Halls)),
		OK: len(wrong) == 0, Detail: wrong[:min(len(wrong), 6)],
	}}, nil
}

// judgeClients judges what requests and sockets went through.
func (t *Trial) judgeClients() {
	ops := t.Log.Ops(history.CheckIn, history.Look, history.Rate, history.Edit, history.Login, history.Refresh)
	t.judgeWaits()
	if t.scenario.Patient {
		t.add(check.Answered(ops))
	}
	switch {
	case t.scenario.OneRetry && t.scenario.Patient:
		t.add(check.Figure(check.OneRetry(ops)))
	case t.scenario.OneRetry:
		t.add(check.OneRetry(ops))
	}
	sockets := check.Sockets(t.Crowd.Sockets, t.bound(t.scenario.Silence), !t.loose())
	if t.scenario.Silence == 0 {
		sockets[0] = check.Figure(sockets[0])
	}
	t.add(sockets...)
	t.add(check.Latency(ops, history.CheckIn), check.Latency(ops, history.Look), check.Troubles(ops))
}
