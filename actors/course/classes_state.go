package course

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"nexus"
)

// What staff does with a class.
const (
	ActAdd    = "add"    // plan one
	ActOpen   = "open"   // let students mark that they are there
	ActClose  = "close"  // no more
	ActCancel = "cancel" // it is not held
	ActMove   = "move"   // it is held at another time or place
)

// Act is what staff does with a class.
type Act struct {
	What   string
	By     nexus.Caller
	Class  nexus.Class // its ID names the class; for ActAdd all that is known of it
	Reason string      // of ActCancel and ActMove
	Open   bool        // ActAdd opens it at once, or opens the one that is there for this occurrence
}

const (
	// codeEvery is for how long a code is shown, and graceWindows for how many such times more it is taken: so that whoever reads it in its last
	// second has time to type. A code of 31 seconds ago is always too old.
	codeEvery    = 15 * time.Second
	graceWindows = 1
	// codeDigits leaves a guess one chance in half a million, for two codes are good at a time. With maxGuesses in each window, 400 windows of a long
	// afternoon leave one in a thousand to who does nothing else, and every guess is on record.
	codeDigits = 6
	maxGuesses = 3
	// maxRepeats is how often in a window one may hand in a good code: a phone that heard no answer does so again.
	maxRepeats = 5
	// openEarly is how long before its start a class may be opened.
	openEarly = time.Hour
)

// window is the number of the code that is shown at a time.
func window(at time.Time) int64 { return at.Unix() / int64(codeEvery/time.Second) }

// windowEnds is when the code of a window is no longer shown.
func windowEnds(w int64) time.Time { return time.Unix((w+1)*int64(codeEvery/time.Second), 0).UTC() }

// codeOf is the code of a class in a window: HMAC-SHA256 over both, truncated as HOTP does it (RFC 4226, section 5.3).
func codeOf(secret []byte, class nexus.ClassID, w int64) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(class))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(w))) //nolint:gosec // windows are after 1970
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", codeDigits, n%uint32(math.Pow10(codeDigits)))
}

// taken reports whether a code is good at a time, and whether it is no longer the one shown.
func taken(secret []byte, class nexus.ClassID, code string, at time.Time) (good, late bool) {
	for back := range int64(graceWindows + 1) {
		if hmac.Equal([]byte(codeOf(secret, class, window(at)-back)), []byte(code)) {
			return true, back > 0
		}
	}
	return false, false
}

// Apply is what becomes of a class by an act; changed is false if it has been done before. StateConflict, with the state, for what is not
// possible.
func (a Act) Apply(c nexus.Class, now time.Time) (after nexus.Class, changed bool, err error) {
	stands := func(states ...nexus.ClassStatus) bool {
		for _, s := range states {
			if c.Status == s {
				return true
			}
		}
		return false
	}
	refused := func(format string, args ...any) (nexus.Class, bool, error) {
		return c, false, nexus.InState(c.Status, format, args...)
	}
	switch {
	case a.What == ActOpen && stands(nexus.ClassOpen),
		a.What == ActClose && stands(nexus.ClassClosed),
		a.What == ActCancel && stands(nexus.ClassCancelled):
		return c, false, nil
	case a.What == ActOpen && stands(nexus.ClassScheduled, nexus.ClassClosed): // one that was closed by mistake goes on
		if !now.Before(c.EndsAt) {
			return refused("the class is over")
		}
		if now.Before(c.StartsAt.Add(-openEarly)) {
			return refused("the class begins in more than an hour")
		}
		c.Status, c.OpenedAt, c.ClosedAt = nexus.ClassOpen, &now, nil
		c.Fenced, c.LateMin = a.Class.Fenced, a.Class.LateMin
		if a.Class.Topic != "" {
			c.Topic = a.Class.Topic
		}
	case a.What == ActClose && stands(nexus.ClassOpen):
		c.Status, c.ClosedAt = nexus.ClassClosed, &now
	case a.What == ActCancel && stands(nexus.ClassScheduled):
		c.Status, c.Reason = nexus.ClassCancelled, a.Reason
	case a.What == ActMove && stands(nexus.ClassScheduled):
		if c.StartsAt.Equal(a.Class.StartsAt) && c.EndsAt.Equal(a.Class.EndsAt) && c.Room == a.Class.Room && c.Reason == a.Reason {
			return c, false, nil
		}
		c.StartsAt, c.EndsAt, c.Room, c.Reason = a.Class.StartsAt, a.Class.EndsAt, a.Class.Room, a.Reason
	default:
		return refused("not possible: the class is %s", c.Status)
	}
	c.Version++
	return c, true, nil
}

// Flags are reasons to look twice at a mark.
const (
	FlagCodeLate     = "code_late"     // the code was no longer shown, but still good
	FlagDeviceShared = "device_shared" // another student was marked by this device before
	FlagDeviceNew    = "device_new"    // not the one that the student was marked by in the class before
	FlagNoDevice     = "no_device"     // the phone does not say which it is
	FlagOutside      = "outside_fence" // outside of the room's fence
	FlagNoPosition   = "no_position"   // the class asks for a position, and there is none
)

// What became of a try to be marked.
const (
	OutcomeMarked    = "marked"
	OutcomeRepeated  = "repeated"   // handed in again by who was marked before: the mark stays as it is
	OutcomeWrongCode = "wrong_code" // wrong, or too old
	OutcomeCorrected = "corrected"  // by staff
)

// earthRadius is the mean radius of the Earth in metres (IUGG).
const earthRadius = 6_371_008.8

// distance is how far two places are apart in metres, by the haversine formula (R. W. Sinnott, Virtues of the Haversine, 1984).
func distance(a, b nexus.Position) float64 {
	rad := func(deg float64) float64 { return deg * math.Pi / 180 }
	h := math.Pow(math.Sin(rad(b.Lat-a.Lat)/2), 2) + math.Cos(rad(a.Lat))*math.Cos(rad(b.Lat))*math.Pow(math.Sin(rad(b.Lng-a.Lng)/2), 2)
	return 2 * earthRadius * math.Asin(math.Sqrt(min(1, h)))
}

// statusAt is Present, or Late once the class has begun for as long as it says.
func statusAt(c nexus.Class, at time.Time) nexus.AttendanceStatus {
	if at.After(c.StartsAt.Add(time.Duration(c.LateMin) * time.Minute)) {
		return nexus.Late
	}
	return nexus.Present
}
