package rest

import (
	"context"

	"nexus"
	"nexus/transport/auth"
)

// This file holds the shapes of the web client that the campus used first, which runs
// against this server unchanged.

// originalLogin is what it reads after a login.
type originalLogin struct {
	Token string       `json:"token"`
	User  originalUser `json:"user"`
}

type originalUser struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Role       nexus.Role `json:"role"`
	Avatar     string     `json:"avatar"`
	Department *string    `json:"department,omitempty"`
}

func (a *API) loginStudent(ctx context.Context, in *loginInput) (*withCookie[originalLogin], error) {
	t, err := a.Auth.Login(ctx, caller(ctx), auth.Attempt{
		Identifier: in.Body.Identifier, Password: in.Body.Password, Remember: in.Body.Remember, Device: in.name(),
	})
	return a.original(t, false, err)
}

type adminLoginInput struct {
	Device
	Body struct {
		Email    string `json:"email" minLength:"1" maxLength:"254"`
		Password string `json:"password" minLength:"1" maxLength:"200" text:"secret" format:"password"`
		Remember bool   `json:"rememberMe,omitempty"`
	}
}

func (a *API) loginAdmin(ctx context.Context, in *adminLoginInput) (*withCookie[originalLogin], error) {
	t, err := a.Auth.Login(ctx, caller(ctx), auth.Attempt{
		Identifier: in.Body.Email, Password: in.Body.Password, Remember: in.Body.Remember, Device: in.name(), Staff: true,
	})
	return a.original(t, true, err)
}

func (a *API) original(t auth.Tokens, staff bool, err error) (*withCookie[originalLogin], error) {
	if err != nil {
		return nil, err
	}
	u := originalUser{ID: string(t.User.ID), Name: t.User.Name, Role: nexus.PrimaryRole(t.User.Roles), Avatar: t.User.AvatarURL}
	if staff {
		u.Department = &t.User.Department
	}
	return &withCookie[originalLogin]{Cookie: a.cookie(t), NoMore: "no-store", Body: originalLogin{t.Access, u}}, nil
}

// originalProfile is its profile.
type originalProfile struct {
	ID         string              `json:"id"`
	UserID     string              `json:"userId"`
	DOB        *string             `json:"dob"`
	Phone      *string             `json:"phone"`
	Address    *string             `json:"address"`
	Bio        *string             `json:"bio"`
	AvatarURL  *string             `json:"avatarUrl"`
	HostelName *string             `json:"hostelName"`
	RoomNumber *string             `json:"roomNumber"`
	WardenName *string             `json:"wardenName"`
	Department *string             `json:"department"`
	Course     *string             `json:"course"`
	Semester   *int                `json:"semester"`
	User       originalProfileUser `json:"user"`
}

type originalProfileUser struct {
	Name  string     `json:"name"`
	Email string     `json:"email"`
	RegNo string     `json:"regNo"`
	Role  nexus.Role `json:"role"`
}

func toOriginal(p nexus.Profile, u nexus.User) originalProfile {
	known := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	o := originalProfile{
		ID: string(p.UserID), UserID: string(p.UserID),
		DOB: known(p.DOB), Phone: known(p.Phone), Address: known(p.Address), Bio: known(p.Bio), AvatarURL: known(p.AvatarURL),
		HostelName: known(p.Hostel), RoomNumber: known(p.Room), WardenName: known(p.Warden),
		Department: known(p.Department), Course: known(p.Course),
		User: originalProfileUser{Name: u.Name, Email: u.Email, RegNo: u.RegNo, Role: nexus.PrimaryRole(u.Roles)},
	}
	if p.Semester > 0 {
		o.Semester = &p.Semester
	}
	return o
}

// success is the envelope of its answers.
type success[T any] struct {
	Success bool   `json:"success"`
	Message string `json:"message,omitempty"`
	Data    T      `json:"data"`
}
