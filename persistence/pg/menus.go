package pg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pg/sqlcgen"
)

// Bounds of menus.
const (
	maxMenuDays  = 366
	maxMenuItems = 200
)

// Menus lists a hall's menus from one day to another, a year at most. NotFound for an unknown hall.
func (m *Mess) Menus(ctx context.Context, hall nexus.HallID, from, to string) ([]nexus.Menu, error) {
	if err := days(from, to); err != nil {
		return nil, err
	}
	var list []nexus.Menu
	err := m.db.read(ctx, "list menus", func(ctx context.Context, q *sqlcgen.Queries) error {
		if _, err := q.Hall(ctx, string(hall)); err != nil {
			return orNotFound(err, "hall")
		}
		var err error
		list, err = menus(ctx, q, hall, from, to)
		return err
	})
	return list, err
}

func days(from, to string) error {
	if err := date("from", from); err != nil {
		return err
	}
	if err := date("to", to); err != nil {
		return err
	}
	first, _ := time.Parse(time.DateOnly, from) // both were parsed just now
	last, _ := time.Parse(time.DateOnly, to)
	if last.Sub(first) > maxMenuDays*24*time.Hour {
		return nexus.InvalidField("to", "is more than %d days after from", maxMenuDays)
	}
	return nil
}

func menus(ctx context.Context, q *sqlcgen.Queries, hall nexus.HallID, from, to string) ([]nexus.Menu, error) {
	rows, err := q.Menus(ctx, string(hall), from, to)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	items, err := q.MenuItems(ctx, ids)
	if err != nil {
		return nil, err
	}
	served := map[string][]nexus.MenuItem{}
	for _, it := range items {
		served[it.MenuID] = append(served[it.MenuID], nexus.MenuItem{Dish: dishOf(it.Dish, it.Allergens), Station: it.Station})
	}
	list := make([]nexus.Menu, len(rows))
	for i, r := range rows {
		menu := nexus.Menu{
			ID: nexus.MenuID(r.ID), HallID: nexus.HallID(r.HallID), Date: r.ServeDate, Meal: nexus.Meal(r.Meal),
			OpensAt: r.OpensAt, ClosesAt: r.ClosesAt, Items: served[r.ID], Version: r.Version,
		}
		if menu.Items == nil {
			menu.Items = []nexus.MenuItem{}
		}
		menu.Totals, menu.Allergens, menu.Diet = nexus.Sum(menu.Items)
		list[i] = menu
	}
	return list, nil
}

// PutMenu makes or replaces a menu; ratings given to it stay, and so does its id. Dishes are known by
// their name as nexus.DishName writes it, whatever its case: a new one needs a diet and is added to
// the catalogue, a known one is updated where a field is given, for every menu that it is on.
// Nil Allergens leaves them, an empty list says that there are none. The id of an item is ignored.
func (m *Mess) PutMenu(ctx context.Context, by nexus.Caller, hall nexus.HallID, day string, meal nexus.Meal, plan nexus.MenuPlan) (nexus.Menu, error) {
	return mutate(ctx, m.db, "put menu", by, func(ctx context.Context, q *sqlcgen.Queries) (nexus.Menu, error) {
		if err := checkPlan(day, meal, plan); err != nil {
			return nexus.Menu{}, err
		}
		// One writer of a hall's menus at a time, so that the audit log's "before" is what was replaced.
		if _, err := q.LockHall(ctx, string(hall)); err != nil {
			return nexus.Menu{}, orNotFound(err, "hall")
		}
		before, err := menuAt(ctx, q, hall, day, meal)
		if err != nil {
			return nexus.Menu{}, err
		}
		row, err := q.PutMenu(ctx, sqlcgen.PutMenuParams{
			ID: nexus.NewID(), HallID: string(hall), ServeDate: day, Meal: string(meal), OpensAt: plan.OpensAt, ClosesAt: plan.ClosesAt,
		})
		if err != nil {
			return nexus.Menu{}, err
		}
		if err := serve(ctx, q, row.ID, plan.Items); err != nil {
			return nexus.Menu{}, err
		}
		after, err := menuAt(ctx, q, hall, day, meal)
		if err != nil {
			return nexus.Menu{}, err
		}
		if before == nil {
			return *after, audit(ctx, q, by, "menu.create", "menu", row.ID, nil, after)
		}
		return *after, audit(ctx, q, by, "menu.change", "menu", row.ID, before, after)
	})
}

func checkPlan(day string, meal nexus.Meal, plan nexus.MenuPlan) error {
	if err := date("date", day); err != nil {
		return err
	}
	if !slices.Contains(nexus.Meals(), meal) {
		return nexus.InvalidField("meal", "is none")
	}
	if len(plan.Items) > maxMenuItems {
		return nexus.InvalidField("items", "are at most %d", maxMenuItems)
	}
	for i, it := range plan.Items {
		if nexus.DishName(it.Name) == "" {
			return nexus.InvalidField(fmt.Sprintf("items[%d].name", i), "is empty")
		}
	}
	return nil
}

// menuAt returns the one menu, nil if there is none.
func menuAt(ctx context.Context, q *sqlcgen.Queries, hall nexus.HallID, day string, meal nexus.Meal) (*nexus.Menu, error) {
	list, err := menus(ctx, q, hall, day, day)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Meal == meal {
			return &list[i], nil
		}
	}
	return nil, nil
}

// serve puts the items on the menu, in their order.
func serve(ctx context.Context, q *sqlcgen.Queries, menu string, items []nexus.MenuItem) error {
	// Dishes are written in one order by everybody, so that no two menus wait for each other.
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(strings.ToLower(nexus.DishName(items[a].Name)), strings.ToLower(nexus.DishName(items[b].Name)))
	})
	p := sqlcgen.FillMenuParams{
		MenuID: menu, Dishes: make([]string, len(items)), Stations: make([]string, len(items)), Positions: make([]int16, len(items)),
	}
	for _, i := range order {
		id, err := putDish(ctx, q, items[i].Dish, fmt.Sprintf("items[%d]", i))
		if err != nil {
			return err
		}
		if slices.Contains(p.Dishes, id) {
			return nexus.InvalidField(fmt.Sprintf("items[%d].name", i), "is on the menu twice")
		}
		p.Dishes[i], p.Stations[i], p.Positions[i] = id, items[i].Station, int16(i)
	}
	if err := q.ClearMenu(ctx, menu); err != nil {
		return err
	}
	return q.FillMenu(ctx, p)
}

// putDish adds or updates the dish of this name and returns its id. path names it in errors.
func putDish(ctx context.Context, q *sqlcgen.Queries, d nexus.Dish, path string) (string, error) {
	name := nexus.DishName(d.Name)
	known, err := q.DishByName(ctx, name)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", err
	}
	switch {
	case d.Diet == "" && err != nil:
		return "", nexus.InvalidField(path+".diet", "is missing: the catalogue has no %q yet", name)
	case d.Diet == "":
		d.Diet = known.Diet
	case !slices.Contains(nexus.Diets(), d.Diet):
		return "", nexus.InvalidField(path+".diet", "is none")
	}
	n := d.Nutrition
	id, err := q.PutDish(ctx, sqlcgen.PutDishParams{
		ID: nexus.NewID(), Name: name, Diet: d.Diet, ServingG: d.ServingG,
		Kcal: n.KCal, ProteinG: n.ProteinG, CarbsG: n.CarbsG, FatG: n.FatG, SodiumMg: n.SodiumMg,
	})
	if err != nil || d.Allergens == nil {
		return id, err
	}
	if err := q.ClearAllergens(ctx, id); err != nil {
		return "", err
	}
	return id, q.FillAllergens(ctx, id, d.Allergens)
}

// Dishes lists dishes whose name contains query, whatever the case, by name; the cursor is a name.
func (m *Mess) Dishes(ctx context.Context, query string, p nexus.Page) (nexus.List[nexus.Dish], error) {
	var list nexus.List[nexus.Dish]
	limit := limitOf(p)
	err := m.db.do(ctx, "list dishes", func(ctx context.Context, q *sqlcgen.Queries) error {
		rows, err := q.Dishes(ctx, query, p.After, limit+1)
		list = pageOf(rows, limit, func(r sqlcgen.DishesRow) nexus.Dish { return dishOf(r.Dish, r.Allergens) },
			func(d nexus.Dish) string { return d.Name })
		return err
	})
	return list, err
}

func dishOf(r sqlcgen.Dish, allergens []string) nexus.Dish {
	if allergens == nil {
		allergens = []string{}
	}
	return nexus.Dish{
		ID: nexus.DishID(r.ID), Name: r.Name, Diet: r.Diet, ServingG: r.ServingG, Allergens: allergens,
		Nutrition: nexus.Nutrition{KCal: r.Kcal, ProteinG: r.ProteinG, CarbsG: r.CarbsG, FatG: r.FatG, SodiumMg: r.SodiumMg},
	}
}
