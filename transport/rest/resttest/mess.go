package resttest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"nexus"
	"nexus/transport/rest"
)

// Mess keeps halls, menus and crowds, and what was published. It is safe for concurrent use.
type Mess struct {
	mu        sync.Mutex
	err       error
	halls     []nexus.Hall
	menus     []nexus.Menu
	ratings   map[nexus.MenuID]map[nexus.UserID]nexus.Rating
	crowds    map[nexus.HallID]nexus.Crowd
	seen      map[[2]string]bool // source and event id
	Published []Published
	Expected  nexus.Forecast // of every hall
	Scored    []nexus.ForecastScore
	Special   map[string]nexus.SpecialDay // by day
	Told      []nexus.HallID              // halls that were told of their configuration
}

// Published is an event that was handed to the sockets.
type Published struct {
	Topic, Namespace, Event, Slot string
	Payload                       any
}

var (
	_ rest.Halls     = (*Mess)(nil)
	_ rest.Menus     = (*Mess)(nil)
	_ rest.LiveHalls = (*Mess)(nil)
	_ rest.Publisher = (*Mess)(nil)
)

// NewMess returns a mess with these halls.
func NewMess(halls ...nexus.Hall) *Mess {
	return &Mess{
		halls: halls, ratings: map[nexus.MenuID]map[nexus.UserID]nexus.Rating{},
		crowds: map[nexus.HallID]nexus.Crowd{}, seen: map[[2]string]bool{},
	}
}

// Open adds halls.
func (m *Mess) Open(halls ...nexus.Hall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.halls = append(m.halls, halls...)
}

// Fail makes every call fail with err until it is nil.
func (m *Mess) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// begin locks, and reports the failure that was asked for.
func (m *Mess) begin() (func(), error) {
	m.mu.Lock()
	return m.mu.Unlock, m.err
}

// Halls lists all halls by name.
func (m *Mess) Halls(context.Context) ([]nexus.Hall, error) {
	unlock, err := m.begin()
	defer unlock()
	list := slices.Clone(m.halls)
	slices.SortFunc(list, func(a, b nexus.Hall) int { return cmp.Compare(a.Name, b.Name) })
	return list, err
}

func (m *Mess) at(id nexus.HallID) (int, error) {
	i := slices.IndexFunc(m.halls, func(h nexus.Hall) bool { return h.ID == id })
	if i < 0 {
		return 0, nexus.Errorf(nexus.NotFound, "hall %s", id)
	}
	return i, nil
}

// Hall returns one.
func (m *Mess) Hall(_ context.Context, id nexus.HallID) (nexus.Hall, error) {
	unlock, err := m.begin()
	defer unlock()
	if err != nil {
		return nexus.Hall{}, err
	}
	i, err := m.at(id)
	if err != nil {
		return nexus.Hall{}, err
	}
	return m.halls[i], nil
}

// CreateHall opens a hall.
func (m *Mess) CreateHall(_ context.Context, _ nexus.Caller, h nexus.Hall) (nexus.Hall, error) {
	unlock, err := m.begin()
	defer unlock()
	if err != nil {
		return nexus.Hall{}, err
	}
	for _, other := range m.halls {
		if strings.EqualFold(other.Name, h.Name) {
			return nexus.Hall{}, &nexus.Error{Code: nexus.Conflict, Message: "name: is taken", Fields: []nexus.FieldError{{Field: "name", Detail: "is taken"}}}
		}
	}
	h.ID, h.Version = nexus.HallID(nexus.NewID()), 1
	m.halls = append(m.halls, h)
	return h, nil
}

// PutHall changes a hall.
func (m *Mess) PutHall(_ context.Context, _ nexus.Caller, version int64, h nexus.Hall) (nexus.Hall, error) {
	unlock, err := m.begin()
	defer unlock()
	if err != nil {
		return nexus.Hall{}, err
	}
	i, err := m.at(h.ID)
	switch {
	case err != nil:
		return nexus.Hall{}, err
	case version != 0 && version != m.halls[i].Version:
		return nexus.Hall{}, nexus.Errorf(nexus.Stale, "the hall has changed")
	}
	for j, other := range m.halls {
		if j != i && strings.EqualFold(other.Name, h.Name) {
			return nexus.Hall{}, &nexus.Error{Code: nexus.Conflict, Message: "name: is taken", Fields: []nexus.FieldError{{Field: "name", Detail: "is taken"}}}
		}
	}
	h.Default, h.Version = m.halls[i].Default, m.halls[i].Version+1
	m.halls[i] = h
	return h, nil
}

// History returns one sample at from, which tells a test the span and the step.
func (m *Mess) History(_ context.Context, _ nexus.HallID, from, to time.Time, step time.Duration) ([]nexus.CrowdSample, error) {
	unlock, err := m.begin()
	defer unlock()
	return []nexus.CrowdSample{{At: from, Occupancy: to.Sub(from).Minutes(), Max: int(step.Minutes())}}, err
}

// Menus lists a hall's menus.
func (m *Mess) Menus(_ context.Context, hall nexus.HallID, from, to string) ([]nexus.Menu, error) {
	unlock, err := m.begin()
	defer unlock()
	var list []nexus.Menu
	for _, menu := range m.menus {
		if menu.HallID == hall && menu.Date >= from && menu.Date <= to {
			list = append(list, menu)
		}
	}
	return list, err
}

// PutMenu makes or replaces a menu. A dish without a diet is refused like one that the catalogue lacks.
func (m *Mess) PutMenu(_ context.Context, _ nexus.Caller, hall nexus.HallID, date string, meal nexus.Meal, p nexus.MenuPlan) (nexus.Menu, error) {
	unlock, err := m.begin()
	defer unlock()
	if err != nil {
		return nexus.Menu{}, err
	}
	menu := nexus.Menu{ID: nexus.MenuID(nexus.NewID()), HallID: hall, Date: date, Meal: meal, OpensAt: p.OpensAt, ClosesAt: p.ClosesAt, Items: p.Items, Version: 1}
	for _, item := range p.Items {
		if item.Diet == "" {
			return nexus.Menu{}, nexus.InvalidField("items[0].diet", "is missing")
		}
	}
	menu.Totals, menu.Allergens, menu.Diet = nexus.Sum(menu.Items)
	for i, old := range m.menus {
		if old.HallID == hall && old.Date == date && old.Meal == meal {
			menu.ID, menu.Version = old.ID, old.Version+1
			m.menus[i] = menu
			return menu, nil
		}
	}
	m.menus = append(m.menus, menu)
	return menu, nil
}

// Dishes lists the dishes of all menus.
func (m *Mess) Dishes(_ context.Context, query string, p nexus.Page) (nexus.List[nexus.Dish], error) {
	unlock, err := m.begin()
	defer unlock()
	byName := map[string]nexus.Dish{}
	for _, menu := range m.menus {
		for _, item := range menu.Items {
			if item.Name > p.After && strings.Contains(strings.ToLower(item.Name), strings.ToLower(query)) {
				byName[item.Name] = item.Dish
			}
		}
	}
	var list []nexus.Dish
	for _, d := range byName {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b nexus.Dish) int { return cmp.Compare(a.Name, b.Name) })
	if len(list) > p.Limit {
		return nexus.List[nexus.Dish]{Items: list[:p.Limit], Next: list[p.Limit-1].Name}, err
	}
	return nexus.List[nexus.Dish]{Items: list}, err
}

func (m *Mess) menu(id nexus.MenuID) (nexus.Menu, error) {
	for _, menu := range m.menus {
		if menu.ID == id {
			return menu, nil
		}
	}
	return nexus.Menu{}, nexus.Errorf(nexus.NotFound, "menu %s", id)
}

// Rate keeps a person's one rating.
func (m *Mess) Rate(_ context.Context, by nexus.Caller, id nexus.MenuID, stars int, comment string) (nexus.Rating, error) {
	unlock, err := m.begin()
	defer unlock()
	if err != nil {
		return nexus.Rating{}, err
	}
	menu, err := m.menu(id)
	switch {
	case err != nil:
		return nexus.Rating{}, err
	case menu.OpensAt.After(time.Now()):
		return nexus.Rating{}, nexus.Errorf(nexus.Conflict, "the meal has not opened yet")
	case m.ratings[id] == nil:
		m.ratings[id] = map[nexus.UserID]nexus.Rating{}
	}
	r := nexus.Rating{MenuID: id, Stars: stars, Comment: comment, At: time.Now()}
	m.ratings[id][by.User] = r
	return r, nil
}

// Ratings sums up a menu's ratings.
func (m *Mess) Ratings(_ context.Context, id nexus.MenuID) (nexus.RatingSummary, error) {
	unlock, err := m.begin()
	defer unlock()
	if err != nil {
		return nexus.RatingSummary{}, err
	}
	s := nexus.RatingSummary{MenuID: id}
	for _, r := range m.ratings[id] {
		s.Average = (s.Average*float64(s.Count) + float64(r.Stars)) / float64(s.Count+1)
		s.Count++
		s.Stars[r.Stars-1]++
	}
	_, err = m.menu(id)
	return s, err
}

// CheckIn counts the events that it has not seen.
func (m *Mess) CheckIn(_ context.Context, hall nexus.HallID, events []nexus.CrowdEvent) (nexus.CheckInResult, error) {
	unlock, err := m.begin()
	defer unlock()
	if err != nil {
		return nexus.CheckInResult{}, err
	}
	var r nexus.CheckInResult
	c := m.crowd(hall)
	for _, e := range events {
		id := [2]string{e.Source, e.EventID}
		switch {
		case m.seen[id]:
			r.Duplicates++
			continue
		case e.Delta != nil:
			c.Occupancy += *e.Delta
		default:
			c.Occupancy = *e.Absolute
		}
		m.seen[id] = true
		c.AsOf, c.Source, c.Stale = e.At, e.Source, false
		r.Accepted++
	}
	m.crowds[hall] = c
	r.Crowd = c
	return r, nil
}

func (m *Mess) crowd(hall nexus.HallID) nexus.Crowd {
	if c, ok := m.crowds[hall]; ok {
		return c
	}
	return nexus.Crowd{HallID: hall, Capacity: 300, Status: nexus.Low, WaitTime: "0 mins", Source: "none", Stale: true}
}

// Live returns how full the hall is now.
func (m *Mess) Live(_ context.Context, hall nexus.HallID) (nexus.Crowd, error) {
	unlock, err := m.begin()
	defer unlock()
	return m.crowd(hall), err
}

// Report keeps the level and the wait as they are given; a wait below 0 is kept as it is, for tests to see.
func (m *Mess) Report(_ context.Context, _ nexus.UserID, hall nexus.HallID, level, waitMinutes int) (nexus.Crowd, error) {
	unlock, err := m.begin()
	defer unlock()
	c := m.crowd(hall)
	c.Level, c.WaitMinutes, c.Source = level, waitMinutes, "staff"
	m.crowds[hall] = c
	return c, err
}

// Reconfigure notes the hall.
func (m *Mess) Reconfigure(_ context.Context, hall nexus.HallID) error {
	unlock, err := m.begin()
	defer unlock()
	m.Told = append(m.Told, hall)
	return err
}

// Publish notes the event.
func (m *Mess) Publish(topic, namespace, event, slot string, payload any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Published = append(m.Published, Published{topic, namespace, event, slot, payload})
}

// News notes the streams, each as an event without a name.
func (m *Mess) News(streams ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range streams {
		m.Published = append(m.Published, Published{Topic: s})
	}
}

// Forecast returns the forecast that a test set.
func (m *Mess) Forecast(ctx context.Context, id nexus.HallID) (nexus.Forecast, error) {
	if _, err := m.Hall(ctx, id); err != nil {
		return nexus.Forecast{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.Expected
	f.Hall = id
	if f.Points == nil {
		f.Points = []nexus.ForecastPoint{}
	}
	return f, nil
}

// Calendar returns what was put.
func (m *Mess) Calendar(_ context.Context, from, to string) ([]nexus.SpecialDay, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	days := []nexus.SpecialDay{}
	for _, d := range m.Special {
		if d.Day >= from && d.Day <= to {
			days = append(days, d)
		}
	}
	slices.SortFunc(days, func(a, b nexus.SpecialDay) int { return strings.Compare(a.Day, b.Day) })
	return days, nil
}

// PutSpecialDay keeps a day.
func (m *Mess) PutSpecialDay(_ context.Context, _ nexus.Caller, d nexus.SpecialDay) (nexus.SpecialDay, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Special == nil {
		m.Special = map[string]nexus.SpecialDay{}
	}
	m.Special[d.Day] = d
	return d, nil
}

// DeleteSpecialDay forgets a day.
func (m *Mess) DeleteSpecialDay(_ context.Context, _ nexus.Caller, day string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.Special, day)
	return nil
}

// Scores returns the scores that a test set.
func (m *Mess) Scores(ctx context.Context, id nexus.HallID) ([]nexus.ForecastScore, error) {
	if _, err := m.Hall(ctx, id); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]nexus.ForecastScore{}, m.Scored...), nil
}

// Sentiments says that there is one comment, on whatever it is grouped by.
func (m *Mess) Sentiments(_ context.Context, by, from, to string) ([]nexus.Sentiment, error) {
	return []nexus.Sentiment{{Key: by, Name: from + " to " + to, Comments: 1, Mean: 0.5, Positive: 1, Drivers: []nexus.SentimentDriver{}}}, nil
}
