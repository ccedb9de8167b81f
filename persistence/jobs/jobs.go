// Package jobs has done what must not be forgotten and nobody waits for: durable jobs of River, ordered in the transaction that causes them and done once it is
// committed, on whichever node. A job that cannot be done now comes again when it is told to; one whose node died, once it is clear that it did.
package jobs

import (
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
	// maxTries is how often a job fails before it is given up: each try may cost a model's answer. To be told to come again is no failure.
	maxTries = 8
)

// summaryArgs order a summary; one order is one job.
type summaryArgs struct {
	nexus.SummaryOrder
}

// Kind implements river.JobArgs.
func (summaryArgs) Kind() string { return "mail_summary" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (summaryArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: maxTries, UniqueOpts: river.UniqueOpts{ByArgs: true}}
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

// Summaries makes summaries. An error with a RetryAfter is worth another try then, NotFound, Invalid and Conflict none at all, any other one by and by.
type Summaries interface {
	Make(ctx context.Context, o nexus.SummaryOrder, ordered time.Time) error
}

// Round is what is done again and again, on one node at a time.
type Round struct {
	Every time.Duration
	Late  bool // the first is not at the start
	// Do does it, for as long as ctx lasts. If it fails, the next round is soon enough.
	Do func(ctx context.Context, now time.Time) error
}

// roundArgs have a round done.
type roundArgs struct {
	Round string `json:"round"`
}

// Kind implements river.JobArgs.
func (roundArgs) Kind() string { return "round" }

// InsertOpts implements river.JobArgsWithInsertOpts: one of a name at a time.
func (roundArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{MaxAttempts: 1, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable, rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}}}
}

type roundWorker struct {
	river.WorkerDefaults[roundArgs]
	rounds map[string]Round
}

// Timeout implements river.Worker.
func (*roundWorker) Timeout(*river.Job[roundArgs]) time.Duration { return deadAfter - 30*time.Second }

// Work implements river.Worker.
func (w *roundWorker) Work(ctx context.Context, job *river.Job[roundArgs]) error {
	round, known := w.rounds[job.Args.Round]
	if !known { // ordered by a node of another version
		return river.JobCancel(fmt.Errorf("no round is called %q", job.Args.Round))
	}
	return round.Do(ctx, time.Now())
}

// periodic orders rounds.
func periodic(rounds map[string]Round) (all []*river.PeriodicJob) {
	for name, round := range rounds {
		all = append(all, river.NewPeriodicJob(river.PeriodicInterval(round.Every), func() (river.JobArgs, *river.InsertOpts) {
			return roundArgs{name}, nil
		}, &river.PeriodicJobOpts{RunOnStart: !round.Late}))
	}
	return all
}

// Makers do what jobs are for.
type Makers struct {
	Summaries Summaries
	Rounds    map[string]Round // by name
}

// Runner does jobs until it is closed.
type Runner struct{ client *river.Client[pgx.Tx] }

// Start begins to do jobs.
func Start(ctx context.Context, pool *pgxpool.Pool, m Makers, log *slog.Logger) (*Runner, error) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &summaryWorker{summaries: m.Summaries})
	river.AddWorker(workers, &roundWorker{rounds: m.Rounds})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: schema, Logger: log, Workers: workers, Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: atOnce}},
		JobTimeout: timeout, RescueStuckJobsAfter: deadAfter,
		PeriodicJobs: periodic(m.Rounds),
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
	case nexus.CodeOf(err) == nexus.NotFound, nexus.CodeOf(err) == nexus.Invalid, nexus.CodeOf(err) == nexus.Conflict: // and will be
		return river.JobCancel(err)
	}
	return err
}
