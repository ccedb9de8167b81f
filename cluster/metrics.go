package cluster

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the node does for its grains.
type metrics struct {
	refused  prometheus.Counter
	retries  prometheus.Counter
	bounced  prometheus.Counter
	unknown  prometheus.Counter
	handOver prometheus.Histogram
	members  prometheus.Gauge
	changes  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		refused: prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_grain_calls_refused_total", Help: "Calls refused because too many were under way."}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_grain_call_retries_total", Help: "Calls tried again because an activation had ended or its node was silent."}),
		bounced: prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_link_bounced_total", Help: "Messages to other nodes that could not leave."}),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_link_unknown_total", Help: "Messages of other nodes that this one does not understand: theirs is another version."}),
		handOver: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nexus_grain_hand_over_seconds", Help: "Time from the first call at a new owner until the grain had come from the old one.",
			Buckets: prometheus.ExponentialBuckets(1e-3, 2, 12), // 1 ms to 2 s
		}),
		members: prometheus.NewGauge(prometheus.GaugeOpts{Name: "nexus_cluster_members", Help: "Members that this node sees, itself included."}),
		changes: prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_cluster_ring_changes_total", Help: "Changes of the members, or of who drains."}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.refused, m.retries, m.bounced, m.unknown, m.handOver, m.members, m.changes} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
