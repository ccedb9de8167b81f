package course

import "nexus"

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
