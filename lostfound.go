package nexus

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// Bounds of the lost and found.
const (
	ClaimTries  = 3  // of one person for one thing
	LostItemsIn = 20 // reports of one person in a day
)

// The kinds of a LostItem.
const (
	Lost  = "LOST"
	Found = "FOUND"
)

// LostStatus is where something lost or found has come to.
type LostStatus string

// The statuses of a LostItem.
const (
	LostOpen     LostStatus = "OPEN"
	LostClaimed  LostStatus = "CLAIMED"  // by somebody who knew the hidden detail
	LostReturned LostStatus = "RETURNED" // to whom it belongs
	LostClosed   LostStatus = "CLOSED"
)

// lostMoves are the legal moves. Whoever found something may find that it was claimed by the wrong one.
var lostMoves = map[LostStatus][]LostStatus{
	LostOpen:    {LostClaimed, LostReturned, LostClosed},
	LostClaimed: {LostOpen, LostReturned, LostClosed},
}

// To fails with StateConflict unless something may go from one status to the other.
func (s LostStatus) To(next LostStatus) error { return move(lostMoves, s, next) }

// LostItem is what somebody lost or found.
type LostItem struct {
	ID          LostItemID `json:"id"`
	ReporterID  UserID     `json:"-"`
	Reporter    Somebody   `json:"reporter"`
	Kind        string     `json:"kind"`
	Title       string     `json:"title"`
	Description string     `json:"description"`
	Place       string     `json:"place"`
	SeenAt      *time.Time `json:"seenAt"`
	Detail      string     `json:"detail,omitempty"` // what only the owner can know; the reporter alone sees it
	Status      LostStatus `json:"status"`
	ClaimedBy   UserID     `json:"-"`
	CreatedAt   time.Time  `json:"createdAt"`
}

// DetailFits reports whether a claim names what a hidden detail says: two thirds of its words, in any order and case, with a slip in a long one. A claim
// of many more words names too much to know anything.
func DetailFits(detail, claim string) bool {
	wanted, said := detailWords(detail), detailWords(claim)
	if len(wanted) == 0 || len(said) > 3*len(wanted)+3 {
		return false
	}
	named := 0
	for _, w := range wanted {
		if slices.ContainsFunc(said, func(s string) bool { return s == w || len(w) >= 5 && oneSlip(w, s) }) {
			named++
		}
	}
	return 3*named >= 2*len(wanted)
}

// detailWords are the words of a text that say something, each once: those of three letters, and numbers of any length; all words if there are none of these.
func detailWords(text string) []string {
	all := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
	slices.Sort(all)
	all = slices.Compact(all)
	long := slices.DeleteFunc(slices.Clone(all), func(w string) bool {
		return len([]rune(w)) < 3 && !strings.ContainsFunc(w, unicode.IsNumber) || slices.Contains([]string{"the", "and", "with", "has", "its"}, w)
	})
	if len(long) == 0 {
		return all
	}
	return long
}

// oneSlip reports whether two words differ in one letter that is another, too many or missing.
func oneSlip(a, b string) bool {
	x, y := []rune(a), []rune(b)
	if len(x) > len(y) {
		x, y = y, x
	}
	if len(y)-len(x) > 1 {
		return false
	}
	i := 0
	for i < len(x) && x[i] == y[i] {
		i++
	}
	if len(x) == len(y) {
		return i == len(x) || slices.Equal(x[i+1:], y[i+1:])
	}
	return slices.Equal(x[i:], y[i+1:])
}

// What people may report.
const (
	ReportListing  = "listing"
	ReportLostItem = "lost-found"
)

// Report is what somebody finds wrong with a thing.
type Report struct {
	ID         ReportID   `json:"id"`
	Reporter   UserID     `json:"reporterId"`
	Entity     string     `json:"entity"`
	EntityID   string     `json:"entityId"`
	Reason     string     `json:"reason"`
	CreatedAt  time.Time  `json:"createdAt"`
	ResolvedBy *UserID    `json:"resolvedBy"`
	Resolution string     `json:"resolution"`
	ResolvedAt *time.Time `json:"resolvedAt"`
}
