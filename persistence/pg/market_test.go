package pg_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// stall is a market with a seller and buyers.
type stall struct {
	*pg.Market
	t      *testing.T
	db     *pg.DB
	seller nexus.Caller
	buyers []nexus.Caller
}

func newStall(t *testing.T, buyers int) *stall {
	t.Helper()
	db := pgfix.DB(t)
	s := &stall{Market: pg.NewMarket(db), t: t, db: db, seller: nexus.Caller{User: pgfix.Users(t, db, "seller", nexus.Student, 1)[0]}}
	for _, u := range pgfix.Users(t, db, "buyer", nexus.Student, buyers) {
		s.buyers = append(s.buyers, nexus.Caller{User: u})
	}
	return s
}

// lamp is something to sell.
func lamp() nexus.Listing {
	return nexus.Listing{Title: "Desk lamp", Description: "Warm light.\nBulb included.", Category: "Furniture", Condition: "GOOD", PriceMinor: 45000, Currency: "INR"}
}

func (s *stall) offer(l nexus.Listing) nexus.Listing {
	s.t.Helper()
	made, err := s.CreateListing(s.t.Context(), s.seller, l)
	ok(s.t, err)
	return made
}

func (s *stall) bid(by nexus.Caller, id nexus.ListingID, amount int64) nexus.Offer {
	s.t.Helper()
	o, _, err := s.MakeOffer(s.t.Context(), by, id, amount)
	ok(s.t, err)
	return o
}

// kinds are the kinds of what somebody was told, in order.
func (s *stall) kinds(by nexus.Caller) string {
	s.t.Helper()
	var kinds []string
	for _, n := range told(s.t, s.db, by.User) {
		kinds = append(kinds, n.Kind)
	}
	return strings.Join(kinds, " ")
}

func TestAListingIsKept(t *testing.T) {
	t.Parallel()
	s := newStall(t, 1)
	for i := range 3 {
		ok(t, s.KeepImage(t.Context(), s.seller, fmt.Sprint("/u/", i), []byte{byte(i + 1)}))
	}
	ok(t, s.KeepImage(t.Context(), s.buyers[0], "/u/foreign", []byte("x")))
	want := lamp()
	want.Images = []string{"/u/1", "/u/0"}
	by := s.seller
	by.Once = nexus.Once{Key: "k", Hash: hash("one")}
	l, err := s.CreateListing(t.Context(), by, want)
	ok(t, err)
	if again, err := s.CreateListing(t.Context(), by, want); err != nil || again.ID != l.ID {
		t.Errorf("a retry: %+v %v", again, err)
	}
	read, err := s.Listing(t.Context(), s.buyers[0], l.ID)
	if err != nil || !slices.Equal(read.Images, want.Images) || read.Title != want.Title || read.Seller.Name != "seller1" || read.Version != 1 ||
		read.Status != nexus.Available || time.Until(read.ExpiresAt).Round(time.Hour) != nexus.ListingFor {
		t.Fatalf("%+v %v", read, err)
	}
	for _, wrong := range [][]string{{"/u/foreign"}, {"/u/2", "/u/2"}, {"/u/none"}} {
		want.Images = wrong
		_, err := s.CreateListing(t.Context(), s.seller, want)
		onField(t, err, nexus.Invalid, "images")
	}
	l, err = s.ChangeListing(t.Context(), s.seller, l.ID, 1, nexus.ListingChange{PriceMinor: ptr(int64(40000)), Images: &[]string{"/u/2", "/u/1"}})
	if err != nil || l.Version != 2 || l.PriceMinor != 40000 || !slices.Equal(l.Images, []string{"/u/2", "/u/1"}) {
		t.Errorf("%+v %v", l, err)
	}
	_, err = s.Image(t.Context(), "/u/0")
	code(t, err, nexus.NotFound) // nobody shows it any more
	if jpeg, err := s.Image(t.Context(), "/u/2"); err != nil || len(jpeg) != 1 {
		t.Errorf("%v %v", jpeg, err)
	}
	_, err = s.ChangeListing(t.Context(), s.seller, l.ID, 1, nexus.ListingChange{})
	code(t, err, nexus.Stale)
	_, err = s.ChangeListing(t.Context(), s.buyers[0], l.ID, 0, nexus.ListingChange{})
	code(t, err, nexus.Forbidden)
	_, err = s.ChangeListing(t.Context(), s.seller, l.ID, 0, nexus.ListingChange{Currency: ptr("inr")})
	onField(t, err, nexus.Invalid, "currency")
	s.bid(s.buyers[0], l.ID, 1)
	_, _, err = s.WithdrawListing(t.Context(), s.seller, l.ID, 1)
	code(t, err, nexus.Stale)
	gone, news, err := s.WithdrawListing(t.Context(), s.seller, l.ID, 2)
	if err != nil || gone.Status != nexus.Withdrawn || gone.Version != 3 || len(news) != 1 || s.kinds(s.buyers[0]) != "market.gone" {
		t.Errorf("%+v %v %v", gone, news, err)
	}
	_, err = s.Listing(t.Context(), s.buyers[0], l.ID)
	code(t, err, nexus.NotFound)
	_, _, err = s.MakeOffer(t.Context(), s.buyers[0], l.ID, 1)
	code(t, err, nexus.NotFound)
	_, err = s.ChangeListing(t.Context(), s.buyers[0], l.ID, 0, nexus.ListingChange{})
	code(t, err, nexus.NotFound)
	if again, err := s.ChangeListing(t.Context(), s.seller, l.ID, 3, nexus.ListingChange{Relist: true}); err != nil || again.Status != nexus.Available {
		t.Errorf("%+v %v", again, err)
	}
	for action, n := range map[string]int{"listing.create": 1, "listing.change": 2, "listing.withdraw": 1, "offer.make": 1} {
		if got := audited(t, s.db, action); got != n {
			t.Errorf("%d entries of %s in the audit", got, action)
		}
	}
}

func TestPicturesThatNothingShowsAreFewAndDropped(t *testing.T) {
	t.Parallel()
	s := newStall(t, 0)
	for i := range 3 * nexus.MaxImages {
		ok(t, s.KeepImage(t.Context(), s.seller, fmt.Sprint("/u/", i), []byte("x")))
	}
	code(t, s.KeepImage(t.Context(), s.seller, "/u/more", []byte("x")), nexus.Conflict)
	l := lamp()
	l.Images = []string{"/u/0"}
	s.offer(l)
	exec(t, s.db.Pool(), `update listing_image set created_at = now() - interval '25 hours' where url in ('/u/0', '/u/1')`)
	if n, err := s.PurgeImages(t.Context()); n != 1 || err != nil {
		t.Errorf("dropped %d, %v", n, err)
	}
}

func TestListingsAreFound(t *testing.T) {
	t.Parallel()
	s := newStall(t, 1)
	for i, title := range []string{"Desk lamp", "Mountain bicycle", "Calculus textbook", "Study desk", "Bicycle lock"} {
		l := lamp()
		l.Title, l.PriceMinor, l.Description = title, int64(i+1)*1000, "Number "+fmt.Sprint(i)
		if i == 2 {
			l.Category, l.Condition = "Books", "NEW"
		}
		s.offer(l)
	}
	sold := s.offer(lamp())
	_, _, err := s.SellListing(t.Context(), s.seller, sold.ID)
	ok(t, err)
	gone := s.offer(lamp())
	_, _, err = s.WithdrawListing(t.Context(), s.seller, gone.ID, 0)
	ok(t, err)
	find := func(by nexus.Caller, f nexus.ListingFilter) string {
		t.Helper()
		var all []string
		for p := (nexus.Page{Limit: 2}); ; {
			list, err := s.Listings(t.Context(), by, f, p)
			ok(t, err)
			for _, l := range list.Items {
				all = append(all, l.Title)
			}
			if p.After = list.Next; p.After == "" {
				return strings.Join(all, ", ")
			}
		}
	}
	buyer, on := s.buyers[0], nexus.Available
	for _, c := range []struct {
		by   nexus.Caller
		f    nexus.ListingFilter
		want string
	}{
		{buyer, nexus.ListingFilter{Status: on}, "Bicycle lock, Study desk, Calculus textbook, Mountain bicycle, Desk lamp"},
		{buyer, nexus.ListingFilter{}, "Desk lamp, Bicycle lock, Study desk, Calculus textbook, Mountain bicycle, Desk lamp"},
		{s.seller, nexus.ListingFilter{Seller: s.seller.User, Status: nexus.Withdrawn}, "Desk lamp"},
		{buyer, nexus.ListingFilter{Seller: s.seller.User, Status: nexus.Withdrawn}, ""},
		{nexus.Caller{}, nexus.ListingFilter{Status: nexus.Withdrawn}, ""},
		{nexus.Caller{User: buyer.User, Roles: []nexus.Role{nexus.Admin}}, nexus.ListingFilter{Status: nexus.Withdrawn}, "Desk lamp"},
		{buyer, nexus.ListingFilter{Seller: buyer.User}, ""},
		{buyer, nexus.ListingFilter{Query: "DESKS", Status: on}, "Study desk, Desk lamp"},
		{buyer, nexus.ListingFilter{Query: "bicy", Status: on}, "Bicycle lock, Mountain bicycle"},
		{buyer, nexus.ListingFilter{Query: "bicicle", Status: on}, "Bicycle lock, Mountain bicycle"},
		{buyer, nexus.ListingFilter{Query: "montain bicycle", Status: on}, "Mountain bicycle"},
		{buyer, nexus.ListingFilter{Query: "number 2", Status: on}, "Calculus textbook"},
		{buyer, nexus.ListingFilter{Query: "'); drop & | ! :*", Status: on}, ""},
		{buyer, nexus.ListingFilter{Query: "!?", Status: on}, ""},
		{buyer, nexus.ListingFilter{Category: "bOOks"}, "Calculus textbook"},
		{buyer, nexus.ListingFilter{Condition: "NEW"}, "Calculus textbook"},
		{buyer, nexus.ListingFilter{MinPrice: 2000, MaxPrice: 3000}, "Calculus textbook, Mountain bicycle"},
	} {
		if got := find(c.by, c.f); got != c.want {
			t.Errorf("%+v: %q, want %q", c.f, got, c.want)
		}
	}
	_, err = s.Listings(t.Context(), buyer, nexus.ListingFilter{}, nexus.Page{After: "x"})
	onField(t, err, nexus.Invalid, "after")
}

func TestASaleFromOfferToSold(t *testing.T) {
	t.Parallel()
	s := newStall(t, 3)
	l := s.offer(lamp())
	a, b, c := s.buyers[0], s.buyers[1], s.buyers[2]
	first, second := s.bid(a, l.ID, 30000), s.bid(b, l.ID, 40000)
	_, _, err := s.MakeOffer(t.Context(), a, l.ID, 1)
	onField(t, err, nexus.Conflict, "amountMinor")
	_, _, err = s.MakeOffer(t.Context(), s.seller, l.ID, 1)
	code(t, err, nexus.Forbidden)
	_, _, err = s.MakeOffer(t.Context(), a, nexus.ListingID(nexus.NewID()), 1)
	code(t, err, nexus.NotFound)
	move := func(by nexus.Caller, id nexus.OfferID, to nexus.OfferStatus, want nexus.Code) nexus.Offer {
		t.Helper()
		o, news, err := s.MoveOffer(t.Context(), by, id, to)
		code(t, err, want)
		if err == nil && (o.Status != to || len(news) != 1) {
			t.Errorf("%+v, news of %v", o, news)
		}
		return o
	}
	move(a, first.ID, nexus.OfferAccepted, nexus.Forbidden)
	move(b, first.ID, nexus.OfferWithdrawn, nexus.NotFound)
	move(s.seller, first.ID, nexus.OfferWithdrawn, nexus.Forbidden)
	if o := move(s.seller, first.ID, nexus.OfferAccepted, ""); o.Listing.Status != nexus.Reserved || o.Listing.Version != 2 {
		t.Errorf("%+v", o)
	}
	move(s.seller, second.ID, nexus.OfferAccepted, nexus.StateConflict)
	if list, err := s.Offers(t.Context(), s.seller, l.ID, nexus.Page{}); err != nil || len(list.Items) != 2 || list.Items[0].Status != nexus.OfferOpen {
		t.Errorf("accepting declined another: %+v %v", list, err)
	}
	if list, err := s.Offers(t.Context(), b, l.ID, nexus.Page{}); err != nil || len(list.Items) != 1 || list.Items[0].ID != second.ID {
		t.Errorf("a buyer sees %+v %v", list, err)
	}
	_, err = s.ChangeListing(t.Context(), s.seller, l.ID, 0, nexus.ListingChange{PriceMinor: ptr(int64(1))})
	code(t, err, nexus.StateConflict)
	_, _, err = s.MakeOffer(t.Context(), c, l.ID, 1)
	code(t, err, nexus.StateConflict)
	if o := move(a, first.ID, nexus.OfferWithdrawn, ""); o.Listing.Status != nexus.Available { // it falls through
		t.Errorf("%+v", o)
	}
	third := s.bid(c, l.ID, 50000)
	move(s.seller, second.ID, nexus.OfferDeclined, "")
	again := s.bid(b, l.ID, 45000)
	move(s.seller, third.ID, nexus.OfferAccepted, "")
	_, _, err = s.SellListing(t.Context(), b, l.ID)
	code(t, err, nexus.Forbidden)
	sold, news, err := s.SellListing(t.Context(), s.seller, l.ID)
	if err != nil || sold.Status != nexus.Sold || len(news) != 2 {
		t.Errorf("%+v %v %v", sold, news, err)
	}
	_, _, err = s.SellListing(t.Context(), s.seller, l.ID)
	code(t, err, nexus.StateConflict)
	if list, err := s.OffersBy(t.Context(), b.User, nexus.Page{Limit: 1}); err != nil || len(list.Items) != 1 || list.Items[0].ID != again.ID || list.Items[0].Status != nexus.OfferDeclined || list.Next == "" {
		t.Errorf("%+v %v", list, err)
	}
	for who, want := range map[*nexus.Caller]string{
		&s.seller: "market.offer market.offer market.withdrawn market.offer market.offer",
		&a:        "market.accepted", &b: "market.declined market.declined", &c: "market.accepted market.sold",
	} {
		if got := s.kinds(*who); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
}

// TestOneSaleUnderAnyRace: a hundred people offer at once, and each offer is accepted at once, while the seller sells: one is accepted at any time, and
// the listing is sold once.
func TestOneSaleUnderAnyRace(t *testing.T) {
	t.Parallel()
	s := newStall(t, 100)
	l := s.offer(lamp())
	offers := make([]nexus.Offer, len(s.buyers))
	if n := tally(race(len(s.buyers), func(i int) (err error) {
		offers[i], _, err = s.MakeOffer(context.Background(), s.buyers[i], l.ID, int64(i))
		return err
	})); n[""] != len(s.buyers) {
		t.Fatalf("offers: %v", n)
	}
	if n := tally(race(len(offers), func(i int) error {
		_, _, err := s.MoveOffer(context.Background(), s.seller, offers[i].ID, nexus.OfferAccepted)
		return err
	})); n[""] != 1 || n[nexus.StateConflict] != len(offers)-1 {
		t.Errorf("accepted: %v", n)
	}
	if n := count(t, s.db.Pool(), `select count(*) from offer where status = 'ACCEPTED'`); n != 1 {
		t.Errorf("%d accepted", n)
	}
	if n := tally(race(len(offers), func(int) error {
		_, _, err := s.SellListing(context.Background(), s.seller, l.ID)
		return err
	})); n[""] != 1 || n[nexus.StateConflict] != len(offers)-1 {
		t.Errorf("sold: %v", n)
	}
	for status, want := range map[nexus.OfferStatus]int{nexus.OfferAccepted: 1, nexus.OfferDeclined: len(offers) - 1} {
		if n := count(t, s.db.Pool(), `select count(*) from offer where status = $1`, string(status)); n != want {
			t.Errorf("%d %s, want %d", n, status, want)
		}
	}
	if n := count(t, s.db.Pool(), `select count(*) from notification where kind = 'market.sold'`); n != 1 {
		t.Errorf("%d were told that it is theirs", n)
	}
	if n := audited(t, s.db, "listing.sell"); n != 1 {
		t.Errorf("%d sales in the audit", n)
	}
}

// TestAcceptingAndSellingRace: whichever comes first, nobody who was accepted is left without the thing.
func TestAcceptingAndSellingRace(t *testing.T) {
	t.Parallel()
	s := newStall(t, 20)
	l := s.offer(lamp())
	var offers []nexus.Offer
	for _, b := range s.buyers {
		offers = append(offers, s.bid(b, l.ID, 1))
	}
	race(2*len(offers), func(i int) (err error) {
		switch i % 4 {
		case 0, 1:
			_, _, err = s.MoveOffer(context.Background(), s.seller, offers[i/2].ID, nexus.OfferAccepted)
		case 2:
			_, _, err = s.MoveOffer(context.Background(), s.buyers[i/2], offers[i/2].ID, nexus.OfferWithdrawn)
		default:
			_, _, err = s.SellListing(context.Background(), s.seller, l.ID)
		}
		return err
	})
	accepted := count(t, s.db.Pool(), `select count(*) from offer where status = 'ACCEPTED'`)
	told := count(t, s.db.Pool(), `select count(*) from notification where kind = 'market.sold'`)
	if open := count(t, s.db.Pool(), `select count(*) from offer where status = 'OPEN'`); open != 0 || accepted > 1 || told != accepted || audited(t, s.db, "listing.sell") != 1 {
		t.Errorf("%d open, %d accepted, %d told", open, accepted, told)
	}
}

// TestTheDatabaseHoldsToOneSale, whatever the program believes.
func TestTheDatabaseHoldsToOneSale(t *testing.T) {
	t.Parallel()
	s := newStall(t, 2)
	l := s.offer(lamp())
	s.bid(s.buyers[0], l.ID, 1)
	s.bid(s.buyers[1], l.ID, 2)
	_, err := s.db.Pool().Exec(t.Context(), `update offer set status = 'ACCEPTED'`)
	if code := nexus.CodeOf(pg.Err(err)); code != nexus.Conflict {
		t.Errorf("two are accepted: %v", err)
	}
}

func TestListingsExpire(t *testing.T) {
	t.Parallel()
	s := newStall(t, 1)
	over, fresh, reserved := s.offer(lamp()), s.offer(lamp()), s.offer(lamp())
	s.bid(s.buyers[0], over.ID, 1)
	promised := s.bid(s.buyers[0], reserved.ID, 1)
	_, _, err := s.MoveOffer(t.Context(), s.seller, promised.ID, nexus.OfferAccepted)
	ok(t, err)
	exec(t, s.db.Pool(), `update listing set expires_at = now() where id = any($1::uuid[])`, []string{string(over.ID), string(reserved.ID)})
	var ended []nexus.Listing
	var streams []string
	note := func(l []nexus.Listing, news []string) { ended, streams = append(ended, l...), append(streams, news...) }
	for range 2 { // a second round finds nothing
		ok(t, s.Expire(t.Context(), time.Now().Add(time.Second), note))
	}
	if len(ended) != 1 || ended[0].ID != over.ID || ended[0].Status != nexus.Withdrawn || len(streams) != 2 {
		t.Errorf("%+v, news of %v", ended, streams)
	}
	if a, b := s.kinds(s.seller), s.kinds(s.buyers[0]); a != "market.offer market.offer market.expired" || b != "market.accepted market.gone" {
		t.Errorf("told %q and %q", a, b)
	}
	if l, err := s.Listing(t.Context(), s.buyers[0], fresh.ID); err != nil || l.Status != nexus.Available {
		t.Errorf("%+v %v", l, err)
	}
	for range 150 { // more than a transaction takes
		s.offer(lamp())
	}
	exec(t, s.db.Pool(), `update listing set expires_at = now() where status = 'AVAILABLE'`)
	ended = nil
	ok(t, s.Expire(t.Context(), time.Now().Add(time.Second), note))
	if len(ended) != 151 {
		t.Errorf("%d ended", len(ended))
	}
}
