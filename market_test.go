package nexus

import (
	"testing"
	"time"
)

// TestAListingHasOneLife: no other moves than these.
func TestAListingHasOneLife(t *testing.T) {
	all := []ListingStatus{Available, Reserved, Sold, Withdrawn, Removed}
	legal := map[[2]ListingStatus]bool{
		{Available, Reserved}: true, {Available, Sold}: true, {Available, Withdrawn}: true, {Available, Removed}: true,
		{Reserved, Available}: true, {Reserved, Sold}: true, {Reserved, Withdrawn}: true, {Reserved, Removed}: true,
		{Withdrawn, Available}: true, {Withdrawn, Removed}: true, {Sold, Removed}: true,
	}
	for _, from := range all {
		for _, to := range all {
			moves(t, from, to, from.To(to), legal[[2]ListingStatus{from, to}])
		}
	}
}

// TestAnOfferHasOneLife: what is over stays so.
func TestAnOfferHasOneLife(t *testing.T) {
	all := []OfferStatus{OfferOpen, OfferAccepted, OfferDeclined, OfferWithdrawn, OfferExpired}
	for i, from := range all {
		for j, to := range all {
			moves(t, from, to, from.To(to), i == 0 && j > 0 || i == 1 && j > 1)
		}
	}
}

// TestALostThingHasOneLife: what was claimed may be open again.
func TestALostThingHasOneLife(t *testing.T) {
	all := []LostStatus{LostOpen, LostClaimed, LostReturned, LostClosed}
	for i, from := range all {
		for j, to := range all {
			moves(t, from, to, from.To(to), i < 2 && i != j)
		}
	}
}

func moves[S ~string](t *testing.T, from, to S, err error, legal bool) {
	t.Helper()
	if want := map[bool]Code{false: StateConflict}[legal]; CodeOf(err) != want {
		t.Errorf("%s to %s: %v", from, to, err)
	}
}

func TestWhatIsPromisedIsNotChanged(t *testing.T) {
	now, title := time.Now(), "New"
	for status, want := range map[ListingStatus][2]Code{ // changed, offered again
		Available: {"", StateConflict},
		Withdrawn: {"", ""},
		Reserved:  {StateConflict, StateConflict},
		Sold:      {StateConflict, StateConflict},
		Removed:   {StateConflict, StateConflict},
	} {
		l, err := ListingChange{Title: &title}.Of(Listing{Title: "Old", Status: status}, now)
		if CodeOf(err) != want[0] || err == nil && (l.Title != title || l.Status != status) {
			t.Errorf("change of %s: %+v %v", status, l, err)
		}
		l, err = ListingChange{Relist: true}.Of(Listing{Status: status}, now)
		if CodeOf(err) != want[1] || err == nil && (l.Status != Available || !l.ExpiresAt.Equal(now.Add(ListingFor))) {
			t.Errorf("again from %s: %+v %v", status, l, err)
		}
	}
}

func TestDetailFits(t *testing.T) {
	for _, c := range []struct {
		detail, claim string
		want          bool
	}{
		{"Blue scratch on the back", "There's a scratch, BLUE, on its back side", true},
		{"Blue scratch on the back", "a blue scrach at the back", true}, // a slip
		{"Blue scratch on the back", "blue, I think", false},
		{"Blue scratch on the back", "", false},
		{"Blue scratch on the back", "red blue green black white yellow scratch dent sticker front back side top bottom left right", false}, // a guess at everything
		{"Sticker of a panda", "sticker with a panda", true},
		{"Serial 4711", "4711 serial", true},
		{"Serial 4711", "serial 4712", false},
		{"A B", "b a", true},
		{"पीला धागा", "धागा पीला", true},
		{"?!", "?!", false},
	} {
		if got := DetailFits(c.detail, c.claim); got != c.want {
			t.Errorf("%q by %q: %v", c.detail, c.claim, got)
		}
	}
}
