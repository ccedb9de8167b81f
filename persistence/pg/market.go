package pg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

const (
	looseImages = 3 * nexus.MaxImages // pictures of one person that no listing shows yet
	queryWords  = 8                   // of a search; what is said beyond them makes no difference
	expireBatch = 100                 // listings whose time is over, in one transaction
)

// Market keeps listings and the offers on them. Whoever changes a listing, or an offer on it, locks the listing first.
type Market struct{ db *DB }

// NewMarket returns the market in db.
func NewMarket(db *DB) *Market { return &Market{db: db} }

// Listings lists what fits the filter and by may see, the newest first; the cursor is an id.
func (s *Market) Listings(ctx context.Context, by nexus.Caller, f nexus.ListingFilter, p nexus.Page) (nexus.List[nexus.Listing], error) {
	var list nexus.List[nexus.Listing]
	limit := limitOf(p)
	from, err := before(p)
	if err != nil {
		return list, err
	}
	if f.MaxPrice == 0 {
		f.MaxPrice = nexus.MaxPrice
	}
	err = s.db.read(ctx, "list listings", func(ctx context.Context, q *sqlcgen.Queries) error {
		if err := q.PlanAnew(ctx); err != nil {
			return err
		}
		query := ""
		if f.Query != "" {
			var err error
			if query, err = searchFor(ctx, q, searchWords(f.Query)); err != nil {
				return err
			}
			if query == "" { // that says nothing finds nothing
				list.Items = []nexus.Listing{}
				return nil
			}
		}
		rows, err := q.Listings(ctx, sqlcgen.ListingsParams{
			Before: from, Query: query, Status: string(f.Status), Category: f.Category, Condition: f.Condition, Seller: string(f.Seller),
			MinPrice: f.MinPrice, MaxPrice: f.MaxPrice, Viewer: viewer(by), Moderator: by.Has(nexus.Admin), MaxRows: limit + 1,
		})
		list = pageOf(rows, limit, listingOf, func(l nexus.Listing) string { return string(l.ID) })
		return err
	})
	return list, err
}

// viewer is the id that owns what by owns: none at all for who has no account.
func viewer(by nexus.Caller) string {
	if by.User == "" {
		return lastID
	}
	return string(by.User)
}

// searchWords are the words of a search, of letters and digits alone.
func searchWords(query string) []string {
	words := strings.FieldsFunc(strings.ToLower(query), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	words = slices.DeleteFunc(words, func(w string) bool { return len(w) > 100 })
	return words[:min(len(words), queryWords)]
}

// quoted writes a word that was found in a title as a tsquery takes it.
var quoted = strings.NewReplacer("'", "''", `\`, `\\`)

// searchFor is a tsquery for all of the words that say something: for what they begin, and for what SearchWords finds. Empty for none.
func searchFor(ctx context.Context, q *sqlcgen.Queries, words []string) (string, error) {
	rows, err := q.SearchWords(ctx, words)
	if err != nil {
		return "", err
	}
	either := map[string]string{}
	for _, r := range rows {
		if either[r.Word] == "" {
			either[r.Word] = "'" + r.Word + "':*"
		}
		either[r.Word] += " | '" + quoted.Replace(r.Lexeme) + "'"
	}
	var all []string
	for _, w := range slices.Sorted(maps.Keys(either)) {
		all = append(all, "("+either[w]+")")
	}
	return strings.Join(all, " & "), nil
}

// Listing returns one. NotFound if there is none, and for one that is withdrawn or removed to everybody but its seller and administrators.
func (s *Market) Listing(ctx context.Context, by nexus.Caller, id nexus.ListingID) (nexus.Listing, error) {
	var l nexus.Listing
	err := s.db.do(ctx, "read listing", func(ctx context.Context, q *sqlcgen.Queries) error {
		row, err := q.Listing(ctx, string(id))
		l = listingOf(row)
		return orNotFound(err, "listing")
	})
	if err == nil && l.Status.Hidden() && l.SellerID != by.User && !by.Has(nexus.Admin) {
		return nexus.Listing{}, noSuch("listing")
	}
	return l, err
}

// KeepImage keeps a picture of a person's, to be shown by a listing within a day. Conflict for too many that none shows.
func (s *Market) KeepImage(ctx context.Context, by nexus.Caller, url string, jpeg []byte) error {
	return s.db.do(ctx, "keep picture", func(ctx context.Context, q *sqlcgen.Queries) error {
		n, err := q.KeepImage(ctx, sqlcgen.KeepImageParams{Url: url, OwnerID: string(by.User), Jpeg: jpeg, Most: looseImages})
		if err == nil && n == 0 {
			return nexus.Errorf(nexus.Conflict, "you have %d pictures that no listing shows", looseImages)
		}
		return err
	})
}

// Image returns a picture. NotFound if there is none, or its listing was removed.
func (s *Market) Image(ctx context.Context, url string) (jpeg []byte, err error) {
	err = s.db.do(ctx, "read picture", func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		jpeg, err = q.ListingImage(ctx, url)
		return orNotFound(err, "picture")
	})
	return jpeg, err
}

// PurgeImages drops pictures that no listing has shown within a day, and says how many.
func (s *Market) PurgeImages(ctx context.Context) (int64, error) {
	return s.db.purge(ctx, "purge pictures", (*sqlcgen.Queries).PurgeImages)
}

// CreateListing offers something of by's. Audited.
func (s *Market) CreateListing(ctx context.Context, by nexus.Caller, l nexus.Listing) (nexus.Listing, error) {
	return mutate(ctx, s.db, "create listing", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Listing, error) {
		id := nexus.NewID()
		err := q.InsertListing(ctx, sqlcgen.InsertListingParams{
			ID: id, SellerID: string(by.User), Title: l.Title, Description: l.Description, Category: l.Category, Condition: l.Condition,
			PriceMinor: l.PriceMinor, Currency: l.Currency, ExpiresAt: time.Now().Add(nexus.ListingFor),
		})
		if err != nil {
			return l, err
		}
		if err := show(ctx, q, id, by.User, l.Images); err != nil {
			return l, err
		}
		if err := q.LearnWords(ctx, l.Title); err != nil {
			return l, err
		}
		row, err := q.Listing(ctx, id)
		if err != nil {
			return l, err
		}
		made := listingOf(row)
		return made, audit(ctx, q, by, "listing.create", "listing", id, nil, made)
	})
}

// show has a listing show pictures, and drops those that it showed before.
func show(ctx context.Context, q *sqlcgen.Queries, id string, owner nexus.UserID, urls []string) error {
	urls = append([]string{}, urls...)
	n, err := q.ShowImages(ctx, id, string(owner), urls)
	if err != nil {
		return err
	}
	if int(n) != len(urls) {
		return nexus.InvalidField("images", "hold one that is not yours, is shown elsewhere, or is there twice")
	}
	return q.DropImages(ctx, id, urls)
}

// ChangeListing changes a listing of by's. Stale if version is neither 0 nor the present one, Forbidden for somebody else's, StateConflict for what
// is reserved, sold or removed. Audited.
func (s *Market) ChangeListing(ctx context.Context, by nexus.Caller, id nexus.ListingID, version int64, c nexus.ListingChange) (nexus.Listing, error) {
	return mutate(ctx, s.db, "change listing", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Listing, error) {
		was, err := lockOwn(ctx, q, by, id, version)
		if err != nil {
			return was, err
		}
		l, err := c.Of(was, time.Now())
		if err != nil {
			return was, err
		}
		if c.Images != nil {
			if err := show(ctx, q, string(id), by.User, l.Images); err != nil {
				return was, err
			}
		}
		if c.Title != nil {
			if err := q.LearnWords(ctx, l.Title); err != nil {
				return was, err
			}
		}
		l, err = update(ctx, q, l)
		if err != nil {
			return was, err
		}
		return l, audit(ctx, q, by, "listing.change", "listing", string(id), was, l)
	})
}

// WithdrawListing takes a listing of by's back, which is not shown any more, and tells whoever has made an offer. Stale, Forbidden and StateConflict
// as for ChangeListing. It returns the streams of which there is news. Audited.
func (s *Market) WithdrawListing(ctx context.Context, by nexus.Caller, id nexus.ListingID, version int64) (l nexus.Listing, news []string, err error) {
	l, err = mutate(ctx, s.db, "withdraw listing", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Listing, error) {
		news = nil
		l, err := lockOwn(ctx, q, by, id, version)
		if err != nil {
			return l, err
		}
		l, notices, d, err := takeOff(ctx, q, by, l, nexus.Withdrawn, "")
		if err != nil {
			return l, err
		}
		news, err = conclude(ctx, q, notices, d)
		return l, err
	})
	return l, news, err
}

// takeOff takes a locked listing off the market, and returns what is to be told and noted of it: to whoever has made an offer, and to its seller if it
// was somebody else's doing.
func takeOff(ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, was nexus.Listing, to nexus.ListingStatus, reason string) (nexus.Listing, []nexus.Notice, deed, error) {
	l, d := was, deed{by: by, action: "listing.withdraw", entity: "listing", entityID: string(was.ID), before: was}
	l.Reason = reason
	l, err := relocate(ctx, q, l, to)
	if err != nil {
		return l, nil, d, err
	}
	buyers, err := q.CloseOffers(ctx, string(nexus.OfferExpired), string(l.ID), was.Status != nexus.Sold)
	if err != nil {
		return l, nil, d, err
	}
	notices := toBuyers(buyers, l, "market.gone", "No longer for sale: ")
	switch {
	case to == nexus.Removed:
		d.action = "listing.remove"
		n := marketNotice(l.SellerID, l, "market.removed", "Your listing was removed: ")
		n.Body, n.Priority = reason, nexus.PriorityHigh
		notices = append(notices, n)
	case by.User == "":
		d.action = "listing.expire"
		notices = append(notices, marketNotice(l.SellerID, l, "market.expired", "Your listing has ended; you may offer it again: "))
	}
	d.after = l
	return l, notices, d, nil
}

// SellListing notes that by has sold a listing: to whom it is reserved, or else to somebody who made no offer. All other open offers are declined, and
// all concerned are told. It returns the streams of which there is news. Audited.
func (s *Market) SellListing(ctx context.Context, by nexus.Caller, id nexus.ListingID) (l nexus.Listing, news []string, err error) {
	l, err = mutate(ctx, s.db, "sell listing", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Listing, error) {
		news = nil
		was, err := lockOwn(ctx, q, by, id, 0)
		if err != nil {
			return was, err
		}
		l, err := relocate(ctx, q, was, nexus.Sold)
		if err != nil {
			return l, err
		}
		losers, err := q.CloseOffers(ctx, string(nexus.OfferDeclined), string(id), false)
		if err != nil {
			return l, err
		}
		notices := toBuyers(losers, l, "market.declined", "Sold to somebody else: ")
		buyer, err := q.AcceptedBuyer(ctx, string(id))
		switch {
		case err == nil:
			notices = append(notices, marketNotice(nexus.UserID(buyer), l, "market.sold", "Sold to you: "))
		case !errors.Is(err, pgx.ErrNoRows):
			return l, err
		}
		news, err = conclude(ctx, q, notices, deed{by, "listing.sell", "listing", string(id), was, l})
		return l, err
	})
	return l, news, err
}

// Expire withdraws listings whose time is over as of now, some in each transaction, and tells their sellers and who has made an offer. told hears of each
// batch once it is committed.
func (s *Market) Expire(ctx context.Context, now time.Time, told func(ended []nexus.Listing, news []string)) error {
	for n := expireBatch; n == expireBatch; {
		var ended []nexus.Listing
		var news []string
		err := s.db.tx(ctx, "expire listings", func(ctx context.Context, q *sqlcgen.Queries) error {
			ended, news = nil, nil
			var notices []nexus.Notice
			var deeds []deed
			ids, err := q.ExpiredListings(ctx, now, expireBatch)
			if err != nil {
				return err
			}
			slices.Sort(ids)
			for _, id := range ids {
				row, err := q.Listing(ctx, id)
				if err != nil {
					return err
				}
				l, told, d, err := takeOff(ctx, q, nexus.Caller{}, listingOf(row), nexus.Withdrawn, "")
				if err != nil {
					return err
				}
				ended, notices, deeds = append(ended, l), append(notices, told...), append(deeds, d)
			}
			news, err = conclude(ctx, q, notices, deeds...)
			return err
		})
		if err != nil {
			return err
		}
		told(ended, news)
		n = len(ended)
	}
	return nil
}

// lockListing locks a listing until the transaction ends.
func lockListing(ctx context.Context, q *sqlcgen.Queries, id nexus.ListingID) (nexus.Listing, error) {
	if _, err := q.LockListing(ctx, string(id)); err != nil {
		return nexus.Listing{}, orNotFound(err, "listing")
	}
	row, err := q.Listing(ctx, string(id))
	return listingOf(row), err
}

// lockOwn locks a listing of by's, and makes sure of its version.
func lockOwn(ctx context.Context, q *sqlcgen.Queries, by nexus.Caller, id nexus.ListingID, version int64) (nexus.Listing, error) {
	l, err := lockListing(ctx, q, id)
	if err != nil {
		return l, err
	}
	if l.SellerID != by.User {
		if l.Status.Hidden() {
			return l, noSuch("listing")
		}
		return l, nexus.Errorf(nexus.Forbidden, "this is somebody else's listing")
	}
	return l, stale(version, l.Version)
}

// update writes a locked listing under the next version.
func update(ctx context.Context, q *sqlcgen.Queries, l nexus.Listing) (nexus.Listing, error) {
	err := q.UpdateListing(ctx, sqlcgen.UpdateListingParams{
		ID: string(l.ID), Title: l.Title, Description: l.Description, Category: l.Category, Condition: l.Condition, PriceMinor: l.PriceMinor,
		Currency: l.Currency, Status: string(l.Status), Reason: l.Reason, ExpiresAt: l.ExpiresAt,
	})
	if err != nil {
		return l, err
	}
	row, err := q.Listing(ctx, string(l.ID))
	return listingOf(row), err
}

// relocate moves a locked listing to another status.
func relocate(ctx context.Context, q *sqlcgen.Queries, l nexus.Listing, to nexus.ListingStatus) (nexus.Listing, error) {
	if err := l.Status.To(to); err != nil {
		return l, err
	}
	l.Status = to
	return update(ctx, q, l)
}

// marketNotice is what somebody is told of a listing.
func marketNotice(to nexus.UserID, l nexus.Listing, kind, title string) nexus.Notice {
	return nexus.Notice{
		User: to, Kind: kind, Priority: nexus.PriorityNormal, Title: title + l.Title,
		Data: json.RawMessage(fmt.Sprintf(`{"listingId":%q}`, l.ID)),
	}
}

func toBuyers(buyers []string, l nexus.Listing, kind, title string) []nexus.Notice {
	notices := make([]nexus.Notice, len(buyers))
	for i, b := range buyers {
		notices[i] = marketNotice(nexus.UserID(b), l, kind, title)
	}
	return notices
}

func listingOf(r sqlcgen.ListingView) nexus.Listing {
	return nexus.Listing{
		ID: nexus.ListingID(r.ID), SellerID: nexus.UserID(r.SellerID), Seller: nexus.Somebody{Name: r.SellerName, Avatar: r.SellerAvatar},
		Title: r.Title, Description: r.Description, Category: r.Category, Condition: r.Condition, PriceMinor: r.PriceMinor, Currency: r.Currency,
		Images: r.Images, Status: nexus.ListingStatus(r.Status), Reason: r.Reason, CreatedAt: r.CreatedAt, ExpiresAt: r.ExpiresAt, Version: r.Version,
	}
}
