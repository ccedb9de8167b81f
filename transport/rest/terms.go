package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

var tagAcademic = []string{"academic"}

func (a *API) termRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/terms", Tags: tagAcademic,
		Summary: "All terms, the latest first",
	}, anyUser(), a.terms)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/terms/{term}", Tags: tagAcademic,
		Summary: "One term",
	}, anyUser(), a.term)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/terms", DefaultStatus: http.StatusCreated, Tags: tagAcademic,
		Summary: "Make a term", Description: "Days are both included, and mean the zone's. Nothing meets on holidays.",
	}, roles(nexus.Admin), a.createTerm)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/terms/{term}", Tags: tagAcademic,
		Summary: "Change a term",
	}, roles(nexus.Admin), a.putTerm)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/rooms", Tags: tagAcademic,
		Summary: "Rooms, by block and number",
	}, anyUser(), a.rooms)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/rooms", DefaultStatus: http.StatusCreated, Tags: tagAcademic,
		Summary: "Make a room", Description: "With a place and a fence, classes in it may ask where a student is who marks attendance.",
	}, roles(nexus.Admin), a.createRoom)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/rooms/{id}", Tags: tagAcademic,
		Summary: "Change a room",
	}, roles(nexus.Admin), a.putRoom)
}

func (a *API) terms(ctx context.Context, _ *struct{}) (*Answer[nexus.List[nexus.Term]], error) {
	terms, err := a.Catalogue.Terms(ctx)
	return answer(nexus.List[nexus.Term]{Items: terms}, err)
}

// ByTerm adds the term of the path.
type ByTerm struct {
	Term string `path:"term" minLength:"1" maxLength:"40" doc:"The term's id, such as 2026-autumn"`
}

func (a *API) term(ctx context.Context, in *ByTerm) (*Versioned[nexus.Term], error) {
	t, err := a.Catalogue.Term(ctx, nexus.TermID(in.Term))
	return versioned(t, t.Version, err)
}

// TermPlan is a term as the office sets it.
type TermPlan struct {
	Name     string        `json:"name" minLength:"1" maxLength:"200"`
	StartsOn string        `json:"startsOn" format:"date" minLength:"10" maxLength:"10"`
	EndsOn   string        `json:"endsOn" format:"date" minLength:"10" maxLength:"10" doc:"Included; at most a year later"`
	TZ       string        `json:"tz" minLength:"1" maxLength:"60" doc:"IANA zone, such as Asia/Kolkata"`
	Holidays []HolidayPlan `json:"holidays,omitempty" maxItems:"200"`
}

// HolidayPlan is a day on which nothing meets.
type HolidayPlan struct {
	Day  string `json:"day" format:"date" minLength:"10" maxLength:"10"`
	Name string `json:"name" minLength:"1" maxLength:"200"`
}

func (p TermPlan) term(id string) nexus.Term {
	t := nexus.Term{ID: nexus.TermID(id), Name: p.Name, StartsOn: p.StartsOn, EndsOn: p.EndsOn, TZ: p.TZ, Holidays: make([]nexus.Holiday, len(p.Holidays))}
	for i, h := range p.Holidays {
		t.Holidays[i] = nexus.Holiday(h)
	}
	return t
}

type createTermInput struct {
	Idempotent
	Body struct {
		ID string `json:"id" pattern:"^[A-Za-z0-9][A-Za-z0-9_.-]*$" minLength:"1" maxLength:"40" doc:"Such as 2026-autumn; it never changes"`
		TermPlan
	}
}

func (a *API) createTerm(ctx context.Context, in *createTermInput) (*Versioned[nexus.Term], error) {
	t, err := a.Catalogue.CreateTerm(ctx, caller(ctx), in.Body.term(in.Body.ID))
	return versioned(t, t.Version, err)
}

type putTermInput struct {
	ByTerm
	Conditional
	Body TermPlan
}

func (a *API) putTerm(ctx context.Context, in *putTermInput) (*Versioned[nexus.Term], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	t, err := a.Catalogue.PutTerm(ctx, caller(ctx), version, in.Body.term(in.Term))
	return versioned(t, t.Version, err)
}

func (a *API) rooms(ctx context.Context, in *Paged) (*Answer[nexus.List[nexus.Room]], error) {
	return answer(a.Catalogue.Rooms(ctx, in.page()))
}

// RoomPlan is a room as the office sets it.
type RoomPlan struct {
	BlockCode string     `json:"blockCode" minLength:"1" maxLength:"20"`
	BlockName string     `json:"blockName" minLength:"1" maxLength:"200"`
	Number    string     `json:"number" minLength:"1" maxLength:"40"`
	Place     *RoomPlace `json:"place,omitempty"`
	FenceM    *int       `json:"fenceM,omitempty" minimum:"5" maximum:"10000" doc:"Metres around the place that count as there"`
}

// RoomPlace is where a room is, in degrees (WGS 84).
type RoomPlace struct {
	Lat float64 `json:"lat" minimum:"-90" maximum:"90"`
	Lng float64 `json:"lng" minimum:"-180" maximum:"180"`
}

func (p RoomPlan) room(id string) (nexus.Room, error) {
	if p.FenceM != nil && p.Place == nil {
		return nexus.Room{}, nexus.InvalidField("place", "is needed for a fence")
	}
	r := nexus.Room{ID: nexus.RoomID(id), BlockCode: p.BlockCode, BlockName: p.BlockName, Number: p.Number, FenceM: p.FenceM}
	if p.Place != nil {
		r.Place = &nexus.Position{Lat: p.Place.Lat, Lng: p.Place.Lng}
	}
	return r, nil
}

type createRoomInput struct {
	Idempotent
	Body RoomPlan
}

func (a *API) createRoom(ctx context.Context, in *createRoomInput) (*Versioned[nexus.Room], error) {
	r, err := in.Body.room("")
	if err != nil {
		return nil, err
	}
	r, err = a.Catalogue.CreateRoom(ctx, caller(ctx), r)
	return versioned(r, r.Version, err)
}

type putRoomInput struct {
	ByID
	Conditional
	Body RoomPlan
}

func (a *API) putRoom(ctx context.Context, in *putRoomInput) (*Versioned[nexus.Room], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	r, err := in.Body.room(in.ID)
	if err != nil {
		return nil, err
	}
	r, err = a.Catalogue.PutRoom(ctx, caller(ctx), version, r)
	return versioned(r, r.Version, err)
}
