package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humafiber"
	"github.com/gofiber/fiber/v2"

	"nexus"
	"nexus/transport/auth"
	"nexus/transport/limit"
	"nexus/transport/rest/problem"
	"nexus/transport/rest/wire"
)

// Base is the path under which every resource lives.
const Base = "/api/v1"

// Deps is what the resources work with. Auth, Limiter and Log are always needed, a
// store when one of its routes is called.
type Deps struct {
	Auth      *auth.Service
	Profiles  Profiles
	Office    Office
	Audit     Audit
	Halls     Halls
	Menus     Menus
	LiveHalls LiveHalls
	Forecasts Forecasts
	Publisher Publisher

	Desk         Desk
	Incidents    Incidents
	SafetyOffice SafetyOffice

	Importer    Importer
	Imports     Imports
	ImportBytes int64 // of one file at most

	Notices Notices

	Mails Mails
	Inbox Inbox
	// MailHookKey is what a provider of mail signs its forms with; empty: none is taken.
	MailHookKey []byte
	Summarizer  Summarizer
	Models      Models

	Catalogue   Catalogue
	Seats       Seats
	Enrollments Enrollments
	LiveClasses LiveClasses
	Classes     Classes
	Timetables  Timetables
	Assignments Assignments

	Cluster Cluster
	Limiter limit.Limiter
	Limits  Limits
	Log     *slog.Logger
	Secure  bool // cookies over HTTPS alone
}

// API is the REST house. Its routes are fixed once New returns.
type API struct {
	Deps
	huma  huma.API
	ops   []Operation
	files chan struct{} // holds one for each file that is being handed in
	hooks chan struct{} // and for each mail of a webhook
}

// Operation is a registered route, for documents and generated tests.
type Operation struct {
	Method string
	Path   string // below Base, with {names}
	Access Access
	Spec   *huma.Operation
}

// New registers every resource, the OpenAPI document at /openapi.json and its page at /docs.
func New(app *fiber.App, d Deps) *API {
	d.Limits = d.Limits.orDefault()
	a := &API{Deps: d, files: make(chan struct{}, filesAtOnce), hooks: make(chan struct{}, hooksAtOnce)}
	a.huma = humafiber.NewWithGroup(app, app.Group(Base), config(d.Limits))
	a.authRoutes()
	a.profileRoutes()
	a.adminRoutes()
	a.clusterRoutes()
	a.messRoutes()
	a.safetyRoutes()
	a.importRoutes()
	a.noticeRoutes()
	a.mailRoutes()
	a.termRoutes()
	a.courseRoutes()
	a.enrollmentRoutes()
	a.classRoutes()
	a.attendanceRoutes()
	a.timetableRoutes()
	a.calendarRoutes()
	a.assignmentRoutes()
	a.uploads(app)
	a.documents(app)
	return a
}

// Operations lists every registered operation.
func (a *API) Operations() []Operation { return slices.Clone(a.ops) }

// OpenAPI returns the document that /openapi.json serves.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

func describe(l Limits) string {
	return fmt.Sprintf("The campus over HTTP. Live events are served over Socket.IO on the same port.\n\n"+
		"Every caller is held to a rate, which the RateLimit headers tell: an account to %v requests a second for long and %d at once; "+
		"an API key to %v and %d, whatever others at its address do; the strangers of one address to %v and %d together. Past it the "+
		"answer is 429 with Retry-After.",
		l.User.Rate, l.User.Burst, l.Device.Rate, l.Device.Burst, l.Stranger.Rate, l.Stranger.Burst)
}

func config(l Limits) huma.Config {
	format := huma.Format{Marshal: wire.Encode, Unmarshal: wire.Decode}
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "NEXUS", Version: "1", Description: describe(l)},
			Servers: []*huma.Server{{URL: Base}},
			Components: &huma.Components{Schemas: registry, SecuritySchemes: map[string]*huma.SecurityScheme{
				"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
				"apiKey": {Type: "apiKey", In: "header", Name: KeyHeader},
			}},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{translate},
	}
}

// handle registers an operation. Its handler runs for callers that the access lets in, with an
// input that fits its schema and holds tidy strings; the errors it returns become problems.
func handle[I, O any](a *API, op huma.Operation, access Access, fn func(context.Context, *I) (*O, error)) {
	if op.OperationID == "" {
		op.OperationID = strings.ToLower(op.Method) + strings.NewReplacer("/", "-", "{", "", "}", "").Replace(op.Path)
	}
	op.Security = access.security()
	op.Responses = problems(a.huma.OpenAPI().Components.Schemas, op.Responses)
	op.Middlewares = append(huma.Middlewares{a.guard(access, takesKey[I]())}, op.Middlewares...)
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		if wrong := tidy(in); len(wrong) > 0 {
			return nil, a.problem(ctx, problem.New(http.StatusUnprocessableEntity, nexus.Invalid, summary(wrong), wrong...))
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return out, nil
	})
	a.ops = append(a.ops, Operation{Method: op.Method, Path: op.Path, Access: access, Spec: a.spec(op.Method, op.Path)})
}

func (a *API) spec(method, path string) *huma.Operation {
	item := a.huma.OpenAPI().Paths[path]
	switch method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	default:
		return item.Delete
	}
}

// problem maps a handler's error, and logs the causes that clients never see.
func (a *API) problem(ctx context.Context, err error) *problem.Problem {
	p := *problem.From(err)
	p.RequestID = OriginOf(ctx).RequestID
	var known *problem.Problem
	if p.Status >= http.StatusInternalServerError && !errors.As(err, &known) {
		a.Log.ErrorContext(ctx, "request failed", "requestId", p.RequestID, "code", p.Code, "err", err)
	}
	return &p
}

// fail answers with an error before the operation was reached.
func (a *API) fail(ctx huma.Context, err error) {
	p := a.problem(ctx.Context(), err)
	for name, values := range p.GetHeaders() {
		ctx.SetHeader(name, values[0])
	}
	ctx.SetHeader("Content-Type", problem.ContentType)
	ctx.SetStatus(p.Status)
	if err := wire.Encode(ctx.BodyWriter(), p); err != nil {
		a.Log.ErrorContext(ctx.Context(), "write problem", "requestId", p.RequestID, "err", err)
	}
}
