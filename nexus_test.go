package nexus

import (
	"strings"
	"testing"
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
