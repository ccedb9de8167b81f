package rest

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

// safetyOfficeRoutes registers what incidents are handled by: policies, shifts, and each person's own timers and numbers.
func (a *API) safetyOfficeRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/policies", Tags: tagSafety,
		Summary: "Escalation policies, the default one first",
	}, roles(nexus.Security, nexus.Admin), a.policies)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/safety/policies", Tags: tagSafety,
		Summary:     "Replace an escalation policy",
		Description: "Without an id it is the default one. Incidents that are open go on as they began. A policy that can reach nobody is refused.",
	}, roles(nexus.Admin), a.putPolicy)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/shifts", Tags: tagSafety,
		Summary: "Who is on duty when; the next week if not asked otherwise",
	}, roles(nexus.Security, nexus.Admin), a.shifts)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/safety/shifts", DefaultStatus: http.StatusCreated, Tags: tagSafety,
		Summary: "Put somebody on duty",
	}, roles(nexus.Security, nexus.Admin), a.addShift)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/timers", Tags: tagSafety,
		Summary: "My running safety timers",
	}, anyUser(), a.timers)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/safety/timers", DefaultStatus: http.StatusCreated, Tags: tagSafety,
		Summary:     "Start a safety timer",
		Description: `"I'm walking home, 20 minutes": unless you end it before, it raises an SOS for you, whatever has become of the phone.`,
	}, anyUser(), a.startTimer)
	handle(a, huma.Operation{
		Method: http.MethodPatch, Path: "/safety/timers/{id}", Tags: tagSafety,
		Summary:     "Give a safety timer more time, or end it",
		Description: "Ending it takes the PIN, if one is set.",
	}, anyUser(), a.changeTimer)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/safety/pin", Tags: tagSafety,
		Summary: "Set my PIN and my duress PIN",
		Description: "The PIN takes an alarm back. The duress PIN, of the same length, looks just like it, while the alarm goes on and those who " +
			"come know that you were forced.",
	}, anyUser(), a.setPins)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/me/push-subscriptions", DefaultStatus: http.StatusCreated, Tags: tagSafety,
		Summary: "Take web push messages on this browser",
	}, anyUser(), a.subscribe)
	handle(a, huma.Operation{
		Method: http.MethodDelete, Path: "/me/push-subscriptions", Tags: tagSafety,
		Summary: "Take none any more",
	}, anyUser(), a.unsubscribe)
}

func (a *API) policies(ctx context.Context, _ *struct{}) (*Answer[nexus.List[nexus.Policy]], error) {
	ps, err := a.SafetyOffice.Policies(ctx)
	return answer(nexus.List[nexus.Policy]{Items: ps}, err)
}

type targetBody struct {
	User     string     `json:"userId,omitempty" format:"uuid" maxLength:"36" doc:"One person"`
	Role     nexus.Role `json:"role,omitempty" enum:"STUDENT,FACULTY,MESS_STAFF,SECURITY,ADMIN" doc:"Everybody with this role"`
	OnDuty   bool       `json:"onDuty,omitempty" doc:"Whoever has a shift now"`
	Contacts bool       `json:"contacts,omitempty" doc:"The emergency contacts of the person in need"`
}

type stepBody struct {
	AfterSeconds int          `json:"afterSeconds" minimum:"0" maximum:"86400" doc:"Since the alarm; 0 for the first step"`
	Targets      []targetBody `json:"targets" minItems:"1" maxItems:"20" nullable:"false" doc:"Exactly one field of each is set"`
}

type putPolicyInput struct {
	Conditional
	Body struct {
		ID           string     `json:"id,omitempty" format:"uuid" maxLength:"36"`
		Name         string     `json:"name" minLength:"1" maxLength:"100"`
		Steps        []stepBody `json:"steps" minItems:"1" maxItems:"10" nullable:"false"`
		EverySeconds int        `json:"everySeconds" minimum:"5" maximum:"3600" doc:"The last step is repeated this often, until somebody answers"`
		MoveSeconds  int        `json:"moveSeconds" minimum:"30" maximum:"86400" doc:"Whoever took it must be on the way within this time"`
	}
}

func (a *API) putPolicy(ctx context.Context, in *putPolicyInput) (*Versioned[nexus.Policy], error) {
	v, err := in.version()
	if err != nil {
		return nil, err
	}
	p := nexus.Policy{ID: in.Body.ID, Name: in.Body.Name, EverySeconds: in.Body.EverySeconds, MoveSeconds: in.Body.MoveSeconds}
	for _, s := range in.Body.Steps {
		step := nexus.Step{AfterSeconds: s.AfterSeconds}
		for _, t := range s.Targets {
			step.Targets = append(step.Targets, nexus.Target{User: nexus.UserID(t.User), Role: t.Role, OnDuty: t.OnDuty, Contacts: t.Contacts})
		}
		p.Steps = append(p.Steps, step)
	}
	p, err = a.SafetyOffice.PutPolicy(ctx, caller(ctx), v, p)
	return versioned(p, p.Version, err)
}

func (a *API) shifts(ctx context.Context, in *periodInput) (*Answer[nexus.List[nexus.Shift]], error) {
	const week = 7 * 24 * time.Hour
	if in.To.IsZero() {
		in.To = time.Now().Add(week)
	}
	from, to, err := in.period(time.Now(), week)
	if err != nil {
		return nil, err
	}
	ss, err := a.SafetyOffice.Shifts(ctx, from, to)
	return answer(nexus.List[nexus.Shift]{Items: slices.Concat([]nexus.Shift{}, ss)}, err)
}

type addShiftInput struct {
	Idempotent
	Body struct {
		User string    `json:"userId" format:"uuid" minLength:"36" maxLength:"36"`
		From time.Time `json:"startsAt"`
		To   time.Time `json:"endsAt"`
	}
}

// maxShift is how long one shift may be.
const maxShift = 7 * 24 * time.Hour

func (a *API) addShift(ctx context.Context, in *addShiftInput) (*Answer[nexus.Shift], error) {
	b := in.Body
	if d := b.To.Sub(b.From); d <= 0 || d > maxShift {
		return nil, nexus.InvalidField("endsAt", "must be after startsAt, by seven days at most")
	}
	return answer(a.SafetyOffice.AddShift(ctx, caller(ctx), nexus.Shift{User: nexus.UserID(b.User), From: b.From, To: b.To}))
}

func (a *API) timers(ctx context.Context, _ *struct{}) (*Answer[nexus.List[nexus.SafetyTimer]], error) {
	ts, err := a.SafetyOffice.Timers(ctx, caller(ctx))
	return answer(nexus.List[nexus.SafetyTimer]{Items: slices.Concat([]nexus.SafetyTimer{}, ts)}, err)
}

type startTimerInput struct {
	Idempotent
	Body struct {
		Minutes  int    `json:"minutes" minimum:"1" maximum:"1440"`
		Note     string `json:"note,omitempty" maxLength:"500" text:"lines" doc:"What those who come should know"`
		Category string `json:"category,omitempty" maxLength:"60" pattern:"^[a-z0-9_-]*$" patternDescription:"lower-case letters, digits, - and _" doc:"timer if left out"`
	}
}

func (a *API) startTimer(ctx context.Context, in *startTimerInput) (*Versioned[nexus.SafetyTimer], error) {
	t := nexus.SafetyTimer{Note: in.Body.Note, Category: in.Body.Category, Due: time.Now().Add(time.Duration(in.Body.Minutes) * time.Minute)}
	if t.Category == "" {
		t.Category = "timer"
	}
	t, err := a.SafetyOffice.StartTimer(ctx, caller(ctx), t)
	return versioned(t, t.Version, err)
}

type changeTimerInput struct {
	ByID
	Conditional
	Body struct {
		Minutes *int   `json:"minutes,omitempty" minimum:"1" maximum:"1440" doc:"It is due so long from now"`
		Done    bool   `json:"done,omitempty" doc:"I am safe: end it"`
		PIN     string `json:"pin,omitempty" maxLength:"8" text:"secret" doc:"To end it, if a PIN is set"`
	}
}

func (a *API) changeTimer(ctx context.Context, in *changeTimerInput) (*Versioned[nexus.SafetyTimer], error) {
	by, b := caller(ctx), in.Body
	v, err := in.version()
	switch {
	case err != nil:
		return nil, err
	case b.Done == (b.Minutes != nil):
		return nil, nexus.InvalidField("minutes", "either minutes or done is given")
	}
	var t nexus.SafetyTimer
	if b.Done {
		var duress bool
		if duress, err = a.Auth.CheckPin(ctx, by.User, b.PIN); err == nil {
			t, err = a.Desk.EndTimer(ctx, by, in.ID, duress)
		}
	} else {
		t, err = a.SafetyOffice.MoveTimer(ctx, by, in.ID, v, time.Now().Add(time.Duration(*b.Minutes)*time.Minute))
	}
	return versioned(t, t.Version, err)
}

type setPinsInput struct {
	Body struct {
		Password  string `json:"password" minLength:"1" maxLength:"200" text:"secret" format:"password"`
		PIN       string `json:"pin" minLength:"4" maxLength:"8" text:"secret" pattern:"^[0-9]*$" patternDescription:"digits"`
		DuressPIN string `json:"duressPin" minLength:"4" maxLength:"8" text:"secret" pattern:"^[0-9]*$" patternDescription:"digits"`
	}
}

func (a *API) setPins(ctx context.Context, in *setPinsInput) (*Answer[Done], error) {
	return done(a.Auth.SetPins(ctx, caller(ctx), in.Body.Password, in.Body.PIN, in.Body.DuressPIN))
}

type subscribeInput struct {
	Body struct {
		Endpoint string `json:"endpoint" format:"uri" minLength:"1" maxLength:"2000" pattern:"^https:" patternDescription:"an https URL"`
		Keys     struct {
			P256DH string `json:"p256dh" minLength:"1" maxLength:"200" pattern:"^[A-Za-z0-9_=-]*$" patternDescription:"base64url"`
			Auth   string `json:"auth" minLength:"1" maxLength:"100" pattern:"^[A-Za-z0-9_=-]*$" patternDescription:"base64url"`
		} `json:"keys"`
	}
}

// subscribe takes what a browser's PushSubscription.toJSON gives.
func (a *API) subscribe(ctx context.Context, in *subscribeInput) (*Answer[Done], error) {
	b := in.Body
	return done(a.SafetyOffice.Subscribe(ctx, caller(ctx), nexus.PushSubscription{Endpoint: b.Endpoint, P256DH: b.Keys.P256DH, Auth: b.Keys.Auth}))
}

type unsubscribeInput struct {
	Endpoint string `query:"endpoint" required:"true" minLength:"1" maxLength:"2000"`
}

func (a *API) unsubscribe(ctx context.Context, in *unsubscribeInput) (*Answer[Done], error) {
	return done(a.SafetyOffice.Unsubscribe(ctx, caller(ctx), in.Endpoint))
}
