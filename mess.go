package nexus

import "time"

// Hall is a mess hall as it is configured.
type Hall struct {
	ID                HallID  `json:"id"`
	Name              string  `json:"name"`
	Capacity          int     `json:"capacity"`          // seats
	ServiceRatePerMin float64 `json:"serviceRatePerMin"` // people that the counters serve in a minute
	DwellMin          int     `json:"dwellMin"`          // minutes that a person stays, on average
	TZ                string  `json:"tz"`                // IANA zone
	Default           bool    `json:"default"`           // what a client hears before it subscribes
	Version           int64   `json:"version"`
}

// Crowd levels as words.
const (
	Low      = "Low"
	Moderate = "Moderate"
	High     = "High"
)

// Crowd is how full a hall is at one moment.
type Crowd struct {
	HallID      HallID    `json:"hallId"`
	Occupancy   int       `json:"occupancy"` // people inside, never below 0
	Capacity    int       `json:"capacity"`
	Level       int       `json:"level"`  // 0-100, per cent of capacity
	Status      string    `json:"status"` // Low, Moderate or High
	WaitMinutes int       `json:"waitMinutes"`
	WaitTime    string    `json:"waitTime"` // "10 mins", for the original client
	AsOf        time.Time `json:"asOf"`     // when the last event happened; zero if none ever did
	Stale       bool      `json:"stale"`    // no event for longer than the hall's sensors stay silent
	Source      string    `json:"source"`   // who reported last: a gate's name, "staff", or "none"
}

// CrowdEvent is one report of a gate or sensor. (Source, EventID) identifies
// it: a second copy counts for nothing. Exactly one of Delta and Absolute is set.
type CrowdEvent struct {
	Source   string
	EventID  string
	At       time.Time
	Delta    *int // people that came in (positive) or left (negative)
	Absolute *int // people inside at that moment
}

// CheckInResult says what became of a batch of crowd events.
type CheckInResult struct {
	Accepted   int   `json:"accepted" doc:"Events that this request has added."`
	Duplicates int   `json:"duplicates" doc:"Events that were counted before: by an earlier request, earlier in this one, or, seldom, by this one itself, when the node that counted them died before it could answer. Each counts once."`
	Crowd      Crowd `json:"live"`
}

// CrowdSample is the people inside a hall in one step of its history.
type CrowdSample struct {
	At        time.Time `json:"at"`        // start of the step
	Occupancy float64   `json:"occupancy"` // mean over the step
	Max       int       `json:"max"`
}

// Meal is a meal of the day.
type Meal string

// The meals, in the order of the day.
const (
	Breakfast Meal = "BREAKFAST"
	Lunch     Meal = "LUNCH"
	Snacks    Meal = "SNACKS"
	Dinner    Meal = "DINNER"
)

// Meals lists the meals in the order of the day.
func Meals() []Meal { return []Meal{Breakfast, Lunch, Snacks, Dinner} }

// Nutrition is what a serving holds. Nil is unknown, which is not zero.
type Nutrition struct {
	KCal     *float64 `json:"kcal"`
	ProteinG *float64 `json:"proteinG"`
	CarbsG   *float64 `json:"carbsG"`
	FatG     *float64 `json:"fatG"`
	SodiumMg *float64 `json:"sodiumMg"`
}

// Dish is a dish of the catalogue.
type Dish struct {
	ID        DishID    `json:"id"`
	Name      string    `json:"name"`
	Diet      string    `json:"diet"` // VEGAN, VEG, EGG or NONVEG
	ServingG  *float64  `json:"servingG"`
	Nutrition Nutrition `json:"nutrition"`
	Allergens []string  `json:"allergens"`
}

// MenuItem is a dish on a menu.
type MenuItem struct {
	Dish
	Station string `json:"station,omitempty"`
}

// Menu is one meal of one hall on one day. Totals sums the items' servings, a field
// unknown to any item being unknown to the sum; Allergens is the union; Diet is the least restrictive of the items'.
type Menu struct {
	ID        MenuID     `json:"id"`
	HallID    HallID     `json:"hallId"`
	Date      string     `json:"date"` // YYYY-MM-DD in the hall's zone
	Meal      Meal       `json:"meal"`
	OpensAt   time.Time  `json:"opensAt"`
	ClosesAt  time.Time  `json:"closesAt"`
	Items     []MenuItem `json:"items"`
	Totals    Nutrition  `json:"totals"`
	Allergens []string   `json:"allergens"`
	Diet      string     `json:"diet"`
	Version   int64      `json:"version"`
}

// MenuPlan is what staff put on a menu. Dishes that the catalogue lacks are added to it; a
// dish that it has is referred to by its name, and updated where fields are given.
type MenuPlan struct {
	OpensAt  time.Time
	ClosesAt time.Time
	Items    []MenuItem
}

// Rating is one student's opinion of one menu.
type Rating struct {
	MenuID  MenuID    `json:"menuId"`
	Stars   int       `json:"stars"` // 1-5
	Comment string    `json:"comment,omitempty"`
	At      time.Time `json:"at"`
}

// RatingSummary counts the opinions of one menu. Stars[i] is how many gave i+1 stars.
type RatingSummary struct {
	MenuID  MenuID  `json:"menuId"`
	Count   int     `json:"count"`
	Average float64 `json:"average"` // 0 when nobody rated
	Stars   [5]int  `json:"stars"`
}
