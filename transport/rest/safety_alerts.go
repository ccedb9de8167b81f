package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/rest/cap"
)

// alertRoutes registers what is told to everybody, and what is told to other authorities.
func (a *API) alertRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/safety/alerts", DefaultStatus: http.StatusCreated, Tags: tagSafety,
		Summary:     "Warn everybody",
		Description: "Reaches every client on /security as MASS_ALERT, also those that come back later, until it expires. An Update or Cancel names the alert that it follows.",
	}, roles(nexus.Security, nexus.Admin), a.sendAlert)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/alerts/{id}/cap.xml", Tags: tagSafety,
		Summary: "An alert in the Common Alerting Protocol 1.2",
	}, anyUser(), a.alertCAP)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/safety/incidents/{id}/cap.xml", Tags: tagSafety,
		Summary: "An incident in the Common Alerting Protocol 1.2, for other authorities",
	}, roles(nexus.Security, nexus.Admin), a.incidentCAP)
}

type sendAlertInput struct {
	Idempotent
	Body struct {
		Status      string    `json:"status,omitempty" enum:"Actual,Exercise,System,Test" default:"Actual"`
		MsgType     string    `json:"msgType,omitempty" enum:"Alert,Update,Cancel" default:"Alert"`
		References  string    `json:"references,omitempty" maxLength:"200" doc:"The identifier of the alert that this one updates or cancels"`
		Category    string    `json:"category" enum:"Geo,Met,Safety,Security,Rescue,Fire,Health,Env,Transport,Infra,CBRNE,Other"`
		Event       string    `json:"event" minLength:"1" maxLength:"200" doc:"Such as Gas leak"`
		Urgency     string    `json:"urgency" enum:"Immediate,Expected,Future,Past,Unknown"`
		Severity    string    `json:"severity" enum:"Extreme,Severe,Moderate,Minor,Unknown"`
		Certainty   string    `json:"certainty" enum:"Observed,Likely,Possible,Unlikely,Unknown"`
		Headline    string    `json:"headline" minLength:"1" maxLength:"160"`
		Description string    `json:"description,omitempty" maxLength:"4000" text:"lines"`
		Instruction string    `json:"instruction,omitempty" maxLength:"4000" text:"lines" doc:"What to do"`
		Area        string    `json:"area" minLength:"1" maxLength:"200" doc:"Where, in words"`
		Expires     time.Time `json:"expires"`
	}
}

func (a *API) sendAlert(ctx context.Context, in *sendAlertInput) (*Answer[nexus.MassAlert], error) {
	b := in.Body
	switch {
	case !b.Expires.After(time.Now()):
		return nil, nexus.InvalidField("expires", "must be in the future")
	case (b.MsgType == "Alert") == (b.References != ""):
		return nil, nexus.InvalidField("references", "is given with an Update or Cancel, and only then")
	}
	alert, err := a.SafetyOffice.SendAlert(ctx, caller(ctx), nexus.MassAlert{
		Status: b.Status, MsgType: b.MsgType, References: b.References, Category: b.Category, Event: b.Event, Urgency: b.Urgency, Severity: b.Severity,
		Certainty: b.Certainty, Headline: b.Headline, Description: b.Description, Instruction: b.Instruction, Area: b.Area, Expires: b.Expires,
	})
	if err == nil {
		a.Publisher.News(nexus.CampusStream)
	}
	return answer(alert, err)
}

// xmlAnswer is a document.
type xmlAnswer struct {
	Type string `header:"Content-Type"`
	Body []byte
}

func document(doc []byte, err error) (*xmlAnswer, error) {
	if err != nil {
		return nil, err
	}
	return &xmlAnswer{Type: "application/cap+xml", Body: doc}, nil
}

type alertInput struct {
	ID string `path:"id" minLength:"1" maxLength:"200" doc:"The alert's identifier"`
}

func (a *API) alertCAP(ctx context.Context, in *alertInput) (*xmlAnswer, error) {
	alert, err := a.SafetyOffice.Alert(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	var follows *nexus.MassAlert
	if alert.References != "" {
		before, err := a.SafetyOffice.Alert(ctx, alert.References)
		if err != nil {
			return nil, err
		}
		follows = &before
	}
	return document(cap.Mass(alert, follows))
}

func (a *API) incidentCAP(ctx context.Context, in *ByID) (*xmlAnswer, error) {
	i, err := a.Incidents.Incident(ctx, caller(ctx), nexus.IncidentID(in.ID))
	if err != nil {
		return nil, err
	}
	return document(cap.Incident(i))
}
