package nexus

import "time"

// Forecast says how full a hall will be, in slots of a quarter of an hour.
type Forecast struct {
	Hall   HallID          `json:"hallId"`
	Points []ForecastPoint `json:"points"` // in order of time; empty: too little is known yet
	Model  string          `json:"model"`  // what made it
	MadeAt time.Time       `json:"madeAt"`
}

// ForecastPoint is one slot: the mean number of people in it, and the band that four in five values fall into.
type ForecastPoint struct {
	T   time.Time `json:"t"` // its start
	P10 float64   `json:"p10"`
	P50 float64   `json:"p50"`
	P90 float64   `json:"p90"`
}

// SpecialDay is a day that is unlike others: a holiday, or one with an event.
type SpecialDay struct {
	Day  string         `json:"day"` // YYYY-MM-DD
	Kind SpecialDayKind `json:"kind"`
	Name string         `json:"name"` // events of one name are forecast from each other
}

// SpecialDayKind is what makes a day unlike others.
type SpecialDayKind string

// The kinds.
const (
	DayHoliday SpecialDayKind = "HOLIDAY"
	DayEvent   SpecialDayKind = "EVENT"
)

// ForecastTrial is what a model said about one slot, long enough before it.
type ForecastTrial struct {
	Model      string
	HorizonMin int
	Point      ForecastPoint
}

// ForecastAdvice is what a model thinks of a forecast by things that counts do not tell: a factor for each hour.
type ForecastAdvice struct {
	Model   string
	MadeAt  time.Time
	Factors map[time.Time]float64 // by the start of an hour, UTC; 1 is as it was
}

// ForecastScore is how far off a model was in a hall: in a back-test over the weeks before a day, in which it knew nothing before its time.
type ForecastScore struct {
	Day        string  `json:"day"` // YYYY-MM-DD by the hall's clock
	Model      string  `json:"model"`
	HorizonMin int     `json:"horizonMin"`
	N          int     `json:"n"`       // forecasts that were compared
	MAE        float64 `json:"mae"`     // mean absolute error of the median, in people
	MASE       float64 `json:"mase"`    // that, divided by that of last week's value: below 1 is better
	Pinball    float64 `json:"pinball"` // mean pinball loss of the three quantiles, in people
	Cover80    float64 `json:"cover80"` // share of the values from p10 to p90
	Chosen     bool    `json:"chosen"`  // it makes the forecasts now
}
