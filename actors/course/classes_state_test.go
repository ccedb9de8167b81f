package course

import (
	"bytes"
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus"
)

// TestACodeIsGoodForHalfAMinuteAtMost, whatever second it was read in; one of 31 seconds ago never is.
func TestACodeIsGoodForHalfAMinuteAtMost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "secret")
		shown := time.Unix(rapid.Int64Range(1e9, 4e9).Draw(t, "at"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		code := codeOf(secret, "c", window(shown))
		age := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "age"))
		good, late := taken(secret, "c", code, shown.Add(age))
		switch since := window(shown.Add(age)) - window(shown); {
		case since <= 1 && (!good || late != (since == 1)):
			t.Fatalf("%v old, %d windows: good %v, late %v", age, since, good, late)
		case age >= 31*time.Second && good && codeOf(secret, "c", window(shown.Add(age))) != code && codeOf(secret, "c", window(shown.Add(age))-1) != code:
			t.Fatalf("%v old, and taken", age)
		}
		if age > 30*time.Second && window(shown.Add(age))-window(shown) < 2 {
			t.Fatal("30 seconds are less than two windows")
		}
	})
}

func TestCodesAreTheirOwn(t *testing.T) {
	a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	seen := map[string]int{}
	for w := range int64(500) {
		for _, code := range []string{codeOf(a, "x", w), codeOf(b, "x", w), codeOf(a, "y", w)} {
			if len(code) != codeDigits {
				t.Fatal(code)
			}
			seen[code]++
		}
	}
	if len(seen) < 1450 { // 1500 out of a million meet about once
		t.Errorf("%d different codes of 1500", len(seen))
	}
	if good, _ := taken(a, "x", "", time.Unix(1e9, 0)); good {
		t.Error("no code is good")
	}
}

func TestActs(t *testing.T) {
	start := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	class := func(s nexus.ClassStatus) nexus.Class {
		return nexus.Class{ID: "c", StartsAt: start, EndsAt: start.Add(time.Hour), Status: s, Version: 3}
	}
	for _, c := range []struct {
		name    string
		what    string
		from    nexus.ClassStatus
		at      time.Duration // from its start
		to      nexus.ClassStatus
		refused bool
	}{
		{"open", ActOpen, nexus.ClassScheduled, 0, nexus.ClassOpen, false},
		{"open an hour early", ActOpen, nexus.ClassScheduled, -time.Hour, nexus.ClassOpen, false},
		{"open too early", ActOpen, nexus.ClassScheduled, -time.Hour - 1, "", true},
		{"open in the last moment", ActOpen, nexus.ClassScheduled, time.Hour - 1, nexus.ClassOpen, false},
		{"open too late", ActOpen, nexus.ClassScheduled, time.Hour, "", true},
		{"open again", ActOpen, nexus.ClassOpen, 0, nexus.ClassOpen, false},
		{"open what was closed by mistake", ActOpen, nexus.ClassClosed, 0, nexus.ClassOpen, false},
		{"open what is not held", ActOpen, nexus.ClassCancelled, 0, "", true},
		{"close", ActClose, nexus.ClassOpen, 0, nexus.ClassClosed, false},
		{"close again", ActClose, nexus.ClassClosed, 0, nexus.ClassClosed, false},
		{"close what is not open", ActClose, nexus.ClassScheduled, 0, "", true},
		{"cancel", ActCancel, nexus.ClassScheduled, 0, nexus.ClassCancelled, false},
		{"cancel again", ActCancel, nexus.ClassCancelled, 0, nexus.ClassCancelled, false},
		{"cancel what is open", ActCancel, nexus.ClassOpen, 0, "", true},
		{"cancel what is over", ActCancel, nexus.ClassClosed, 0, "", true},
		{"move", ActMove, nexus.ClassScheduled, 0, nexus.ClassScheduled, false},
		{"move what is open", ActMove, nexus.ClassOpen, 0, "", true},
	} {
		a := Act{What: c.what, Reason: "why", Class: nexus.Class{StartsAt: start.Add(time.Hour), EndsAt: start.Add(2 * time.Hour), Room: "r", LateMin: 5}}
		before := class(c.from)
		after, changed, err := a.Apply(before, start.Add(c.at))
		var e *nexus.Error
		switch {
		case c.refused:
			if !errors.As(err, &e) || e.Code != nexus.StateConflict || e.State != string(c.from) || after != before {
				t.Errorf("%s: %+v %v", c.name, after, err)
			}
		case err != nil || after.Status != c.to || changed == (after.Version == before.Version):
			t.Errorf("%s: %+v %v %v", c.name, after, changed, err)
		case c.what == ActMove && (after.Room != "r" || !after.StartsAt.Equal(start.Add(time.Hour)) || after.Reason != "why"):
			t.Errorf("%s: %+v", c.name, after)
		case c.what == ActOpen && changed && (after.LateMin != 5 || after.OpenedAt == nil || after.ClosedAt != nil):
			t.Errorf("%s: %+v", c.name, after)
		}
	}
}

func TestWhoIsLate(t *testing.T) {
	start := time.Date(2026, 11, 30, 9, 0, 0, 0, time.UTC)
	c := nexus.Class{StartsAt: start, LateMin: 10}
	for after, want := range map[time.Duration]nexus.AttendanceStatus{
		-time.Hour: nexus.Present, 0: nexus.Present, 10 * time.Minute: nexus.Present, 10*time.Minute + 1: nexus.Late,
	} {
		if got := statusAt(c, start.Add(after)); got != want {
			t.Errorf("%v after its start: %s", after, got)
		}
	}
}

func TestDistances(t *testing.T) {
	for _, c := range []struct {
		a, b nexus.Position
		want float64
	}{
		{nexus.Position{}, nexus.Position{}, 0},
		{nexus.Position{Lat: 0, Lng: 0}, nexus.Position{Lat: 0, Lng: 1}, 111_195},
		{nexus.Position{Lat: 52.5163, Lng: 13.3777}, nexus.Position{Lat: 48.8584, Lng: 2.2945}, 878_400}, // Brandenburg Gate, Eiffel Tower
		{nexus.Position{Lat: 90}, nexus.Position{Lat: -90}, math.Pi * earthRadius},
		{nexus.Position{Lat: 10, Lng: 179.9999}, nexus.Position{Lat: 10, Lng: -179.9999}, 21.9},
	} {
		if got := distance(c.a, c.b); math.Abs(got-c.want) > 0.002*c.want+0.1 {
			t.Errorf("%v to %v: %.0f m, want %.0f", c.a, c.b, got, c.want)
		}
	}
}
