package rest

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/rest/avatar"
)

// AvatarPath is where pictures are served, on the same port.
const AvatarPath = "/uploads/avatars/"

// avatarName is what our pictures are called; nothing else is ever looked up.
var avatarName = regexp.MustCompile(`^[A-Z2-7]{26}\.jpg$`)

func (a *API) photoRoutes(tag []string) {
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/profile/photo", Tags: tag,
		Summary: "Set my picture: JPEG, PNG or WebP, 5 MB at most",
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{
			Type: "object", Required: []string{"avatar"},
			Properties: map[string]*huma.Schema{"avatar": {Type: "string", Format: "binary"}},
		}}}},
		Middlewares: huma.Middlewares{a.multipartOnly},
	}, anyUser(), a.photo)
}

// multipartOnly refuses other bodies before the framework calls them broken forms.
func (a *API) multipartOnly(ctx huma.Context, next func(huma.Context)) {
	if !strings.HasPrefix(ctx.Header("Content-Type"), "multipart/form-data") {
		a.fail(ctx, nexus.Errorf(nexus.Unsupported, "expected multipart/form-data with the field avatar"))
		return
	}
	next(ctx)
}

type photoInput struct{ RawBody multipart.Form }

type photoBody struct {
	Success   bool   `json:"success"`
	AvatarURL string `json:"avatarUrl"`
}

func (a *API) photo(ctx context.Context, in *photoInput) (*Answer[photoBody], error) {
	data, err := upload(in.RawBody)
	if err != nil {
		return nil, err
	}
	picture, err := avatar.Normalize(ctx, data)
	if err != nil {
		return nil, err
	}
	url := AvatarPath + rand.Text() + ".jpg"
	return answer(photoBody{true, url}, a.Profiles.SetAvatar(ctx, caller(ctx), caller(ctx).User, url, picture))
}

// upload returns the one file of the form.
func upload(form multipart.Form) ([]byte, error) {
	files := form.File["avatar"]
	if len(files) != 1 || len(form.File) != 1 {
		return nil, nexus.InvalidField("avatar", "expected exactly one file")
	}
	if files[0].Size > avatar.MaxBytes {
		return nil, nexus.Errorf(nexus.TooLarge, "avatar: 5 MB at most")
	}
	f, err := files[0].Open()
	if err != nil {
		return nil, fmt.Errorf("open upload: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	return data, nil
}
