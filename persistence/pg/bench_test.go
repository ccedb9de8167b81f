package pg_test

import (
	"context"
	"fmt"
	"testing"

	"nexus"
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
