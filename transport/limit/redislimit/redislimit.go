// Package redislimit counts events for all nodes together, in Redis.
//
// Redis is asked for 200 ms at most. When it fails, each node holds callers to its share of the rule by itself, with no call to
// Redis at all, and one goroutine looks whether it is back:
//
//	shared --an error--> alone --the probe's event is counted--> shared
//
// A limit is never a reason to refuse service: a share allows at least one event at once.
package redislimit

import (
	"context"
	_ "embed" // the script
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"nexus/transport/limit"
)

const (
	probeEvery = 500 * time.Millisecond
	// prefix keeps our keys apart from others in the same Redis.
	prefix = "nexus:limit:"
)

//go:embed gcra.lua
var source string

var script = redis.NewScript(source)

// Limiter is a limit.Limiter of all nodes that share a Redis.
type Limiter struct {
	client  *redis.Client
	alone   *limit.Memory
	nodes   func() int
	log     *slog.Logger
	errors  prometheus.Counter
	timeout time.Duration
	shared  atomic.Bool
	ctx     context.Context
	cancel  context.CancelFunc
	looking sync.WaitGroup
}

var _ limit.Limiter = (*Limiter)(nil)

// Config is what a Limiter works with.
type Config struct {
	Client   *redis.Client // with short timeouts and no retries; the caller closes it after the limiter
	Keys     int           // that are remembered while Redis is away
	Nodes    func() int    // how many share the rules
	Timeout  time.Duration // of one question; zero: 200 ms
	Log      *slog.Logger
	Failures prometheus.Counter // counts what Redis did not do
}

// New returns a limiter that must be closed. It asks Redis once it has answered a probe.
func New(c Config) *Limiter {
	if c.Timeout == 0 {
		c.Timeout = 200 * time.Millisecond
	}
	l := &Limiter{client: c.Client, alone: limit.NewMemory(c.Keys), nodes: c.Nodes, log: c.Log, errors: c.Failures, timeout: c.Timeout}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.probe()
	l.looking.Go(l.look)
	return l
}

// Close ends the probes. A second call does nothing.
func (l *Limiter) Close() {
	l.cancel()
	l.looking.Wait()
}

// Shared reports whether Redis counts now.
func (l *Limiter) Shared() bool { return l.shared.Load() }

// Allow implements limit.Limiter.
func (l *Limiter) Allow(ctx context.Context, key string, r limit.Rule) limit.Decision {
	if l.shared.Load() {
		d, err := l.ask(ctx, prefix+key, r, "")
		if err == nil {
			return d
		}
		if ctx.Err() == nil { // else the caller is gone, which says nothing of Redis
			l.failed(err)
		}
	}
	return l.alone.Allow(ctx, key, r.Share(l.nodes()))
}

// ask decides about one event at a time, "" for now.
func (l *Limiter) ask(ctx context.Context, key string, r limit.Rule, at string) (limit.Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	gap := gapOf(r)
	take := "1"
	if r.Peek {
		take = "0"
	}
	answer, err := script.Run(ctx, l.client, []string{key}, strconv.FormatInt(gap.Microseconds(), 10), r.Burst, take, at).Int64Slice()
	if err != nil {
		return limit.Decision{}, fmt.Errorf("ask redis: %w", err)
	}
	if len(answer) != 2 {
		return limit.Decision{}, errShape
	}
	d := limit.Decision{Allowed: answer[0] == 1, Limit: r.Burst, Reset: time.Duration(answer[1]) * time.Microsecond}
	depth := gap * time.Duration(r.Burst)
	d.Remaining = max(0, int((depth-d.Reset)/gap))
	if !d.Allowed {
		d.RetryAfter = d.Reset + gap - depth
	}
	return d, nil
}

var errShape = errors.New("redis: the script's answer has another shape")

// gapOf is the time between two events for long, in whole microseconds.
func gapOf(r limit.Rule) time.Duration {
	return time.Duration(max(1, math.Round(1e6/r.Rate))) * time.Microsecond
}

func (l *Limiter) failed(err error) {
	l.errors.Inc()
	if l.shared.Swap(false) {
		l.log.Warn("redis is away; each node limits by itself", "err", err)
	}
}

func (l *Limiter) look() {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-tick.C:
			l.probe()
		}
	}
}

// probe counts an event that nobody made, so that a Redis that only answers pings, but cannot write, counts as away.
func (l *Limiter) probe() {
	_, err := l.ask(l.ctx, prefix+"probe", limit.Rule{Rate: 1000, Burst: 1000}, "")
	switch {
	case l.ctx.Err() != nil:
	case err != nil:
		l.failed(err)
	case !l.shared.Swap(true):
		l.log.Info("redis counts for all nodes")
	}
}
