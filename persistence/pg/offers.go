package pg

import (
	"context"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// MakeOffer offers to pay so much for a listing, and tells its seller. Forbidden for by's own, StateConflict for one that is not available, Conflict for
// a second one while the first is open. It returns the streams of which there is news. Audited.
func (s *Market) MakeOffer(ctx context.Context, by nexus.Caller, id nexus.ListingID, amount int64) (o nexus.Offer, news []string, err error) {
	o, err = mutate(ctx, s.db, "make offer", by, func(ctx context.Context, q *sqlcgen.Queries) (o nexus.Offer, err error) {
		news = nil
		l, err := lockListing(ctx, q, id)
		switch {
		case err != nil:
			return o, err
		case l.SellerID == by.User:
			return o, nexus.Errorf(nexus.Forbidden, "this is your own listing")
		case l.Status.Hidden():
			return o, noSuch("listing")
		case l.Status != nexus.Available:
			return o, nexus.InState(l.Status, "it is %s, and takes no offers", l.Status)
		}
		p := sqlcgen.InsertOfferParams{ID: nexus.NewID(), ListingID: string(id), BuyerID: string(by.User), AmountMinor: amount}
		if err := q.InsertOffer(ctx, p); err != nil {
			return o, err
		}
		row, err := q.Offer(ctx, p.ID)
		if err != nil {
			return o, err
		}
		o = offerOf(row)
		news, err = conclude(ctx, q, []nexus.Notice{marketNotice(l.SellerID, l, "market.offer", "An offer for: ")}, deed{by, "offer.make", "offer", p.ID, nil, o})
		return o, err
	})
	return o, news, err
}

// MoveOffer accepts or declines an offer on by's listing, or withdraws by's own, and tells the other one. What is accepted reserves the listing and declines
// no other offer; what falls through makes it available again. StateConflict where the life of either does not go that way, NotFound for an offer that
// is not by's to see. It returns the streams of which there is news. Audited.
func (s *Market) MoveOffer(ctx context.Context, by nexus.Caller, id nexus.OfferID, to nexus.OfferStatus) (o nexus.Offer, news []string, err error) {
	o, err = mutate(ctx, s.db, "move offer", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Offer, error) {
		news = nil
		seen, err := q.Offer(ctx, string(id))
		if err != nil {
			return nexus.Offer{}, orNotFound(err, "offer")
		}
		l, err := lockListing(ctx, q, nexus.ListingID(seen.ListingID))
		if err != nil {
			return nexus.Offer{}, err
		}
		row, err := q.Offer(ctx, string(id)) // as it is now that nobody else is at it
		if err != nil {
			return nexus.Offer{}, orNotFound(err, "offer")
		}
		was := offerOf(row)
		if err := mayMove(by, was, to); err != nil {
			return was, err
		}
		if err := was.Status.To(to); err != nil {
			return was, err
		}
		switch {
		case to == nexus.OfferAccepted:
			l, err = relocate(ctx, q, l, nexus.Reserved)
		case was.Status == nexus.OfferAccepted: // it falls through
			l, err = relocate(ctx, q, l, nexus.Available)
		}
		if err != nil {
			return was, err
		}
		if err := q.MoveOffer(ctx, string(to), string(id)); err != nil {
			return was, err
		}
		if row, err = q.Offer(ctx, string(id)); err != nil {
			return was, err
		}
		o := offerOf(row)
		news, err = conclude(ctx, q, []nexus.Notice{moved(was, l, to)}, deed{by, "offer." + offerActs[to], "offer", string(id), was, o})
		return o, err
	})
	return o, news, err
}

// offerActs are what moves of offers are called.
var offerActs = map[nexus.OfferStatus]string{nexus.OfferAccepted: "accept", nexus.OfferDeclined: "decline", nexus.OfferWithdrawn: "withdraw"}

// mayMove makes sure that the move is by's to make.
func mayMove(by nexus.Caller, o nexus.Offer, to nexus.OfferStatus) error {
	mover := o.SellerID
	if to == nexus.OfferWithdrawn {
		mover = o.BuyerID
	}
	switch by.User {
	case mover:
		return nil
	case o.SellerID, o.BuyerID:
		return nexus.Errorf(nexus.Forbidden, "this is for the other one to decide")
	}
	return noSuch("offer")
}

// moved is what the other one is told of a move.
func moved(o nexus.Offer, l nexus.Listing, to nexus.OfferStatus) nexus.Notice {
	switch to {
	case nexus.OfferAccepted:
		return marketNotice(o.BuyerID, l, "market.accepted", "Your offer was accepted: ")
	case nexus.OfferDeclined:
		return marketNotice(o.BuyerID, l, "market.declined", "Your offer was declined: ")
	default:
		return marketNotice(o.SellerID, l, "market.withdrawn", "An offer was withdrawn: ")
	}
}

// Offers lists the offers on a listing, the newest first: all to its seller, their own to others. NotFound as for Listing. The cursor is an id.
func (s *Market) Offers(ctx context.Context, by nexus.Caller, id nexus.ListingID, p nexus.Page) (nexus.List[nexus.Offer], error) {
	var list nexus.List[nexus.Offer]
	limit := limitOf(p)
	from, err := before(p)
	if err != nil {
		return list, err
	}
	err = s.db.do(ctx, "list offers", func(ctx context.Context, q *sqlcgen.Queries) error {
		l, err := q.Listing(ctx, string(id))
		if err != nil {
			return orNotFound(err, "listing")
		}
		buyer := ""
		if l.SellerID != string(by.User) {
			buyer = viewer(by)
		}
		rows, err := q.OffersOn(ctx, sqlcgen.OffersOnParams{ListingID: string(id), Before: from, Buyer: buyer, MaxRows: limit + 1})
		list = pageOf(rows, limit, offerOf, func(o nexus.Offer) string { return string(o.ID) })
		return err
	})
	return list, err
}

// OffersBy lists a person's own offers, the newest first. The cursor is an id.
func (s *Market) OffersBy(ctx context.Context, buyer nexus.UserID, p nexus.Page) (nexus.List[nexus.Offer], error) {
	var list nexus.List[nexus.Offer]
	limit := limitOf(p)
	from, err := before(p)
	if err != nil {
		return list, err
	}
	err = s.db.do(ctx, "list offers", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.OffersBy(ctx, string(buyer), from, limit+1)
		list = pageOf(rows, limit, offerOf, func(o nexus.Offer) string { return string(o.ID) })
		return err
	})
	return list, err
}

func offerOf(r sqlcgen.OfferView) nexus.Offer {
	return nexus.Offer{
		ID: nexus.OfferID(r.ID), ListingID: nexus.ListingID(r.ListingID), Title: r.Title, BuyerID: nexus.UserID(r.BuyerID), SellerID: nexus.UserID(r.SellerID),
		Buyer: nexus.Somebody{Name: r.BuyerName, Avatar: r.BuyerAvatar}, AmountMinor: r.AmountMinor, Currency: r.Currency, Status: nexus.OfferStatus(r.Status),
		Listing:   nexus.ListingState{ID: nexus.ListingID(r.ListingID), Status: nexus.ListingStatus(r.ListingStatus), Version: r.ListingVersion},
		CreatedAt: r.CreatedAt,
	}
}
