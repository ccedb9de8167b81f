package pg_test

import (
	"slices"
	"strings"
	"testing"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func ptr[T any](v T) *T { return &v }

func TestProfilesChangeFieldByField(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	p, err := s.Profile(t.Context(), u.ID)
	if err != nil || p != (nexus.Profile{UserID: u.ID, Name: "asha", Locale: "en", TZ: "UTC", Version: 1}) {
		t.Fatalf("%+v %v", p, err)
	}
	p, err = s.ChangeProfile(t.Context(), system, u.ID, 1, nexus.ProfileChange{
		Phone: ptr("123"), Address: ptr("here"), Bio: ptr("I"), DOB: ptr("2004-02-29"), Locale: ptr("hi"), TZ: ptr("Asia/Kolkata"),
	})
	want := nexus.Profile{
		UserID: u.ID, Name: "asha", Phone: "123", Address: "here", Bio: "I", DOB: "2004-02-29", Locale: "hi", TZ: "Asia/Kolkata", Version: 2,
	}
	if err != nil || p != want {
		t.Fatalf("%+v %v", p, err)
	}
	p, err = s.ChangeProfile(t.Context(), system, u.ID, 0, nexus.ProfileChange{Bio: ptr("")})
	want.Bio, want.Version = "", 3
	if err != nil || p != want {
		t.Fatalf("%+v %v", p, err)
	}
	p, err = s.ChangeProfile(t.Context(), system, u.ID, 3, nexus.ProfileChange{DOB: ptr("")})
	want.DOB, want.Version = "", 4
	if err != nil || p != want {
		t.Fatalf("%+v %v", p, err)
	}
}

func TestChangeProfileRefuses(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	for name, tc := range map[string]struct {
		change nexus.ProfileChange
		field  string
	}{
		"long phone":   {nexus.ProfileChange{Phone: ptr(strings.Repeat("1", 41))}, "phone"},
		"long address": {nexus.ProfileChange{Address: ptr(strings.Repeat("1", 1001))}, "address"},
		"long bio":     {nexus.ProfileChange{Bio: ptr(strings.Repeat("1", 4001))}, "bio"},
		"no day":       {nexus.ProfileChange{DOB: ptr("2005-02-29")}, "dob"},
		"other form":   {nexus.ProfileChange{DOB: ptr("29 Feb 2004")}, "dob"},
		"year 0":       {nexus.ProfileChange{DOB: ptr("0000-01-01")}, ""},
		"long ago":     {nexus.ProfileChange{DOB: ptr("1899-12-31")}, "dob"},
		"no locale":    {nexus.ProfileChange{Locale: ptr("")}, "locale"},
		"no zone":      {nexus.ProfileChange{TZ: ptr("")}, "tz"},
		"NUL":          {nexus.ProfileChange{Bio: ptr("a\x00")}, ""},
		"half a rune":  {nexus.ProfileChange{Bio: ptr("\xed\xa0\x80")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.ChangeProfile(t.Context(), system, u.ID, 0, tc.change)
			if tc.field == "" {
				code(t, err, nexus.Invalid)
			} else {
				onField(t, err, nexus.Invalid, tc.field)
			}
		})
	}
	_, err := s.ChangeProfile(t.Context(), system, u.ID, 2, nexus.ProfileChange{})
	code(t, err, nexus.Stale)
	_, err = s.ChangeProfile(t.Context(), system, nexus.UserID(nexus.NewID()), 0, nexus.ProfileChange{})
	code(t, err, nexus.NotFound)
	if p, err := s.Profile(t.Context(), u.ID); err != nil || p.Version != 1 {
		t.Fatalf("%+v %v", p, err)
	}
	_, err = s.Profile(t.Context(), nexus.UserID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}

func TestOneOfRacingWritersWithOneVersionWins(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	got := tally(race(8, func(int) error {
		_, err := s.ChangeProfile(t.Context(), system, u.ID, 1, nexus.ProfileChange{Bio: ptr("mine")})
		return err
	}))
	if got[""] != 1 || got[nexus.Stale] != 7 {
		t.Fatalf("%v", got)
	}
}

func TestOnlyTheNewestAvatarIsKept(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	urls := []string{"/a/0", "/a/1", "/a/2", "/a/3", "/a/4", "/a/5", "/a/6", "/a/7"}
	for _, err := range race(8, func(i int) error {
		return s.SetAvatar(t.Context(), system, u.ID, urls[i], []byte("picture "+urls[i]))
	}) {
		ok(t, err)
	}
	p, err := s.Profile(t.Context(), u.ID)
	ok(t, err)
	now, err := s.User(t.Context(), u.ID)
	ok(t, err)
	if p.Version != 9 || now.Version != 9 || now.AvatarURL != p.AvatarURL {
		t.Fatalf("%+v %+v", p, now)
	}
	for _, url := range urls {
		jpeg, err := s.Avatar(t.Context(), url)
		if url != p.AvatarURL {
			code(t, err, nexus.NotFound)
			continue
		}
		if ok(t, err); string(jpeg) != "picture "+url {
			t.Errorf("%s holds %q", url, jpeg)
		}
	}
	code(t, s.SetAvatar(t.Context(), system, nexus.UserID(nexus.NewID()), "/x", []byte("x")), nexus.NotFound)
}

func TestContactsAreReplacedInOrder(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	cs, err := s.Contacts(t.Context(), u.ID)
	if err != nil || cs == nil || len(cs) != 0 {
		t.Fatalf("%+v %v", cs, err)
	}
	three := []nexus.Contact{{Name: "Z", Channel: "sms", Address: "1"}, {Name: "A", Channel: "email", Address: "a@b"}, {Name: "M", Channel: "user", Address: "x"}}
	ok(t, s.SetContacts(t.Context(), system, u.ID, three))
	ok(t, s.SetContacts(t.Context(), system, u.ID, three[:2]))
	if cs, err = s.Contacts(t.Context(), u.ID); err != nil || !slices.Equal(cs, three[:2]) {
		t.Fatalf("%+v %v", cs, err)
	}
	onField(t, s.SetContacts(t.Context(), system, u.ID, make([]nexus.Contact, 21)), nexus.Invalid, "contacts")
	onField(t, s.SetContacts(t.Context(), system, u.ID, []nexus.Contact{{Name: "X", Channel: "pigeon", Address: "1"}}), nexus.Invalid, "channel")
	onField(t, s.SetContacts(t.Context(), system, u.ID, []nexus.Contact{{Channel: "sms", Address: "1"}}), nexus.Invalid, "name")
	onField(t, s.SetContacts(t.Context(), system, u.ID, []nexus.Contact{{Name: "X", Channel: "sms"}}), nexus.Invalid, "address")
	code(t, s.SetContacts(t.Context(), system, nexus.UserID(nexus.NewID()), nil), nexus.NotFound)
	if cs, err = s.Contacts(t.Context(), u.ID); err != nil || len(cs) != 2 {
		t.Fatalf("a refused change took the contacts: %+v %v", cs, err)
	}
	for _, err := range race(8, func(i int) error { return s.SetContacts(t.Context(), system, u.ID, three[:i%3]) }) {
		ok(t, err)
	}
	ok(t, s.SetContacts(t.Context(), system, u.ID, nil))
}
