package pg_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg"
)

// take takes the pages of a channel that are due, and says to which addresses they go.
func (s *safe) take(channel nexus.PagedChannel) (pages []nexus.OutPage, addresses string) {
	s.Helper()
	pages, err := s.pages.TakePages(s.Context(), channel, 100, time.Minute)
	ok(s.T, err)
	var to []string
	for _, p := range pages {
		to = append(to, p.Address)
	}
	slices.Sort(to)
	return pages, strings.Join(to, " ")
}

func (s *safe) contacts(u nexus.User, cs ...nexus.Contact) {
	s.Helper()
	ok(s.T, pg.NewIdentity(s.db).SetContacts(s.Context(), caller(u), u.ID, cs))
}

func TestWhoIsPagedOutsideTheCampus(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	friend := newUser(t, s.db, "friend")
	s.contacts(s.asha, nexus.Contact{Name: "Ma", Channel: "sms", Address: "+911"}, nexus.Contact{Name: "Pa", Channel: "email", Address: "pa@home.test"},
		nexus.Contact{Name: "F", Channel: "user", Address: string(friend.ID)})
	for _, u := range []nexus.User{s.ravi, friend} {
		ok(t, s.office.Subscribe(t.Context(), caller(u), nexus.PushSubscription{Endpoint: "https://push.test/" + u.Name, P256DH: "p", Auth: "a"}))
	}
	raised, _ := s.press(s.asha, "k")
	expect := func(email, push, webhook, sms string) {
		t.Helper()
		for channel, want := range map[nexus.PagedChannel]string{"email": email, "push": push, "webhook": webhook, "sms": sms} {
			if _, got := s.take(channel); got != want {
				t.Errorf("%s: %q, want %q", channel, got, want)
			}
		}
	}
	expect("ravi@campus.test", "https://push.test/ravi", "campus", "")
	s.advance(raised.Incident)
	expect("meera@campus.test ravi@campus.test", "https://push.test/ravi", "", "")
	s.advance(raised.Incident)
	expect("admin@campus.test friend@campus.test meera@campus.test pa@home.test ravi@campus.test", "https://push.test/friend https://push.test/ravi", "", "+911")
}

func TestASilentAlarmTellsNoContacts(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.contacts(s.asha, nexus.Contact{Name: "Ma", Channel: "sms", Address: "+911"})
	raised, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{User: s.asha.ID, ClientKey: "k", Category: "panic", Silent: true})
	ok(t, err)
	s.advance(raised.Incident)
	s.advance(raised.Incident)
	if _, to := s.take(nexus.ChannelSMS); to != "" {
		t.Errorf("sent to %s", to)
	}
	if _, to := s.take(nexus.ChannelEmail); !strings.Contains(to, "ravi@campus.test") {
		t.Errorf("the officers are not told: %q", to)
	}
}

func TestAPageSaysWhatItIsAbout(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	ok(t, s.office.Subscribe(t.Context(), caller(s.ravi), nexus.PushSubscription{Endpoint: "https://push.test/1", P256DH: "p", Auth: "a"}))
	raised, _, err := s.sos.Raise(t.Context(), nexus.IncidentID(nexus.NewID()), nexus.Press{
		User: s.asha.ID, ClientKey: "k", Category: "medical", Position: &nexus.Position{Lat: 1, Lng: 2},
	})
	ok(t, err)
	pages, _ := s.take(nexus.ChannelPush)
	if len(pages) != 1 {
		t.Fatalf("%+v", pages)
	}
	p := pages[0]
	if p.Channel != nexus.ChannelPush || p.Attempts != 1 || p.Name != "asha" || p.EventSeq != 2 || p.Incident.ID != raised.Incident ||
		p.Incident.Category != "medical" || p.Incident.Last.Lng != 2 || *p.Push != (nexus.PushSubscription{Endpoint: "https://push.test/1", P256DH: "p", Auth: "a"}) {
		t.Fatalf("%+v", p)
	}
}

// Somebody of whom nothing but the account is known is helped all the same.
func TestWhoeverHasNoProfileIsPagedForToo(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	exec(t, s.db.Pool(), `delete from profile where user_id = $1`, s.asha.ID)
	s.press(s.asha, "k")
	if pages, to := s.take(nexus.ChannelEmail); to != "ravi@campus.test" || pages[0].Name != "" {
		t.Fatalf("paged %q: %+v", to, pages)
	}
}

// A browser whose push service says that it is gone gets no more pages; one that subscribed anew meanwhile does.
func TestABrowserThatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	sub := nexus.PushSubscription{Endpoint: "https://push.test/1", P256DH: "p", Auth: "a"}
	ok(t, s.office.Subscribe(t.Context(), caller(s.ravi), sub))
	s.press(s.asha, "k")
	pages, to := s.take(nexus.ChannelPush)
	if to != sub.Endpoint {
		t.Fatalf("to %q", to)
	}
	renewed := sub
	renewed.P256DH = "q"
	ok(t, s.office.Subscribe(t.Context(), caller(s.ravi), renewed))
	left := func() int { return count(t, s.db.Pool(), `select count(*) from push_subscription`) }
	if ok(t, s.pages.ForgetPush(t.Context(), *pages[0].Push)); left() != 1 {
		t.Fatal("one that subscribed anew was forgotten")
	}
	for range 2 {
		if ok(t, s.pages.ForgetPush(t.Context(), renewed)); left() != 0 {
			t.Fatal("it was not forgotten")
		}
	}
	exec(t, s.db.Pool(), `update safety_page set next_at = now()`) // its node ended before it noted more
	if _, to := s.take(nexus.ChannelPush); to != "" {
		t.Fatalf("sent again to %s", to)
	}
}

func TestAPageIsTakenByOneAtATime(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	for i := range 10 {
		newUser(t, s.db, fmt.Sprint("officer", i), nexus.Security)
	}
	s.press(s.asha, "k") // nobody is on duty: all twelve officers
	taken := make([][]nexus.OutPage, 8)
	for _, err := range race(8, func(i int) (err error) {
		taken[i], err = s.pages.TakePages(context.Background(), nexus.ChannelEmail, 3, time.Minute)
		return err
	}) {
		ok(t, err)
	}
	seen := map[string]bool{}
	for _, pages := range taken {
		if len(pages) > 3 {
			t.Errorf("%d at once", len(pages))
		}
		for _, p := range pages {
			if seen[p.ID] {
				t.Errorf("%s was taken twice", p.Address)
			}
			seen[p.ID] = true
		}
	}
	for len(seen) < 12 {
		pages, _ := s.take(nexus.ChannelEmail)
		if len(pages) == 0 {
			t.Fatalf("%d pages were handed out of 12", len(seen))
		}
		for _, p := range pages {
			seen[p.ID] = true
		}
	}
	if _, to := s.take(nexus.ChannelEmail); to != "" {
		t.Errorf("leased, and taken again: %s", to)
	}
}

func TestAPageIsTriedAgainUntilItHasLeft(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	s.press(s.asha, "k")
	due := func() { exec(t, s.db.Pool(), `update safety_page set next_at = now()`) }
	pages, _ := s.take(nexus.ChannelEmail)
	id := pages[0].ID
	due() // the lease is over: whoever took it is gone
	if pages, _ = s.take(nexus.ChannelEmail); len(pages) != 1 || pages[0].ID != id || pages[0].Attempts != 2 {
		t.Fatalf("%+v", pages)
	}
	ok(t, s.pages.PageFailed(t.Context(), id, "busy\x00\xff"+strings.Repeat("é", 600), time.Hour))
	if _, to := s.take(nexus.ChannelEmail); to != "" {
		t.Fatalf("too early: %s", to)
	}
	due()
	s.take(nexus.ChannelEmail)
	ok(t, s.pages.PageSent(t.Context(), id))
	ok(t, s.pages.PageFailed(t.Context(), id, "late", 0)) // by a slower taker
	due()
	if _, to := s.take(nexus.ChannelEmail); to != "" {
		t.Fatalf("it had left: %s", to)
	}
	if n := count(t, s.db.Pool(), `select count(*) from safety_page where id = $1 and state = 'sent' and sent_at is not null and attempts = 3`, id); n != 1 {
		t.Fatal("it is not noted")
	}
	hook, _ := s.take(nexus.ChannelWebhook)
	ok(t, s.pages.PageFailed(t.Context(), hook[0].ID, "gone", 0))
	due()
	if pages, _ = s.take(nexus.ChannelWebhook); len(pages) != 0 {
		t.Fatal("given up, and tried again")
	}
}

// Nobody is paged any more once a human has answered, but for those that a human asked for afterwards.
func TestNobodyIsPagedAfterAnAnswer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		then func(s *safe, id nexus.IncidentID)
		want int
	}{
		"nothing happens": {func(*safe, nexus.IncidentID) {}, 1},
		"answered": {func(s *safe, id nexus.IncidentID) {
			_, err := s.act(s.ravi, id, nexus.SOSAcknowledged)
			ok(s.T, err)
		}, 0},
		"resolved": {func(s *safe, id nexus.IncidentID) {
			_, err := s.act(s.admin, id, nexus.SOSResolved)
			ok(s.T, err)
		}, 0},
		"cancelled":    {func(s *safe, id nexus.IncidentID) { s.cancel(id, false) }, 0},
		"under duress": {func(s *safe, id nexus.IncidentID) { s.cancel(id, true) }, 1},
		"answered, and more are asked for": {func(s *safe, id nexus.IncidentID) {
			_, err := s.act(s.ravi, id, nexus.SOSAcknowledged)
			ok(s.T, err)
			_, err = s.sos.Change(s.Context(), nexus.Caller{}, id, func(st incident.State, who incident.Roster, now time.Time) ([]incident.Event, error) {
				return st.Escalate(s.ravi.ID, "", who, now)
			})
			ok(s.T, err)
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSafe(t)
			s.onDuty(s.ravi)
			raised, _ := s.press(s.asha, "k")
			tc.then(s, raised.Incident)
			if pages, to := s.take(nexus.ChannelEmail); len(pages) != tc.want {
				t.Errorf("paged %q", to)
			}
			if n := count(t, s.db.Pool(), `select count(*) from safety_page where channel = 'email' and state = 'dropped'`); (n == 1) != (tc.want != 1) {
				t.Errorf("%d are dropped", n)
			}
		})
	}
}

func TestAForgottenBrowserIsNotPaged(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	s.onDuty(s.ravi)
	ok(t, s.office.Subscribe(t.Context(), caller(s.ravi), nexus.PushSubscription{Endpoint: "https://push.test/1", P256DH: "p", Auth: "a"}))
	s.press(s.asha, "k")
	ok(t, s.office.Unsubscribe(t.Context(), caller(s.asha), "https://push.test/1")) // not hers
	ok(t, s.office.Unsubscribe(t.Context(), caller(s.ravi), "https://push.test/1"))
	if _, to := s.take(nexus.ChannelPush); to != "" {
		t.Errorf("paged %s", to)
	}
}
