package incident

import (
	"encoding/json"
	"log/slog"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// The events of the /security namespace that are sent without a stream to keep them. None of them reaches the person in need: an officer whose
// phone is held by somebody else must not show by it that an alarm goes on that was cancelled.
const (
	Namespace     = "/security"
	CriticalAlert = "CRITICAL_ALERT" // of a press that no database knows yet; all others come by the streams
	SafetyAlarm   = "SAFETY_ALARM"   // something went wrong on our side: look yourselves
	Location      = "LOCATION"
)

// AlertsTopic is what the sockets of SECURITY and ADMIN listen to.
const AlertsTopic = "safety/alerts"

// heldTopic is what desks listen to, and no socket: presses that no database knows yet.
const heldTopic = "desk/held"

// Topic is what those listen to who follow where the person in need is.
func Topic(id nexus.IncidentID) string { return "safety/" + string(id) }

// Reasons of a SAFETY_ALARM.
const (
	ReasonOverdue = "overdue"      // the incident's time had passed and nobody had acted
	ReasonStuck   = "stuck"        // what it is due for cannot be done
	ReasonNobody  = "paged_nobody" // a step of its policy reached nobody on the campus
	ReasonNotKept = "not_kept"     // the database refuses the press: there is no incident, only the alert that was sent
	ReasonTimer   = "timer"        // a safety timer has run out and its alarm cannot be raised
)

// criticalAlert is the payload of a CRITICAL_ALERT that is not durable.
type criticalAlert struct {
	IncidentID nexus.IncidentID `json:"incidentId"`
	UserID     nexus.UserID     `json:"userId"`
	Location   *nexus.Position  `json:"location"`
	Timestamp  string           `json:"timestamp"`
	Seq        int64            `json:"seq"`
	State      nexus.SOSState   `json:"state"`
	Category   string           `json:"category"`
	Drill      bool             `json:"drill"`
	Durable    bool             `json:"durable"`
	DeliveryID string           `json:"deliveryId"`
}

type safetyAlarm struct {
	IncidentID nexus.IncidentID `json:"incidentId"`
	Reason     string           `json:"reason"`
	TimerID    string           `json:"timerId,omitempty"` // of ReasonTimer, for which there is no incident
	UserID     nexus.UserID     `json:"userId,omitempty"`
}

type location struct {
	IncidentID nexus.IncidentID `json:"incidentId"`
	Lat        float64          `json:"lat"`
	Lng        float64          `json:"lng"`
	Accuracy   *float64         `json:"accuracy"`
	At         string           `json:"at"`
}

// news says that streams have something new.
func news(streams []string) *grain.Broadcast {
	return &grain.Broadcast{News: streams, Urgent: true}
}

// alert tells all of SECURITY and ADMIN of a press, but not who pressed.
func alert(id nexus.IncidentID, p nexus.Press, at time.Time) *grain.Broadcast {
	return urgent(p.User, CriticalAlert, criticalAlert{
		IncidentID: id, UserID: p.User, Location: p.Position, Timestamp: clock(at),
		State: nexus.SOSRaised, Category: p.Category, Drill: p.Drill,
	})
}

func urgent(raiser nexus.UserID, name string, payload any) *grain.Broadcast {
	return &grain.Broadcast{Topic: AlertsTopic, Namespace: Namespace, Event: name, Payload: encode(payload), Urgent: true, Except: string(raiser)}
}

// handing tells the other desks of a press that is held.
func handing(x handed) *grain.Broadcast {
	return &grain.Broadcast{Topic: heldTopic, Payload: encode(x), Urgent: true}
}

// located tells where the person is. The phone's own count keeps the order, for each fix may come by another node.
func located(id nexus.IncidentID, raiser nexus.UserID, f nexus.Fix) *grain.Broadcast {
	return &grain.Broadcast{
		Topic: Topic(id), Namespace: Namespace, Event: Location, Slot: "location:" + string(id), Seq: f.ClientSeq,
		Except:  string(raiser),
		Payload: encode(location{IncidentID: id, Lat: f.Lat, Lng: f.Lng, Accuracy: f.Accuracy, At: clock(f.At)}),
	}
}

func clock(at time.Time) string { return at.UTC().Format(nexus.TimeLayout) }

func encode(payload any) []byte {
	b, err := json.Marshal(payload)
	if err != nil {
		panic(err) // plain numbers and strings, checked before, always marshal
	}
	return b
}

// crier tells others what became of an incident.
type crier struct {
	bus     grain.Bus
	log     *slog.Logger
	metrics *Metrics
}

// tell hints that streams are to be read, and cries out if a page reached nobody.
func (c crier) tell(out Outcome) {
	if len(out.Streams) > 0 {
		c.bus.Publish(news(out.Streams))
	}
	for _, e := range out.Events {
		if reachedNobody(e.Kind, e.Data) {
			c.alarm(out.State.ID, out.State.User, ReasonNobody)
		}
	}
}

// alarm says loudly that something is wrong with how an incident is handled, to all but its raiser.
func (c crier) alarm(id nexus.IncidentID, raiser nexus.UserID, reason string) {
	c.log.Error("an SOS needs eyes", "incident", id, "reason", reason)
	c.metrics.alarmed(reason)
	c.bus.Publish(urgent(raiser, SafetyAlarm, safetyAlarm{IncidentID: id, Reason: reason}))
}

// timer says loudly whose safety timer has run out without an alarm.
func (c crier) timer(t FailedTimer) {
	c.log.Error("a safety timer needs eyes", "timer", t.ID, "user", t.User, "err", t.Err)
	c.metrics.alarmed(ReasonTimer)
	c.bus.Publish(urgent(t.User, SafetyAlarm, safetyAlarm{Reason: ReasonTimer, TimerID: t.ID, UserID: t.User}))
}

// reachedNobody reports whether an event is a page that went to nobody on the campus. Contacts outside do not count: whether there
// are any, and whether they read it, is not known.
func reachedNobody(kind string, data json.RawMessage) bool {
	var p Page
	return kind == Paged && json.Unmarshal(data, &p) == nil && len(p.Users) == 0
}
