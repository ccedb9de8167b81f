// Package client is the crowd of a trial: gates, readers, students and sockets that behave as well-meaning clients do - they
// wait a bounded time, try again elsewhere with the same ids, come back after a disconnect - and write down what they saw.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"nexus/cmd/nexus-chaos/history"
)

// Patience of a client: how long one attempt may take, and the pause before the next.
const (
	attemptLimit = 2 * time.Second
	pauseLeast   = 50 * time.Millisecond
	mustLimit    = time.Minute // for what a trial cannot do without
)

// Target is where clients send requests: the balancer or a node.
type Target struct{ Name, URL string }

// Web sends requests and knows where to.
type Web struct {
	Log *history.Log

	http *http.Client

	mu       sync.RWMutex
	balancer []Target // one, or all nodes where there is no balancer
	nodes    []Target
}

// NewWeb returns a Web that sends to the nodes, and to the balancer unless its URL is empty.
func NewWeb(log *history.Log, balancer Target, nodes []Target) *Web {
	w := &Web{Log: log, balancer: []Target{balancer}, nodes: nodes, http: &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second}).DialContext,
		MaxIdleConnsPerHost: 256, IdleConnTimeout: 20 * time.Second,
	}}}
	if balancer.URL == "" {
		w.balancer = nodes
	}
	return w
}

// Close lets go of idle connections.
func (w *Web) Close() { w.http.CloseIdleConnections() }

// Aim changes which nodes clients know.
func (w *Web) Aim(nodes []Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes = nodes
}

// targets returns where a client sends its attempts, in turn: a scattered one to the nodes, others to the balancer.
func (w *Web) targets(scattered bool) []Target {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if scattered {
		return w.nodes
	}
	return w.balancer
}

// answer is an answer, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) decode(v any) error { return json.Unmarshal(a.body, v) }

// request is what a client wants done.
type request struct {
	method, path string // below /api/v1
	header       http.Header
	body         any
	limit        time.Duration // of one attempt; attemptLimit if zero
}

// send makes one attempt.
func (w *Web) send(ctx context.Context, to Target, r request) (_ answer, err error) {
	if r.limit == 0 {
		r.limit = attemptLimit
	}
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(data)
	}
	q, err := http.NewRequestWithContext(ctx, r.method, to.URL+"/api/v1"+r.path, body)
	if err != nil {
		return answer{}, err
	}
	if r.header != nil {
		q.Header = r.header.Clone()
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("X-Forwarded-For", someAddress())
	res, err := w.http.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, data}, err
}

// someAddress is the address of a client: everybody has one of their own, as on a campus, and the nodes believe the rig.
func someAddress() string {
	return fmt.Sprintf("10.%d.%d.%d", rand.IntN(256), rand.IntN(256), 1+rand.IntN(254))
}

// uncertain reports whether, after this answer, the request may have had its effect or may be worth repeating.
func (a answer) uncertain() bool { return a.status >= 500 || a.status == http.StatusTooManyRequests }

// insist repeats a request until it is answered for certain, elsewhere each time, and fills in what becomes of the
// operation. It gives up, with an unknown outcome, when ctx ends.
func (w *Web) insist(ctx context.Context, op *history.Op, r request) answer {
	op.Call, op.Outcome = w.Log.Now(), history.Unknown
	first := rand.IntN(1 << 16)
	for pause := pauseLeast; ; pause = min(2*pause, 10*pauseLeast) {
		targets := w.targets(op.Scattered)
		to := targets[(first+op.Attempts)%len(targets)]
		op.Attempts++
		op.Via = to.Name
		a, err := w.send(ctx, to, r)
		switch {
		case err == nil && a.status < 300:
			op.Outcome, op.Return = history.OK, w.Log.Now()
			return a
		case err == nil && !a.uncertain():
			op.Outcome, op.Return = history.Failed, w.Log.Now()
			op.Troubles = append(op.Troubles, trouble(to, a, err))
			return a
		}
		op.Troubles = append(op.Troubles, trouble(to, a, err))
		if !sleep(ctx, pause/2+rand.N(pause)) {
			op.Return = w.Log.Now()
			return answer{}
		}
	}
}

// trouble is what went wrong, in short.
func trouble(to Target, a answer, err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return to.Name + ": no answer in time"
	case err != nil:
		return to.Name + ": " + err.Error()
	default:
		return fmt.Sprintf("%s: %d %.200s", to.Name, a.status, a.body)
	}
}

// sleep waits, and reports false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// must sends a request that has to succeed, to one target, and reads its answer. What may pass it waits out, up to a limit.
func (w *Web) must(ctx context.Context, to Target, r request, out any) error {
	ctx, cancel := context.WithTimeout(ctx, mustLimit)
	defer cancel()
	r.limit = 10 * time.Second
	for {
		a, err := w.send(ctx, to, r)
		if err == nil && a.status < 300 {
			return a.decode(out)
		}
		if err == nil && !a.uncertain() || !sleep(ctx, 10*pauseLeast) {
			return fmt.Errorf("%s %s: %s", r.method, r.path, trouble(to, a, err))
		}
	}
}

// first is a target for what no fault is aimed at.
func (w *Web) first() Target { return w.targets(true)[0] }

// Login logs a demo account in and returns the header that says so.
func (w *Web) Login(ctx context.Context, name string) (http.Header, error) {
	var in struct{ Token string }
	err := w.must(ctx, w.first(), request{method: "POST", path: "/auth/login", body: credentials(name)}, &in)
	return http.Header{"Authorization": {"Bearer " + in.Token}}, err
}

func credentials(name string) any {
	return map[string]any{"identifier": name + "@demo.nexus", "password": "campus-demo"}
}

// Keys makes API keys for gates.
func (w *Web) Keys(ctx context.Context, n int) ([]http.Header, error) {
	admin, err := w.Login(ctx, "admin")
	if err != nil {
		return nil, err
	}
	keys := make([]http.Header, n)
	for i := range keys {
		var key struct{ Secret string }
		if err := w.must(ctx, w.first(), request{
			method: "POST", path: "/admin/api-keys", header: admin, body: map[string]any{"name": fmt.Sprintf("gate %d", i), "scopes": []string{"mess:checkins"}},
		}, &key); err != nil {
			return nil, err
		}
		keys[i] = http.Header{"X-Api-Key": {key.Secret}}
	}
	return keys, nil
}

// Audit asks a node to verify the audit chain.
func (w *Web) Audit(ctx context.Context) (entries, firstBad int64, err error) {
	admin, err := w.Login(ctx, "admin")
	if err != nil {
		return 0, 0, err
	}
	var state struct{ Entries, FirstBad int64 }
	err = w.must(ctx, w.first(), request{method: "GET", path: "/admin/audit/verify", header: admin}, &state)
	return state.Entries, state.FirstBad, err
}

// Occupancy asks one target how many people are in a hall.
func (w *Web) Occupancy(ctx context.Context, to Target, hall string) (int, error) {
	var live struct{ Occupancy int }
	err := w.must(ctx, to, request{method: "GET", path: "/mess/halls/" + hall + "/live"}, &live)
	return live.Occupancy, err
}
