package rest

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/actors/ai"
	"nexus/transport/letter"
)

// Mails keeps what people received by mail.
type Mails interface {
	// Mails lists somebody's, the newest first, or the urgent ones alone; the cursor is an id. Summaries come without actions.
	Mails(ctx context.Context, user nexus.UserID, urgent bool, p nexus.Page) (nexus.List[nexus.Mail], error)
	// Mail returns one of somebody's. NotFound for any other.
	Mail(ctx context.Context, user nexus.UserID, id nexus.MailID) (nexus.MailText, error)
	// DoAction notes that somebody has done the nth thing that a mail asks for, counted from 1, and returns when. NotFound for what it does not ask for.
	DoAction(ctx context.Context, user nexus.UserID, id nexus.MailID, n int) (time.Time, error)
}

// Summarizer sums mails up, while somebody waits.
type Summarizer interface {
	// Now never fails: without a model, or one that is slow, it goes by a local method.
	Now(ctx context.Context, l nexus.Letter, now time.Time, zone *time.Location) nexus.MailSummary
}

// Models says how the use of AI models stands.
type Models interface {
	Report(ctx context.Context) (ai.Report, error)
}

// Inbox takes mails in; letter.Inbox is one.
type Inbox interface {
	// Recipients returns whose the addresses are, each account once; those of nobody are left out.
	Recipients(ctx context.Context, addresses []string) ([]nexus.UserID, error)
	// Deliver keeps a mail for people, each once. It is durable when it returns. Invalid, on the field "mail", for what is none.
	Deliver(ctx context.Context, to []nexus.UserID, raw []byte) error
}

// InboundPath is below Base where mail gateways hand mails in, which the server lets be as large as mails are.
const InboundPath = "/mail/inbound"

// bucketSummaries is what summaries that somebody asks for count against: each may cost money.
const bucketSummaries bucket = "summaries:"

// summaryWithin is for how long a model may think while somebody waits.
const summaryWithin = 6 * time.Second

func (a *API) mailRoutes() {
	tags := []string{"mail"}
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/mail", Tags: tags,
		Summary:     "Your mails, the newest first",
		Description: "A summary is null until it is made, moments after the mail came. Its actions are with the mail itself.",
	}, anyUser(), a.mails)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: InboundPath, Tags: tags,
		Summary: "Hand a mail in, for a mail gateway or a provider's webhook",
		Description: "The body is the mail as it came, headers and all (RFC 5322), with a device's key of the scope " + string(nexus.ScopeMail) + "; or it is the form that Mailgun posts " +
			"to a route whose address ends in mime, with the fields recipient, body-mime, timestamp, token and signature: the HMAC-SHA256 in hex of timestamp and token " +
			"by the webhook's key. It is durable when answered, and safe to repeat: a mail that somebody has already is not " +
			"kept twice. Addresses of nobody are counted, and make no error while there is one of somebody.",
	}, Access{Scope: nexus.ScopeMail, Hook: a.takesHook}, a.inbound)
	a.spec(http.MethodPost, InboundPath).RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		rfc822:     {Schema: &huma.Schema{Type: "string", Format: "binary"}},
		urlencoded: {Schema: hookSchema()},
		multiparts: {Schema: hookSchema()},
	}}
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/mail/{id}", Tags: tags,
		Summary: "One of your mails, with its text and what it asks for",
	}, anyUser(), a.mail)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/mail/{id}/actions/{n}/done", Tags: tags,
		Summary: "You have done what a mail asks for; safe to repeat",
	}, anyUser(), a.mailDone)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/ai/summarize", Tags: tags,
		Summary: "What a mail comes to",
		Description: "By a model, if the campus has one that answers in time, or else by the rules of a local method: engine says which. Actions are due by the clock of " +
			"your profile's zone. Nothing is kept.",
	}, anyUser().at(bucketSummaries), a.summarize)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/admin/ai", Tags: []string{"admin"},
		Summary: "The use of AI models: workers, queues, breakers, budgets, spend, jobs",
	}, roles(nexus.Admin), func(ctx context.Context, _ *struct{}) (*Answer[ai.Report], error) {
		return answer(a.Models.Report(ctx))
	})
}

type mailsInput struct {
	Paged
	Urgent string `query:"urgent" enum:"true,false" default:"false" doc:"Only what is urgent"`
}

func (a *API) mails(ctx context.Context, in *mailsInput) (*Answer[nexus.List[nexus.Mail]], error) {
	return answer(a.Mails.Mails(ctx, caller(ctx).User, in.Urgent == "true", in.page()))
}

func (a *API) mail(ctx context.Context, in *ByID) (*Answer[nexus.MailText], error) {
	return answer(a.Mails.Mail(ctx, caller(ctx).User, nexus.MailID(in.ID)))
}

// maxRecipients bounds the addresses that one mail is handed in for.
const maxRecipients = 100

// rfc822 is the media type of a mail.
const rfc822 = "message/rfc822"

type inboundInput struct {
	onWire
	To string `query:"to" maxLength:"10000" doc:"Addresses of the people that it is for, at most 100, parted by commas; a form has them in itself"`
}

// mail reads the body, once it is known who sends it.
func (in *inboundInput) mail() ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(in.media); err != nil || kind != rfc822 {
		return nil, nexus.Errorf(nexus.Unsupported, "expected %s", rfc822)
	}
	if in.body == nil || in.length <= 0 {
		return nil, nexus.InvalidField("body", "expected a mail, and its Content-Length")
	}
	if in.length > letter.MaxBytes {
		return nil, nexus.Errorf(nexus.TooLarge, "a mail has at most %d bytes", letter.MaxBytes)
	}
	raw := make([]byte, in.length)
	if _, err := io.ReadFull(in.body, raw); err != nil {
		return nil, nexus.InvalidField("body", "ends too early")
	}
	return raw, nil
}

type inbound struct {
	Delivered int `json:"delivered"` // accounts that have it now
	Unknown   int `json:"unknown"`   // addresses that lead to no account, or to one that another of them leads to
}

func (a *API) inbound(ctx context.Context, in *inboundInput) (*Answer[inbound], error) {
	if a.takesHook(in.media) {
		h, err := a.readHook(in)
		if err != nil {
			return nil, err
		}
		return a.handIn(ctx, "recipient", h.to, func() ([]byte, error) { return h.mail, nil })
	}
	return a.handIn(ctx, "to", in.To, in.mail)
}

// handIn has a mail kept for those whose addresses a field lists.
func (a *API) handIn(ctx context.Context, field, list string, mail func() ([]byte, error)) (*Answer[inbound], error) {
	to := strings.Split(list, ",")
	switch {
	case strings.TrimSpace(list) == "":
		return nil, nexus.InvalidField(field, "expected the addresses of those whom the mail is for")
	case len(to) > maxRecipients:
		return nil, nexus.InvalidField(field, "are at most %d addresses", maxRecipients)
	}
	raw, err := mail()
	if err != nil {
		return nil, err
	}
	users, err := a.Inbox.Recipients(ctx, to)
	if err != nil {
		return nil, err
	}
	if len(users) == 0 {
		return nil, nexus.Errorf(nexus.NotFound, "nobody here has any of these addresses")
	}
	return answer(inbound{Delivered: len(users), Unknown: len(to) - len(users)}, a.Inbox.Deliver(ctx, users, raw))
}

type mailActionInput struct {
	ByID
	N int `path:"n" minimum:"1" maximum:"100" doc:"The first is 1"`
}

type mailDone struct {
	DoneAt time.Time `json:"doneAt"`
}

func (a *API) mailDone(ctx context.Context, in *mailActionInput) (*Answer[mailDone], error) {
	at, err := a.Mails.DoAction(ctx, caller(ctx).User, nexus.MailID(in.ID), in.N)
	return answer(mailDone{DoneAt: at}, err)
}

type summarizeInput struct {
	Body struct {
		Subject string `json:"subject,omitempty" maxLength:"1000"`
		Body    string `json:"body" minLength:"1" maxLength:"100000" text:"lines"`
	}
}

func (a *API) summarize(ctx context.Context, in *summarizeInput) (*Answer[nexus.MailSummary], error) {
	p, err := a.Profiles.Profile(ctx, caller(ctx).User)
	if err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(p.TZ)
	if err != nil {
		zone = time.UTC // of an account that was imported with a zone that is none here
	}
	now := time.Now()
	l := nexus.Letter{Subject: strings.TrimSpace(in.Body.Subject), Text: in.Body.Body, SentAt: now}
	limited, cancel := context.WithTimeout(ctx, summaryWithin)
	defer cancel()
	return answer(a.Summarizer.Now(limited, l, now, zone), nil)
}
