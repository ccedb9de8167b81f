package pg_test

import (
	"context"
	"strings"
	"testing"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// bottle is something that was found.
func bottle() nexus.LostItem {
	return nexus.LostItem{Kind: nexus.Found, Title: "Blue steel water bottle", Place: "Library", Detail: "Sticker of a panda under the lid"}
}

func TestWhoKnowsTheDetailGetsTheThing(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewLostFound(db)
	u := pgfix.Users(t, db, "u", nexus.Student, 3)
	finder, owner, thief := nexus.Caller{User: u[0]}, nexus.Caller{User: u[1]}, nexus.Caller{User: u[2]}
	lost, _, err := s.ReportLostItem(t.Context(), owner, nexus.LostItem{Kind: nexus.Lost, Title: "Steel water bottle, blue"})
	ok(t, err)
	item, news, err := s.ReportLostItem(t.Context(), finder, bottle())
	if err != nil || len(news) != 2 || item.Detail == "" {
		t.Fatalf("%+v %v %v", item, news, err)
	}
	for who, what := range map[nexus.UserID]nexus.LostItemID{u[0]: lost.ID, u[1]: item.ID} {
		if n := told(t, db, who); len(n) != 1 || n[0].Kind != "lost.match" || !strings.Contains(string(n[0].Data), string(what)) {
			t.Errorf("told %+v", n)
		}
	}
	for who, detail := range map[nexus.UserID]string{u[0]: bottle().Detail, u[1]: "", "": ""} {
		list, err := s.LostItems(t.Context(), nexus.Caller{User: who}, nexus.Found, nexus.LostOpen, "botle", nexus.Page{})
		if err != nil || len(list.Items) != 1 || list.Items[0].Detail != detail || list.Items[0].Reporter.Name != "u1" {
			t.Errorf("%+v %v", list, err)
		}
	}
	claim := func(by nexus.Caller, id nexus.LostItemID, detail string, want nexus.Code) nexus.LostItem {
		t.Helper()
		i, _, err := s.ClaimLostItem(t.Context(), by, id, detail)
		code(t, err, want)
		if i.Detail != "" {
			t.Errorf("the detail is shown: %+v", i)
		}
		return i
	}
	claim(finder, item.ID, "panda", nexus.Forbidden)
	claim(thief, lost.ID, "panda", nexus.StateConflict)
	claim(thief, nexus.LostItemID(nexus.NewID()), "panda", nexus.NotFound)
	for range nexus.ClaimTries {
		claim(thief, item.ID, "a dent", nexus.Conflict)
	}
	claim(thief, item.ID, bottle().Detail, nexus.Conflict) // too late
	if i := claim(owner, item.ID, "panda sticker under its lid", ""); i.Status != nexus.LostClaimed {
		t.Errorf("%+v", i)
	}
	claim(owner, item.ID, "panda sticker under its lid", nexus.StateConflict)
	if n := told(t, db, finder.User); len(n) != 2 || n[1].Kind != "lost.claimed" || !strings.Contains(n[1].Body, "u2") {
		t.Errorf("the finder was told %+v", n)
	}
	if n := told(t, db, thief.User); len(n) != 0 {
		t.Errorf("who did not know was told %+v", n)
	}
	_, _, err = s.MoveLostItem(t.Context(), owner, item.ID, nexus.LostReturned)
	code(t, err, nexus.Forbidden)
	if i, _, err := s.MoveLostItem(t.Context(), finder, item.ID, nexus.LostOpen); err != nil || i.Status != nexus.LostOpen {
		t.Errorf("%+v %v", i, err)
	}
	claim(owner, item.ID, "panda sticker under its lid", "")
	if i, news, err := s.MoveLostItem(t.Context(), finder, item.ID, nexus.LostReturned); err != nil || i.Status != nexus.LostReturned || len(news) != 1 {
		t.Errorf("%+v %v %v", i, news, err)
	}
	_, _, err = s.MoveLostItem(t.Context(), finder, item.ID, nexus.LostClosed)
	code(t, err, nexus.StateConflict)
	for _, where := range []string{"audit_detail", "notification", "outbox_line"} { // the detail is nowhere but in its place
		if n := count(t, db.Pool(), `select count(*) from `+where+` x where x::text ilike '%panda%'`); n != 0 {
			t.Errorf("%s tells of the detail", where)
		}
	}
}

// TestClaimsAreCountedUnderARace: whoever tries from many devices at once has no more tries.
func TestClaimsAreCountedUnderARace(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewLostFound(db)
	u := pgfix.Users(t, db, "u", nexus.Student, 41)
	item, _, err := s.ReportLostItem(t.Context(), nexus.Caller{User: u[0]}, bottle())
	ok(t, err)
	race(30, func(int) error {
		_, _, err := s.ClaimLostItem(context.Background(), nexus.Caller{User: u[1]}, item.ID, "a dent")
		return err
	})
	if n := audited(t, db, "lost.claim.wrong"); n != nexus.ClaimTries {
		t.Errorf("%d tries", n)
	}
	if n := tally(race(40, func(i int) error {
		_, _, err := s.ClaimLostItem(context.Background(), nexus.Caller{User: u[i+1]}, item.ID, bottle().Detail)
		return err
	})); n[""] != 1 {
		t.Errorf("claimed: %v", n)
	}
}

func TestWrongLostItems(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewLostFound(db)
	by := nexus.Caller{User: pgfix.Users(t, db, "u", nexus.Student, 1)[0]}
	for field, change := range map[string]func(*nexus.LostItem){
		"detail": func(i *nexus.LostItem) { i.Detail = "" },
		"kind":   func(i *nexus.LostItem) { i.Kind = "LOSE" },
		"title":  func(i *nexus.LostItem) { i.Title = "" },
	} {
		i := bottle()
		change(&i)
		_, _, err := s.ReportLostItem(t.Context(), by, i)
		if field == "kind" {
			code(t, err, nexus.Invalid)
			continue
		}
		onField(t, err, nexus.Invalid, field)
	}
	for range nexus.LostItemsIn {
		_, _, err := s.ReportLostItem(t.Context(), by, bottle())
		ok(t, err)
	}
	_, _, err := s.ReportLostItem(t.Context(), by, bottle())
	code(t, err, nexus.RateLimited)
	if n := told(t, db, by.User); len(n) != 0 {
		t.Errorf("told of their own: %+v", n)
	}
	_, err = s.LostItems(t.Context(), by, "", "", "", nexus.Page{After: "x"})
	onField(t, err, nexus.Invalid, "after")
}

func TestWhatIsReportedIsRemoved(t *testing.T) {
	t.Parallel()
	s := newStall(t, 3)
	r, lf := pg.NewReports(s.db), pg.NewLostFound(s.db)
	admin := nexus.Caller{User: pgfix.Users(t, s.db, "admin", nexus.Admin, 1)[0], Roles: []nexus.Role{nexus.Admin}}
	image := lamp()
	image.Images = []string{"/u/1"}
	ok(t, s.KeepImage(t.Context(), s.seller, "/u/1", []byte("x")))
	l := s.offer(image)
	s.bid(s.buyers[2], l.ID, 1)
	var made []nexus.Report
	for _, b := range s.buyers[:2] {
		x, err := r.Report(t.Context(), b, nexus.ReportListing, string(l.ID), "A fake")
		ok(t, err)
		made = append(made, x)
	}
	_, err := r.Report(t.Context(), s.buyers[0], nexus.ReportListing, string(l.ID), "Again")
	onField(t, err, nexus.Conflict, "entityId")
	_, err = r.Report(t.Context(), s.buyers[0], nexus.ReportListing, nexus.NewID(), "Nothing")
	code(t, err, nexus.NotFound)
	if list, err := r.Reports(t.Context(), false, nexus.Page{Limit: 1}); err != nil || len(list.Items) != 1 || list.Items[0].ID != made[1].ID || list.Next == "" {
		t.Errorf("%+v %v", list, err)
	}
	done, removed, news, err := r.ResolveReport(t.Context(), admin, made[0].ID, true, "It is a fake")
	if err != nil || removed == nil || removed.Status != nexus.Removed || removed.Reason != "It is a fake" || done.ResolvedAt == nil || len(news) != 2 {
		t.Fatalf("%+v %+v %v %v", done, removed, news, err)
	}
	_, _, _, err = r.ResolveReport(t.Context(), admin, made[1].ID, false, "") // answered with the other
	code(t, err, nexus.StateConflict)
	if n := told(t, s.db, s.seller.User); len(n) != 2 || n[1].Kind != "market.removed" || n[1].Body != "It is a fake" {
		t.Errorf("the seller was told %+v", n)
	}
	if got := s.kinds(s.buyers[2]); got != "market.gone" {
		t.Errorf("the buyer was told %q", got)
	}
	_, err = s.Image(t.Context(), "/u/1")
	code(t, err, nexus.NotFound)
	_, err = s.Listing(t.Context(), s.buyers[0], l.ID)
	code(t, err, nexus.NotFound)
	if mine, err := s.Listing(t.Context(), s.seller, l.ID); err != nil || mine.Reason != "It is a fake" {
		t.Errorf("%+v %v", mine, err)
	}
	_, err = s.ChangeListing(t.Context(), s.seller, l.ID, 0, nexus.ListingChange{Relist: true})
	code(t, err, nexus.StateConflict)

	item, _, err := lf.ReportLostItem(t.Context(), s.seller, bottle())
	ok(t, err)
	x, err := r.Report(t.Context(), s.buyers[0], nexus.ReportLostItem, string(item.ID), "Spam")
	ok(t, err)
	y, err := r.Report(t.Context(), s.buyers[1], nexus.ReportLostItem, string(item.ID), "Spam")
	ok(t, err)
	if done, _, _, err := r.ResolveReport(t.Context(), admin, x.ID, true, "Spam"); err != nil || done.Resolution != "Spam" {
		t.Errorf("%+v %v", done, err)
	}
	_, _, err = lf.ClaimLostItem(t.Context(), s.buyers[0], item.ID, "x")
	code(t, err, nexus.NotFound)
	_, _, _, err = r.ResolveReport(t.Context(), admin, y.ID, true, "Spam")
	code(t, err, nexus.StateConflict)
	if list, err := r.Reports(t.Context(), true, nexus.Page{}); err != nil || len(list.Items) != 4 {
		t.Errorf("%+v %v", list, err)
	}
	if a, b, c := audited(t, s.db, "listing.remove"), audited(t, s.db, "lost.remove"), audited(t, s.db, "report.resolve"); a != 1 || b != 1 || c != 2 {
		t.Errorf("%d, %d and %d entries in the audit", a, b, c)
	}
}
