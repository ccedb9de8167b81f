package pg_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func dish(name, diet string, kcal float64, allergens ...string) nexus.MenuItem {
	return nexus.MenuItem{Dish: nexus.Dish{
		Name: name, Diet: diet, ServingG: ptr(100.0), Allergens: allergens,
		Nutrition: nexus.Nutrition{KCal: &kcal, ProteinG: ptr(1.5)},
	}, Station: "counter"}
}

func plan(items ...nexus.MenuItem) nexus.MenuPlan {
	return nexus.MenuPlan{OpensAt: noon, ClosesAt: noon.Add(2 * time.Hour), Items: items}
}

func TestPutMenuMakesAndReplaces(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	h := newHall(t, db, "North")
	made, err := s.PutMenu(t.Context(), system, h.ID, "2026-03-04", nexus.Lunch,
		plan(dish("Rajma", nexus.Vegan, 200), dish("Paneer", nexus.Veg, 300.5, "milk")))
	ok(t, err)
	if made.Version != 1 || made.Date != "2026-03-04" || made.Meal != nexus.Lunch || made.HallID != h.ID || !made.OpensAt.Equal(noon) ||
		len(made.Items) != 2 || made.Items[0].Name != "Rajma" || made.Items[1].Station != "counter" ||
		*made.Totals.KCal != 500.5 || *made.Totals.ProteinG != 3 || made.Totals.FatG != nil || made.Diet != nexus.Veg || !slices.Equal(made.Allergens, []string{"milk"}) {
		t.Fatalf("made: %+v", made)
	}
	u := newUser(t, db, "asha")
	exec(t, db.Pool(), `update mess_menu set opens_at = now() - interval '1 hour', closes_at = now()`)
	_, err = s.Rate(t.Context(), nexus.Caller{User: u.ID}, made.ID, 4, "fine")
	ok(t, err)
	again, err := s.PutMenu(t.Context(), system, h.ID, "2026-03-04", nexus.Lunch, plan(dish("Egg curry", nexus.Egg, 250, "egg"), nexus.MenuItem{Dish: nexus.Dish{Name: " RAJMA "}}))
	ok(t, err)
	if again.ID != made.ID || again.Version != 2 || len(again.Items) != 2 || again.Items[0].Name != "Egg curry" ||
		again.Items[1].ID != made.Items[0].ID || again.Items[1].Name != "Rajma" || again.Items[1].Diet != nexus.Vegan || *again.Totals.KCal != 450 || again.Diet != nexus.Egg {
		t.Fatalf("replaced: %+v", again)
	}
	if r, err := s.Ratings(t.Context(), made.ID); err != nil || r.Count != 1 {
		t.Fatalf("ratings: %+v %v", r, err)
	}
	log, err := pg.NewAuditLog(db).Entries(t.Context(), nexus.AuditFilter{Entity: "menu"}, nexus.Page{})
	ok(t, err)
	if len(log.Items) != 2 || log.Items[0].Action != "menu.change" || !strings.Contains(fmt.Sprintf("%s", log.Items[0].Before), "Paneer") ||
		strings.Contains(fmt.Sprintf("%s", log.Items[0].After), "Paneer") || log.Items[1].Before != nil {
		t.Fatalf("audit: %+v", log.Items)
	}
	empty, err := s.PutMenu(t.Context(), system, h.ID, "2026-03-04", nexus.Lunch, plan())
	if err != nil || empty.Items == nil || len(empty.Items) != 0 || empty.Diet != "" || *empty.Totals.KCal != 0 {
		t.Fatalf("empty: %+v %v", empty, err)
	}
}

func TestDishesAreUpdatedWhereFieldsAreGiven(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	h := newHall(t, db, "North")
	put := func(it nexus.MenuItem) nexus.MenuItem {
		t.Helper()
		m, err := s.PutMenu(t.Context(), system, h.ID, "2026-03-04", nexus.Lunch, plan(it))
		ok(t, err)
		return m.Items[0]
	}
	put(dish("Dal  Makhani", nexus.Veg, 200, "milk", "nuts"))
	got := put(nexus.MenuItem{Dish: nexus.Dish{Name: "dal makhani", Nutrition: nexus.Nutrition{FatG: ptr(0.0)}}})
	if got.Name != "Dal Makhani" || got.Diet != nexus.Veg || *got.ServingG != 100 || *got.Nutrition.KCal != 200 || *got.Nutrition.FatG != 0 ||
		got.Nutrition.CarbsG != nil || !slices.Equal(got.Allergens, []string{"milk", "nuts"}) || got.Station != "" {
		t.Fatalf("%+v", got)
	}
	got = put(nexus.MenuItem{Dish: nexus.Dish{Name: "Dal Makhani", Diet: nexus.Vegan, ServingG: ptr(90.0), Allergens: []string{"soy", "soy"}}})
	if got.Diet != nexus.Vegan || *got.ServingG != 90 || !slices.Equal(got.Allergens, []string{"soy"}) {
		t.Fatalf("%+v", got)
	}
	got = put(nexus.MenuItem{Dish: nexus.Dish{Name: "Dal Makhani", Allergens: []string{}}})
	if got.Allergens == nil || len(got.Allergens) != 0 {
		t.Fatalf("%+v", got)
	}
}

func TestPutMenuRefuses(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	h := newHall(t, db, "North")
	fine := dish("Rajma", nexus.Vegan, 200)
	for name, tc := range map[string]struct {
		day   string
		meal  nexus.Meal
		plan  nexus.MenuPlan
		field string // "" where the database does not name one
	}{
		"no day":          {"2026-02-30", nexus.Lunch, plan(fine), "date"},
		"far away":        {"2300-01-01", nexus.Lunch, plan(fine), "date"},
		"no meal":         {"2026-03-04", "TEA", plan(fine), "meal"},
		"closes first":    {"2026-03-04", nexus.Lunch, nexus.MenuPlan{OpensAt: noon, ClosesAt: noon}, "closesAt"},
		"new, no diet":    {"2026-03-04", nexus.Lunch, plan(fine, dish("Idli", "", 1)), "items[1].diet"},
		"other diet":      {"2026-03-04", nexus.Lunch, plan(dish("Idli", "PALEO", 1)), "items[0].diet"},
		"no name":         {"2026-03-04", nexus.Lunch, plan(fine, dish(" ", nexus.Veg, 1)), "items[1].name"},
		"twice":           {"2026-03-04", nexus.Lunch, plan(fine, dish("Idli", nexus.Veg, 1), dish("RAJMA", nexus.Veg, 1)), "items[2].name"},
		"too many":        {"2026-03-04", nexus.Lunch, plan(make([]nexus.MenuItem, 201)...), "items"},
		"long name":       {"2026-03-04", nexus.Lunch, plan(dish(strings.Repeat("x", 201), nexus.Veg, 1)), "name"},
		"negative energy": {"2026-03-04", nexus.Lunch, plan(dish("Idli", nexus.Veg, -1)), "nutrition.kcal"},
		"NaN":             {"2026-03-04", nexus.Lunch, plan(dish("Idli", nexus.Veg, math.NaN())), "nutrition.kcal"},
		"infinity":        {"2026-03-04", nexus.Lunch, plan(dish("Idli", nexus.Veg, math.Inf(1))), "nutrition.kcal"},
		"allergen":        {"2026-03-04", nexus.Lunch, plan(dish("Idli", nexus.Veg, 1, "")), "allergens"},
		"NUL":             {"2026-03-04", nexus.Lunch, plan(dish("Id\x00li", nexus.Veg, 1)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.PutMenu(t.Context(), system, h.ID, tc.day, tc.meal, tc.plan)
			if tc.field == "" {
				code(t, err, nexus.Invalid)
			} else {
				onField(t, err, nexus.Invalid, tc.field)
			}
		})
	}
	_, err := s.PutMenu(t.Context(), system, nexus.HallID(nexus.NewID()), "2026-03-04", nexus.Lunch, plan())
	code(t, err, nexus.NotFound)
	if n := count(t, db.Pool(), `select (select count(*) from mess_menu) + (select count(*) from dish)`); n != 0 {
		t.Fatalf("%d rows of refused menus", n)
	}
}

func TestMenusAreListedInOrderOfDayAndMeal(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	h, other := newHall(t, db, "North"), newHall(t, db, "South")
	for _, day := range []string{"2026-03-05", "2026-03-04", "2026-03-06"} {
		for _, meal := range []nexus.Meal{nexus.Dinner, nexus.Breakfast, nexus.Snacks, nexus.Lunch} {
			_, err := s.PutMenu(t.Context(), system, h.ID, day, meal, plan(dish(day+string(meal), nexus.Veg, 1)))
			ok(t, err)
		}
	}
	list, err := s.Menus(t.Context(), h.ID, "2026-03-04", "2026-03-05")
	ok(t, err)
	var got []string
	for _, m := range list {
		if len(m.Items) != 1 || m.Items[0].Name != m.Date+string(m.Meal) {
			t.Errorf("items of another menu: %+v", m)
		}
		got = append(got, m.Date[8:]+string(m.Meal[0]))
	}
	if strings.Join(got, " ") != "04B 04L 04S 04D 05B 05L 05S 05D" {
		t.Fatal(got)
	}
	for _, days := range [][2]string{{"2026-04-01", "2026-04-02"}, {"2026-03-06", "2026-03-04"}} {
		if list, err = s.Menus(t.Context(), h.ID, days[0], days[1]); err != nil || list == nil || len(list) != 0 {
			t.Fatalf("%v: %+v %v", days, list, err)
		}
	}
	if list, err = s.Menus(t.Context(), other.ID, "2026-03-04", "2026-03-06"); err != nil || len(list) != 0 {
		t.Fatalf("%+v %v", list, err)
	}
	_, err = s.Menus(t.Context(), nexus.HallID(nexus.NewID()), "2026-03-04", "2026-03-06")
	code(t, err, nexus.NotFound)
	_, err = s.Menus(t.Context(), h.ID, "x", "2026-03-06")
	onField(t, err, nexus.Invalid, "from")
	_, err = s.Menus(t.Context(), h.ID, "2026-03-04", "x")
	onField(t, err, nexus.Invalid, "to")
	_, err = s.Menus(t.Context(), h.ID, "2026-03-04", "2028-03-04")
	onField(t, err, nexus.Invalid, "to")
}

// Eight kitchens write menus of the same new dishes, each in another order.
func TestRacingMenusShareTheCatalogue(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	var halls []nexus.Hall
	for i := range 8 {
		halls = append(halls, newHall(t, db, fmt.Sprint("h", i)))
	}
	for _, err := range race(8, func(i int) error {
		var items []nexus.MenuItem
		for j := range 8 {
			items = append(items, dish(fmt.Sprint("Dish ", (i*3+j)%8), nexus.Veg, float64(j), "milk"))
		}
		_, err := s.PutMenu(t.Context(), system, halls[i].ID, "2026-03-04", nexus.Lunch, plan(items...))
		return err
	}) {
		ok(t, err)
	}
	if n := count(t, db.Pool(), `select count(*) from dish`); n != 8 {
		t.Fatalf("%d dishes", n)
	}
	got := race(8, func(i int) error {
		_, err := s.PutMenu(t.Context(), system, halls[0].ID, "2026-03-04", nexus.Lunch, plan(dish(fmt.Sprint("Dish ", i), "", 1)))
		return err
	})
	for _, err := range got {
		ok(t, err)
	}
	list, err := s.Menus(t.Context(), halls[0].ID, "2026-03-04", "2026-03-04")
	if err != nil || len(list) != 1 || list[0].Version != 9 || len(list[0].Items) != 1 {
		t.Fatalf("%+v %v", list, err)
	}
}

func TestDishesAreSearchedAndPagedByName(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s := pg.NewMess(db)
	h := newHall(t, db, "North")
	names := []string{"100% Fruit", "aloo", "Bhindi", "chole_bhature", "Dal", "égg roll"}
	var items []nexus.MenuItem
	for _, n := range names {
		items = append(items, dish(n, nexus.Veg, 1, "milk"))
	}
	_, err := s.PutMenu(t.Context(), system, h.ID, "2026-03-04", nexus.Lunch, plan(items...))
	ok(t, err)
	for query, want := range map[string]int{"": 6, "BH": 2, "%": 1, "_": 1, "d%l": 0, "ÉGG": 1, `\`: 0, "zzz": 0} {
		list, err := s.Dishes(t.Context(), query, nexus.Page{})
		ok(t, err)
		if len(list.Items) != want || list.Items == nil {
			t.Errorf("%q: %d, want %d", query, len(list.Items), want)
		}
	}
	for _, limit := range []int{1, 2, 6, 0} {
		var got []string
		for p := (nexus.Page{Limit: limit}); ; {
			list, err := s.Dishes(t.Context(), "", p)
			ok(t, err)
			for _, d := range list.Items {
				got = append(got, d.Name)
			}
			if p.After = list.Next; p.After == "" {
				break
			}
		}
		if !slices.Equal(got, names) {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
	_, err = s.Dishes(t.Context(), "", nexus.Page{After: "a\x00"})
	code(t, err, nexus.Invalid)
}
