package nexus

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// One thing has one id: of the forms that a UUID may be written in only the canonical one counts.
func TestOnlyCanonicalIDsAreValid(t *testing.T) {
	const id = "01890a5d-ac96-774b-bcce-b302099a8057"
	for s, want := range map[string]bool{
		id: true, NewID(): true, "00000000-0000-0000-0000-000000000000": true,
		strings.ToUpper(id): false, strings.Replace(id, "ac", "aC", 1): false,
		"{" + id + "}": false, "urn:uuid:" + id: false, strings.ReplaceAll(id, "-", ""): false,
		" " + id: false, id[1:]: false, id + "0": false, strings.Replace(id, "0", "g", 1): false, "": false,
		strings.ReplaceAll(id, "-", "0"): false,
	} {
		if ValidID(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	}
}

// Two nodes give one press one id; whatever differs, the id does.
func TestDerivedIDsBelongToTheirParts(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	at := now.Add(-time.Minute)
	id := DerivedID(at, now, "asha", "key")
	for name, other := range map[string]string{
		"a part":              DerivedID(at, now, "asha", "kez"),
		"where a part ends":   DerivedID(at, now, "ashak", "ey"),
		"the number of parts": DerivedID(at, now, "asha", "key", ""),
		"the time":            DerivedID(at.Add(time.Millisecond), now, "asha", "key"),
	} {
		if other == id {
			t.Errorf("%s makes no difference", name)
		}
	}
	if again := DerivedID(at, now.Add(3*time.Minute), "asha", "key"); again != id {
		t.Errorf("%s and %s for one press", id, again)
	}
	if u := uuid.MustParse(id); !ValidID(id) || u.Version() != 7 || u.Variant() != uuid.RFC4122 {
		t.Errorf("%s is no UUIDv7", id)
	}
}

func TestDerivedIDsBelieveAClockThatIsNotFarOff(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at   time.Time
		want time.Time
	}{
		{now, now},
		{now.Add(5 * time.Minute), now.Add(5 * time.Minute)},
		{now.Add(-5 * time.Minute), now.Add(-5 * time.Minute)},
		{now.Add(5*time.Minute + time.Nanosecond), now},
		{now.Add(-5*time.Minute - time.Nanosecond), now},
		{time.Time{}, now},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), now},
	} {
		sec, nsec := uuid.MustParse(DerivedID(c.at, now, "asha", "key")).Time().UnixTime()
		if got := time.Unix(sec, nsec); !got.Equal(c.want) {
			t.Errorf("%v: the id's time is %v, want %v", c.at, got.UTC(), c.want)
		}
	}
}
