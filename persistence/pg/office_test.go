package pg_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestUsersAreFoundByAnyPartWhateverTheCase(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	for _, name := range []string{"asha", "ravi", "50%", "a_b", `back\slash`} {
		newUser(t, db, name)
	}
	exec(t, db.Pool(), `update profile set full_name = 'Café Owner' where full_name = 'ravi'`)
	for query, want := range map[string]int{
		"": 5, "ASHA": 1, "campus.TEST": 5, "r-a": 2, "afé o": 1, "%": 1, "_": 1, `\`: 1, "a%b": 0, "nobody": 0, "'": 0,
	} {
		list, err := s.Users(t.Context(), query, nexus.Page{})
		ok(t, err)
		if len(list.Items) != want || list.Items == nil {
			t.Errorf("%q: %d, want %d", query, len(list.Items), want)
		}
	}
	_, err := s.Users(t.Context(), "a\x00", nexus.Page{})
	code(t, err, nexus.Invalid)
	_, err = s.Users(t.Context(), "", nexus.Page{After: "no id"})
	onField(t, err, nexus.Invalid, "after")
}

func TestUsersArePagedInOrderOfID(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	var want []nexus.UserID
	for i := range 7 {
		want = append(want, newUser(t, db, fmt.Sprint("u", i)).ID)
	}
	for _, limit := range []int{1, 3, 7, 8, 0, 1000} {
		var got []nexus.UserID
		for p := (nexus.Page{Limit: limit}); ; {
			list, err := s.Users(t.Context(), "u", p)
			ok(t, err)
			for _, u := range list.Items {
				got = append(got, u.ID)
			}
			if p.After = list.Next; p.After == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
}

func TestChangeUserKeepsOfficeData(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	got, err := s.ChangeUser(t.Context(), system, u.ID, 1, nexus.UserChange{
		Name: ptr("Asha Rao"), RegNo: ptr("R-9"), Department: ptr("CS"), Course: ptr("BTech"), Semester: ptr(5),
		Hostel: ptr("H1"), Room: ptr("12"), Warden: ptr("W"),
	})
	if err != nil || got.Name != "Asha Rao" || got.RegNo != "R-9" || got.Department != "CS" || got.Version != 2 || got.Status != nexus.Active {
		t.Fatalf("%+v %v", got, err)
	}
	p, err := s.Profile(t.Context(), u.ID)
	if err != nil || p.Course != "BTech" || p.Semester != 5 || p.Hostel != "H1" || p.Room != "12" || p.Warden != "W" || p.Version != 2 {
		t.Fatalf("%+v %v", p, err)
	}
	got, err = s.ChangeUser(t.Context(), system, u.ID, 0, nexus.UserChange{RegNo: ptr("")})
	if err != nil || got.RegNo != "" || got.Name != "Asha Rao" {
		t.Fatalf("%+v %v", got, err)
	}
	list, err := pg.NewAuditLog(db).Entries(t.Context(), nexus.AuditFilter{Action: "user.change"}, nexus.Page{})
	ok(t, err)
	if before, after := fmt.Sprintf("%s", list.Items[1].Before), fmt.Sprintf("%s", list.Items[1].After); !strings.Contains(before, `"hostel":""`) ||
		!strings.Contains(after, `"hostel":"H1"`) || !strings.Contains(after, `"name":"Asha Rao"`) {
		t.Fatalf("audited %s -> %s", before, after)
	}
	if c, err := s.ByID(t.Context(), u.ID); err != nil || c.TokenEpoch != 0 {
		t.Fatalf("office data ended the tokens: %+v %v", c, err)
	}
}

func TestChangeUserRefuses(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u, gone := newUser(t, db, "asha"), newUser(t, db, "gone")
	newUser(t, db, "ravi")
	exec(t, db.Pool(), `update app_user set status = 'erased' where id = $1`, gone.ID)
	for name, tc := range map[string]struct {
		change nexus.UserChange
		code   nexus.Code
		field  string
	}{
		"number taken":  {nexus.UserChange{RegNo: ptr("r-RAVI")}, nexus.Conflict, "regNo"},
		"erasing":       {nexus.UserChange{Status: ptr(nexus.Erased)}, nexus.Invalid, "status"},
		"other status":  {nexus.UserChange{Status: ptr("sleeping")}, nexus.Invalid, "status"},
		"no name":       {nexus.UserChange{Name: ptr("")}, nexus.Invalid, "name"},
		"semester":      {nexus.UserChange{Semester: ptr(1 << 20)}, nexus.Invalid, "semester"},
		"long hostel":   {nexus.UserChange{Hostel: ptr(strings.Repeat("h", 201))}, nexus.Invalid, "hostel"},
		"long everyone": {nexus.UserChange{Department: ptr(strings.Repeat("h", 201))}, nexus.Invalid, "department"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.ChangeUser(t.Context(), system, u.ID, 0, tc.change)
			onField(t, err, tc.code, tc.field)
		})
	}
	_, err := s.ChangeUser(t.Context(), system, u.ID, 2, nexus.UserChange{})
	code(t, err, nexus.Stale)
	_, err = s.ChangeUser(t.Context(), system, gone.ID, 0, nexus.UserChange{})
	code(t, err, nexus.Conflict)
	_, err = s.ChangeUser(t.Context(), system, nexus.UserID(nexus.NewID()), 0, nexus.UserChange{})
	code(t, err, nexus.NotFound)
	_, err = s.User(t.Context(), nexus.UserID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}

func TestSuspendingEndsLoginsAndTokens(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	id := login(t, db, u.ID, "t0")
	got, err := s.ChangeUser(t.Context(), system, u.ID, 0, nexus.UserChange{Status: ptr(nexus.Suspended)})
	if err != nil || got.Status != nexus.Suspended {
		t.Fatalf("%+v %v", got, err)
	}
	st, err := s.State(t.Context(), id)
	if err != nil || !st.Revoked || st.TokenEpoch != 1 || st.Status != nexus.Suspended {
		t.Fatalf("%+v %v", st, err)
	}
	_, err = s.ChangeUser(t.Context(), system, u.ID, 0, nexus.UserChange{Status: ptr(nexus.Suspended)})
	ok(t, err)
	_, err = s.ChangeUser(t.Context(), system, u.ID, 0, nexus.UserChange{Status: ptr(nexus.Active)})
	ok(t, err)
	if c, err := s.ByID(t.Context(), u.ID); err != nil || c.TokenEpoch != 1 || c.User.Status != nexus.Active {
		t.Fatalf("%+v %v", c, err)
	}
}

func TestSetRolesEndsTokens(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	u := newUser(t, db, "asha")
	got, err := s.SetRoles(t.Context(), system, u.ID, []nexus.Role{nexus.Security, nexus.Admin, nexus.Admin})
	if err != nil || !slices.Equal(got.Roles, []nexus.Role{nexus.Admin, nexus.Security}) || got.Version != 2 {
		t.Fatalf("%+v %v", got, err)
	}
	if c, err := s.ByID(t.Context(), u.ID); err != nil || c.TokenEpoch != 1 {
		t.Fatalf("%+v %v", c, err)
	}
	_, err = s.SetRoles(t.Context(), system, u.ID, nil)
	onField(t, err, nexus.Invalid, "roles")
	_, err = s.SetRoles(t.Context(), system, u.ID, []nexus.Role{nexus.Admin, "KING"})
	onField(t, err, nexus.Invalid, "roles")
	_, err = s.SetRoles(t.Context(), system, nexus.UserID(nexus.NewID()), nexus.Roles())
	code(t, err, nexus.NotFound)
}

func TestTheLastAdministratorStays(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	a, student := newUser(t, db, "a", nexus.Admin), newUser(t, db, "s")
	demote := func(id nexus.UserID) error {
		_, err := s.SetRoles(t.Context(), system, id, []nexus.Role{nexus.Student})
		return err
	}
	suspend := func(id nexus.UserID) error {
		_, err := s.ChangeUser(t.Context(), system, id, 0, nexus.UserChange{Status: ptr(nexus.Suspended)})
		return err
	}
	code(t, demote(a.ID), nexus.Conflict)
	code(t, suspend(a.ID), nexus.Conflict)
	ok(t, demote(student.ID))
	b := newUser(t, db, "b", nexus.Admin)
	ok(t, suspend(b.ID))
	code(t, demote(a.ID), nexus.Conflict) // a suspended one does not count
	ok(t, demote(b.ID))
}

// Administrators who take each other's office away at the same moment leave one.
func TestRacingDemotionsLeaveOneAdministrator(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewIdentity(db)
	var admins []nexus.User
	for i := range 8 {
		admins = append(admins, newUser(t, db, fmt.Sprint("a", i), nexus.Admin))
	}
	got := tally(race(8, func(i int) error {
		if i%2 == 0 {
			_, err := s.SetRoles(t.Context(), system, admins[i].ID, []nexus.Role{nexus.Student})
			return err
		}
		_, err := s.ChangeUser(t.Context(), system, admins[i].ID, 0, nexus.UserChange{Status: ptr(nexus.Suspended)})
		return err
	}))
	if got[""] != 7 || got[nexus.Conflict] != 1 {
		t.Fatalf("%v", got)
	}
}
