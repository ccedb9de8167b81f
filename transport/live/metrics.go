package live

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/transport/engineio"
)

// metrics counts what the edge does. Labels are fixed names alone, never what a client sends.
type metrics struct {
	connections *prometheus.GaugeVec
	closed      *prometheus.CounterVec
	upgrades    prometheus.Counter
	received    prometheus.Counter
	queued      prometheus.Counter
	dropped     prometheus.Counter
	rejected    *prometheus.CounterVec
	full        *prometheus.CounterVec
	sockets     *prometheus.GaugeVec
	ends        *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	events      *prometheus.CounterVec
	broadcasts  *prometheus.CounterVec
	deliveries  *prometheus.CounterVec
	flooded     prometheus.Counter
	late        prometheus.Counter
	recoveries  *prometheus.CounterVec
	delivery    *deliveryMetrics // nil without Config.Safety
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		connections: gauges("nexus_connections", "Open connections by transport.", "transport"),
		closed:      counters("nexus_connections_closed_total", "Connections that ended, by reason.", "reason"),
		upgrades:    counter("nexus_connections_upgraded_total", "Connections that moved from polling to WebSocket."),
		received:    counter("nexus_socket_received_bytes_total", "Bytes of messages from clients."),
		queued:      counter("nexus_socket_queued_bytes_total", "Bytes of messages handed to connections."),
		dropped:     counter("nexus_socket_superseded_total", "Lossy messages that gave way to a newer one."),
		rejected:    counters("nexus_socket_requests_refused_total", "Handshakes and polls refused, by status.", "status"),
		full:        counters("nexus_connections_refused_total", "Handshakes refused for want of room, by reason: closing, sessions, address or memory.", "reason"),
		recoveries:  counters("nexus_socket_recoveries_total", "Sockets of /security that named what they were before, by whether they go on from there.", "recovered"),
		sockets:     gauges("nexus_sockets", "Connected sockets by namespace.", "namespace"),
		ends:        counters("nexus_sockets_ended_total", "Sockets that ended, by namespace and reason.", "namespace", "reason"),
		refusals:    counters("nexus_sockets_refused_total", "CONNECTs refused, by namespace and code.", "namespace", "code"),
		events:      counters("nexus_socket_events_total", "Events from clients by outcome: ok, or the error's code.", "namespace", "event", "outcome"),
		broadcasts:  counters("nexus_broadcasts_total", "Broadcasts fanned out.", "event"),
		deliveries:  counters("nexus_broadcast_deliveries_total", "Broadcasts handed to sockets.", "event"),
		flooded:     counter("nexus_broadcasts_dropped_total", "Broadcasts dropped because too many waited for the hub."),
		late:        counter("nexus_broadcasts_late_total", "Lossy broadcasts dropped because a newer one of their topic had come."),
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.connections, m.closed, m.upgrades, m.received, m.queued, m.dropped, m.rejected, m.full, m.recoveries,
		m.sockets, m.ends, m.refusals, m.events, m.broadcasts, m.deliveries, m.flooded, m.late,
	} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

// hooks are what the engine calls.
func (m *metrics) hooks() engineio.Hooks {
	return engineio.Hooks{
		Opened: func(t engineio.Transport) { m.connections.WithLabelValues(string(t)).Inc() },
		Upgraded: func() {
			m.upgrades.Inc()
			m.connections.WithLabelValues(string(engineio.Polling)).Dec()
			m.connections.WithLabelValues(string(engineio.WebSocket)).Inc()
		},
		Closed: func(t engineio.Transport, r engineio.Reason) {
			m.connections.WithLabelValues(string(t)).Dec()
			m.closed.WithLabelValues(r.Name).Inc()
		},
		Received: func(bytes int) { m.received.Add(float64(bytes)) },
		Queued:   func(bytes int) { m.queued.Add(float64(bytes)) },
		Dropped:  m.dropped.Inc,
		Full:     func(why engineio.Why) { m.full.WithLabelValues(string(why)).Inc() },
		Refused:  func(status int) { m.rejected.WithLabelValues(statusClass(status)).Inc() },
	}
}

func statusClass(status int) string {
	switch {
	case status >= 500:
		return "5xx"
	case status >= 400:
		return "4xx"
	default:
		return "other"
	}
}

func (m *metrics) joined(namespace string) { m.sockets.WithLabelValues(namespace).Inc() }

func (m *metrics) left(namespace, reason string) {
	m.sockets.WithLabelValues(namespace).Dec()
	m.ends.WithLabelValues(namespace, reason).Inc()
}

func (m *metrics) recovery(asked, recovered bool) {
	if asked {
		m.recoveries.WithLabelValues(strconv.FormatBool(recovered)).Inc()
	}
}

func (m *metrics) refused(namespace, code string) {
	m.refusals.WithLabelValues(namespace, code).Inc()
}

// event counts one event of a client. A name that the namespace does not know is the client's invention.
func (m *metrics) event(namespace, event string, known bool, err error) {
	if !known {
		event = "other"
	}
	outcome := "ok"
	if err != nil {
		outcome = string(nexus.CodeOf(err))
	}
	m.events.WithLabelValues(namespace, event, outcome).Inc()
}

func (m *metrics) sent(event string, sockets int) {
	m.broadcasts.WithLabelValues(event).Inc()
	m.deliveries.WithLabelValues(event).Add(float64(sockets))
}
