package live

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/transport/rest/wire"
)

// The events that lines are, as the contract names them.
const (
	criticalAlert = "CRITICAL_ALERT"
	incidentEvent = "INCIDENT_EVENT"
	massAlert     = "MASS_ALERT"
)

// line is one line of a stream, encoded once for all who read it. It belongs to the courier's loop.
type line struct {
	nexus.Delivery
	payload json.RawMessage
}

func (l *line) event() string {
	if l.Delivery.Payload != nil {
		return l.Kind
	}
	return map[string]string{nexus.DeliverAlert: criticalAlert, nexus.DeliverEvent: incidentEvent, nexus.DeliverMass: massAlert}[l.Kind]
}

type alertShown struct {
	IncidentID nexus.IncidentID `json:"incidentId"`
	UserID     nexus.UserID     `json:"userId"`
	Location   *nexus.Position  `json:"location"`
	Timestamp  time.Time        `json:"timestamp"`
	Seq        int64            `json:"seq"`
	State      nexus.SOSState   `json:"state"`
	Category   string           `json:"category"`
	Silent     bool             `json:"silent"`
	Drill      bool             `json:"drill"`
	Durable    bool             `json:"durable"`
	DeliveryID string           `json:"deliveryId"` // how clients tell lines apart
	Offset     int64            `json:"offset"`     // and say how far they have come
}

// eventShown is an event of an incident as clients see it.
type eventShown struct {
	IncidentID nexus.IncidentID `json:"incidentId"`
	Seq        int64            `json:"seq"`
	Kind       string           `json:"kind"`
	Actor      *nexus.UserID    `json:"actor"` // null: the clock
	Data       json.RawMessage  `json:"data"`
	At         time.Time        `json:"at"`
	Hash       string           `json:"hash"`
	DeliveryID string           `json:"deliveryId,omitempty"` // of a delivery alone
	Offset     int64            `json:"offset,omitempty"`
}

func showEvent(e nexus.SOSEvent) eventShown {
	s := eventShown{IncidentID: e.Incident, Seq: e.Seq, Kind: e.Kind, Data: e.Data, At: e.At, Hash: hex.EncodeToString(e.Hash)}
	if e.Actor != "" {
		s.Actor = &e.Actor
	}
	return s
}

// encode returns the event's one argument.
func (l *line) encode() (json.RawMessage, error) {
	if l.payload != nil {
		return l.payload, nil
	}
	shown, err := l.show()
	if err != nil {
		return nil, err
	}
	l.payload, err = wire.Marshal(shown)
	return l.payload, err
}

func (l *line) show() (any, error) {
	id := l.Stream + ":" + strconv.FormatInt(l.Seq, 10)
	switch {
	case l.Delivery.Payload != nil:
		return l.numbered(id)
	case l.Kind == nexus.DeliverAlert && l.Event != nil && l.Incident != nil:
		i := l.Incident
		a := alertShown{
			IncidentID: i.ID, UserID: i.User, Timestamp: l.Event.At, Seq: l.Event.Seq, State: i.State,
			Category: i.Category, Silent: i.Silent, Drill: i.Drill, Durable: true, DeliveryID: id, Offset: l.Seq,
		}
		if i.Last != nil {
			a.Location = &i.Last.Position
		}
		return a, nil
	case l.Kind == nexus.DeliverEvent && l.Event != nil:
		e := showEvent(*l.Event)
		e.DeliveryID, e.Offset = id, l.Seq
		return e, nil
	case l.Kind == nexus.DeliverMass && l.Mass != nil:
		return struct {
			nexus.MassAlert
			DeliveryID string `json:"deliveryId"`
			Offset     int64  `json:"offset"`
		}{*l.Mass, id, l.Seq}, nil
	}
	return nil, fmt.Errorf("a delivery of kind %q lacks what it is about", l.Kind)
}

// numbered is what a line of the outbox says, with its seq and with how clients tell lines apart and say how far they have come.
func (l *line) numbered(id string) (any, error) {
	var shown map[string]json.RawMessage
	if err := json.Unmarshal(l.Delivery.Payload, &shown); err != nil || shown == nil {
		return nil, fmt.Errorf("line %s is no object: %w", id, err)
	}
	seq := json.RawMessage(strconv.FormatInt(l.Seq, 10))
	shown["seq"], shown["offset"], shown["deliveryId"] = seq, seq, json.RawMessage(strconv.Quote(id))
	return shown, nil
}

// deliveryMetrics count what becomes of lines.
type deliveryMetrics struct {
	lines   *prometheus.CounterVec
	retries prometheus.Counter
	acks    prometheus.Histogram
	readers prometheus.Gauge
	lag     prometheus.Gauge
}

func newDeliveryMetrics(reg prometheus.Registerer) (*deliveryMetrics, error) {
	m := &deliveryMetrics{
		lines:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_delivery_lines_total", Help: "Lines of class A handed to a socket for the first time, by kind."}, []string{"kind"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_delivery_retries_total", Help: "Lines of class A sent again because no acknowledgement came."}),
		acks: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "nexus_delivery_ack_seconds", Help: "From a line's commit to a client's acknowledgement.",
			Buckets: []float64{.01, .025, .05, .1, .2, .3, .5, 1, 2, 5, 10, 30, 60, 300},
		}),
		readers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "nexus_delivery_readers", Help: "Streams on their way to sockets: two for each socket of /security, one for each member on / and /academic."}),
		lag:     prometheus.NewGauge(prometheus.GaugeOpts{Name: "nexus_delivery_lag_lines", Help: "Lines that wait for room in a socket's window, summed over all readers."}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.lines, m.retries, m.acks, m.readers, m.lag} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}
