package grain

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nexus"
)

// Metrics counts and times what grains do. A nil *Metrics counts nothing.
type Metrics struct {
	live        *prometheus.GaugeVec
	activations *prometheus.CounterVec
	load        *prometheus.HistogramVec
	messages    *prometheus.HistogramVec
	ticks       *prometheus.HistogramVec
	fences      *prometheus.CounterVec
	panics      *prometheus.CounterVec
}

// NewMetrics registers the grains' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	buckets := prometheus.ExponentialBuckets(50e-6, 4, 9) // 50 us to 3.3 s
	m := &Metrics{
		live:        prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "nexus_grains", Help: "Activations that live on this node."}, []string{"kind"}),
		activations: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_grain_activations_total", Help: "Activations by outcome: ok, or the error's code."}, []string{"kind", "outcome"}),
		load:        prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nexus_grain_load_seconds", Help: "Time to claim and load a grain.", Buckets: buckets}, []string{"kind"}),
		messages:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nexus_grain_message_seconds", Help: "Time that a grain's turn took.", Buckets: buckets}, []string{"kind", "message"}),
		ticks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "nexus_grain_tick_late_seconds", Help: "How long after its edge of the clock a tick was begun.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}, // skipped ticks are late by a period and more
		}, []string{"kind"}),
		fences: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_grain_fenced_total", Help: "Activations that ended because a newer one exists."}, []string{"kind"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_grain_panics_total", Help: "Turns of grains that panicked."}, []string{"kind"}),
	}
	reg.MustRegister(m.live, m.activations, m.load, m.messages, m.ticks, m.fences, m.panics)
	return m
}

func (m *Metrics) started(kind string) {
	if m != nil {
		m.live.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) ended(kind string) {
	if m != nil {
		m.live.WithLabelValues(kind).Dec()
	}
}

func (m *Metrics) loaded(kind string, took time.Duration, err error) {
	if m == nil {
		return
	}
	outcome := "ok"
	if err != nil {
		outcome = string(nexus.CodeOf(err))
	}
	m.activations.WithLabelValues(kind, outcome).Inc()
	m.load.WithLabelValues(kind).Observe(took.Seconds())
}

func (m *Metrics) handled(kind, message string, took time.Duration) {
	if m != nil {
		m.messages.WithLabelValues(kind, message).Observe(took.Seconds())
	}
}

func (m *Metrics) ticked(kind string, late time.Duration) {
	if m != nil {
		m.ticks.WithLabelValues(kind).Observe(late.Seconds())
	}
}

func (m *Metrics) fenced(kind string) {
	if m != nil {
		m.fences.WithLabelValues(kind).Inc()
	}
}

func (m *Metrics) panicked(kind string) {
	if m != nil {
		m.panics.WithLabelValues(kind).Inc()
	}
}
