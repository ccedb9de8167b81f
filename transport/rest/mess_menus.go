package rest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	hallgrain "nexus/actors/mess"
)

// maxMenuDays bounds one request for menus.
const maxMenuDays = 32

func (m *mess) menuRoutes() {
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/halls/{id}/menus", Tags: tagMess,
		Summary:     "A hall's menus",
		Description: "In order of day and meal, 32 days at most. Without `from` they begin today in the hall's zone; without `to` they cover a week.",
	}, public(), m.menus)
	handle(m.API, huma.Operation{
		Method: http.MethodPut, Path: "/mess/halls/{id}/menus/{date}/{meal}", Tags: tagMess,
		Summary: "Make or replace a menu",
		Description: "A dish is known by its name: one that the catalogue has is changed where fields are given, one that it lacks is added. " +
			"Ratings that the menu has got stay. Live clients hear MENU_UPDATE.",
	}, roles(nexus.MessStaff, nexus.Admin), m.putMenu)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/dishes", Tags: tagMess,
		Summary: "The catalogue of dishes, by name",
	}, public(), m.dishes)
	handle(m.API, huma.Operation{
		Method: http.MethodPost, Path: "/mess/menus/{id}/ratings", Tags: tagMess,
		Summary:     "Rate a menu",
		Description: "Each person has one rating of a menu; a second one takes the place of the first. A menu that has not opened yet cannot be rated.",
	}, anyUser(), m.rate)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/menus/{id}/ratings/summary", Tags: tagMess,
		Summary: "What a menu's ratings come to",
	}, public(), m.ratings)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/analytics/sentiment", Tags: tagMess,
		Summary: "How comments on menus are meant, from -1 to 1, and by which words",
		Description: "By hall, by day, or by dish: of the comments that name it. Each comment is scored by a local method when it is made. Without `from` and `to` it is the " +
			"last 30 days; at most 366.",
	}, roles(nexus.MessStaff, nexus.Admin), m.sentiment)
}

type menusInput struct {
	ByID
	From string `query:"from" format:"date" maxLength:"10" doc:"First day"`
	To   string `query:"to" format:"date" maxLength:"10" doc:"Last day, included"`
}

func (m *mess) menus(ctx context.Context, in *menusInput) (*Answer[nexus.List[nexus.Menu]], error) {
	h, err := m.Halls.Hall(ctx, nexus.HallID(in.ID))
	if err != nil {
		return nil, err
	}
	from, to, err := menuDays(in.From, in.To, today(h, time.Now()))
	if err != nil {
		return nil, err
	}
	menus, err := m.Menus.Menus(ctx, h.ID, from, to)
	return answer(nexus.List[nexus.Menu]{Items: menus}, err)
}

// menuDays fills the gaps of a range of days and holds it to its bounds.
func menuDays(from, to, today string) (string, string, error) {
	if from == "" {
		from = today
	}
	first, err := day("from", from)
	if err != nil {
		return "", "", err
	}
	if to == "" {
		to = first.AddDate(0, 0, 6).Format(time.DateOnly)
	}
	last, err := day("to", to)
	switch {
	case err != nil:
		return "", "", err
	case last.Before(first):
		return "", "", nexus.InvalidField("to", "is before from")
	case last.After(first.AddDate(0, 0, maxMenuDays-1)):
		return "", "", nexus.InvalidField("to", "at most %d days from from", maxMenuDays)
	}
	return from, to, nil
}

// day reads a date of this age; the calendars of dates far off are nobody's business here.
func day(field, s string) (time.Time, error) {
	d, err := time.Parse(time.DateOnly, s)
	if err != nil || d.Year() < 2000 || d.Year() >= 2200 {
		return time.Time{}, nexus.InvalidField(field, "expected a date such as 2026-01-31")
	}
	return d, nil
}

// today is the day of now in the hall's zone.
func today(h nexus.Hall, now time.Time) string { return now.In(zone(h)).Format(time.DateOnly) }

// zone is the hall's. Zones are checked when they are set; should the system have lost one, UTC serves.
func zone(h nexus.Hall) *time.Location {
	if z, err := time.LoadLocation(h.TZ); err == nil {
		return z
	}
	return time.UTC
}

// PlannedDish is a dish as staff put it on a menu. What is left out stays as the catalogue has it.
type PlannedDish struct {
	Name      string           `json:"name" minLength:"1" maxLength:"120"`
	Diet      string           `json:"diet,omitempty" enum:"VEGAN,VEG,EGG,NONVEG" doc:"Needed for a dish that the catalogue does not have yet"`
	ServingG  *float64         `json:"servingG,omitempty" minimum:"0" maximum:"10000"`
	Nutrition PlannedNutrition `json:"nutrition,omitzero"`
	Allergens []string         `json:"allergens,omitempty" maxItems:"20" minLength:"1" maxLength:"60"`
	Station   string           `json:"station,omitempty" maxLength:"60" doc:"The counter where it is served"`
}

// PlannedNutrition is what a serving holds, as far as it is known.
type PlannedNutrition struct {
	KCal     *float64 `json:"kcal,omitempty" minimum:"0" maximum:"20000"`
	ProteinG *float64 `json:"proteinG,omitempty" minimum:"0" maximum:"5000"`
	CarbsG   *float64 `json:"carbsG,omitempty" minimum:"0" maximum:"5000"`
	FatG     *float64 `json:"fatG,omitempty" minimum:"0" maximum:"5000"`
	SodiumMg *float64 `json:"sodiumMg,omitempty" minimum:"0" maximum:"100000"`
}

type putMenuInput struct {
	ByID
	Date string `path:"date" format:"date" maxLength:"10" doc:"In the hall's zone"`
	Meal string `path:"meal" enum:"BREAKFAST,LUNCH,SNACKS,DINNER"`
	Body struct {
		OpensAt  time.Time     `json:"opensAt" doc:"On the menu's date in the hall's zone"`
		ClosesAt time.Time     `json:"closesAt" doc:"After opensAt, by 12 hours at most"`
		Items    []PlannedDish `json:"items" minItems:"1" maxItems:"60"`
	}
}

func (m *mess) putMenu(ctx context.Context, in *putMenuInput) (*Versioned[nexus.Menu], error) {
	h, err := m.Halls.Hall(ctx, nexus.HallID(in.ID))
	if err != nil {
		return nil, err
	}
	plan, err := in.plan(h)
	if err != nil {
		return nil, err
	}
	menu, err := m.Menus.PutMenu(ctx, caller(ctx), h.ID, in.Date, nexus.Meal(in.Meal), plan)
	if err != nil {
		return nil, err
	}
	m.Publisher.Publish(hallgrain.Topic(h.ID), hallgrain.Namespace, hallgrain.MenuUpdate, "",
		MenuUpdate{HallID: h.ID, Date: menu.Date, Meal: menu.Meal, Version: menu.Version})
	return versioned(menu, menu.Version, nil)
}

// plan checks what the schema cannot: that the times belong to the day, and that no dish comes twice.
func (in *putMenuInput) plan(h nexus.Hall) (nexus.MenuPlan, error) {
	b := in.Body
	if _, err := day("date", in.Date); err != nil {
		return nexus.MenuPlan{}, err
	}
	switch {
	case b.OpensAt.In(zone(h)).Format(time.DateOnly) != in.Date:
		return nexus.MenuPlan{}, nexus.InvalidField("opensAt", "is not on %s in %s", in.Date, h.TZ)
	case !b.ClosesAt.After(b.OpensAt):
		return nexus.MenuPlan{}, nexus.InvalidField("closesAt", "is not after opensAt")
	case b.ClosesAt.Sub(b.OpensAt) > 12*time.Hour:
		return nexus.MenuPlan{}, nexus.InvalidField("closesAt", "is more than 12 hours after opensAt")
	}
	plan := nexus.MenuPlan{OpensAt: b.OpensAt, ClosesAt: b.ClosesAt}
	seen := map[string]bool{}
	for i, d := range b.Items {
		name := strings.ToLower(nexus.DishName(d.Name))
		if seen[name] {
			return nexus.MenuPlan{}, nexus.InvalidField(fmt.Sprintf("items[%d].name", i), "is on the menu already")
		}
		seen[name] = true
		plan.Items = append(plan.Items, nexus.MenuItem{Station: d.Station, Dish: nexus.Dish{
			Name: d.Name, Diet: d.Diet, ServingG: d.ServingG, Nutrition: nexus.Nutrition(d.Nutrition), Allergens: d.Allergens,
		}})
	}
	return plan, nil
}

type dishesInput struct {
	Paged
	Query string `query:"q" maxLength:"100" doc:"Part of the name"`
}

func (m *mess) dishes(ctx context.Context, in *dishesInput) (*Answer[nexus.List[nexus.Dish]], error) {
	return answer(m.Menus.Dishes(ctx, in.Query, in.page()))
}

type rateInput struct {
	ByID
	Idempotent
	Body struct {
		Stars   int    `json:"stars" minimum:"1" maximum:"5"`
		Comment string `json:"comment,omitempty" maxLength:"2000" text:"lines"`
	}
}

func (m *mess) rate(ctx context.Context, in *rateInput) (*Answer[nexus.Rating], error) {
	return answer(m.Menus.Rate(ctx, caller(ctx), nexus.MenuID(in.ID), in.Body.Stars, in.Body.Comment))
}

func (m *mess) ratings(ctx context.Context, in *ByID) (*Answer[nexus.RatingSummary], error) {
	return answer(m.Menus.Ratings(ctx, nexus.MenuID(in.ID)))
}

type sentimentInput struct {
	By   string `query:"by" enum:"hall,dish,day" default:"hall"`
	From string `query:"from" format:"date" maxLength:"10" doc:"The first day; 30 days before to if left out"`
	To   string `query:"to" format:"date" maxLength:"10" doc:"The last day; today if left out"`
}

// maxSentimentDays bounds what is summed up at once.
const maxSentimentDays = 366

func (m *mess) sentiment(ctx context.Context, in *sentimentInput) (*Answer[nexus.List[nexus.Sentiment]], error) {
	to, err := dayOr("to", in.To, time.Now())
	if err != nil {
		return nil, err
	}
	from, err := dayOr("from", in.From, to.AddDate(0, 0, -30))
	if err != nil {
		return nil, err
	}
	if from.After(to) || to.Sub(from) > maxSentimentDays*24*time.Hour {
		return nil, nexus.InvalidField("from", "is after to, or more than %d days before it", maxSentimentDays)
	}
	list, err := m.Menus.Sentiments(ctx, in.By, from.Format(time.DateOnly), to.Format(time.DateOnly))
	return answer(nexus.List[nexus.Sentiment]{Items: list}, err)
}

func dayOr(field, text string, usual time.Time) (time.Time, error) {
	if text == "" {
		return usual, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, nexus.InvalidField(field, "expected a date such as 2026-01-31")
	}
	return day, nil
}
