package pg_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"nexus"
	"nexus/actors/incident"
	"nexus/actors/mess"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

// BenchmarkRecord reports events per second for batches of several sizes, all new.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			db := pgfix.DB(b)
			ctx := context.Background()
			h, err := pg.NewMess(db).CreateHall(ctx, nexus.Caller{}, nexus.Hall{Name: "N", Capacity: 300, ServiceRatePerMin: 8, DwellMin: 25, TZ: "UTC"})
			if err != nil {
				b.Fatal(err)
			}
			f, _, err := pg.NewGrains(db).Claim(ctx, "mess", string(h.ID))
			if err != nil {
				b.Fatal(err)
			}
			s, seq := pg.NewHall(db), int64(0)
			batch := make([]mess.Recorded, size)
			for b.Loop() {
				for i := range batch {
					seq++
					batch[i] = entered(seq, fmt.Sprint(seq))
				}
				if kept, err := s.Record(ctx, f, batch); err != nil || len(kept) != size {
					b.Fatal(len(kept), err)
				}
			}
			b.ReportMetric(float64(seq)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRaise reports what a press costs, in milliseconds, on a campus of twenty officers of whom four are on duty.
func BenchmarkRaise(b *testing.B) {
	db := pgfix.DB(b)
	ctx := context.Background()
	var users []nexus.User
	add := func(name string, role nexus.Role) nexus.User {
		u, err := pg.NewIdentity(db).Create(ctx, nexus.Caller{}, nexus.NewAccount{Email: name + "@campus.test", Name: name, Roles: []nexus.Role{role}})
		if err != nil {
			b.Fatal(err)
		}
		return u
	}
	for i := range 20 {
		u := add(fmt.Sprint("officer", i), nexus.Security)
		if i < 4 {
			shift := nexus.Shift{User: u.ID, From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}
			if _, err := pg.NewSafetyOffice(db, "x").AddShift(ctx, nexus.Caller{}, shift); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i := range 300 {
		users = append(users, add(fmt.Sprint("student", i), nexus.Student))
	}
	sos := pg.NewSOS(db, db)
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		u := users[n%len(users)]
		began := time.Now()
		raised, _, err := sos.Raise(ctx, nexus.IncidentID(nexus.NewID()), nexus.Press{User: u.ID, ClientKey: fmt.Sprint(n), Category: "panic"})
		took = append(took, time.Since(began))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		_, err = sos.Change(ctx, nexus.Caller{}, raised.Incident, func(s incident.State, _ incident.Roster, now time.Time) ([]incident.Event, error) {
			return s.Cancel(false, now)
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	slices.Sort(took)
	for name, q := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99} {
		b.ReportMetric(float64(took[int(float64(len(took)-1)*q)].Microseconds())/1000, name)
	}
}
