package pg_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
)

// policy pages security at once and everybody after a minute.
func policy(steps ...nexus.Step) nexus.Policy {
	if len(steps) == 0 {
		steps = []nexus.Step{step(0, nexus.Target{Role: nexus.Security}), step(60, nexus.Target{Role: nexus.Admin}, nexus.Target{Contacts: true})}
	}
	return nexus.Policy{Name: "Nights", Steps: steps, EverySeconds: 60, MoveSeconds: 300}
}

func step(after int, targets ...nexus.Target) nexus.Step {
	return nexus.Step{AfterSeconds: after, Targets: targets}
}

func TestPoliciesAreReplacedByVersion(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	made, err := s.office.PutPolicy(t.Context(), caller(s.admin), 1, policy())
	if err != nil || made.Version != 2 || made.ID != "00000000-0000-7000-8000-000000000001" || made.Name != "Nights" || len(made.Steps) != 2 {
		t.Fatalf("%+v %v", made, err)
	}
	_, err = s.office.PutPolicy(t.Context(), caller(s.admin), 1, policy())
	code(t, err, nexus.Stale)
	other := policy()
	other.ID, other.Name = nexus.NewID(), "Another"
	_, err = s.office.PutPolicy(t.Context(), caller(s.admin), 3, other)
	code(t, err, nexus.NotFound)
	for version := range int64(2) {
		if made, err = s.office.PutPolicy(t.Context(), caller(s.admin), version, other); err != nil || made.Version != version+1 || made.ID != other.ID {
			t.Fatalf("%+v %v", made, err)
		}
	}
	other.ID, other.Name = nexus.NewID(), "Nights"
	_, err = s.office.PutPolicy(t.Context(), caller(s.admin), 0, other)
	onField(t, err, nexus.Conflict, "name")
	list, err := s.office.Policies(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "Nights" || list[1].Name != "Another" {
		t.Fatalf("%+v %v", list, err)
	}
	audited, err := pg.NewAuditLog(s.db).Entries(t.Context(), nexus.AuditFilter{Action: "policy.put"}, nexus.Page{})
	if err != nil || len(audited.Items) != 3 || audited.Items[2].Before == nil || audited.Items[1].Before != nil {
		t.Fatalf("%+v %v", audited, err)
	}
	_, out := s.press(s.asha, "k")
	if out.State.Policy.Name != "Nights" || out.State.Policy.Version != 2 {
		t.Errorf("an alarm goes by %+v", out.State.Policy)
	}
}

func TestAPolicyMustReachSomebody(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	security, admin, duty, contacts := nexus.Target{Role: nexus.Security}, nexus.Target{Role: nexus.Admin}, nexus.Target{OnDuty: true}, nexus.Target{Contacts: true}
	faculty, student, ravi, asha := nexus.Target{Role: nexus.Faculty}, nexus.Target{Role: nexus.Student}, nexus.Target{User: s.ravi.ID}, nexus.Target{User: s.asha.ID}
	gone := newUser(t, s.db, "gone", nexus.Faculty)
	exec(t, s.db.Pool(), `update app_user set status = 'suspended' where id = $1`, gone.ID)
	change := func(f func(*nexus.Policy)) nexus.Policy {
		p := policy()
		f(&p)
		return p
	}
	var many []nexus.Step
	for i := range 11 {
		many = append(many, step(i, security))
	}
	for name, tc := range map[string]struct {
		policy nexus.Policy
		field  string // "" is fine
	}{
		"roles":                    {policy(step(0, security), step(1, admin)), ""},
		"named":                    {policy(step(0, ravi)), ""},
		"a student by name":        {policy(step(0, asha)), ""},
		"nobody on duty, later":    {policy(step(0, duty), step(15, security)), ""},
		"both that change, later":  {policy(step(0, duty, contacts), step(15, contacts), step(20, security)), ""},
		"nobody on duty, at last":  {policy(step(0, security), step(15, duty)), "steps[1].targets"},
		"nobody on duty, alone":    {policy(step(0, duty)), "steps[0].targets"},
		"contacts, at last":        {policy(step(0, security), step(15, contacts)), "steps[1].targets"},
		"a role that nobody has":   {policy(step(0, faculty), step(15, security)), "steps[0].targets"},
		"and contacts":             {policy(step(0, security), step(15, faculty, contacts)), "steps[1].targets"},
		"all students":             {policy(step(0, security), step(15, student)), "steps[1].targets"},
		"who is suspended":         {policy(step(0, nexus.Target{User: gone.ID})), "steps[0].targets"},
		"who is not there":         {policy(step(0, nexus.Target{User: nexus.UserID(nexus.NewID())})), "steps[0].targets"},
		"nobody":                   {policy(step(0)), "steps[0].targets"},
		"too many":                 {policy(step(0, make([]nexus.Target, 21)...)), "steps[0].targets"},
		"no field":                 {policy(step(0, security, nexus.Target{})), "steps[0].targets[1]"},
		"two fields":               {policy(step(0, nexus.Target{OnDuty: true, Contacts: true})), "steps[0].targets[0]"},
		"no id":                    {policy(step(0, nexus.Target{User: "x"})), "steps[0].targets[0]"},
		"late at first":            {policy(step(1, security)), "steps[0].afterSeconds"},
		"not later":                {policy(step(0, security), step(5, security), step(5, security)), "steps[2].afterSeconds"},
		"in a week":                {policy(step(0, security), step(7*86400, security)), "steps[1].afterSeconds"},
		"no steps":                 {change(func(p *nexus.Policy) { p.Steps = nil }), "steps"},
		"too many steps":           {policy(many...), "steps"},
		"repeated at once":         {change(func(p *nexus.Policy) { p.EverySeconds = 4 }), "everySeconds"},
		"never repeated":           {change(func(p *nexus.Policy) { p.EverySeconds = 3601 }), "everySeconds"},
		"no time to move":          {change(func(p *nexus.Policy) { p.MoveSeconds = 29 }), "moveSeconds"},
		"all the time to move":     {change(func(p *nexus.Policy) { p.MoveSeconds = 86401 }), "moveSeconds"},
		"no name":                  {change(func(p *nexus.Policy) { p.Name = "" }), "name"},
		"an id of another form":    {change(func(p *nexus.Policy) { p.ID = "x" }), "id"},
		"as often as is possible":  {change(func(p *nexus.Policy) { p.EverySeconds, p.MoveSeconds = 5, 30 }), ""},
		"as seldom as is possible": {change(func(p *nexus.Policy) { p.EverySeconds, p.MoveSeconds = 3600, 86400 }), ""},
	} {
		_, err := s.office.PutPolicy(t.Context(), caller(s.admin), 0, tc.policy)
		if tc.field == "" {
			ok(t, err)
			continue
		}
		t.Run(name, func(t *testing.T) { onField(t, err, nexus.Invalid, tc.field) })
	}
	s.onDuty(s.ravi)
	_, err := s.office.PutPolicy(t.Context(), caller(s.admin), 0, policy(step(0, duty)))
	ok(t, err)
}

func TestShifts(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	add := func(u nexus.UserID, from, to time.Time) (nexus.Shift, error) {
		return s.office.AddShift(t.Context(), caller(s.admin), nexus.Shift{User: u, From: from, To: to})
	}
	late, err := add(s.ravi.ID, noon.Add(8*time.Hour), noon.Add(16*time.Hour))
	ok(t, err)
	early, err := add(s.meera.ID, noon, noon.Add(8*time.Hour))
	if err != nil || early.ID == "" || early.User != s.meera.ID || !early.From.Equal(noon) {
		t.Fatalf("%+v %v", early, err)
	}
	for name, tc := range map[string]struct {
		from, to time.Time
		want     []nexus.Shift
	}{
		"both":              {noon, noon.Add(24 * time.Hour), []nexus.Shift{early, late}},
		"ends as one does":  {noon.Add(-time.Hour), noon.Add(8 * time.Hour), []nexus.Shift{early}},
		"begins as one end": {noon.Add(8 * time.Hour), noon.Add(9 * time.Hour), []nexus.Shift{late}},
		"none":              {noon.Add(16 * time.Hour), noon.Add(17 * time.Hour), []nexus.Shift{}},
	} {
		got, err := s.office.Shifts(t.Context(), tc.from, tc.to)
		if err != nil || !same(t, got, tc.want) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	exec(t, s.db.Pool(), `update app_user set status = 'suspended' where id = $1`, s.meera.ID)
	for _, u := range []nexus.UserID{s.asha.ID, s.meera.ID, nexus.UserID(nexus.NewID())} {
		_, err = add(u, noon, noon.Add(time.Hour))
		onField(t, err, nexus.Invalid, "userId")
	}
	_, err = add(s.ravi.ID, noon, noon)
	onField(t, err, nexus.Invalid, "endsAt")
	if n := count(t, s.db.Pool(), `select count(*) from audit_log where action = 'shift.add'`); n != 2 {
		t.Errorf("%d are audited", n)
	}
}

func TestPinsAreKeptAndNeverLogged(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	if pin, duress, err := s.office.Pins(t.Context(), s.asha.ID); pin != "" || duress != "" || err != nil {
		t.Fatal(pin, duress, err)
	}
	for _, n := range []string{"1", "2"} {
		ok(t, s.office.SetPins(t.Context(), keyed(caller(s.asha), "key", "1234"), "hash-a"+n, "hash-b"+n))
	}
	if pin, duress, err := s.office.Pins(t.Context(), s.asha.ID); pin != "hash-a2" || duress != "hash-b2" || err != nil {
		t.Fatal(pin, duress, err)
	}
	if n := count(t, s.db.Pool(), `select count(*) from audit_log l join audit_detail d using (seq) where l.action = 'safety.pins' and d.before is null and d.after is null`); n != 2 {
		t.Errorf("%d are audited", n)
	}
	if n := count(t, s.db.Pool(), `select count(*) from idempotency`); n != 0 {
		t.Error("a fast hash of the numbers is kept")
	}
	code(t, s.office.SetPins(t.Context(), nexus.Caller{User: nexus.UserID(nexus.NewID())}, "a", "b"), nexus.NotFound)
}

func TestTheOldestBrowserGivesWay(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	for i := range 22 {
		ok(t, s.office.Subscribe(t.Context(), caller(s.asha), nexus.PushSubscription{Endpoint: fmt.Sprintf("https://push.test/%02d", i), P256DH: "p", Auth: "a"}))
	}
	ok(t, s.office.Subscribe(t.Context(), caller(s.ravi), nexus.PushSubscription{Endpoint: "https://push.test/10", P256DH: "q", Auth: "b"}))
	if n := count(t, s.db.Pool(), `select count(*) from push_subscription where user_id = $1 and endpoint > 'https://push.test/01'`, s.asha.ID); n != 19 {
		t.Errorf("%d are kept", n)
	}
	if n := count(t, s.db.Pool(), `select count(*) from push_subscription where user_id = $1 and p256dh = 'q'`, s.ravi.ID); n != 1 {
		t.Error("a browser is not whoever's used it last")
	}
	err := s.office.Subscribe(t.Context(), caller(s.asha), nexus.PushSubscription{Endpoint: strings.Repeat("x", 2001), P256DH: "p", Auth: "a"})
	onField(t, err, nexus.Invalid, "endpoint")
}

func TestMassAlerts(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	sent, err := s.office.SendAlert(t.Context(), keyed(caller(s.admin), "key", "body"), campus())
	ok(t, err)
	if !strings.HasPrefix(sent.Identifier, "nexus-") || sent.Sender != "nexus@campus.test" || sent.Sent.Nanosecond() != 0 || sent.References != "" || sent.Headline != "Leave the library" {
		t.Fatalf("%+v", sent)
	}
	if again, err := s.office.SendAlert(t.Context(), keyed(caller(s.admin), "key", "body"), campus()); err != nil || again.Identifier != sent.Identifier {
		t.Fatalf("a copy: %+v %v", again, err)
	}
	cancel := campus()
	cancel.MsgType, cancel.References = "Cancel", sent.Identifier
	cancelled, err := s.office.SendAlert(t.Context(), caller(s.admin), cancel)
	ok(t, err)
	if got, err := s.office.Alert(t.Context(), cancelled.Identifier); err != nil || !same(t, got, cancelled) || got.References != sent.Identifier {
		t.Fatalf("%+v %v", got, err)
	}
	_, err = s.office.Alert(t.Context(), "nexus-x")
	code(t, err, nexus.NotFound)
	for name, tc := range map[string]struct {
		change func(*nexus.MassAlert)
		field  string
	}{
		"update of nothing": {func(a *nexus.MassAlert) { a.MsgType = "Update" }, "references"},
		"cancel of another": {func(a *nexus.MassAlert) { a.MsgType, a.References = "Cancel", "nexus-x" }, "references"},
		"first with one":    {func(a *nexus.MassAlert) { a.References = sent.Identifier }, "references"},
		"type":              {func(a *nexus.MassAlert) { a.MsgType, a.References = "Ack", sent.Identifier }, "msgType"},
		"status":            {func(a *nexus.MassAlert) { a.Status = "x" }, "status"},
		"category":          {func(a *nexus.MassAlert) { a.Category = "x" }, "category"},
		"event":             {func(a *nexus.MassAlert) { a.Event = "" }, "event"},
		"urgency":           {func(a *nexus.MassAlert) { a.Urgency = "x" }, "urgency"},
		"severity":          {func(a *nexus.MassAlert) { a.Severity = "x" }, "severity"},
		"certainty":         {func(a *nexus.MassAlert) { a.Certainty = "x" }, "certainty"},
		"headline":          {func(a *nexus.MassAlert) { a.Headline = "" }, "headline"},
		"area":              {func(a *nexus.MassAlert) { a.Area = "" }, "area"},
		"over":              {func(a *nexus.MassAlert) { a.Expires = time.Now().Add(-time.Hour) }, "expires"},
	} {
		t.Run(name, func(t *testing.T) {
			a := campus()
			tc.change(&a)
			_, err := s.office.SendAlert(t.Context(), caller(s.admin), a)
			onField(t, err, nexus.Invalid, tc.field)
		})
	}
	if n := count(t, s.db.Pool(), `select last_seq from safety_stream where stream = $1`, nexus.CampusStream); n != 2 {
		t.Errorf("the campus has heard %d alerts", n)
	}
	if n := count(t, s.db.Pool(), `select count(*) from audit_log where action = 'alert.send'`); n != 2 {
		t.Errorf("%d are audited", n)
	}
}
