package rest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/rest/ical"
)

func (a *API) calendarRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/academic/timetable/export", Tags: tagAcademic,
		Summary: "Your timetable and assignments as an iCalendar file",
	}, anyUser(), a.exportCalendar)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/me/calendar", Tags: tagAcademic,
		Summary: "Whether your calendar can be read by a secret address, since when, and when it last was",
	}, anyUser(), a.feed)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/me/calendar", DefaultStatus: http.StatusCreated, Tags: tagAcademic,
		Summary:     "Make a secret address by which a calendar program can follow your timetable",
		Description: "It is shown this once. One that was made before ends.",
	}, anyUser(), a.makeFeed)
	handle(a, huma.Operation{
		Method: http.MethodDelete, Path: "/me/calendar", Tags: tagAcademic,
		Summary: "End the secret address",
	}, anyUser(), a.endFeed)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/calendar/{token}", Tags: tagAcademic,
		Summary:     "A timetable, for calendar programs that know its secret address",
		Description: "The token ends with .ics. Every address that opens nothing is answered alike.",
	}, public(), a.readFeed)
}

// calendarAnswer is an iCalendar file.
type calendarAnswer struct {
	Status      int
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	ETag        string `header:"ETag"`
	Cache       string `header:"Cache-Control"`
	Body        []byte
}

// calendar writes somebody's. The time that it carries is that of the day, so that one that has not changed has the same ETag.
func (a *API) calendar(ctx context.Context, user nexus.UserID) (*calendarAnswer, error) {
	now := time.Now().UTC()
	t, err := a.Timetables.Timetable(ctx, user, now.AddDate(0, 0, -1).Format(time.DateOnly))
	if err != nil {
		return nil, err
	}
	due, err := a.Assignments.AssignmentsOf(ctx, user, false)
	if err != nil {
		return nil, err
	}
	body, err := ical.Calendar(t, due, now.Truncate(24*time.Hour))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return &calendarAnswer{
		Status: http.StatusOK, Type: "text/calendar; charset=utf-8", ETag: `"` + hex.EncodeToString(sum[:16]) + `"`, Cache: "private, max-age=0", Body: body,
	}, nil
}

func (a *API) exportCalendar(ctx context.Context, _ *struct{}) (*calendarAnswer, error) {
	c, err := a.calendar(ctx, caller(ctx).User)
	if err != nil {
		return nil, err
	}
	c.Disposition = `attachment; filename="timetable.ics"`
	return c, nil
}

func (a *API) feed(ctx context.Context, _ *struct{}) (*Answer[nexus.Feed], error) {
	return answer(a.Timetables.Feed(ctx, caller(ctx).User))
}

// FeedAddress is where a calendar can be read.
type FeedAddress struct {
	URL string `json:"url" doc:"Below this server's address; keep it to yourself"`
}

func (a *API) makeFeed(ctx context.Context, _ *struct{}) (*Answer[FeedAddress], error) {
	secret := make([]byte, 32)
	rand.Read(secret) // never fails
	token := base64.RawURLEncoding.EncodeToString(secret)
	err := a.Timetables.SetFeed(ctx, caller(ctx), token)
	return answer(FeedAddress{URL: Base + "/calendar/" + token + ".ics"}, err)
}

func (a *API) endFeed(ctx context.Context, _ *struct{}) (*Answer[Done], error) {
	return done(a.Timetables.DeleteFeed(ctx, caller(ctx)))
}

type readFeedInput struct {
	Token       string `path:"token" minLength:"1" maxLength:"100" text:"secret"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"200"`
}

func (a *API) readFeed(ctx context.Context, in *readFeedInput) (*calendarAnswer, error) {
	token, isFile := strings.CutSuffix(in.Token, ".ics")
	if !isFile {
		return nil, nexus.Errorf(nexus.NotFound, "no such calendar")
	}
	user, err := a.Timetables.FeedOwner(ctx, token)
	if err != nil {
		return nil, err
	}
	c, err := a.calendar(ctx, user)
	if err != nil {
		return nil, err
	}
	if known(in.IfNoneMatch, c.ETag) {
		c.Status, c.Body = http.StatusNotModified, nil
	}
	return c, nil
}

// known reports whether a client has what a tag names already. Weak tags count like strong ones: proxies that compress weaken tags on their way out.
func known(ifNoneMatch, tag string) bool {
	for t := range strings.SplitSeq(ifNoneMatch, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}
