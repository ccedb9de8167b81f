package demo

import (
	"context"
	"time"

	"nexus"
)

// zone is where the demo campus lies.
const zone = "Asia/Kolkata"

// hall is one of the demo halls. One seat turns over in dwell minutes; more people than the counters
// serve in that time have to wait.
type hall struct {
	name     string
	capacity int
	rate     float64 // people served in a minute
	dwell    int     // minutes
	main     bool    // the default hall
}

var demoHalls = []hall{
	{"North", 300, 8, 25, false},
	{"South", 240, 7, 24, false},
	{"Central", 420, 12, 26, true},
}

// halls adds the halls that are missing. A campus that has chosen its default hall keeps it.
func (s seeder) halls(ctx context.Context) (int64, error) {
	return s.insert(ctx, `
insert into mess_hall (id, name, capacity, service_rate_per_min, dwell_min, tz, is_default)
select i.id, i.name, i.capacity, i.rate, i.dwell, $7, i.main and not exists (select from mess_hall where is_default)
from unnest($1::uuid[], $2::text[], $3::int[], $4::float8[], $5::int[], $6::bool[]) as i(id, name, capacity, rate, dwell, main)
on conflict do nothing`,
		ids(len(demoHalls)), each(demoHalls, func(h hall) string { return h.name }), each(demoHalls, func(h hall) int { return h.capacity }),
		each(demoHalls, func(h hall) float64 { return h.rate }), each(demoHalls, func(h hall) int { return h.dwell }),
		each(demoHalls, func(h hall) bool { return h.main }), zone)
}

// The fortnight: a week back, today, and six days ahead.
const (
	daysBack  = 7
	daysAhead = 6
)

// serving is how a meal is served: when, and a dish of which course at which station. A course that
// is named twice gives two dishes.
type serving struct {
	meal          nexus.Meal
	opens, closes time.Duration // since midnight
	courses       []string
	stations      []string
}

var servings = []serving{
	{
		nexus.Breakfast, 7*time.Hour + 30*time.Minute, 9*time.Hour + 30*time.Minute,
		[]string{"tiffin", "tiffin", "side", "side", "fruit", "drink"},
		[]string{"Griddle", "Griddle", "Counter 1", "Counter 1", "Fruit bar", "Beverages"},
	},
	{
		nexus.Lunch, 12 * time.Hour, 14*time.Hour + 30*time.Minute,
		[]string{"rice", "bread", "dal", "vegetable", "vegetable", "salad", "salad", "drink"},
		[]string{"Counter 1", "Tandoor", "Counter 1", "Counter 2", "Counter 2", "Salad bar", "Salad bar", "Beverages"},
	},
	{
		nexus.Snacks, 17 * time.Hour, 18 * time.Hour,
		[]string{"snack", "snack", "drink"},
		[]string{"Fry station", "Fry station", "Beverages"},
	},
	{
		nexus.Dinner, 19*time.Hour + 30*time.Minute, 21*time.Hour + 30*time.Minute,
		[]string{"rice", "bread", "dal", "vegetable", "meat", "salad", "sweet"},
		[]string{"Counter 1", "Tandoor", "Counter 1", "Counter 2", "Grill", "Salad bar", "Dessert"},
	},
}

// serve picks the dishes of a meal. Each course goes round its dishes day by day; halls are some days apart, and so are
// the meals, so that no two kitchens cook the same.
func serve(v serving, hall, meal, day int) []string {
	var names []string
	turns := map[string]int{}
	for _, course := range v.courses {
		dishes := catalogue[course]
		names = append(names, dishes[(day+3*hall+meal+turns[course])%len(dishes)].name)
		turns[course]++
	}
	return names
}

// menuRows are the columns of menus and of their items.
type menuRows struct {
	ids, halls, dates, meals []string
	opens, closes            []time.Time
	itemMenus, itemDishes    []string
	itemStations             []string
	itemPositions            []int
}

// menus adds the menus of the fortnight that are missing.
func (s seeder) menus(ctx context.Context) (int64, error) {
	r, err := fortnight(s.now)
	if err != nil {
		return 0, err
	}
	return s.insert(ctx, `
with input as (
    select * from unnest($1::uuid[], $2::text[], $3::date[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    as i(id, hall, serve_date, meal, opens_at, closes_at)
), made as (
    insert into mess_menu (id, hall_id, serve_date, meal, opens_at, closes_at)
    select i.id, h.id, i.serve_date, i.meal, i.opens_at, i.closes_at from input i join mess_hall h on lower(h.name) = lower(i.hall)
    on conflict do nothing returning id
), item as (
    insert into mess_menu_item (menu_id, dish_id, station, position)
    select made.id, d.id, i.station, i.position
    from unnest($7::uuid[], $8::text[], $9::text[], $10::int[]) as i(menu_id, dish, station, position)
    join made on made.id = i.menu_id join dish d on lower(d.name) = lower(i.dish)
)
select from made`,
		r.ids, r.halls, r.dates, r.meals, r.opens, r.closes, r.itemMenus, r.itemDishes, r.itemStations, r.itemPositions)
}

// fortnight lays out every menu around now.
func fortnight(now time.Time) (menuRows, error) {
	var r menuRows
	place, err := time.LoadLocation(zone)
	if err != nil {
		return r, err
	}
	now = now.In(place)
	for offset := -daysBack; offset <= daysAhead; offset++ {
		midnight := time.Date(now.Year(), now.Month(), now.Day()+offset, 0, 0, 0, 0, place)
		day := int(midnight.Unix()/86_400) + 1
		for h, hall := range demoHalls {
			for m, v := range servings {
				id := nexus.NewID()
				r.ids, r.halls, r.meals = append(r.ids, id), append(r.halls, hall.name), append(r.meals, string(v.meal))
				r.dates = append(r.dates, midnight.Format(time.DateOnly))
				r.opens, r.closes = append(r.opens, midnight.Add(v.opens)), append(r.closes, midnight.Add(v.closes))
				for i, name := range serve(v, h, m, day) {
					r.itemMenus, r.itemDishes = append(r.itemMenus, id), append(r.itemDishes, name)
					r.itemStations, r.itemPositions = append(r.itemStations, v.stations[i]), append(r.itemPositions, i)
				}
			}
		}
	}
	return r, nil
}
