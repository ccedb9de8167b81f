package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

// An event may happen a day before it is reported, for a gate may have been cut off; and a little after, for
// its clock may be fast.
const (
	earliestEvent = 24 * time.Hour
	latestEvent   = 2 * time.Minute
)

// maxSteps bounds one answer of history: a year by the day, a week by five minutes.
const maxSteps = 2100

func (m *mess) liveRoutes() {
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/halls/{id}/live", Tags: tagMess,
		Summary: "How full a hall is now",
	}, public(), m.live)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/halls/{id}/history", Tags: tagMess,
		Summary: "How full a hall was",
		Description: "Means over steps of whole minutes; steps in which nothing was recorded are left out. " +
			"Without `from` and `to` it is the last 24 hours. At most 2100 steps.",
	}, public(), m.history)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/halls/{id}/forecast", Tags: tagMess,
		Summary: "How full a hall will be in the next 24 hours, by quarters of an hour",
		Description: "Made every quarter of an hour, and sent as FORECAST_UPDATE. Four in five values fall between p10 and p90. Without points while too little " +
			"is known of the hall.",
	}, public(), m.forecast)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/halls/{id}/forecast/score", Tags: tagMess,
		Summary:     "How far off each model was of late, and which makes the forecasts",
		Description: "By a back-test over the last four weeks, each day anew, in which no model knew anything before its time. mase below 1 is better than last week's value.",
	}, public(), m.forecastScore)
	handle(m.API, huma.Operation{
		Method: http.MethodGet, Path: "/mess/calendar", Tags: tagMess,
		Summary:     "Days on which the halls are not as usual",
		Description: "Holidays of terms, and the holidays and events that staff has entered. Forecasts take them into account. At most 366 days.",
	}, public(), m.specialDays)
	handle(m.API, huma.Operation{
		Method: http.MethodPut, Path: "/mess/calendar/{day}", Tags: tagMess,
		Summary: "Say what a day is like, in place of what was said before",
	}, roles(nexus.MessStaff, nexus.Admin), m.putSpecialDay)
	handle(m.API, huma.Operation{
		Method: http.MethodDelete, Path: "/mess/calendar/{day}", Tags: tagMess,
		Summary: "Forget what was said of a day; safe to repeat", DefaultStatus: http.StatusNoContent,
	}, roles(nexus.MessStaff, nexus.Admin), m.deleteSpecialDay)
	handle(m.API, huma.Operation{
		Method: http.MethodPost, Path: "/mess/halls/{id}/checkins", Tags: tagMess,
		Summary: "Count people in and out",
		Description: "Durable when answered. An event is known by (source, eventId): a copy counts for nothing, so that a batch may be " +
			"sent again until it is answered.\n\nThe source is bound to who reports: it is kept and shown as `source@` and twelve hexadecimal " +
			"digits that stand for the API key or the account. No device can report under another's name, nor use up another's event ids; " +
			"a new key for the same gate begins a new set of ids.",
	}, roles(nexus.MessStaff, nexus.Admin).or(nexus.ScopeCheckins), m.checkIn)
}

func (m *mess) live(ctx context.Context, in *ByID) (*Answer[nexus.Crowd], error) {
	id := nexus.HallID(in.ID)
	if err := m.exists(ctx, id); err != nil {
		return nil, err
	}
	return answer(m.LiveHalls.Live(ctx, id))
}

type historyInput struct {
	ByID
	From time.Time `query:"from" doc:"First moment; 24 hours before to if left out"`
	To   time.Time `query:"to" doc:"End, not included; now if left out"`
	Step int       `query:"step" minimum:"1" maximum:"1440" default:"5" doc:"Minutes"`
}

func (m *mess) history(ctx context.Context, in *historyInput) (*Answer[nexus.List[nexus.CrowdSample]], error) {
	step := time.Duration(in.Step) * time.Minute
	from, to, err := historySpan(in.From, in.To, step, time.Now())
	if err != nil {
		return nil, err
	}
	if err := m.exists(ctx, nexus.HallID(in.ID)); err != nil {
		return nil, err
	}
	samples, err := m.Halls.History(ctx, nexus.HallID(in.ID), from, to, step)
	return answer(nexus.List[nexus.CrowdSample]{Items: samples}, err)
}

type calendarInput struct {
	From string `query:"from" format:"date" maxLength:"10" doc:"The first day; today if it is left out"`
	To   string `query:"to" format:"date" maxLength:"10" doc:"The last day; 90 days after the first if it is left out"`
}

func (m *mess) specialDays(ctx context.Context, in *calendarInput) (*Answer[nexus.List[nexus.SpecialDay]], error) {
	from, to := in.From, in.To
	if from == "" {
		from = time.Now().UTC().Format(time.DateOnly)
	}
	if to == "" {
		first, err := time.Parse(time.DateOnly, from)
		if err != nil {
			return nil, nexus.InvalidField("from", "is no day of the form YYYY-MM-DD")
		}
		to = first.AddDate(0, 0, 90).Format(time.DateOnly)
	}
	days, err := m.Forecasts.Calendar(ctx, from, to)
	return answer(nexus.List[nexus.SpecialDay]{Items: days}, err)
}

// OnDay adds the day of the path.
type OnDay struct {
	Day string `path:"day" format:"date" maxLength:"10"`
}

type specialDayInput struct {
	OnDay
	Body struct {
		Kind string `json:"kind" enum:"HOLIDAY,EVENT"`
		Name string `json:"name" minLength:"1" maxLength:"200" doc:"Events of one name are forecast from each other"`
	}
}

func (m *mess) putSpecialDay(ctx context.Context, in *specialDayInput) (*Answer[nexus.SpecialDay], error) {
	return answer(m.Forecasts.PutSpecialDay(ctx, caller(ctx), nexus.SpecialDay{Day: in.Day, Kind: nexus.SpecialDayKind(in.Body.Kind), Name: in.Body.Name}))
}

func (m *mess) deleteSpecialDay(ctx context.Context, in *OnDay) (*struct{}, error) {
	return nil, m.Forecasts.DeleteSpecialDay(ctx, caller(ctx), in.Day)
}

func (m *mess) forecast(ctx context.Context, in *ByID) (*Answer[nexus.Forecast], error) {
	return answer(m.Forecasts.Forecast(ctx, nexus.HallID(in.ID)))
}

func (m *mess) forecastScore(ctx context.Context, in *ByID) (*Answer[nexus.List[nexus.ForecastScore]], error) {
	scores, err := m.Forecasts.Scores(ctx, nexus.HallID(in.ID))
	return answer(nexus.List[nexus.ForecastScore]{Items: scores}, err)
}

// historySpan fills the gaps of a span and holds it to its bounds.
func historySpan(from, to time.Time, step time.Duration, now time.Time) (time.Time, time.Time, error) {
	if to.IsZero() {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	for field, t := range map[string]time.Time{"from": from, "to": to} {
		if y := t.UTC().Year(); y < 2000 || y >= 2200 {
			return from, to, nexus.InvalidField(field, "is not a time of this age")
		}
	}
	switch {
	case !to.After(from):
		return from, to, nexus.InvalidField("to", "is not after from")
	case to.Sub(from) > maxSteps*step:
		return from, to, nexus.InvalidField("step", "more than %d steps from from to to", maxSteps)
	}
	return from, to, nil
}

// CheckInEvent is one report of a gate or sensor.
type CheckInEvent struct {
	Source   string    `json:"source" minLength:"1" maxLength:"60" pattern:"^[^@]+$" patternDescription:"a name without @" doc:"The gate or sensor"`
	EventID  string    `json:"eventId" minLength:"1" maxLength:"100" doc:"Its own for each event of the source"`
	At       time.Time `json:"at" doc:"When it happened: at most 24 hours ago, at most 2 minutes ahead"`
	Delta    *int      `json:"delta,omitempty" minimum:"-1000" maximum:"1000" doc:"People that came in, or left if negative"`
	Absolute *int      `json:"absolute,omitempty" minimum:"0" maximum:"100000" doc:"People inside at that moment"`
}

type checkInInput struct {
	ByID
	Body struct {
		Events []CheckInEvent `json:"events" minItems:"1" maxItems:"1000"`
	}
}

func (m *mess) checkIn(ctx context.Context, in *checkInInput) (*Answer[nexus.CheckInResult], error) {
	events, err := crowdEvents(in.Body.Events, caller(ctx), time.Now())
	if err != nil {
		return nil, err
	}
	id := nexus.HallID(in.ID)
	if err := m.exists(ctx, id); err != nil {
		return nil, err
	}
	return answer(m.LiveHalls.CheckIn(ctx, id, events))
}

// crowdEvents checks what the schema cannot and binds each source to the caller. Every wrong field is named, twenty at most.
func crowdEvents(in []CheckInEvent, by nexus.Caller, now time.Time) ([]nexus.CrowdEvent, error) {
	var wrong []nexus.FieldError
	refuse := func(i int, field, detail string) {
		if len(wrong) < 20 {
			wrong = append(wrong, nexus.FieldError{Field: fmt.Sprintf("events[%d].%s", i, field), Detail: detail})
		}
	}
	mark := fingerprint(by)
	out := make([]nexus.CrowdEvent, len(in))
	for i, e := range in {
		switch {
		case e.At.Before(now.Add(-earliestEvent)):
			refuse(i, "at", "is more than 24 hours ago")
		case e.At.After(now.Add(latestEvent)):
			refuse(i, "at", "is more than 2 minutes ahead")
		}
		switch {
		case e.Delta == nil && e.Absolute == nil:
			refuse(i, "delta", "or absolute is needed")
		case e.Delta != nil && e.Absolute != nil:
			refuse(i, "absolute", "and delta exclude each other")
		case e.Delta != nil && *e.Delta == 0:
			refuse(i, "delta", "must not be 0")
		}
		out[i] = nexus.CrowdEvent{Source: e.Source + "@" + mark, EventID: e.EventID, At: e.At, Delta: e.Delta, Absolute: e.Absolute}
	}
	if len(wrong) > 0 {
		return nil, &nexus.Error{Code: nexus.Invalid, Message: summary(wrong), Fields: wrong}
	}
	return out, nil
}

// fingerprint stands for the device or person in public: always the same, and no way back to the id. 48 bits of a
// hash over ids that nobody chooses tell more devices apart than a campus has.
func fingerprint(c nexus.Caller) string {
	who := "user:" + string(c.User)
	if c.Key != "" {
		who = "key:" + string(c.Key)
	}
	sum := sha256.Sum256([]byte(who))
	return hex.EncodeToString(sum[:6])
}
