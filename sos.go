package nexus

import (
	"encoding/json"
	"time"
)

// SOSState is where an incident stands.
type SOSState string

// The states of an incident, in the order of its life; the last three are its ends.
const (
	SOSArmed        SOSState = "ARMED"        // will raise itself at the end of its countdown
	SOSRaised       SOSState = "RAISED"       // nobody has taken it
	SOSAcknowledged SOSState = "ACKNOWLEDGED" // a human has taken it
	SOSEnRoute      SOSState = "EN_ROUTE"
	SOSOnScene      SOSState = "ON_SCENE"
	SOSResolved     SOSState = "RESOLVED"
	SOSCancelled    SOSState = "CANCELLED" // by the person who raised it, in time
	SOSFalseAlarm   SOSState = "FALSE_ALARM"
)

// Closed reports whether s is an end.
func (s SOSState) Closed() bool {
	return s == SOSResolved || s == SOSCancelled || s == SOSFalseAlarm
}

// Position is a place on Earth in degrees (WGS 84).
type Position struct {
	Lat      float64  `json:"lat"`
	Lng      float64  `json:"lng"`
	Accuracy *float64 `json:"accuracy,omitempty"` // metres, if known
}

// Fix is where somebody was. ClientSeq is the phone's own count: a second copy of one is no news.
type Fix struct {
	ClientSeq int64     `json:"clientSeq"`
	At        time.Time `json:"at"`
	Position
	Battery *int `json:"battery,omitempty"` // per cent, if known
}

// Press is a press of the button, by a phone or a safety timer. (User, ClientKey) identifies it: a second copy
// is answered like the first.
type Press struct {
	User      UserID
	ClientKey string
	Category  string // what it is about, "panic" if the phone does not say
	Silent    bool   // the phone must show and sound nothing; friends and family are not told
	Drill     bool   // an exercise: nobody outside the campus is paged
	Position  *Position
	At        time.Time     // by the phone's clock; zero if it does not say
	Countdown time.Duration // it raises itself after this long, unless cancelled; 0 is at once
}

// Incident is an SOS as it stands.
type Incident struct {
	ID          IncidentID  `json:"id"`
	User        UserID      `json:"userId"`
	Category    string      `json:"category"`
	Silent      bool        `json:"silent"`
	Drill       bool        `json:"drill"`
	Duress      bool        `json:"duress"` // cancelled under duress: it goes on, and only its raiser must not see that
	State       SOSState    `json:"state"`
	Seq         int64       `json:"seq"` // of its last event
	RaisedAt    time.Time   `json:"raisedAt"`
	CancelUntil time.Time   `json:"cancelUntil"`
	AckedAt     *time.Time  `json:"acknowledgedAt"`
	OnSceneAt   *time.Time  `json:"onSceneAt"`
	ClosedAt    *time.Time  `json:"closedAt"`
	NextAt      *time.Time  `json:"nextAt"` // when something happens by itself; every open incident has such a time
	Responders  []Responder `json:"responders"`
	Last        *Fix        `json:"location"` // nil if no position was ever sent
}

// Responder is somebody who was paged or came by themselves.
type Responder struct {
	User  UserID    `json:"userId"`
	State string    `json:"state"` // PAGED, or what they last said: ACKNOWLEDGED, EN_ROUTE, ON_SCENE
	Since time.Time `json:"since"`
}

// SOSEvent is one entry in an incident's history. Seq counts from 1 without a gap; Hash is SHA-256 over the event and the Hash
// before it, so that no entry can be changed unseen.
type SOSEvent struct {
	Incident IncidentID      `json:"incidentId"`
	Seq      int64           `json:"seq"`
	Kind     string          `json:"kind"`
	Actor    UserID          `json:"actor,omitempty"` // empty: the clock
	Data     json.RawMessage `json:"data"`
	At       time.Time       `json:"at"`
	Hash     []byte          `json:"-"` // shown in hexadecimal
}

// Raised answers a press.
type Raised struct {
	Incident IncidentID `json:"incidentId"`
	State    SOSState   `json:"state"`
	Seq      int64      `json:"seq"`     // of the event that the press made; 0 while it is not durable
	Durable  bool       `json:"durable"` // false: people are alerted, but the database is away and does not know yet
}

// Delivery is one line of a stream of class A: an event of an incident on its way to one person, an alert to all, or a line of the outbox.
type Delivery struct {
	Stream   string          // the recipient's id, or CampusStream; of the outbox what OutboxStream says
	Seq      int64           // counts from 1 without a gap within the stream
	Kind     string          // DeliverAlert, DeliverEvent or DeliverMass; of the outbox the event's name
	Event    *SOSEvent       // as its recipient may see it; nil for DeliverMass
	Incident *Incident       // as it stands when it is read, for DeliverAlert: a late reader wants the newest position
	Mass     *MassAlert      // for DeliverMass
	Payload  json.RawMessage // of the outbox: a JSON object; nil for the others
	At       time.Time       // of the commit
}

// CampusStream is the stream that everybody hears.
const CampusStream = "00000000-0000-0000-0000-000000000000"

// The kinds of delivery.
const (
	DeliverAlert = "ALERT" // page this person: CRITICAL_ALERT
	DeliverEvent = "EVENT" // INCIDENT_EVENT
	DeliverMass  = "MASS"  // MASS_ALERT
)

// Target is whom a step of an escalation policy pages; exactly one field is set.
type Target struct {
	User     UserID `json:"userId,omitempty"`
	Role     Role   `json:"role,omitempty"`
	OnDuty   bool   `json:"onDuty,omitempty"`   // whoever has a shift now
	Contacts bool   `json:"contacts,omitempty"` // the emergency contacts of the person in need, never for a drill nor a silent alarm
}

// Step is one step of an escalation policy.
type Step struct {
	AfterSeconds int      `json:"afterSeconds"` // since the alarm was raised, or raised again
	Targets      []Target `json:"targets"`
}

// Policy says who is paged when nobody answers.
type Policy struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Steps        []Step `json:"steps"`
	EverySeconds int    `json:"everySeconds"` // the last step is repeated this often, until a human answers
	MoveSeconds  int    `json:"moveSeconds"`  // whoever took it must be on the way within this time, or it is raised again
	Version      int64  `json:"version"`
}

// Shift is when somebody is on duty.
type Shift struct {
	ID   string    `json:"id"`
	User UserID    `json:"userId"`
	From time.Time `json:"startsAt"`
	To   time.Time `json:"endsAt"`
}

// SafetyTimer raises an SOS at Due by itself, unless its owner ends it before: "I'm walking home, 20 minutes".
type SafetyTimer struct {
	ID       string     `json:"id"`
	User     UserID     `json:"userId"`
	Note     string     `json:"note"`
	Category string     `json:"category"`
	Due      time.Time  `json:"dueAt"`
	State    string     `json:"state"` // RUNNING, DONE or EXPIRED
	Incident IncidentID `json:"incidentId,omitempty"`
	Version  int64      `json:"version"`
}

// MassAlert is a warning to everybody, in the terms of the Common Alerting Protocol 1.2.
type MassAlert struct {
	Identifier  string    `json:"identifier"`
	Sender      string    `json:"sender"`
	Sent        time.Time `json:"sent"`
	Status      string    `json:"status"`  // Actual, Exercise, System, Test
	MsgType     string    `json:"msgType"` // Alert, Update, Cancel
	References  string    `json:"references,omitempty"`
	Category    string    `json:"category"` // Geo, Met, Safety, Security, Rescue, Fire, Health, Env, Transport, Infra, CBRNE, Other
	Event       string    `json:"event"`
	Urgency     string    `json:"urgency"`
	Severity    string    `json:"severity"`
	Certainty   string    `json:"certainty"`
	Headline    string    `json:"headline"`
	Description string    `json:"description,omitempty"`
	Instruction string    `json:"instruction,omitempty"`
	Area        string    `json:"area"`
	Expires     time.Time `json:"expires"`
}

// Reader is one device that reads a stream. A device is a login, or one connection of it under an id of its own.
type Reader struct {
	Stream string
	Device SessionID
}

// Standing is how far a Reader has come.
type Standing struct {
	Reader
	Cursor int64 // the last line that the device acknowledged, with all before; for a new device, where it should begin
	Known  bool  // the device is no new one, or the stream has no line yet
	Last   int64 // the newest line of the stream
}

// Mark says what became of a line of a stream.
type Mark struct {
	Stream string
	Seq    int64
	Sent   time.Time // zero: no news
	Got    time.Time // acknowledged by a client; zero: no news
}

// DeliveryRecord is what became of one line of a stream, for those who look into it afterwards.
type DeliveryRecord struct {
	User           UserID     `json:"userId"`
	EventSeq       int64      `json:"seq"`
	Kind           string     `json:"kind"`
	CommittedAt    time.Time  `json:"committedAt"`
	SentAt         *time.Time `json:"sentAt"`
	DeliveredAt    *time.Time `json:"deliveredAt"`
	AcknowledgedAt *time.Time `json:"acknowledgedAt"`
}

// Latency is how long something took: percentiles in seconds, and the share that met its goal. Null without a sample.
type Latency struct {
	Samples     int      `json:"samples"`
	P50         *float64 `json:"p50"`
	P90         *float64 `json:"p90"`
	P99         *float64 `json:"p99"`
	GoalSeconds float64  `json:"goalSeconds,omitempty"` // 0: nobody sets one
	GoalShare   float64  `json:"goalShare,omitempty"`   // that must be within the goal
	WithinGoal  *float64 `json:"withinGoal"`            // that was
	Source      string   `json:"source,omitempty"`      // of the goal
}

// SafetyMetrics is how fast help came in a period, drills left out.
type SafetyMetrics struct {
	Incidents   int       `json:"incidents"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	Deliver     Latency   `json:"deliver"`     // from the commit to the first client's acknowledgement
	Acknowledge Latency   `json:"acknowledge"` // from the alarm to the first human
	Arrive      Latency   `json:"arrive"`      // from the alarm to the first on the scene
}

// PagedChannel is a way out of the campus.
type PagedChannel string

// The channels.
const (
	ChannelEmail   PagedChannel = "email"
	ChannelPush    PagedChannel = "push"
	ChannelWebhook PagedChannel = "webhook"
	ChannelSMS     PagedChannel = "sms" // a webhook of a provider
)

// OutPage is one message that leaves the campus because of an incident.
type OutPage struct {
	ID       string
	Channel  PagedChannel
	Address  string
	Push     *PushSubscription // for ChannelPush
	Attempts int               // this one included
	Incident Incident
	Name     string // of the person in need
	EventSeq int64
}

// PushSubscription is a browser that takes web push messages (RFC 8030, 8291).
type PushSubscription struct {
	Endpoint string `json:"endpoint"`
	P256DH   string `json:"p256dh"`
	Auth     string `json:"auth"`
}
