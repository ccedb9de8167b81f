package nexus

import (
	"slices"
	"time"
)

// Bounds of the market.
const (
	MaxImages  = 8                   // of a listing
	MaxPrice   = 1_000_000_000_000   // in the currency's smallest unit
	ListingFor = 60 * 24 * time.Hour // how long something is offered before its seller has to say so again
)

// ListingStatus is where a listing is in its life.
type ListingStatus string

// The statuses of a listing.
const (
	Available ListingStatus = "AVAILABLE"
	Reserved  ListingStatus = "RESERVED" // for the buyer whose offer was accepted
	Sold      ListingStatus = "SOLD"
	Withdrawn ListingStatus = "WITHDRAWN" // by its seller, or because its time was over
	Removed   ListingStatus = "REMOVED"   // by moderation, for good
)

// listingMoves are the legal moves of a listing's life.
var listingMoves = map[ListingStatus][]ListingStatus{
	Available: {Reserved, Sold, Withdrawn, Removed},
	Reserved:  {Available, Sold, Withdrawn, Removed},
	Sold:      {Removed},
	Withdrawn: {Available, Removed},
}

// To fails with StateConflict unless a listing may go from one status to the other.
func (s ListingStatus) To(next ListingStatus) error { return move(listingMoves, s, next) }

// Hidden reports whether a listing in this status is shown to its seller and administrators alone: to others it is as if there were none.
func (s ListingStatus) Hidden() bool { return s == Withdrawn || s == Removed }

// OfferStatus is what has become of an offer.
type OfferStatus string

// The statuses of an offer.
const (
	OfferOpen      OfferStatus = "OPEN"
	OfferAccepted  OfferStatus = "ACCEPTED"
	OfferDeclined  OfferStatus = "DECLINED"  // by the seller, or because it was sold to another
	OfferWithdrawn OfferStatus = "WITHDRAWN" // by the buyer
	OfferExpired   OfferStatus = "EXPIRED"   // with its listing
)

// offerMoves are the legal moves of an offer. What is accepted may still fall through.
var offerMoves = map[OfferStatus][]OfferStatus{
	OfferOpen:     {OfferAccepted, OfferDeclined, OfferWithdrawn, OfferExpired},
	OfferAccepted: {OfferDeclined, OfferWithdrawn, OfferExpired},
}

// To fails with StateConflict unless an offer may go from one status to the other.
func (s OfferStatus) To(next OfferStatus) error { return move(offerMoves, s, next) }

// move fails with StateConflict unless the table has the move.
func move[S ~string](moves map[S][]S, from, to S) error {
	if slices.Contains(moves[from], to) {
		return nil
	}
	return InState(from, "it is %s, and cannot become %s", from, to)
}

// Somebody is all that others see of who sells, buys, loses or finds something.
type Somebody struct {
	Name   string `json:"name"`
	Avatar string `json:"avatar"`
}

// Listing is what somebody sells.
type Listing struct {
	ID          ListingID     `json:"id"`
	SellerID    UserID        `json:"-"`
	Seller      Somebody      `json:"seller"`
	Title       string        `json:"title"`
	Description string        `json:"description"`
	Category    string        `json:"category"`
	Condition   string        `json:"condition"`
	PriceMinor  int64         `json:"priceMinor"`
	Currency    string        `json:"currency"`
	Images      []string      `json:"images"` // paths on this server, in order
	Status      ListingStatus `json:"status"`
	Reason      string        `json:"reason,omitempty"` // why it was removed
	CreatedAt   time.Time     `json:"createdAt"`
	ExpiresAt   time.Time     `json:"expiresAt"`
	Version     int64         `json:"version"`
}

// ListingState is where a listing is in its life.
type ListingState struct {
	ID      ListingID     `json:"id"`
	Status  ListingStatus `json:"status"`
	Version int64         `json:"version"`
}

// ListingChange is what a seller changes; nil fields stay.
type ListingChange struct {
	Title       *string
	Description *string
	Category    *string
	Condition   *string
	PriceMinor  *int64
	Currency    *string
	Images      *[]string
	Relist      bool // what was withdrawn is offered again
}

// Of returns the listing with the change made, as of now. StateConflict for what is reserved, sold or removed: a buyer relies on what is promised.
func (x ListingChange) Of(l Listing, now time.Time) (Listing, error) {
	if x.Relist {
		if l.Status != Withdrawn { // no way to let a buyer down
			return l, InState(l.Status, "it is %s, and cannot become %s", l.Status, Available)
		}
		l.Status, l.ExpiresAt = Available, now.Add(ListingFor)
	}
	if l.Status != Available && l.Status != Withdrawn {
		return l, InState(l.Status, "it is %s, and cannot be changed", l.Status)
	}
	set(&l.Title, x.Title)
	set(&l.Description, x.Description)
	set(&l.Category, x.Category)
	set(&l.Condition, x.Condition)
	set(&l.PriceMinor, x.PriceMinor)
	set(&l.Currency, x.Currency)
	set(&l.Images, x.Images)
	return l, nil
}

// ListingFilter says which listings are looked for; empty fields let all pass.
type ListingFilter struct {
	Query     string // words of title and description; the beginning of one will do, and so does one that is nearly right
	Category  string // whatever its case
	Condition string
	Status    ListingStatus
	Seller    UserID
	MinPrice  int64
	MaxPrice  int64 // 0: any
}

// Offer is what somebody would pay for a listing.
type Offer struct {
	ID          OfferID      `json:"id"`
	ListingID   ListingID    `json:"listingId"`
	Title       string       `json:"title"` // of the listing
	BuyerID     UserID       `json:"-"`
	SellerID    UserID       `json:"-"`
	Buyer       Somebody     `json:"buyer"`
	AmountMinor int64        `json:"amountMinor"`
	Currency    string       `json:"currency"`
	Status      OfferStatus  `json:"status"`
	Listing     ListingState `json:"listing"`
	CreatedAt   time.Time    `json:"createdAt"`
}
