package rest

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/transport/auth"
)

func (a *API) adminRoutes() {
	tag := []string{"admin"}
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/admin/users", Tags: tag,
		Summary: "Accounts, in order of id",
	}, roles(nexus.Admin), a.users)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/admin/users/{id}", Tags: tag,
		Summary: "One account",
	}, roles(nexus.Admin), a.user)
	handle(a, huma.Operation{
		Method: http.MethodPatch, Path: "/admin/users/{id}", Tags: tag,
		Summary: "Change an account; suspending ends its logins",
	}, roles(nexus.Admin), a.changeUser)
	handle(a, huma.Operation{
		Method: http.MethodPut, Path: "/admin/users/{id}/roles", Tags: tag,
		Summary: "Replace an account's roles; its tokens die",
	}, roles(nexus.Admin), a.setRoles)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/admin/api-keys", Tags: tag,
		Summary: "Keys of devices, the newest first",
	}, roles(nexus.Admin), a.apiKeys)
	handle(a, huma.Operation{
		Method: http.MethodPost, Path: "/admin/api-keys", DefaultStatus: http.StatusCreated, Tags: tag,
		Summary: "Make a key; its secret is shown this once",
		Description: "Each call makes another key: an Idempotency-Key is not heeded, for the secret of a first answer could not be told " +
			"again. If an answer is lost, find the key in the list, end it, and make another.",
	}, roles(nexus.Admin), a.createKey)
	handle(a, huma.Operation{
		Method: http.MethodDelete, Path: "/admin/api-keys/{id}", Tags: tag,
		Summary: "End a key",
	}, roles(nexus.Admin), a.revokeKey)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/admin/audit", Tags: tag,
		Summary: "The audit log, the newest first",
	}, roles(nexus.Admin), a.auditLog)
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/admin/audit/verify", Tags: tag,
		Summary: "Walk the audit log's hash chain",
	}, roles(nexus.Admin), a.verifyAudit)
}

type usersInput struct {
	Paged
	Query string `query:"q" maxLength:"100" doc:"Part of a name, e-mail address or registration number"`
}

func (a *API) users(ctx context.Context, in *usersInput) (*Answer[nexus.List[nexus.User]], error) {
	if in.After != "" && !nexus.ValidID(in.After) {
		return nil, nexus.InvalidField("after", "is not a cursor of this list")
	}
	return answer(a.Office.Users(ctx, in.Query, in.page()))
}

func (a *API) user(ctx context.Context, in *ByID) (*Versioned[nexus.User], error) {
	u, err := a.Office.User(ctx, nexus.UserID(in.ID))
	return versioned(u, u.Version, err)
}

type changeUserInput struct {
	ByID
	Conditional
	Body struct {
		Status     *string `json:"status,omitempty" enum:"active,suspended"`
		Name       *string `json:"name,omitempty" minLength:"1" maxLength:"120"`
		RegNo      *string `json:"regNo,omitempty" maxLength:"40" pattern:"^[A-Za-z0-9/_.-]*$" patternDescription:"a registration number"`
		Department *string `json:"department,omitempty" maxLength:"120"`
		Course     *string `json:"course,omitempty" maxLength:"120"`
		Semester   *int    `json:"semester,omitempty" minimum:"0" maximum:"20" doc:"0 is unknown"`
		Hostel     *string `json:"hostel,omitempty" maxLength:"120"`
		Room       *string `json:"room,omitempty" maxLength:"20"`
		Warden     *string `json:"warden,omitempty" maxLength:"120"`
	}
}

func (a *API) changeUser(ctx context.Context, in *changeUserInput) (*Versioned[nexus.User], error) {
	v, err := in.version()
	if err != nil {
		return nil, err
	}
	id := nexus.UserID(in.ID)
	if in.Body.Status != nil && id == caller(ctx).User {
		return nil, nexus.Errorf(nexus.Conflict, "nobody changes their own status")
	}
	u, err := a.Office.ChangeUser(ctx, caller(ctx), id, v, nexus.UserChange(in.Body))
	if err == nil && in.Body.Status != nil {
		a.Auth.Ended(ctx, id, "", auth.ReasonAccount)
	}
	return versioned(u, u.Version, err)
}

type rolesInput struct {
	ByID
	Body struct {
		Roles []nexus.Role `json:"roles" minItems:"1" maxItems:"5" nullable:"false" enum:"STUDENT,FACULTY,MESS_STAFF,SECURITY,ADMIN"`
	}
}

func (a *API) setRoles(ctx context.Context, in *rolesInput) (*Versioned[nexus.User], error) {
	id := nexus.UserID(in.ID)
	u, err := a.Office.SetRoles(ctx, caller(ctx), id, set(in.Body.Roles))
	if err == nil {
		a.Auth.Ended(ctx, id, "", auth.ReasonRoles)
	}
	return versioned(u, u.Version, err)
}

// set sorts and drops repetitions. Huma's own uniqueItems panics on items that are objects.
func set[T cmp.Ordered](items []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(items)))
}

type keysBody struct {
	Items []nexus.APIKey `json:"items"`
}

func (a *API) apiKeys(ctx context.Context, _ *struct{}) (*Answer[keysBody], error) {
	ks, err := a.Auth.ListKeys(ctx)
	return answer(keysBody{ks}, err)
}

type createKeyInput struct {
	Body struct {
		Name      string        `json:"name" minLength:"1" maxLength:"100"`
		Scopes    []nexus.Scope `json:"scopes" minItems:"1" maxItems:"2" nullable:"false" enum:"mess:checkins,mail:inbound"`
		ExpiresAt *time.Time    `json:"expiresAt,omitempty"`
	}
}

type keyBody struct {
	Key    nexus.APIKey `json:"key"`
	Secret string       `json:"secret" doc:"For the X-Api-Key header"`
}

func (a *API) createKey(ctx context.Context, in *createKeyInput) (*Answer[keyBody], error) {
	k, secret, err := a.Auth.CreateKey(ctx, caller(ctx), in.Body.Name, set(in.Body.Scopes), in.Body.ExpiresAt)
	return answer(keyBody{k, secret}, err)
}

func (a *API) revokeKey(ctx context.Context, in *ByID) (*Answer[Done], error) {
	return done(a.Auth.RevokeKey(ctx, caller(ctx), nexus.KeyID(in.ID)))
}

type auditInput struct {
	Paged
	Actor    string    `query:"actor" maxLength:"60" doc:"A user's id, key:<id> or system"`
	Action   string    `query:"action" maxLength:"100"`
	Entity   string    `query:"entity" maxLength:"100"`
	EntityID string    `query:"entityId" maxLength:"100"`
	From     time.Time `query:"from"`
	To       time.Time `query:"to"`
}

func (a *API) auditLog(ctx context.Context, in *auditInput) (*Answer[nexus.List[nexus.AuditEntry]], error) {
	if !cursor.MatchString(in.After) {
		return nil, nexus.InvalidField("after", "is not a cursor of this list")
	}
	return answer(a.Audit.Entries(ctx, nexus.AuditFilter{
		Actor: in.Actor, Action: in.Action, Entity: in.Entity, EntityID: in.EntityID, From: in.From, To: in.To,
	}, in.page()))
}

// cursor is a seq of the audit log, or nothing.
var cursor = regexp.MustCompile(`^[0-9]{0,18}$`)

type auditState struct {
	Entries  int64 `json:"entries"`
	FirstBad int64 `json:"firstBad" doc:"The first seq that does not fit, 0 if all fit"`
	OK       bool  `json:"ok"`
}

func (a *API) verifyAudit(ctx context.Context, _ *struct{}) (*Answer[auditState], error) {
	n, bad, err := a.Audit.Verify(ctx)
	return answer(auditState{n, bad, bad == 0}, err)
}
