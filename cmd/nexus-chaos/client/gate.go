package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"nexus"
	"nexus/cmd/nexus-chaos/history"
)

// Gate counts people in and out of one hall. Nobody leaves by it who has not come by it, so that at no time more people
// have left a hall than come.
type Gate struct {
	Web       *Web
	Name      string
	Key       http.Header
	Hall      nexus.HallID
	Scattered bool
	Every     time.Duration // between two events, on average

	inside int
	events int
}

// Run reports events until ctx ends; the last one is then still insisted on until giveUp ends.
func (g *Gate) Run(ctx, giveUp context.Context) {
	for sleep(ctx, g.Every/2+rand.N(g.Every)) {
		g.Report(giveUp)
	}
}

// Report reports one event and insists until it is answered or ctx ends.
func (g *Gate) Report(ctx context.Context) history.Op {
	g.events++
	delta := 1 + rand.IntN(3)
	if g.inside > 0 && rand.IntN(3) == 0 {
		delta = -1 - rand.IntN(min(3, g.inside))
	}
	op := history.Op{Client: g.Name, Kind: history.CheckIn, Key: string(g.Hall), Scattered: g.Scattered, Event: fmt.Sprintf("%s-%d", g.Name, g.events), Delta: delta}
	a := g.Web.insist(ctx, &op, request{
		method: "POST", path: "/mess/halls/" + string(g.Hall) + "/checkins", header: g.Key, body: checkIn(g.Name, op.Event, delta),
	})
	if op.Outcome == history.OK {
		var r nexus.CheckInResult
		if err := a.decode(&r); err != nil || r.Accepted+r.Duplicates != 1 {
			op.Outcome = history.Failed
			op.Troubles = append(op.Troubles, fmt.Sprintf("one event answered with %s", a.body))
		}
		op.Accepted = r.Accepted == 1
	}
	// What may have happened is not taken back: people who may have left cannot leave again.
	if op.Outcome == history.OK || delta < 0 {
		g.inside += delta
	}
	g.Web.Log.Add(op)
	return op
}

func checkIn(source, event string, delta int) any {
	return map[string]any{"events": []any{map[string]any{
		"source": source, "eventId": event, "delta": delta, "at": time.Now().UTC().Format(nexus.TimeLayout),
	}}}
}

// Reader looks at halls, at random.
type Reader struct {
	Web       *Web
	Name      string
	Halls     []nexus.HallID
	Scattered bool
	Every     time.Duration
}

// Run looks until ctx ends. A look is made once: a later one would be another.
func (r *Reader) Run(ctx, _ context.Context) {
	for sleep(ctx, r.Every/2+rand.N(r.Every)) {
		r.look(ctx)
	}
}

func (r *Reader) look(ctx context.Context) {
	hall, targets := r.Halls[rand.IntN(len(r.Halls))], r.Web.targets(r.Scattered)
	to := targets[rand.IntN(len(targets))]
	op := history.Op{Client: r.Name, Kind: history.Look, Key: string(hall), Via: to.Name, Scattered: r.Scattered, Attempts: 1, Outcome: history.Failed}
	op.Call = r.Web.Log.Now()
	a, err := r.Web.send(ctx, to, request{method: "GET", path: "/mess/halls/" + string(hall) + "/live"})
	op.Return = r.Web.Log.Now()
	var live struct{ Occupancy int }
	if err == nil && a.status == http.StatusOK {
		err = a.decode(&live)
		op.Outcome, op.Value = history.OK, live.Occupancy
	}
	if err != nil || op.Outcome != history.OK {
		if ctx.Err() != nil {
			return // cut off by the end of the trial
		}
		op.Troubles = []string{trouble(to, a, err)}
	}
	r.Web.Log.Add(op)
}
