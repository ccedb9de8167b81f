// Package course is the grain of one course: it gives out the seats, keeps the waitlist in order, and holds the class that is open.
//
//	Enrol, Drop, SetCapacity --> seats: waiting --one batch at a time--> SeatStore --commit--> answers, SEAT_UPDATE
//	Open, Mark, Close        --> classes: the open class, its code, its clock --> ClassStore --commit--> answers, ATTENDANCE_TICK
//
// What has been answered has been committed under the grain's fence. The activation's memory spares reads; the rows are the truth,
// and a new activation begins from them.
package course
