package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

// The routes of the original web client. It knows one hall: without `hall` they speak of the default one.
func (m *mess) originalMessRoutes() {
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/today", Tags: tagMess,
		Summary: "Today's menus in the original shape",
		Description: "One entry per meal, in the order of the day. `mealType`, `items` (names), `startTime` and `endTime` (HH:mm in the hall's " +
			"zone) are what the original client reads; the rest is our menu, its dishes in full under `dishes`.",
	}, public(), m.today)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/live-status", Tags: tagMess,
		Summary: "How full the hall is, in the original shape",
	}, public(), m.liveStatus)
	handle(m.API, huma.Operation{
		Method: http.MethodPost, Path: "/mess/rate", Tags: tagMess,
		Summary: "Rate a menu, in the original shape",
	}, anyUser(), m.rateOriginal)
	handle(m.API, huma.Operation{
		Method: http.MethodPost, Path: "/mess/update", Tags: tagMess,
		Summary:     "Report by eye how full the hall is",
		Description: "Counts as an absolute count. A stated wait is shown until the next event, ten minutes at most.",
	}, roles(nexus.MessStaff), m.update)
}

// InHall adds the choice of a hall.
type InHall struct {
	Hall string `query:"hall" format:"uuid" maxLength:"36" doc:"A hall's id; the default hall if left out"`
}

// TodaysMenu is one meal of today.
type TodaysMenu struct {
	ID        nexus.MenuID     `json:"id"`
	HallID    nexus.HallID     `json:"hallId"`
	Hall      string           `json:"hall" doc:"The hall's name"`
	Date      string           `json:"date"`
	MealType  nexus.Meal       `json:"mealType"`
	Meal      nexus.Meal       `json:"meal" doc:"The same as mealType"`
	StartTime string           `json:"startTime" doc:"HH:mm in the hall's zone"`
	EndTime   string           `json:"endTime" doc:"HH:mm in the hall's zone"`
	OpensAt   time.Time        `json:"opensAt"`
	ClosesAt  time.Time        `json:"closesAt"`
	Items     []string         `json:"items" doc:"The dishes' names"`
	Dishes    []nexus.MenuItem `json:"dishes"`
	Totals    nexus.Nutrition  `json:"totals"`
	Allergens []string         `json:"allergens"`
	Diet      string           `json:"diet"`
	Version   int64            `json:"version"`
}

func (m *mess) today(ctx context.Context, in *InHall) (*Answer[success[[]TodaysMenu]], error) {
	h, err := m.pickHall(ctx, in.Hall)
	if err != nil {
		return nil, err
	}
	date := today(h, time.Now())
	menus, err := m.Menus.Menus(ctx, h.ID, date, date)
	data := make([]TodaysMenu, len(menus))
	for i, menu := range menus {
		data[i] = original(h, menu)
	}
	return answer(success[[]TodaysMenu]{Success: true, Data: data}, err)
}

// original is a menu in the original shape.
func original(h nexus.Hall, m nexus.Menu) TodaysMenu {
	names := make([]string, len(m.Items))
	for i, item := range m.Items {
		names[i] = item.Name
	}
	const clock = "15:04"
	return TodaysMenu{
		ID: m.ID, HallID: h.ID, Hall: h.Name, Date: m.Date, MealType: m.Meal, Meal: m.Meal,
		StartTime: m.OpensAt.In(zone(h)).Format(clock), EndTime: m.ClosesAt.In(zone(h)).Format(clock), OpensAt: m.OpensAt, ClosesAt: m.ClosesAt,
		Items: names, Dishes: m.Items, Totals: m.Totals, Allergens: m.Allergens, Diet: m.Diet, Version: m.Version,
	}
}

// LiveStatus is a crowd in the original shape.
type LiveStatus struct {
	Level    int    `json:"level" doc:"0-100"`
	Status   string `json:"status" enum:"Low,Moderate,High"`
	WaitTime string `json:"waitTime" doc:"Such as 10 mins"`
}

func statusOf(c nexus.Crowd) LiveStatus {
	return LiveStatus{Level: c.Level, Status: c.Status, WaitTime: c.WaitTime}
}

func (m *mess) liveStatus(ctx context.Context, in *InHall) (*Answer[LiveStatus], error) {
	h, err := m.pickHall(ctx, in.Hall)
	if err != nil {
		return nil, err
	}
	c, err := m.LiveHalls.Live(ctx, h.ID)
	return answer(statusOf(c), err)
}

type rateOriginalInput struct {
	Idempotent
	Body struct {
		MenuID  string `json:"menuId" format:"uuid" minLength:"36" maxLength:"36"`
		Rating  int    `json:"rating" minimum:"1" maximum:"5"`
		Comment string `json:"comment,omitempty" maxLength:"2000" text:"lines"`
	}
}

func (m *mess) rateOriginal(ctx context.Context, in *rateOriginalInput) (*Answer[Done], error) {
	_, err := m.Menus.Rate(ctx, caller(ctx), nexus.MenuID(in.Body.MenuID), in.Body.Rating, in.Body.Comment)
	return answer(Done{Success: true, Message: "Thank you for your feedback"}, err)
}

type updateInput struct {
	InHall
	Body struct {
		Level    Level `json:"level"`
		WaitTime *Wait `json:"waitTime,omitempty"`
	}
}

// Updated is the answer to a report by eye.
type Updated struct {
	Success bool       `json:"success"`
	Stats   LiveStatus `json:"stats"`
}

func (m *mess) update(ctx context.Context, in *updateInput) (*Answer[Updated], error) {
	h, err := m.pickHall(ctx, in.Hall)
	if err != nil {
		return nil, err
	}
	wait := -1
	if in.Body.WaitTime != nil {
		wait = in.Body.WaitTime.minutes
	}
	c, err := m.LiveHalls.Report(ctx, caller(ctx).User, h.ID, in.Body.Level.percent, wait)
	return answer(Updated{Success: true, Stats: statusOf(c)}, err)
}
