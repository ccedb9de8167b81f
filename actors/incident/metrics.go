package incident

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts and times what becomes of incidents on this node. A nil *Metrics counts nothing.
type Metrics struct {
	raised      *prometheus.CounterVec
	raise       prometheus.Histogram
	provisional prometheus.Gauge
	hints       *prometheus.CounterVec
	alarms      *prometheus.CounterVec
}

// NewMetrics registers the incidents' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		raised: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_sos_raised_total", Help: "Presses of the button that were answered; durable says whether the database had them by then."}, []string{"durable"}),
		raise: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nexus_sos_raise_seconds", Help: "Time from a press until its answer was ready.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 1.5, 2}, // the goals are 0.1 and, in a fault, 2 s
		}),
		provisional: prometheus.NewGauge(prometheus.GaugeOpts{Name: "nexus_sos_provisional", Help: "Alarms that this node holds in memory, its own and copies of other nodes, because the database is away."}),
		hints:       prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_sos_hints_dropped_total", Help: "Changes that an incident's grain was not told of: full, too many were waiting; failed, it could not be asked."}, []string{"reason"}),
		alarms:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_sos_self_alarms_total", Help: "What should never happen: an incident whose time had passed unnoticed or that cannot be advanced, a page that reached nobody, a press that could not be kept, a safety timer whose alarm cannot be raised."}, []string{"reason"}),
	}
	reg.MustRegister(m.raised, m.raise, m.provisional, m.hints, m.alarms)
	return m
}

func (m *Metrics) pressed(durable bool, took time.Duration) {
	if m != nil {
		m.raised.WithLabelValues(strconv.FormatBool(durable)).Inc()
		m.raise.Observe(took.Seconds())
	}
}

// expired counts a press that a safety timer made.
func (m *Metrics) expired() {
	if m != nil {
		m.raised.WithLabelValues("true").Inc()
	}
}

func (m *Metrics) holds(presses int) {
	if m != nil {
		m.provisional.Set(float64(presses))
	}
}

func (m *Metrics) dropped(reason string) {
	if m != nil {
		m.hints.WithLabelValues(reason).Inc()
	}
}

func (m *Metrics) alarmed(reason string) {
	if m != nil {
		m.alarms.WithLabelValues(reason).Inc()
	}
}
