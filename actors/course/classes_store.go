package course

import (
	"context"
	"time"

	"nexus"
)

// OpenClass is the class of a course that is open.
type OpenClass struct {
	Class  nexus.Class
	Secret []byte                                  // of its codes
	Place  *nexus.Position                         // of its room; nil: not known
	FenceM int                                     // metres around Place that count as there; 0: no fence
	Marks  map[nexus.UserID]nexus.AttendanceStatus // who is marked
	// Devices says whom each device marked first; its keys are hashes.
	Devices map[string]nexus.UserID
}

// first returns whom a device marked first: the user, if it is new or not known.
func (o *OpenClass) first(device []byte, user nexus.UserID) nexus.UserID {
	if len(device) == 0 {
		return user
	}
	if _, used := o.Devices[string(device)]; !used {
		o.Devices[string(device)] = user
	}
	return o.Devices[string(device)]
}

// Mark is a student's try to be marked.
type Mark struct {
	User    nexus.UserID
	Status  nexus.AttendanceStatus
	Outcome string
	Device  []byte // a hash; nil: not known
	Flags   []string
	At      time.Time
}

// Done is what has come of an act.
type Done struct {
	Class   nexus.Class
	Changed bool
	Open    *OpenClass // the course's open class after it; nil: none is
	News    []string   // the streams of which there is news
}

// ClassStore keeps classes and who attended them. Every call is held to the grain's fence and fails with nexus.Fenced, changing nothing, once a
// newer activation exists. What has been answered has been committed.
type ClassStore interface {
	// OpenClass returns the course's open class; nil if none is.
	OpenClass(ctx context.Context, f nexus.Fence) (*OpenClass, error)
	// Do does what staff asks: by Act.Apply, in one transaction with the absence of those who are not marked when a class closes, and with what
	// people are told. NotFound for no such class of this course; Conflict if another class of the course is open, or the room is taken.
	Do(ctx context.Context, f nexus.Fence, a Act, now time.Time) (Done, error)
	// Mark keeps marks and tries, in order. Who has a mark already keeps it. It returns the marks as they are kept, with FlagDeviceNew where the
	// store knows of another device.
	Mark(ctx context.Context, f nexus.Fence, class nexus.ClassID, marks []Mark) ([]nexus.AttendanceMark, error)
	// Correct sets a mark by hand, of whichever class of the course. NotFound for no such class or enrolment. It returns the streams of which
	// there is news.
	Correct(ctx context.Context, f nexus.Fence, by nexus.Caller, class nexus.ClassID, user nexus.UserID, status nexus.AttendanceStatus, reason string) (nexus.AttendanceMark, []string, error)
}
