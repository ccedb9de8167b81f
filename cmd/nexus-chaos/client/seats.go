package client

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus"
	"nexus/cmd/nexus-chaos/history"
)

// Applicant is a student who wants a seat.
type Applicant struct {
	ID     string
	header http.Header
}

// Applicants makes n students with a login each, past the hashing of passwords, which is not what a race for seats is about. secret
// is what the nodes sign access tokens with.
func Applicants(ctx context.Context, db *pgxpool.Pool, secret string, n int) ([]Applicant, error) {
	all := make([]Applicant, n)
	users, logins := make([]string, n), make([]string, n)
	now := time.Now()
	for i := range all {
		users[i], logins[i] = nexus.NewID(), nexus.NewID()
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"iss": "nexus", "aud": "nexus:access", "sub": users[i], "jti": nexus.NewID(), "iat": now.Unix(), "exp": now.Add(15 * time.Minute).Unix(),
			"sid": logins[i], "roles": []nexus.Role{nexus.Student}, "epoch": 0,
		}).SignedString([]byte(secret))
		if err != nil {
			return nil, fmt.Errorf("sign a token: %w", err)
		}
		all[i] = Applicant{ID: users[i], header: http.Header{"Authorization": {"Bearer " + token}}}
	}
	_, err := db.Exec(ctx, `
with account as (
    insert into app_user (id, email) select u, u || '@applicants.demo' from unnest($1::uuid[]) u returning id
), role as (
    insert into user_role (user_id, role) select id, 'STUDENT' from account
), profile as (
    insert into profile (user_id, full_name) select id, 'Applicant' from account
)
insert into auth_session (id, user_id, expires_at) select l, u, now() + interval '1 hour' from unnest($1::uuid[], $2::uuid[]) as x(u, l)`, users, logins)
	return all, err
}

// Apply asks for a seat until it is answered, each time with one key, on whichever node.
func (w *Web) Apply(ctx context.Context, a Applicant, course string) history.Op {
	op := history.Op{Kind: history.Enrol, Client: a.ID, Key: course, Scattered: true}
	header := a.header.Clone()
	header.Set("Idempotency-Key", a.ID)
	got := w.insist(ctx, &op, request{method: "POST", path: "/courses/" + course + "/enrollments", header: header, limit: 10 * time.Second})
	var e nexus.Enrollment
	if op.Outcome == history.OK {
		if err := got.decode(&e); err != nil {
			op.Outcome = history.Failed
			op.Troubles = append(op.Troubles, err.Error())
		}
	}
	op.Event, op.Value = string(e.Status), e.Position
	w.Log.Add(op)
	return op
}

// Withdraw gives a seat or a place back, and says so until it is answered, on whichever node.
func (w *Web) Withdraw(ctx context.Context, a Applicant, course string) history.Op {
	op := history.Op{Kind: history.Leave, Client: a.ID, Key: course, Scattered: true}
	w.insist(ctx, &op, request{method: "DELETE", path: "/courses/" + course + "/enrollments/me", header: a.header, limit: 10 * time.Second})
	w.Log.Add(op)
	return op
}

// Course makes a course in a term of its own.
func (w *Web) Course(ctx context.Context, capacity, waitlist int) (string, error) {
	admin, err := w.Login(ctx, "admin")
	if err != nil {
		return "", err
	}
	term, day := "t-"+nexus.NewID()[24:], func(n int) string { return time.Now().AddDate(0, 0, n).UTC().Format(time.DateOnly) }
	var none struct{}
	if err := w.must(ctx, w.first(), request{
		method: "POST", path: "/terms", header: admin, body: map[string]any{"id": term, "name": "Now", "tz": "UTC", "startsOn": day(-1), "endsOn": day(30)},
	}, &none); err != nil {
		return "", err
	}
	var c nexus.Course
	err = w.must(ctx, w.first(), request{method: "POST", path: "/courses", header: admin, body: map[string]any{
		"termId": term, "code": "RACE", "title": "Wanted by all", "credits": 1, "capacity": capacity, "waitlistCapacity": waitlist,
	}}, &c)
	return string(c.ID), err
}
