package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
)

// Notices keeps what people were told.
type Notices interface {
	// Notices lists what a person was told, the oldest first, unread alone if that is asked for. The cursor is a seq.
	Notices(ctx context.Context, user nexus.UserID, unread bool, p nexus.Page) (nexus.List[nexus.Notice], error)
	// Read notes that a person has read a notice; the first time counts. NotFound if the person was told no such thing.
	Read(ctx context.Context, user nexus.UserID, id string) (nexus.Notice, error)
	// ReadAll notes that a person has read all up to a seq, 0 for the newest, and says how many were unread.
	ReadAll(ctx context.Context, user nexus.UserID, upto int64) (read int64, err error)
}

func (a *API) noticeRoutes() {
	tags := []string{"notifications"}
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/notifications", Tags: tags,
		Summary:     "What you were told, the oldest first",
		Description: "after is the seq up to which you have heard. The same come over Socket.IO as notification, on the namespace /.",
	}, anyUser(), a.notices)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/notifications/{id}/read", Tags: tags,
		Summary: "You have read it; safe to repeat",
	}, anyUser(), a.readNotice)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/notifications/read-all", Tags: tags,
		Summary: "You have read all, or all up to a seq; safe to repeat",
	}, anyUser(), a.readAllNotices)
}

type noticesInput struct {
	Paged
	Unread string `query:"unread" enum:"true,false" default:"false" doc:"Only what you have not read"`
}

func (a *API) notices(ctx context.Context, in *noticesInput) (*Answer[nexus.List[nexus.Notice]], error) {
	return answer(a.Notices.Notices(ctx, caller(ctx).User, in.Unread == "true", in.page()))
}

func (a *API) readNotice(ctx context.Context, in *ByID) (*Answer[nexus.Notice], error) {
	return answer(a.Notices.Read(ctx, caller(ctx).User, in.ID))
}

type readAllInput struct {
	Upto int64 `query:"upto" minimum:"0" maximum:"9007199254740991" doc:"The seq of the last one that you have seen; 0 or none is all"`
}

type readAll struct {
	Read int64 `json:"read"` // how many were unread
}

func (a *API) readAllNotices(ctx context.Context, in *readAllInput) (*Answer[readAll], error) {
	n, err := a.Notices.ReadAll(ctx, caller(ctx).User, in.Upto)
	return answer(readAll{Read: n}, err)
}
