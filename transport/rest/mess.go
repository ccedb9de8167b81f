package rest

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

// MenuUpdate is the payload of MENU_UPDATE: a hint to fetch the menu again.
type MenuUpdate struct {
	HallID  nexus.HallID `json:"hallId"`
	Date    string       `json:"date"`
	Meal    nexus.Meal   `json:"meal"`
	Version int64        `json:"version"`
}

// mess serves the halls' routes.
type mess struct {
	*API
	known sync.Map // ids of halls that exist; halls are never deleted, so that it holds no more than there are
}

// messRoutes registers the mess halls' routes.
func (a *API) messRoutes() {
	m := &mess{API: a}
	m.hallRoutes()
	m.menuRoutes()
	m.liveRoutes()
	m.originalMessRoutes()
}

func (m *mess) hallRoutes() {
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/halls", Tags: tagMess,
		Summary: "All mess halls, by name",
	}, public(), m.halls)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/halls/{id}", Tags: tagMess,
		Summary: "One mess hall",
	}, public(), m.hall)
	handle(m.API, huma.Operation{
		Method: http.MethodPost, Path: "/mess/halls", DefaultStatus: http.StatusCreated, Tags: tagMess,
		Summary:     "Open a new mess hall",
		Description: "It counts, and is heard, within two seconds. One hall of the campus may be the default, which clients hear before they subscribe.",
	}, roles(nexus.Admin), m.createHall)
	handle(m.API, huma.Operation{
		Method: http.MethodPut, Path: "/mess/halls/{id}", Tags: tagMess,
		Summary:     "Change a hall's configuration",
		Description: "The live crowd is reckoned with the new figures from the next second on.",
	}, roles(nexus.Admin, nexus.MessStaff), m.putHall)
}

var tagMess = []string{"mess"}

func (m *mess) halls(ctx context.Context, _ *struct{}) (*Answer[nexus.List[nexus.Hall]], error) {
	halls, err := m.Halls.Halls(ctx)
	return answer(nexus.List[nexus.Hall]{Items: halls}, err)
}

func (m *mess) hall(ctx context.Context, in *ByID) (*Versioned[nexus.Hall], error) {
	h, err := m.Halls.Hall(ctx, nexus.HallID(in.ID))
	return versioned(h, h.Version, err)
}

// HallChange is the configuration of a hall as staff set it.
type HallChange struct {
	Name              string  `json:"name" minLength:"1" maxLength:"100"`
	Capacity          int     `json:"capacity" minimum:"1" maximum:"100000" doc:"Seats"`
	ServiceRatePerMin float64 `json:"serviceRatePerMin" minimum:"0.1" maximum:"10000" doc:"People that the counters serve in a minute"`
	DwellMin          int     `json:"dwellMin" minimum:"1" maximum:"1440" doc:"Minutes that a person stays, on average"`
	TZ                string  `json:"tz" minLength:"1" maxLength:"60" doc:"IANA zone, such as Asia/Kolkata"`
}

// hall is what the configuration makes of a hall. Its zone is checked, which no schema can.
func (b HallChange) hall(id nexus.HallID) (nexus.Hall, error) {
	if _, err := time.LoadLocation(b.TZ); err != nil || b.TZ == "Local" {
		return nexus.Hall{}, nexus.InvalidField("tz", "expected an IANA zone such as Asia/Kolkata")
	}
	return nexus.Hall{ID: id, Name: b.Name, Capacity: b.Capacity, ServiceRatePerMin: b.ServiceRatePerMin, DwellMin: b.DwellMin, TZ: b.TZ}, nil
}

// NewHall is a hall to be opened.
type NewHall struct {
	HallChange
	Default bool `json:"default,omitempty" doc:"What clients hear before they subscribe"`
}

type createHallInput struct {
	Idempotent
	Body NewHall
}

func (m *mess) createHall(ctx context.Context, in *createHallInput) (*Versioned[nexus.Hall], error) {
	h, err := in.Body.hall("")
	if err != nil {
		return nil, err
	}
	h.Default = in.Body.Default
	h, err = m.Halls.CreateHall(ctx, caller(ctx), h)
	return versioned(h, h.Version, err)
}

type putHallInput struct {
	ByID
	Conditional
	Body HallChange
}

func (m *mess) putHall(ctx context.Context, in *putHallInput) (*Versioned[nexus.Hall], error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	h, err := in.Body.hall(nexus.HallID(in.ID))
	if err != nil {
		return nil, err
	}
	if h, err = m.Halls.PutHall(ctx, caller(ctx), version, h); err != nil {
		return nil, err
	}
	// The change is committed whatever the grain says; it reads the configuration again when it is next loaded.
	if err := m.LiveHalls.Reconfigure(ctx, h.ID); err != nil {
		m.Log.WarnContext(ctx, "hall not told of its configuration", "hall", h.ID, "err", err)
	}
	return versioned(h, h.Version, nil)
}

// exists fails with NotFound for a hall that is not there. It stands before the grains: asking one for
// a made-up id would bring it to life.
func (m *mess) exists(ctx context.Context, id nexus.HallID) error {
	if _, ok := m.known.Load(id); ok {
		return nil
	}
	if _, err := m.Halls.Hall(ctx, id); err != nil {
		return err
	}
	m.known.Store(id, struct{}{})
	return nil
}

// pickHall returns the hall with the id, or the campus's default hall for an empty id.
func (m *mess) pickHall(ctx context.Context, id string) (nexus.Hall, error) {
	if id != "" {
		return m.Halls.Hall(ctx, nexus.HallID(id))
	}
	halls, err := m.Halls.Halls(ctx)
	if err != nil {
		return nexus.Hall{}, err
	}
	for _, h := range halls {
		if h.Default {
			return h, nil
		}
	}
	if len(halls) == 0 {
		return nexus.Hall{}, nexus.Errorf(nexus.NotFound, "the campus has no mess hall")
	}
	return halls[0], nil
}
