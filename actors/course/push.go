package course

import (
	"encoding/json"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// The events of the /academic namespace.
const (
	Namespace      = "/academic"
	ScheduleUpdate = "SCHEDULE_UPDATE"
	SeatUpdate     = "SEAT_UPDATE"
	AttendanceTick = "ATTENDANCE_TICK"
	Code           = "CODE"
)

// SeatsTopic is what those listen to who want to know how many seats are left.
func SeatsTopic(id nexus.CourseID) string { return "seats/" + string(id) }

// ScheduleTopic is what strangers listen to; whoever is concerned has a line in their own stream.
func ScheduleTopic(id nexus.CourseID) string { return "schedule/" + string(id) }

// StaffTopic is what the course's staff listens to while a class is open.
func StaffTopic(id nexus.CourseID) string { return "staff/" + string(id) }

// seqBits leaves one activation 2^30 broadcasts, and a course 2^23 activations, before a seq is more than what a client's double
// holds exactly.
const seqBits = 30

// seatsShown is the payload of SEAT_UPDATE.
type seatsShown struct {
	CourseID nexus.CourseID `json:"courseId"`
	Enrolled int            `json:"enrolled"`
	Capacity int            `json:"capacity"`
	Waitlist int            `json:"waitlist"` // how many wait
}

func seatUpdate(id nexus.CourseID, r Roll, seq int64) *grain.Broadcast {
	topic := SeatsTopic(id)
	return &grain.Broadcast{
		Topic: topic, Namespace: Namespace, Event: SeatUpdate, Slot: topic, Seq: seq,
		Payload: encode(seatsShown{CourseID: id, Enrolled: len(r.Seats), Capacity: r.Capacity(), Waitlist: len(r.Waiting)}),
	}
}

func encode(payload any) []byte {
	b, err := json.Marshal(payload)
	if err != nil {
		panic(err) // plain numbers and strings always marshal
	}
	return b
}

// ScheduleShown is the payload of SCHEDULE_UPDATE. Lines of streams have their own seq.
type ScheduleShown struct {
	CourseID  nexus.CourseID `json:"courseId"`
	SessionID nexus.ClassID  `json:"sessionId"`
	Type      string         `json:"type"` // added, opened, closed, cancelled or moved
	Message   string         `json:"message"`
	Timestamp string         `json:"timestamp"`
	Seq       int64          `json:"seq"` // for strangers the class's version
}

// types are what acts are called once they are done.
var types = map[string]string{ActAdd: "added", ActOpen: "opened", ActClose: "closed", ActCancel: "cancelled", ActMove: "moved"}

// ShowSchedule is what people are told of a class that changed.
func ShowSchedule(c nexus.Class, a Act, now time.Time) ScheduleShown {
	s := ScheduleShown{CourseID: c.Course, SessionID: c.ID, Type: types[a.What], Timestamp: clock(now), Seq: c.Version}
	if a.What == ActAdd && c.Status == nexus.ClassOpen {
		s.Type = types[ActOpen]
	}
	s.Message = "The class is " + s.Type
	if a.Reason != "" {
		s.Message += ": " + a.Reason
	}
	return s
}

func clock(at time.Time) string { return at.UTC().Format(nexus.TimeLayout) }

func scheduleUpdate(c nexus.Class, a Act, now time.Time) *grain.Broadcast {
	return &grain.Broadcast{Topic: ScheduleTopic(c.Course), Namespace: Namespace, Event: ScheduleUpdate, Payload: encode(ShowSchedule(c, a, now))}
}

func attendanceTick(course nexus.CourseID, class nexus.ClassID, present, total int, seq int64) *grain.Broadcast {
	return &grain.Broadcast{
		Topic: StaffTopic(course), Namespace: Namespace, Event: AttendanceTick, Slot: StaffTopic(course), Seq: seq,
		Payload: encode(struct {
			SessionID nexus.ClassID `json:"sessionId"`
			Present   int           `json:"present"`
			Total     int           `json:"total"`
		}{class, present, total}),
	}
}

func codeShown(course nexus.CourseID, class nexus.ClassID, code string, until time.Time) *grain.Broadcast {
	return &grain.Broadcast{
		Topic: StaffTopic(course), Namespace: Namespace, Event: Code,
		Payload: encode(struct {
			SessionID  nexus.ClassID `json:"sessionId"`
			Code       string        `json:"code"`
			ValidUntil string        `json:"validUntil"`
		}{class, code, clock(until)}),
	}
}
