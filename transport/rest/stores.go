package rest

import (
	"context"
	"time"

	"nexus"
)

// The interfaces below are what the resources need kept or done. Persistence implements the
// stores, the grains' clients the rest.

// Profiles keeps what people say of themselves.
type Profiles interface {
	// Profile returns a person's profile. NotFound if there is none.
	Profile(ctx context.Context, id nexus.UserID) (nexus.Profile, error)
	// ChangeProfile applies the change. Stale if version is neither 0 nor the present one.
	ChangeProfile(ctx context.Context, by nexus.Caller, id nexus.UserID, version int64, c nexus.ProfileChange) (nexus.Profile, error)
	// SetAvatar keeps a picture under a URL of its own, in place of the one before.
	SetAvatar(ctx context.Context, by nexus.Caller, id nexus.UserID, url string, jpeg []byte) error
	// Avatar returns the picture kept under a URL. NotFound if there is none, or no longer.
	Avatar(ctx context.Context, url string) (jpeg []byte, err error)
	// Contacts returns the emergency contacts in order of rank.
	Contacts(ctx context.Context, id nexus.UserID) ([]nexus.Contact, error)
	// SetContacts replaces the emergency contacts.
	SetContacts(ctx context.Context, by nexus.Caller, id nexus.UserID, cs []nexus.Contact) error
}

// Office is what administrators do with accounts. Every mutation is audited with before and after.
type Office interface {
	// User returns an account. NotFound if there is none.
	User(ctx context.Context, id nexus.UserID) (nexus.User, error)
	// Users lists accounts whose name, e-mail address or registration number contains query, in order of id.
	Users(ctx context.Context, query string, p nexus.Page) (nexus.List[nexus.User], error)
	// ChangeUser changes the account's status or its office data. Stale if version is neither 0 nor the present
	// one. Suspending moves the token epoch and revokes the logins.
	ChangeUser(ctx context.Context, by nexus.Caller, id nexus.UserID, version int64, c nexus.UserChange) (nexus.User, error)
	// SetRoles replaces the roles and moves the token epoch, so that old tokens die. Conflict
	// if it would leave the campus without an active administrator.
	SetRoles(ctx context.Context, by nexus.Caller, id nexus.UserID, roles []nexus.Role) (nexus.User, error)
}

// Audit reads the audit log.
type Audit interface {
	// Entries lists the log, the newest first; the cursor is a seq.
	Entries(ctx context.Context, f nexus.AuditFilter, p nexus.Page) (nexus.List[nexus.AuditEntry], error)
	// Verify walks the whole chain and returns how many entries it holds and the first seq that
	// does not fit, 0 if all fit.
	Verify(ctx context.Context) (entries, firstBad int64, err error)
}

// Halls keeps the halls' configuration and history.
type Halls interface {
	// Halls lists all halls by name.
	Halls(ctx context.Context) ([]nexus.Hall, error)
	// Hall returns one. NotFound if there is none.
	Hall(ctx context.Context, id nexus.HallID) (nexus.Hall, error)
	// CreateHall makes a hall; its id is filled in. Conflict for a name that is taken, and for a second default hall. Audited.
	CreateHall(ctx context.Context, by nexus.Caller, h nexus.Hall) (nexus.Hall, error)
	// PutHall changes name, capacity, service rate, dwell time and zone of a hall. Stale if version is neither 0 nor the
	// present one; NotFound if there is no such hall; Conflict for a name that is taken. Audited.
	PutHall(ctx context.Context, by nexus.Caller, version int64, h nexus.Hall) (nexus.Hall, error)
	// History returns means over steps of whole minutes, steps without samples left out, in order of time.
	History(ctx context.Context, id nexus.HallID, from, to time.Time, step time.Duration) ([]nexus.CrowdSample, error)
}

// Menus keeps menus, dishes and ratings.
type Menus interface {
	// Menus lists a hall's menus from one day to another, both included (YYYY-MM-DD), in order of day and meal.
	Menus(ctx context.Context, hall nexus.HallID, from, to string) ([]nexus.Menu, error)
	// PutMenu makes or replaces a menu; ratings given to it stay. Audited.
	PutMenu(ctx context.Context, by nexus.Caller, hall nexus.HallID, date string, meal nexus.Meal, plan nexus.MenuPlan) (nexus.Menu, error)
	// Dishes lists dishes whose name contains query, by name; the cursor is a name.
	Dishes(ctx context.Context, query string, p nexus.Page) (nexus.List[nexus.Dish], error)
	// Rate keeps a person's one rating of a menu; a second one replaces the first. NotFound
	// for an unknown menu, Conflict for one that has not opened yet.
	Rate(ctx context.Context, by nexus.Caller, menu nexus.MenuID, stars int, comment string) (nexus.Rating, error)
	// Ratings sums up a menu's ratings. NotFound for an unknown menu.
	Ratings(ctx context.Context, menu nexus.MenuID) (nexus.RatingSummary, error)
	// Sentiments says how the comments are meant that were made of the menus from one day to another, by "hall", "dish" or "day".
	Sentiments(ctx context.Context, by, from, to string) ([]nexus.Sentiment, error)
}

// LiveHalls speaks to the halls' grains.
type LiveHalls interface {
	// CheckIn counts the events, which are durable when it returns.
	CheckIn(ctx context.Context, hall nexus.HallID, events []nexus.CrowdEvent) (nexus.CheckInResult, error)
	// Live returns how full the hall is now.
	Live(ctx context.Context, hall nexus.HallID) (nexus.Crowd, error)
	// Report is a staff member's own view: level in per cent, and the wait if it is not below 0. It counts
	// as an absolute count, and the stated wait is shown until the next event, ten minutes at most.
	Report(ctx context.Context, by nexus.UserID, hall nexus.HallID, level, waitMinutes int) (nexus.Crowd, error)
	// Reconfigure tells the grain that the hall's configuration has changed.
	Reconfigure(ctx context.Context, hall nexus.HallID) error
}

// Forecasts reads what is expected of halls, and how good that was. NotFound for no hall.
type Forecasts interface {
	// Calendar returns the days unlike others from one day to another.
	Calendar(ctx context.Context, from, to string) ([]nexus.SpecialDay, error)
	// PutSpecialDay says what a day is like.
	PutSpecialDay(ctx context.Context, by nexus.Caller, d nexus.SpecialDay) (nexus.SpecialDay, error)
	// DeleteSpecialDay forgets that; a second call does nothing.
	DeleteSpecialDay(ctx context.Context, by nexus.Caller, day string) error
	// Forecast returns the one made last; without points if nothing is known yet.
	Forecast(ctx context.Context, id nexus.HallID) (nexus.Forecast, error)
	// Scores lists how far off the models were, the latest day first.
	Scores(ctx context.Context, id nexus.HallID) ([]nexus.ForecastScore, error)
}

// Publisher sends a broadcast to every node's subscribed sockets, at most once. It never blocks on a slow reader.
type Publisher interface {
	// Publish sends one event of a namespace to whoever listens to topic. slot names the lossy slot in which only
	// the newest event waits; empty for events that each count.
	Publish(topic, namespace, event, slot string, payload any)
	// News tells every node that streams of class A, or staffs of courses, have something new.
	News(streams ...string)
}

// Importer takes files of the office over.
type Importer interface {
	// StartImport begins a run and returns at once; the file is the run's. Conflict while another runs anywhere on the campus.
	StartImport(ctx context.Context, by nexus.Caller, o nexus.ImportOrder) (nexus.Import, error)
}

// Imports reads what has become of files.
type Imports interface {
	// Import returns a run. NotFound if there is none.
	Import(ctx context.Context, id nexus.ImportID) (nexus.Import, error)
	// Imports lists the runs, the newest first; the cursor is an id.
	Imports(ctx context.Context, p nexus.Page) (nexus.List[nexus.Import], error)
	// ImportErrors lists what is wrong with a run's file, in order of file and line; the cursor is a number. NotFound if there is no such run.
	ImportErrors(ctx context.Context, id nexus.ImportID, p nexus.Page) (nexus.List[nexus.ImportError], error)
}
