package rest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"nexus"
)

func events(es ...map[string]any) map[string]any { return map[string]any{"events": es} }

func gate(change map[string]any) map[string]any {
	e := map[string]any{"source": "gate-1", "eventId": "1", "at": time.Now().UTC().Format(time.RFC3339Nano), "delta": 1}
	for k, v := range change {
		if e[k] = v; v == nil {
			delete(e, k)
		}
	}
	return e
}

func TestCheckInsCountAndCopiesDoNot(t *testing.T) {
	h := campus(t)
	key := []string{"X-Api-Key", h.Key(nexus.ScopeCheckins)}
	batch := events(gate(nil), gate(map[string]any{"eventId": "2", "delta": 4}), gate(nil))
	r := h.Call("POST", hallURL+"/checkins", batch, key...)
	wantStatus(t, r, 200)
	got := body[nexus.CheckInResult](t, r)
	if got.Accepted != 2 || got.Duplicates != 1 || got.Crowd.Occupancy != 5 {
		t.Errorf("first batch: %+v", got)
	}
	if got := body[nexus.CheckInResult](t, h.Call("POST", hallURL+"/checkins", batch, key...)); got.Accepted != 0 || got.Duplicates != 3 {
		t.Errorf("the same batch again: %+v", got)
	}
	live := body[nexus.Crowd](t, h.Call("GET", hallURL+"/live", nil))
	if live.Occupancy != 5 || !strings.HasPrefix(live.Source, "gate-1@") || len(live.Source) != len("gate-1@")+12 {
		t.Errorf("live %+v", live)
	}
	if strings.Contains(live.Source, key[1]) {
		t.Error("the source gives the key away")
	}
	wantStatus(t, h.Call("POST", nowhere+"/checkins", events(gate(nil)), key...), 404)
	wantStatus(t, h.Call("GET", nowhere+"/live", nil), 404)
	wantStatus(t, h.Call("POST", hallURL+"/checkins", events(gate(nil)), "X-Api-Key", h.Key(nexus.ScopeMail)), 403)
}

func TestNobodySpeaksForAnotherGate(t *testing.T) {
	h := campus(t)
	callers := map[string][]string{
		"one key":     {"X-Api-Key", h.Key(nexus.ScopeCheckins)},
		"another key": {"X-Api-Key", h.Key(nexus.ScopeCheckins)},
		"mess staff":  h.As(nexus.MessStaff),
		"the office":  h.As(nexus.Admin),
	}
	sources := map[string]string{}
	for name, headers := range callers {
		got := body[nexus.CheckInResult](t, h.Call("POST", hallURL+"/checkins", events(gate(nil)), headers...))
		if got.Accepted != 1 {
			t.Errorf("%s: the event counts as a copy of another's", name)
		}
		if other, taken := sources[got.Crowd.Source]; taken {
			t.Errorf("%s and %s are both %s", name, other, got.Crowd.Source)
		}
		sources[got.Crowd.Source] = name
	}
}

func TestWrongCheckInsAreRefused(t *testing.T) {
	h := campus(t)
	key := []string{"X-Api-Key", h.Key(nexus.ScopeCheckins)}
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(time.RFC3339) }
	for _, c := range []struct {
		name, field string
		change      map[string]any
	}{
		{"no source", "events[1].source", map[string]any{"source": nil}},
		{"empty source", "events[1].source", map[string]any{"source": ""}},
		{"a source that claims to be bound", "events[1].source", map[string]any{"source": "gate@1"}},
		{"hostile source", "events[1].source", map[string]any{"source": "gate\u202e1"}},
		{"no id", "events[1].eventId", map[string]any{"eventId": nil}},
		{"long id", "events[1].eventId", map[string]any{"eventId": strings.Repeat("x", 101)}},
		{"no time", "events[1].at", map[string]any{"at": nil}},
		{"no time but text", "events[1].at", map[string]any{"at": "noon"}},
		{"too old", "events[1].at", map[string]any{"at": at(-24*time.Hour - time.Minute)}},
		{"too new", "events[1].at", map[string]any{"at": at(3 * time.Minute)}},
		{"neither delta nor absolute", "events[1].delta", map[string]any{"delta": nil}},
		{"both", "events[1].absolute", map[string]any{"absolute": 5}},
		{"nobody", "events[1].delta", map[string]any{"delta": 0}},
		{"a crowd at once", "events[1].delta", map[string]any{"delta": 1001}},
		{"half a person", "events[1].delta", map[string]any{"delta": 0.5}},
		{"less than nobody", "events[1].absolute", map[string]any{"delta": nil, "absolute": -1}},
		{"unknown field", "events[1].hall", map[string]any{"hall": hallID}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantField(t, h.Call("POST", hallURL+"/checkins", events(gate(nil), gate(c.change)), key...), c.field)
		})
	}
	for _, d := range []time.Duration{-24*time.Hour + time.Minute, time.Minute} {
		wantStatus(t, h.Call("POST", hallURL+"/checkins", events(gate(map[string]any{"at": at(d), "eventId": at(d)})), key...), 200)
	}
	wantField(t, h.Call("POST", hallURL+"/checkins", events(), key...), "events")
	many := make([]map[string]any, 1001)
	for i := range many {
		many[i] = gate(map[string]any{"eventId": fmt.Sprint(i)})
	}
	wantField(t, h.Call("POST", hallURL+"/checkins", events(many...), key...), "events")
	r := h.Call("POST", hallURL+"/checkins", events(many[:1000]...), key...)
	wantStatus(t, r, 200)
	if got := body[nexus.CheckInResult](t, r); got.Accepted != 1000 {
		t.Errorf("%d of 1000 accepted", got.Accepted)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	h := campus(t)
	got := body[nexus.List[nexus.CrowdSample]](t, h.Call("GET", hallURL+"/history", nil))
	if len(got.Items) != 1 || got.Items[0].Occupancy != 24*60 || got.Items[0].Max != 5 {
		t.Errorf("by default %+v, want 24 hours by 5 minutes", got.Items)
	}
	const from = "from=2026-01-01T00:00:00Z"
	for query, field := range map[string]string{
		"step=0": "step", "step=1441": "step", "step=x": "step", "from=yesterday": "from", from + "&to=2025-01-01T00:00:00Z": "to",
		from + "&to=2026-01-03T00:00:00Z&step=1": "step", "from=0001-01-01T00:00:01Z&step=1440": "from",
	} {
		wantField(t, h.Call("GET", hallURL+"/history?"+query, nil), field)
	}
	wantStatus(t, h.Call("GET", hallURL+"/history?"+from+"&to=2026-01-08T00:00:00Z&step=5", nil), 200)
	wantStatus(t, h.Call("GET", nowhere+"/history", nil), 404)
}
