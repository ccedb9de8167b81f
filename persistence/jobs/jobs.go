// Package jobs has done what must not be forgotten and nobody waits for: durable jobs of River, ordered in the transaction that causes them and done once it is
// committed, on whichever node. A job that cannot be done now comes again when it is told to; one whose node died, once it is clear that it did.
package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"nexus"
	"nexus/persistence/pg"
)

// schema is where River's tables are.
const schema = "river"

const (
	// timeout bounds one try of a job, and deadAfter is when a job is taken from a node that has not said how it went.
	timeout   = time.Minute
	deadAfter = 2 * time.Minute
	// atOnce is how many jobs a node does side by side. They wait for models most of the time.
	atOnce = 16
)

// summaryArgs order a summary; one order is one job.
type summaryArgs struct {
	nexus.SummaryOrder
}

// Kind implements river.JobArgs.
func (summaryArgs) Kind() string { return "mail_summary" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (summaryArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{ByArgs: true}}
}

// Queue takes orders.
type Queue struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

// NewQueue returns a queue in the database of a pool.
func NewQueue(pool *pgxpool.Pool) (*Queue, error) {
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Schema: schema, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("set up the queue of jobs: %w", err)
	}
	return &Queue{pool, client}, nil
}

// Order orders summaries. It implements pg.Orders.
func (q *Queue) Order(ctx context.Context, tx pgx.Tx, orders []nexus.SummaryOrder) error {
	many := make([]river.InsertManyParams, len(orders))
	for i, o := range orders {
		many[i].Args = summaryArgs{o}
	}
	_, err := q.client.InsertManyTx(ctx, tx, many)
	return err
}

// Count is how many jobs there are in each state, but for those that are done.
func (q *Queue) Count(ctx context.Context) (map[string]int64, error) {
	rows, err := q.pool.Query(ctx, `select state::text, count(*) from river.river_job where state not in ('completed', 'cancelled') group by state`)
	if err != nil {
		return nil, pg.Err(err)
	}
	counts, state, n := map[string]int64{}, "", int64(0)
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error { counts[state] = n; return nil })
	return counts, pg.Err(err)
}

// Summaries makes summaries. An error with a RetryAfter is worth another try then, NotFound none at all, any other one by and by.
type Summaries interface {
	Make(ctx context.Context, o nexus.SummaryOrder, ordered time.Time) error
}

// forecastArgs have a round made of the halls' forecasts.
type forecastArgs struct {
	Round string `json:"round"`
}

// Kind implements river.JobArgs.
func (forecastArgs) Kind() string { return "crowd_forecast" }

// InsertOpts implements river.JobArgsWithInsertOpts: one at a time, and if it fails the next one is soon enough.
func (forecastArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}}}
}

// Forecasts makes the halls' forecasts.
type Forecasts interface {
	// MakeAll makes all anew.
	MakeAll(ctx context.Context, now time.Time) error
	// LookAll makes those anew that have turned out to be wrong.
	LookAll(ctx context.Context, now time.Time) error
	// AdviseAll asks for advice on them, for as long as ctx lasts.
	AdviseAll(ctx context.Context, now time.Time) error
}

// rounds are what is done for all halls, again and again; by name.
var rounds = map[string]struct {
	every time.Duration
	do    func(Forecasts, context.Context, time.Time) error
}{
	"make":   {15 * time.Minute, Forecasts.MakeAll}, // each time that another quarter of an hour is known
	"look":   {2 * time.Minute, Forecasts.LookAll},
	"advise": {15 * time.Minute, Forecasts.AdviseAll},
}

type forecastWorker struct {
	river.WorkerDefaults[forecastArgs]
	forecasts Forecasts
}

// Timeout implements river.Worker.
func (*forecastWorker) Timeout(*river.Job[forecastArgs]) time.Duration {
	return deadAfter - 30*time.Second
}

// Work implements river.Worker.
func (w *forecastWorker) Work(ctx context.Context, job *river.Job[forecastArgs]) error {
	round, known := rounds[cmp.Or(job.Args.Round, "make")] // one ordered before there were others has no name
	if !known {
		return river.JobCancel(fmt.Errorf("no round is called %q", job.Args.Round))
	}
	return round.do(w.forecasts, ctx, time.Now())
}

// periodic orders the rounds. Forecasts are made and looked at from the start on.
func periodic() []*river.PeriodicJob {
	var jobs []*river.PeriodicJob
	for name, round := range rounds {
		jobs = append(jobs, river.NewPeriodicJob(river.PeriodicInterval(round.every), func() (river.JobArgs, *river.InsertOpts) {
			return forecastArgs{Round: name}, nil
		}, &river.PeriodicJobOpts{RunOnStart: true}))
	}
	return jobs
}

// Makers do what jobs are for.
type Makers struct {
	Summaries Summaries
	Forecasts Forecasts
}

// Runner does jobs until it is closed.
type Runner struct{ client *river.Client[pgx.Tx] }

// Start begins to do jobs.
func Start(ctx context.Context, pool *pgxpool.Pool, m Makers, log *slog.Logger) (*Runner, error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &summaryWorker{summaries: m.Summaries})
	river.AddWorker(workers, &forecastWorker{forecasts: m.Forecasts})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: schema, Logger: log, Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: atOnce}},
		JobTimeout: timeout, RescueStuckJobsAfter: deadAfter,
		PeriodicJobs: periodic(),
	})
	if err != nil {
		return nil, fmt.Errorf("set up the workers of jobs: %w", err)
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("start the workers of jobs: %w", err)
	}
	return &Runner{client}, nil
}

// Close lets the jobs under way end, and cancels those that have not when ctx ends: they come again elsewhere.
func (r *Runner) Close(ctx context.Context) error {
	if err := r.client.Stop(ctx); err == nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return r.client.StopAndCancel(last)
}

type summaryWorker struct {
	river.WorkerDefaults[summaryArgs]
	summaries Summaries
}

// Work implements river.Worker.
func (w *summaryWorker) Work(ctx context.Context, job *river.Job[summaryArgs]) error {
	return outcome(w.summaries.Make(ctx, job.Args.SummaryOrder, job.CreatedAt))
}

// outcome is what River does about an error.
func outcome(err error) error {
	var e *nexus.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e) && e.RetryAfter > 0:
		return river.JobSnooze(e.RetryAfter)
	case nexus.CodeOf(err) == nexus.NotFound:
		return river.JobCancel(err)
	}
	return err
}
