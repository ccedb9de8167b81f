package pg_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// The exact bytes of the chain: worked out by hand from the description beside the code, so that
// nobody changes them unawares and leaves old logs that no longer verify.
func TestChainEncoding(t *testing.T) {
	t.Parallel()
	ip := netip.MustParseAddr("192.0.2.7")
	salt := bytes.Repeat([]byte{1}, 32)
	commit := pg.DetailCommit(salt, &ip, nil, []byte(`{"a":1}`))
	want := hash("\x00\x00\x00\x14nexus audit detail 1" + "\x00\x00\x00\x20" + string(salt) +
		"\x00\x00\x00\x09192.0.2.7" + "\x00\x00\x00\x00" + "\x00\x00\x00\x07" + `{"a":1}`)
	if !bytes.Equal(commit, want) {
		t.Errorf("detail %x, want %x", commit, want)
	}
	got := pg.EntryHash(pg.Entry{
		Seq: 2, At: time.UnixMicro(258).UTC(), Actor: "system", Action: "user.create", Entity: "user", EntityID: "u",
		RequestID: "", DetailCommit: commit, PrevHash: salt,
	})
	want = hash("\x00\x00\x00\x13nexus audit entry 1" + "\x00\x00\x00\x20" + string(salt) +
		"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x02" + "\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x01\x02" +
		"\x00\x00\x00\x06system" + "\x00\x00\x00\x0buser.create" + "\x00\x00\x00\x04user" + "\x00\x00\x00\x01u" +
		"\x00\x00\x00\x00" + "\x00\x00\x00\x20" + string(commit))
	if !bytes.Equal(got, want) {
		t.Errorf("entry %x, want %x", got, want)
	}
}

func TestEntriesTellWhoDidWhat(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	log := pg.NewAuditLog(db)
	u := newUser(t, db, "asha")
	by := nexus.Caller{User: u.ID, RequestID: "r-2", IP: netip.MustParseAddr("::ffff:192.0.2.9")}
	phone := "123"
	_, err := pg.NewIdentity(db).ChangeProfile(t.Context(), by, u.ID, 0, nexus.ProfileChange{Phone: &phone})
	ok(t, err)
	device := nexus.Caller{Key: "0190a0b0-0000-7000-8000-000000000001"}
	ok(t, pg.NewIdentity(db).SetPassword(t.Context(), device, u.ID, "a new hash"))
	list, err := log.Entries(t.Context(), nexus.AuditFilter{}, nexus.Page{})
	ok(t, err)
	if len(list.Items) != 3 || list.Next != "" {
		t.Fatalf("entries: %+v", list)
	}
	key, change, create := list.Items[0], list.Items[1], list.Items[2]
	if key.Actor != "key:"+string(device.Key) || key.Action != "user.password" || key.Before != nil || key.After != nil {
		t.Errorf("device's entry: %+v", key)
	}
	if change.Seq != 2 || change.Actor != string(u.ID) || change.RequestID != "r-2" || change.Entity != "user" || change.EntityID != string(u.ID) ||
		len(change.Hash) != 64 || !strings.Contains(string(change.After.(json.RawMessage)), `"Phone":"123"`) {
		t.Errorf("person's entry: %+v", change)
	}
	if create.Actor != "system" || create.Before != nil || create.After == nil {
		t.Errorf("nobody's entry: %+v", create)
	}
	if n := count(t, db.Pool(), `select count(*) from audit_detail where before::text || after::text ilike '%hash%'`); n != 0 {
		t.Error("a hash of a password is in the log")
	}
	if n := count(t, db.Pool(), `select count(*) from audit_detail where ip = '192.0.2.9'`); n != 1 {
		t.Error("the caller's address is not kept")
	}
}

func TestEntriesAreFilteredAndPaged(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	log := pg.NewAuditLog(db)
	before := time.Now().Add(-time.Hour)
	var users []nexus.User
	for i := range 5 {
		users = append(users, newUser(t, db, fmt.Sprint("u", i)))
	}
	newHall(t, db, "North")
	var seqs []int64
	p := nexus.Page{Limit: 4}
	for pages := 0; pages < 3; pages++ {
		list, err := log.Entries(t.Context(), nexus.AuditFilter{}, p)
		ok(t, err)
		for _, e := range list.Items {
			seqs = append(seqs, e.Seq)
		}
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if fmt.Sprint(seqs) != "[6 5 4 3 2 1]" {
		t.Errorf("paged: %v", seqs)
	}
	for name, tc := range map[string]struct {
		filter nexus.AuditFilter
		want   int
	}{
		"actor":     {nexus.AuditFilter{Actor: "system"}, 6},
		"no actor":  {nexus.AuditFilter{Actor: "nobody"}, 0},
		"action":    {nexus.AuditFilter{Action: "hall.create"}, 1},
		"entity":    {nexus.AuditFilter{Entity: "user"}, 5},
		"entity id": {nexus.AuditFilter{Entity: "user", EntityID: string(users[2].ID)}, 1},
		"from":      {nexus.AuditFilter{From: before}, 6},
		"to":        {nexus.AuditFilter{To: before}, 0},
		"both":      {nexus.AuditFilter{From: before, To: before.Add(2 * time.Hour)}, 6},
	} {
		list, err := log.Entries(t.Context(), tc.filter, nexus.Page{})
		ok(t, err)
		if len(list.Items) != tc.want || list.Items == nil {
			t.Errorf("%s: %d entries, want %d", name, len(list.Items), tc.want)
		}
	}
	for _, after := range []string{"x", "-1", "0", "9999999999999999999"} {
		_, err := log.Entries(t.Context(), nexus.AuditFilter{}, nexus.Page{After: after})
		onField(t, err, nexus.Invalid, "after")
	}
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tamper  string // by the owner, who can switch the triggers off
		entries int64
		bad     int64
	}{
		"nothing":             {``, 5, 0},
		"edited entry":        {`update audit_log set actor = 'somebody' where seq = 3`, 5, 3},
		"edited time":         {`update audit_log set at = at + interval '1 microsecond' where seq = 2`, 5, 2},
		"edited detail":       {`update audit_detail set after = '{}' where seq = 4`, 5, 4},
		"reformatted detail":  {`update audit_detail set after = (after::jsonb)::json where seq = 4`, 5, 4},
		"edited address":      {`update audit_detail set ip = '192.0.2.8' where seq = 1`, 5, 1},
		"erased detail":       {`delete from audit_detail where seq in (2, 5)`, 5, 0},
		"missing in between":  {`delete from audit_detail where seq = 3; delete from audit_log where seq = 3`, 4, 3},
		"missing first":       {`delete from audit_detail where seq = 1; delete from audit_log where seq = 1`, 4, 1},
		"cut off":             {`delete from audit_detail where seq = 5; delete from audit_log where seq = 5`, 4, 5},
		"cut off with head":   {`delete from audit_detail where seq = 5; delete from audit_log where seq = 5; update audit_head set seq = 4`, 4, 4},
		"swapped":             {`update audit_log set seq = 99 where seq = 2; update audit_log set seq = 2 where seq = 3; update audit_log set seq = 3 where seq = 99`, 5, 2},
		"own hash but no fit": {`update audit_log set hash = sha256('x') where seq = 2`, 5, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := pgfix.DB(t)
			for i := range 5 {
				newUser(t, db, fmt.Sprint("u", i))
			}
			// One session, for only there the foreign key and the triggers are off.
			conn, err := db.Pool().Acquire(t.Context())
			ok(t, err)
			defer conn.Release()
			_, err = conn.Exec(t.Context(), `set session_replication_role = replica`)
			ok(t, err)
			_, err = conn.Conn().PgConn().Exec(t.Context(), tc.tamper).ReadAll()
			ok(t, err)
			_, err = conn.Exec(t.Context(), `set session_replication_role = origin`)
			ok(t, err)
			n, bad, err := pg.NewAuditLog(db).Verify(t.Context())
			ok(t, err)
			if n != tc.entries || bad != tc.bad {
				t.Fatalf("%d entries, first bad %d; want %d, %d", n, bad, tc.entries, tc.bad)
			}
		})
	}
}

func TestTheLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	newUser(t, db, "asha")
	for _, query := range []string{
		`update audit_log set actor = 'x'`, `delete from audit_log`, `truncate audit_log cascade`,
		`update audit_detail set ip = null`, `truncate audit_detail`, `delete from audit_head`, `truncate audit_head`,
	} {
		if _, err := db.Pool().Exec(context.Background(), query); err == nil {
			t.Errorf("%s: was not refused", query)
		}
	}
	exec(t, db.Pool(), `delete from audit_detail`)
	n, bad, err := pg.NewAuditLog(db).Verify(t.Context())
	if n != 1 || bad != 0 || err != nil {
		t.Fatalf("after an erasure: %d entries, first bad %d, %v", n, bad, err)
	}
}

func TestRacingChangesLeaveNoGap(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	log := pg.NewAuditLog(db)
	for _, err := range race(8, func(i int) error {
		for j := range 10 {
			_, err := pg.NewMess(db).CreateHall(t.Context(), system, nexus.Hall{
				Name: fmt.Sprintf("h%d-%d", i, j%7), Capacity: 1, ServiceRatePerMin: 1, DwellMin: 1, TZ: "UTC",
			})
			if err != nil && nexus.CodeOf(err) != nexus.Conflict { // a rolled back change leaves no gap
				return err
			}
		}
		return nil
	}) {
		ok(t, err)
	}
	n, bad, err := log.Verify(t.Context())
	if n != 56 || bad != 0 || err != nil {
		t.Fatalf("%d entries, first bad %d, %v", n, bad, err)
	}
	var first string
	ok(t, db.Pool().QueryRow(t.Context(), `select encode(hash, 'hex') from audit_log where seq = 56`).Scan(&first))
	list, err := log.Entries(t.Context(), nexus.AuditFilter{}, nexus.Page{Limit: 1})
	ok(t, err)
	if raw, _ := hex.DecodeString(list.Items[0].Hash); len(raw) != 32 || list.Items[0].Hash != first {
		t.Fatalf("hash %q", list.Items[0].Hash)
	}
}

func TestVerifyOfAnEmptyLog(t *testing.T) {
	t.Parallel()
	n, bad, err := pg.NewAuditLog(pgfix.DB(t)).Verify(t.Context())
	if n != 0 || bad != 0 || err != nil {
		t.Fatal(n, bad, err)
	}
}
