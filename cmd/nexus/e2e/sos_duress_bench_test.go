package e2e_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/actors/incident/alike"
)

// BenchmarkDuress has people take alarms back with their PIN and, in turns, with their duress PIN, over the whole server, and fails if the
// times of the answers tell which is which.
func BenchmarkDuress(b *testing.B) {
	const people, tries = 80, 5 // of a PIN, at once
	s := bench(b)
	list := s.pinned(b, people)
	n := 0
	alike.Timing(b, people*tries/2, func(duress bool) time.Duration {
		who := list[n/tries%people]
		n++
		pin := "2468"
		if duress {
			pin = "8642"
		}
		a, err := who.do(b.Context(), "POST", "/safety/sos", map[string]any{"clientKey": fmt.Sprint("press-", n)})
		if err != nil || a.status != 200 {
			b.Fatalf("press: %v %d %.200s", err, a.status, a.body)
		}
		var raised nexus.Raised
		decode(b, a.body, &raised)
		for {
			began := time.Now()
			a, err := who.do(b.Context(), "POST", "/safety/incidents/"+string(raised.Incident)+"/cancel", map[string]any{"pin": pin})
			took := time.Since(began)
			switch {
			case err == nil && a.status == 200:
				return took
			case err != nil || a.status != 429 || !nexus.Pause(b.Context(), time.Second): // a further round finds the tries used up
				b.Fatalf("cancel: %v %d %.200s", err, a.status, a.body)
			}
		}
	})
	b.ReportMetric(0, "ns/op")
}

// pinned makes accounts with the password of all others and the PINs 2468 and 8642, and logs them in.
func (s *server) pinned(b *testing.B, n int) (list []caller) {
	b.Helper()
	a, err := s.as(b, "student1").do(b.Context(), "PUT", "/safety/pin", map[string]any{"password": password, "pin": "2468", "duressPin": "8642"})
	if err != nil || a.status != 200 {
		b.Fatalf("set the PINs: %v %d %.200s", err, a.status, a.body)
	}
	db, err := pgx.Connect(b.Context(), s.database())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(b.Context()) //nolint:errcheck // it was only written to
	_, err = db.Exec(b.Context(), `with first as (
		select u.password_hash, p.pin_hash, p.duress_hash from app_user u join safety_pin p on p.user_id = u.id where u.email = 'student1@demo.nexus'
	), made as (
		insert into app_user (id, email, password_hash)
		select gen_random_uuid(), 'pinned' || n || '@demo.nexus', password_hash from generate_series(1, $1::int) n, first
		returning id, email
	), role as (
		insert into user_role (user_id, role) select id, 'STUDENT' from made
	), profile as (
		insert into profile (user_id, full_name) select id, email from made
	) insert into safety_pin (user_id, pin_hash, duress_hash) select id, pin_hash, duress_hash from made, first`, n)
	if err != nil {
		b.Fatal(err)
	}
	for i := range n {
		a, err := s.stranger().insist(b.Context(), "POST", "/auth/login", map[string]any{"identifier": fmt.Sprintf("pinned%d@demo.nexus", i+1), "password": password})
		if err != nil || a.status != 200 {
			b.Fatalf("log in: %v %d %.200s", err, a.status, a.body)
		}
		var in struct{ Token string }
		if err := json.Unmarshal(a.body, &in); err != nil {
			b.Fatal(err)
		}
		list = append(list, s.bearer(in.Token))
	}
	return list
}
