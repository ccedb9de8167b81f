package ai

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"nexus"
)

// PoolStatus is how a pool stands.
type PoolStatus struct {
	Workers    int           `json:"workers"`
	Busy       int           `json:"busy"`
	Failures   int64         `json:"workerFailures"`
	Waiting    int           `json:"waiting"`    // people for whom no worker is free
	Background int           `json:"background"` // and jobs
	Models     []ModelStatus `json:"models"`     // by name
}

// ModelStatus is how one model was used by this node, since it began.
type ModelStatus struct {
	Model       string           `json:"model"`
	Breaker     string           `json:"breaker"` // closed, open or half-open
	PausedUntil *time.Time       `json:"pausedUntil"`
	Outcomes    map[string]int64 `json:"outcomes"` // of calls: answered, unusable, or the code of an error
	TokensIn    int64            `json:"tokensIn"`
	TokensOut   int64            `json:"tokensOut"`
	Cost        float64          `json:"cost"` // by the operator's prices
	LastAnswer  *time.Time       `json:"lastAnswer"`
}

// Report is how the use of models stands: on the node that was asked, but for the budgets and the jobs, which are the campus's.
type Report struct {
	Pool    *PoolStatus      `json:"pool"` // nil: no model is configured, and the local methods do all
	Budgets []BudgetReport   `json:"budgets"`
	Jobs    map[string]int64 `json:"jobs"` // by state: available and retryable wait, scheduled wait for a time
	// Sentiment is how good the model is at saying how comments are meant; nil while nobody knows, and without a model.
	Sentiment *nexus.SentimentTrial `json:"sentiment"`
}

// BudgetReport is what a model's last minute came to, and what it may come to; 0 is no limit.
type BudgetReport struct {
	Model       string `json:"model"`
	Requests    int    `json:"requests"`
	Tokens      int    `json:"tokens"`
	MaxRequests int    `json:"maxRequests"`
	MaxTokens   int    `json:"maxTokens"`
}

// Metrics are what operators see of a pool.
type Metrics struct {
	calls    *prometheus.CounterVec
	tokens   *prometheus.CounterVec
	cost     *prometheus.CounterVec
	failures prometheus.Counter
	queued   *prometheus.GaugeVec
	open     *prometheus.GaugeVec
}

// NewMetrics registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nexus_ai_calls_total", Help: "Calls to models, by what came of them.",
		}, []string{"model", "outcome"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_ai_tokens_total", Help: "Tokens that models were sent and sent."}, []string{"model", "way"}),
		cost:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_ai_cost_total", Help: "What calls cost, by the operator's prices."}, []string{"model"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "nexus_ai_worker_failures_total", Help: "Workers that failed and were replaced.",
		}),
		queued: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nexus_ai_queued", Help: "Calls for which no worker is free."}, []string{"priority"}),
		open:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nexus_ai_breaker_open", Help: "1 while a model is left alone because it fails."}, []string{"model"}),
	}
	r.MustRegister(m.calls, m.tokens, m.cost, m.failures, m.queued, m.open)
	return m
}

// board is where a dispatcher writes how things stand, and others read it.
type board struct {
	prices  map[string]Price
	metrics *Metrics

	mu       sync.Mutex
	now      PoolStatus
	models   map[string]*ModelStatus
	breakers map[string]breaker // safe for use by many
}

type breaker interface{ State() gobreaker.State }

func newBoard(o Options) *board {
	b := &board{prices: o.Prices, metrics: o.Metrics, models: map[string]*ModelStatus{}, breakers: map[string]breaker{}}
	if b.metrics == nil {
		b.metrics = NewMetrics(prometheus.NewRegistry())
	}
	for _, name := range o.Models {
		b.models[name] = &ModelStatus{Model: name, Outcomes: map[string]int64{}}
	}
	return b
}

func (b *board) read() PoolStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.now
	s.Models = nil
	for _, m := range b.models {
		x := *m
		x.Breaker = b.breakers[m.Model].State().String()
		if x.PausedUntil != nil && time.Until(*x.PausedUntil) <= 0 {
			x.PausedUntil = nil
		}
		x.Outcomes = map[string]int64{}
		for k, n := range m.Outcomes {
			x.Outcomes[k] = n
		}
		s.Models = append(s.Models, x)
	}
	slices.SortFunc(s.Models, func(x, y ModelStatus) int { return strings.Compare(x.Model, y.Model) })
	return s
}

// outcomeOf is what a call came to, in a word.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "answered"
	case errors.Is(err, ErrUnusable):
		return "unusable"
	}
	return string(nexus.CodeOf(err))
}

func (b *board) count(model string, err error) *ModelStatus {
	m := b.models[model]
	if m == nil {
		return &ModelStatus{} // nobody configured it
	}
	m.Outcomes[outcomeOf(err)]++
	b.metrics.calls.WithLabelValues(model, outcomeOf(err)).Inc()
	return m
}

// refused notes a task that no worker saw.
func (b *board) refused(t *task, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(t.call.Model, err)
}

// finished notes what came of a call.
func (b *board) finished(f *finished, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := f.task.call.Model
	m := b.count(name, f.err)
	cost := b.prices[name].of(f.cost)
	m.TokensIn += int64(f.cost.TokensIn)
	m.TokensOut += int64(f.cost.TokensOut)
	m.Cost += cost
	if f.err == nil {
		m.LastAnswer = &now
	}
	b.metrics.tokens.WithLabelValues(name, "in").Add(float64(f.cost.TokensIn))
	b.metrics.tokens.WithLabelValues(name, "out").Add(float64(f.cost.TokensOut))
	b.metrics.cost.WithLabelValues(name).Add(cost)
}

func (b *board) lost() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now.Failures++
	b.metrics.failures.Inc()
}

// tripped notes a breaker that has opened, or closed again.
func (b *board) tripped(model string, open bool) {
	b.metrics.open.WithLabelValues(model).Set(map[bool]float64{true: 1}[open])
}

// show takes how things stand now.
func (b *board) show(s PoolStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Failures = b.now.Failures
	for _, x := range s.Models {
		b.models[x.Model].PausedUntil = x.PausedUntil
	}
	b.now = s
	b.metrics.queued.WithLabelValues("waiting").Set(float64(s.Waiting))
	b.metrics.queued.WithLabelValues("background").Set(float64(s.Background))
}
