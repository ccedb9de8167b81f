package course

import (
	"encoding/json"

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
