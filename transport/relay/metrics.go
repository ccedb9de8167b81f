package relay

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what is passed on.
type metrics struct {
	requests *prometheus.CounterVec
	tunnels  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (metrics, error) {
	m := metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "nexus_relay_requests_total", Help: "Socket requests passed on to another node, by kind and outcome.",
		}, []string{"kind", "outcome"}),
		tunnels: prometheus.NewGauge(prometheus.GaugeOpts{Name: "nexus_relay_tunnels", Help: "WebSockets that end here and live on another node."}),
	}
	return m, errors.Join(reg.Register(m.requests), reg.Register(m.tunnels))
}
