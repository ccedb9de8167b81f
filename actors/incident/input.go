package incident

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"nexus"
)

const (
	maxFixes     = 200         // in a batch
	maxCountdown = time.Minute // longer than that nobody looks at a phone
	maxAccuracy  = 1e6         // metres: past it a place says nothing
)

// timerKeys begins the keys of presses that safety timers make. A client that used one would keep the timer from being heard.
const timerKeys = "timer:"

var errNoIncident = nexus.Errorf(nexus.NotFound, "no such incident")

// checkID keeps what is no id from the store.
func checkID(id nexus.IncidentID) error {
	if !nexus.ValidID(string(id)) {
		return errNoIncident
	}
	return nil
}

// checkPress checks a press, and forgets a time that no calendar has: a phone with a broken clock raises an alarm as well.
func checkPress(p *nexus.Press) error {
	if err := checkText("clientKey", p.ClientKey, 1, 200); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(p.ClientKey, timerKeys):
		return nexus.InvalidField("clientKey", "must not begin with %q", timerKeys)
	case len(p.Category) > 60, strings.Trim(p.Category, "abcdefghijklmnopqrstuvwxyz0123456789_-") != "":
		return nexus.InvalidField("category", "must be 1 to 60 of a-z, 0-9, _ and -")
	case p.Countdown < 0 || p.Countdown > maxCountdown:
		return nexus.InvalidField("countdownSeconds", "must be 0 to 60 seconds")
	}
	if p.At = p.At.UTC(); !known(p.At) {
		p.At = time.Time{}
	}
	if p.Position != nil {
		return checkPosition("", *p.Position)
	}
	return nil
}

func checkFixes(fixes []nexus.Fix) error {
	if len(fixes) < 1 || len(fixes) > maxFixes {
		return nexus.InvalidField("fixes", "must be 1 to %d", maxFixes)
	}
	for i, f := range fixes {
		at := fmt.Sprintf("fixes[%d].", i)
		switch {
		case f.ClientSeq < 1:
			return nexus.InvalidField(at+"clientSeq", "must be 1 or more")
		case !known(f.At.UTC()):
			return nexus.InvalidField(at+"at", "must be a time since 1970")
		case f.Battery != nil && (*f.Battery < 0 || *f.Battery > 100):
			return nexus.InvalidField(at+"battery", "must be 0 to 100 per cent")
		}
		if err := checkPosition(at, f.Position); err != nil {
			return err
		}
	}
	return nil
}

func checkPosition(at string, p nexus.Position) error {
	switch {
	case !within(p.Lat, -90, 90):
		return nexus.InvalidField(at+"lat", "must be -90 to 90 degrees")
	case !within(p.Lng, -180, 180):
		return nexus.InvalidField(at+"lng", "must be -180 to 180 degrees")
	case p.Accuracy != nil && !within(*p.Accuracy, 0, maxAccuracy):
		return nexus.InvalidField(at+"accuracy", "must be 0 to %.0f metres", maxAccuracy)
	}
	return nil
}

func within(x, low, high float64) bool { return !math.IsNaN(x) && x >= low && x <= high }

// known reports whether a time, in UTC, can be written as RFC 3339 and means anything.
func known(at time.Time) bool { return at.Year() >= 1970 && at.Year() <= 9999 }

func checkNote(note string) error { return checkText("note", note, 0, 1000) }

// checkText takes characters of valid UTF-8; the database holds no NUL.
func checkText(field, s string, least, most int) error {
	switch n := utf8.RuneCountInString(s); {
	case n < least:
		return nexus.InvalidField(field, "is missing")
	case n > most:
		return nexus.InvalidField(field, "must be at most %d characters", most)
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return nexus.InvalidField(field, "must be text")
	}
	return nil
}
