package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"nexus/cmd/nexus-chaos/history"
)

// Rater is a student who rates menus, and changes their mind.
type Rater struct {
	Web     *Web
	Student string // such as student7
	Header  http.Header
	Menus   []string
	Every   time.Duration
}

// Run rates until ctx ends.
func (r *Rater) Run(ctx, giveUp context.Context) {
	for n := 0; sleep(ctx, r.Every/2+rand.N(r.Every)); n++ {
		menu := r.Menus[rand.IntN(len(r.Menus))]
		op := history.Op{Client: r.Student, Kind: history.Rate, Key: menu, Value: 1 + rand.IntN(5)}
		header := r.Header.Clone()
		header.Set("Idempotency-Key", fmt.Sprintf("%s-%d-%d", r.Student, n, time.Now().UnixNano()))
		r.Web.insist(giveUp, &op, request{method: "POST", path: "/mess/menus/" + menu + "/ratings", header: header, body: map[string]any{"stars": op.Value}})
		r.Web.Log.Add(op)
	}
}

// Editor is one of several devices of a student that change the profile under If-Match.
type Editor struct {
	Web           *Web
	Name, Student string
	Header        http.Header
	Every         time.Duration
}

// Run edits until ctx ends. An edit is tried once: with If-Match a second try of one that had its effect is refused.
func (e *Editor) Run(ctx, _ context.Context) {
	for n := 0; sleep(ctx, e.Every/2+rand.N(e.Every)); n++ {
		targets := e.Web.targets(false)
		to := targets[rand.IntN(len(targets))]
		a, err := e.Web.send(ctx, to, request{method: "GET", path: "/profile", header: e.Header})
		if err != nil || a.status != http.StatusOK {
			continue // nothing was tried
		}
		header := e.Header.Clone()
		header.Set("If-Match", a.header.Get("ETag"))
		op := history.Op{Client: e.Name, Kind: history.Edit, Key: e.Student, Via: to.Name, Attempts: 1, Event: fmt.Sprintf("%s %d %d", e.Name, n, time.Now().UnixNano()), Outcome: history.Unknown}
		op.Call = e.Web.Log.Now()
		a, err = e.Web.send(context.WithoutCancel(ctx), to, request{method: "PATCH", path: "/profile", header: header, body: map[string]any{"bio": op.Event}})
		op.Return = e.Web.Log.Now()
		switch {
		case err == nil && a.status == http.StatusOK:
			op.Outcome = history.OK
			op.Value, err = strconv.Atoi(strings.Trim(strings.TrimPrefix(a.header.Get("ETag"), "W/"), `"`))
		case err == nil && !a.uncertain():
			op.Outcome = history.Failed
		}
		if err != nil || op.Outcome != history.OK {
			op.Troubles = []string{trouble(to, a, err)}
		}
		e.Web.Log.Add(op)
	}
}

// Visitor logs in and renews the login, again and again.
type Visitor struct {
	Web     *Web
	Student string
	Every   time.Duration
}

// Run comes and goes until ctx ends.
func (v *Visitor) Run(ctx, giveUp context.Context) {
	cookie := ""
	for sleep(ctx, v.Every/2+rand.N(v.Every)) {
		op := history.Op{Client: v.Student, Kind: history.Refresh, Key: v.Student}
		r := request{method: "POST", path: "/auth/refresh", header: http.Header{"Cookie": {cookie}}}
		if cookie == "" {
			op.Kind = history.Login
			r = request{method: "POST", path: "/auth/login", body: credentials(v.Student), limit: 5 * time.Second}
		}
		a := v.Web.insist(giveUp, &op, r)
		v.Web.Log.Add(op)
		cookie = ""
		if op.Outcome == history.OK {
			name, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
			cookie = name
		}
	}
}
