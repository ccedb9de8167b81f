package rest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/auth"
	"nexus/transport/rest/problem"
)

// cookieName is the cookie that holds the refresh token. It goes to the auth routes alone.
const cookieName = "nexus_refresh"

func (a *API) authRoutes() {
	tag := []string{"auth"}
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/auth/register", DefaultStatus: http.StatusCreated, Tags: tag,
		Summary: "Make a student's account; log in afterwards",
	}, public(), a.register)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/auth/login", Tags: tag,
		Summary: "Log in; the refresh token comes as a cookie",
	}, public(), a.login)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/auth/refresh", Tags: tag,
		Summary: "Exchange the refresh cookie for a new access token",
		Description: "The cookie is good for one exchange. Sent again it ends the login, for one of the two who used it may be a thief. " +
			"After 503, or when no connection was made, try again; when the answer was lost, go on with the access token for as long as it lives, and then log in.",
	}, public(), a.refresh)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/auth/logout", Tags: tag,
		Summary: "End this login",
	}, public(), a.logout)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/auth/session", Tags: tag,
		Summary: "Who am I",
	}, anyUser(), a.session)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/auth/sessions", Tags: tag,
		Summary: "My logins, the last used first",
	}, anyUser(), a.sessions)
	handle(a, huma.Operation{
		Method: http.MethodDelete, Path: "/auth/sessions/{id}", Tags: tag,
		Summary: "End one of my logins",
	}, anyUser(), a.revokeSession)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/auth/password", Tags: tag,
		Summary: "Change my password; every other login ends",
	}, anyUser(), a.password)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/auth/login/student", Tags: tag,
		Summary: "Log in, as the original client does",
	}, public(), a.loginStudent)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/auth/login/admin", Tags: tag,
		Summary: "Log in as staff, as the original client does",
	}, public(), a.loginAdmin)
}

type registerInput struct {
	Idempotent
	Body struct {
		Email    string `json:"email" format:"email" maxLength:"254"`
		Password string `json:"password" minLength:"10" maxLength:"200" text:"secret" format:"password"`
		Name     string `json:"name" minLength:"1" maxLength:"120"`
		RegNo    string `json:"regNo,omitempty" maxLength:"40" pattern:"^[A-Za-z0-9/_.-]*$" patternDescription:"a registration number"`
	}
}

type userBody struct {
	User nexus.User `json:"user"`
}

func (a *API) register(ctx context.Context, in *registerInput) (*Answer[userBody], error) {
	b := in.Body
	u, err := a.Auth.Register(ctx, caller(ctx), auth.Registration{Email: b.Email, RegNo: b.RegNo, Name: b.Name, Password: b.Password})
	return answer(userBody{u}, err)
}

// Device adds the name of the device.
type Device struct {
	UserAgent string `header:"User-Agent" hidden:"true"`
}

// name is the device as a person finds it in the list of logins.
func (d Device) name() string {
	return strings.ToValidUTF8(d.UserAgent[:min(len(d.UserAgent), 200)], "")
}

type loginInput struct {
	Device
	Body struct {
		Identifier string `json:"identifier" minLength:"1" maxLength:"254" doc:"E-mail address or registration number"`
		Password   string `json:"password" minLength:"1" maxLength:"200" text:"secret" format:"password"`
		Remember   bool   `json:"rememberMe,omitempty" doc:"Stay logged in for 30 days instead of 12 hours"`
	}
}

// loggedIn is the body of a login; token and accessToken are the same.
type loggedIn struct {
	Token     string     `json:"token" doc:"The access token"`
	ExpiresAt time.Time  `json:"expiresAt"`
	SessionID string     `json:"sessionId"`
	User      nexus.User `json:"user"`
}

// withCookie is an answer that sets the refresh cookie.
type withCookie[T any] struct {
	Cookie http.Cookie `header:"Set-Cookie"`
	NoMore string      `header:"Cache-Control"` // tokens are not for caches
	Body   T
}

func (a *API) login(ctx context.Context, in *loginInput) (*withCookie[loggedIn], error) {
	b := in.Body
	t, err := a.Auth.Login(ctx, caller(ctx), auth.Attempt{
		Identifier: b.Identifier, Password: b.Password, Remember: b.Remember, Device: in.name(),
	})
	return a.loggedIn(t, err)
}

func (a *API) loggedIn(t auth.Tokens, err error) (*withCookie[loggedIn], error) {
	if err != nil {
		return nil, err
	}
	return &withCookie[loggedIn]{
		Cookie: a.cookie(t), NoMore: "no-store",
		Body: loggedIn{Token: t.Access, ExpiresAt: t.Expires, SessionID: string(t.Session), User: t.User},
	}, nil
}

// cookie holds the refresh token; for a login that is not remembered it ends with the browser.
func (a *API) cookie(t auth.Tokens) http.Cookie {
	c := http.Cookie{
		Name: cookieName, Value: t.Refresh, Path: Base + "/auth",
		HttpOnly: true, Secure: a.Secure, SameSite: http.SameSiteLaxMode,
	}
	switch {
	case t.Refresh == "":
		c.MaxAge = -1
	case t.Remember:
		c.MaxAge = int(time.Until(t.Until).Seconds())
	}
	return c
}

type refreshInput struct {
	Token string `cookie:"nexus_refresh" maxLength:"100"`
}

func (a *API) refresh(ctx context.Context, in *refreshInput) (*withCookie[loggedIn], error) {
	if in.Token == "" {
		return nil, nexus.Errorf(nexus.Unauthenticated, "there is no refresh cookie")
	}
	t, err := a.Auth.Refresh(ctx, in.Token)
	switch nexus.CodeOf(err) {
	case nexus.Unauthenticated, nexus.TokenReused:
		// The cookie is of no more use: take it back, or the client would try forever.
		return nil, problem.From(err).WithCookie(a.cookie(auth.Tokens{}))
	default:
		return a.loggedIn(t, err)
	}
}

func (a *API) logout(ctx context.Context, in *refreshInput) (*withCookie[Done], error) {
	if err := a.Auth.Logout(ctx, caller(ctx), in.Token); err != nil {
		return nil, err
	}
	return &withCookie[Done]{Cookie: a.cookie(auth.Tokens{}), NoMore: "no-store", Body: Done{Success: true}}, nil
}

type sessionBody struct {
	User      nexus.User `json:"user"`
	SessionID string     `json:"sessionId"`
}

func (a *API) session(ctx context.Context, _ *struct{}) (*Answer[sessionBody], error) {
	c := caller(ctx)
	u, err := a.Auth.Account(ctx, c.User)
	return answer(sessionBody{u, string(c.Session)}, err)
}

type loginItem struct {
	nexus.Login
	Current bool `json:"current" doc:"This is the login that asks"`
}

func (a *API) sessions(ctx context.Context, _ *struct{}) (*Answer[nexus.List[loginItem]], error) {
	c := caller(ctx)
	logins, err := a.Auth.Sessions(ctx, c)
	var list nexus.List[loginItem]
	for _, l := range logins {
		list.Items = append(list.Items, loginItem{l, l.ID == c.Session})
	}
	return answer(list, err)
}

func (a *API) revokeSession(ctx context.Context, in *ByID) (*Answer[Done], error) {
	return done(a.Auth.Revoke(ctx, caller(ctx), nexus.SessionID(in.ID)))
}

type passwordInput struct {
	Body struct {
		Current string `json:"currentPassword" minLength:"1" maxLength:"200" text:"secret" format:"password"`
		New     string `json:"newPassword" minLength:"10" maxLength:"200" text:"secret" format:"password"`
	}
}

type tokenBody struct {
	Success   bool      `json:"success"`
	Token     string    `json:"token" doc:"A new access token: the old one has died"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func (a *API) password(ctx context.Context, in *passwordInput) (*Answer[tokenBody], error) {
	t, err := a.Auth.ChangePassword(ctx, caller(ctx), in.Body.Current, in.Body.New)
	return answer(tokenBody{true, t.Access, t.Expires}, err)
}
