package pg_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/actors/mess"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestHallsAreConfigured(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	south, north := newHall(t, db, "south"), newHall(t, db, "North")
	list, err := s.Halls(t.Context())
	if err != nil || len(list) != 2 || list[0] != north || list[1] != south {
		t.Fatalf("%+v %v", list, err)
	}
	want := nexus.Hall{ID: south.ID, Name: "South", Capacity: 10, ServiceRatePerMin: 1.25, DwellMin: 5, TZ: "UTC", Default: true}
	got, err := s.PutHall(t.Context(), system, 1, want)
	want.Default, want.Version = false, 2 // which is not for PutHall to change
	if err != nil || got != want {
		t.Fatalf("%+v %v", got, err)
	}
	if got, err = s.Hall(t.Context(), south.ID); err != nil || got != want {
		t.Fatalf("%+v %v", got, err)
	}
	_, err = s.PutHall(t.Context(), system, 1, want)
	code(t, err, nexus.Stale)
	_, err = s.PutHall(t.Context(), system, 0, want)
	ok(t, err)
	want.ID = nexus.HallID(nexus.NewID())
	_, err = s.PutHall(t.Context(), system, 0, want)
	code(t, err, nexus.NotFound)
	_, err = s.Hall(t.Context(), want.ID)
	code(t, err, nexus.NotFound)
}

func TestHallsRefuseNonsense(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	h := newHall(t, db, "North")
	newHall(t, db, "South")
	for name, tc := range map[string]struct {
		change func(*nexus.Hall)
		code   nexus.Code
		field  string
	}{
		"name taken":    {func(h *nexus.Hall) { h.Name = "SOUTH" }, nexus.Conflict, "name"},
		"no name":       {func(h *nexus.Hall) { h.Name = "" }, nexus.Invalid, "name"},
		"long name":     {func(h *nexus.Hall) { h.Name = strings.Repeat("x", 201) }, nexus.Invalid, "name"},
		"no seats":      {func(h *nexus.Hall) { h.Capacity = 0 }, nexus.Invalid, "capacity"},
		"many seats":    {func(h *nexus.Hall) { h.Capacity = 100_001 }, nexus.Invalid, "capacity"},
		"endless seats": {func(h *nexus.Hall) { h.Capacity = math.MaxInt }, nexus.Invalid, "capacity"},
		"no service":    {func(h *nexus.Hall) { h.ServiceRatePerMin = 0 }, nexus.Invalid, "serviceRatePerMin"},
		"NaN":           {func(h *nexus.Hall) { h.ServiceRatePerMin = math.NaN() }, nexus.Invalid, "serviceRatePerMin"},
		"infinity":      {func(h *nexus.Hall) { h.ServiceRatePerMin = math.Inf(1) }, nexus.Invalid, "serviceRatePerMin"},
		"no dwelling":   {func(h *nexus.Hall) { h.DwellMin = 0 }, nexus.Invalid, "dwellMin"},
		"a day":         {func(h *nexus.Hall) { h.DwellMin = 1441 }, nexus.Invalid, "dwellMin"},
		"no zone":       {func(h *nexus.Hall) { h.TZ = "" }, nexus.Invalid, "tz"},
		"this machine":  {func(h *nexus.Hall) { h.TZ = "Local" }, nexus.Invalid, "tz"},
		"nowhere":       {func(h *nexus.Hall) { h.TZ = "Mars/Base" }, nexus.Invalid, "tz"},
		"a file":        {func(h *nexus.Hall) { h.TZ = "../etc/passwd" }, nexus.Invalid, "tz"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := h
			tc.change(&wrong)
			_, err := s.PutHall(t.Context(), system, 0, wrong)
			onField(t, err, tc.code, tc.field)
		})
	}
	_, err := s.CreateHall(t.Context(), system, nexus.Hall{Name: "One", Capacity: 1, ServiceRatePerMin: 1, DwellMin: 1, TZ: "UTC", Default: true})
	ok(t, err)
	_, err = s.CreateHall(t.Context(), system, nexus.Hall{Name: "Two", Capacity: 1, ServiceRatePerMin: 1, DwellMin: 1, TZ: "UTC", Default: true})
	onField(t, err, nexus.Conflict, "default")
	if got, err := s.Hall(t.Context(), h.ID); err != nil || got != h {
		t.Fatalf("%+v %v", got, err)
	}
}

func TestHistoryIsMeansOverSteps(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	h, f := claimed(t, db, "North")
	start := noon.Truncate(time.Hour)
	var samples []mess.Sample
	for i, n := range map[int]int{0: 10, 1: 20, 4: 40, 5: 50, 14: 60, 60: 99} {
		samples = append(samples, mess.Sample{Minute: start.Add(time.Duration(i) * time.Minute), Occupancy: n})
	}
	ok(t, pg.NewHall(db).Save(t.Context(), f, 1, nil, samples))
	got, err := s.History(t.Context(), h.ID, start, start.Add(time.Hour), 5*time.Minute)
	ok(t, err)
	want := []nexus.CrowdSample{
		{At: start, Occupancy: 70.0 / 3, Max: 40},
		{At: start.Add(5 * time.Minute), Occupancy: 50, Max: 50},
		{At: start.Add(10 * time.Minute), Occupancy: 60, Max: 60},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i].At != want[i].At || math.Abs(got[i].Occupancy-want[i].Occupancy) > 1e-9 || got[i].Max != want[i].Max {
			t.Errorf("step %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	// Steps begin at from.
	got, err = s.History(t.Context(), h.ID, start.Add(time.Minute), start.Add(5*time.Minute), 4*time.Minute)
	if err != nil || len(got) != 1 || got[0].At != start.Add(time.Minute) || got[0].Occupancy != 30 {
		t.Fatalf("%+v %v", got, err)
	}
	if got, err = s.History(t.Context(), h.ID, start, start, time.Minute); err != nil || got == nil || len(got) != 0 {
		t.Fatalf("%+v %v", got, err)
	}
	for _, step := range []time.Duration{0, -time.Minute, time.Second, 90 * time.Second} {
		_, err = s.History(t.Context(), h.ID, start, start.Add(time.Hour), step)
		onField(t, err, nexus.Invalid, "step")
	}
	_, err = s.History(t.Context(), h.ID, start, start.Add(10_000*time.Minute), time.Minute)
	onField(t, err, nexus.Invalid, "step")
	_, err = s.History(t.Context(), nexus.HallID(nexus.NewID()), start, start.Add(time.Hour), time.Minute)
	code(t, err, nexus.NotFound)
}
