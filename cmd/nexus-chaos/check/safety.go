package check

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus"
	"nexus/cmd/nexus-chaos/history"
)

// Heads is how far each person's stream goes, by the name of the account.
func Heads(ctx context.Context, db *pgxpool.Pool) (map[string]int64, error) {
	rows, err := db.Query(ctx, `select split_part(u.email, '@', 1), s.last_seq from safety_stream s join app_user u on u.id = s.stream`)
	if err != nil {
		return nil, err
	}
	heads := make(map[string]int64)
	var who string
	var seq int64
	_, err = pgx.ForEachRow(rows, []any{&who, &seq}, func() error { heads[who] = seq; return nil })
	return heads, err
}

// Press is an SOS as the database knows it.
type Press struct {
	User, UserID, Incident string
	Seq                    int
}

// Presses returns what the database knows of the presses whose keys begin with tag, by key.
func Presses(ctx context.Context, db *pgxpool.Pool, tag string) (map[string]Press, error) {
	rows, err := db.Query(ctx, `select p.client_key, split_part(u.email, '@', 1), u.id::text, p.incident_id::text, p.seq from sos_press p join app_user u on u.id = p.user_id
		where starts_with(p.client_key, $1)`, tag+"-")
	if err != nil {
		return nil, err
	}
	stored := make(map[string]Press)
	var key string
	var p Press
	_, err = pgx.ForEachRow(rows, []any{&key, &p.User, &p.UserID, &p.Incident, &p.Seq}, func() error { stored[key] = p; return nil })
	return stored, err
}

// Missing returns the presses that were answered and that the database does not know. One that was answered with another alarm of the same
// person, when neither was durable yet, is known with that: it had joined it.
func Missing(stored map[string]Press, ops []history.Op) (missing []history.Op) {
	alarms := make(map[string]bool)
	for _, o := range ops {
		if row, there := stored[o.Event]; there {
			alarms[nexus.DerivedID(o.At, o.At, row.UserID, o.Event)] = true
		}
	}
	for _, o := range ops {
		if _, there := stored[o.Event]; !there && o.Outcome == history.OK && (o.Durable || !alarms[o.Key]) {
			missing = append(missing, o)
		}
	}
	return missing
}

// Alarms checks the presses against the database. ended tells that a node has ended meanwhile: what it had taken while the database was
// away, and nobody repeated, it may have taken along.
func Alarms(stored map[string]Press, ops []history.Op, ended bool) []Result {
	var lost, open, gone, wrong, refused []string
	durable, alarmed := 0, 0
	missing := make(map[string]bool)
	for _, o := range Missing(stored, ops) {
		missing[o.Event] = true
	}
	for _, o := range ops {
		line := fmt.Sprintf("%s by %s at %v", o.Event, o.Via, time.Duration(o.Return).Round(time.Millisecond))
		row, there := stored[o.Event]
		if o.Durable {
			durable++
		}
		if o.Alarmed {
			alarmed++
		}
		switch {
		case o.Outcome == history.Failed:
			refused = append(refused, fmt.Sprintf("%s: %v", o.Event, o.Troubles))
		case !missing[o.Event]:
		case o.Durable:
			lost = append(lost, line)
		case o.Once && ended:
			gone = append(gone, line)
		default:
			open = append(open, line)
		}
		if there && (row.User != o.Client || o.Durable && (row.Incident != o.Key || row.Seq != o.Value)) {
			wrong = append(wrong, fmt.Sprintf("%s: %+v is stored, %s %d was answered", line, row, o.Key, o.Value))
		}
	}
	return []Result{
		none("SOS answered as durable that are lost", durable, lost),
		none("SOS answered as not durable yet that never became so", alarmed, open),
		none("SOS stored otherwise than answered", len(ops), wrong),
		none("SOS refused for good", len(ops), refused),
		Figure(none("SOS answered as not durable, not repeated, and gone with a node that ended", alarmed, gone)),
	}
}

// Line is one line of somebody's stream.
type Line struct {
	Incident string
	Seq      int64
	At       time.Time // of the commit
}

// Lines returns the streams, by the name of the account and the offset.
func Lines(ctx context.Context, db *pgxpool.Pool) (map[string]map[int64]Line, error) {
	rows, err := db.Query(ctx, `select split_part(u.email, '@', 1), d.seq, d.incident_id::text, d.event_seq, d.committed_at from safety_delivery d join app_user u on u.id = d.stream
		where d.incident_id is not null`)
	if err != nil {
		return nil, err
	}
	streams := make(map[string]map[int64]Line)
	var who string
	var offset int64
	var l Line
	_, err = pgx.ForEachRow(rows, []any{&who, &offset, &l.Incident, &l.Seq, &l.At}, func() error {
		if streams[who] == nil {
			streams[who] = make(map[int64]Line)
		}
		streams[who][offset] = l
		return nil
	})
	return streams, err
}

// Device is one that listened to the stream of its user from an offset, and until it had heard another if all is well.
type Device struct {
	Name, User string
	From, To   int64
	Officer    bool
}

// Deliveries checks what devices heard against the streams: every line at least once, in order, and the same when it came again. began
// is when the clock of the history was zero.
func Deliveries(devices []Device, streams map[string]map[int64]Line, heard []history.Delivery, began time.Time) []Result {
	var missing, order, other, back []string
	took := make(map[bool][]time.Duration) // by officers, and by others
	lines, copies, early := 0, 0, 0
	for _, d := range devices {
		first := make(map[int64]history.Delivery)
		events := make(map[string]int64) // the newest of each incident
		next := d.From + 1
		for _, h := range heard {
			if h.Client != d.Name {
				continue
			}
			line := fmt.Sprintf("%s heard %d (%s, %s %d) at %v", d.Name, h.Offset, h.ID, h.Incident, h.Seq, time.Duration(h.At).Round(time.Millisecond))
			if h.ID == "" && h.Name == "CRITICAL_ALERT" {
				early++
				continue
			}
			if was, again := first[h.Offset]; again {
				copies++
				if was.ID != h.ID || was.Incident != h.Incident || was.Seq != h.Seq || was.Name != h.Name {
					other = append(other, line+", which had been another")
				}
				continue
			}
			first[h.Offset] = h
			if h.Offset != next {
				order = append(order, fmt.Sprintf("%s, after %d", line, next-1))
			}
			next = h.Offset + 1
			at, there := streams[d.User][h.Offset]
			if !there || at.Incident != h.Incident || at.Seq != h.Seq {
				other = append(other, fmt.Sprintf("%s; stored is %s %d", line, at.Incident, at.Seq))
				continue
			}
			if h.Seq <= events[h.Incident] {
				back = append(back, fmt.Sprintf("%s, after %d of that incident", line, events[h.Incident]))
			}
			events[h.Incident] = h.Seq
			took[d.Officer] = append(took[d.Officer], began.Add(time.Duration(h.At)).Sub(at.At))
		}
		for offset := d.From + 1; offset <= d.To; offset++ {
			lines++
			if _, there := first[offset]; !there {
				missing = append(missing, fmt.Sprintf("%s never heard %d (%s %d)", d.Name, offset, streams[d.User][offset].Incident, streams[d.User][offset].Seq))
			}
		}
	}
	round := func(officer bool, q float64) time.Duration { return Quantile(took[officer], q).Round(time.Millisecond) }
	return []Result{
		none("lines of SOS streams that a device never heard", lines, missing),
		none("lines heard out of order, or with a gap before them", lines, order),
		none("lines heard otherwise than stored, or otherwise the second time", lines, other),
		none("lines that told an earlier state of an incident than one before", lines, back),
		Note("lines of SOS streams", "%d to %d devices, %d copies, %d alarms before they were durable", lines, len(devices), copies, early),
		Note("lines, from the commit to an officer's device", "p50 %v, p99 %v, max %v", round(true, 0.5), round(true, 0.99), round(true, 1)),
		Note("lines, from the commit to the own device of a person in need", "p50 %v, p99 %v, max %v", round(false, 0.5), round(false, 0.99), round(false, 1)),
	}
}

// Looked checks that nobody who looked at an incident, again and again, was shown an earlier state than before.
func Looked(ops []history.Op) Result {
	var back []string
	looks := 0
	last := make(map[string]history.Op)
	for _, o := range ops {
		if o.Kind != history.See || o.Outcome != history.OK {
			continue
		}
		looks++
		key := o.Client + " " + o.Key
		if was := last[key]; o.Value < was.Value || o.Value == was.Value && o.Event != was.Event {
			back = append(back, fmt.Sprintf("%s: %s %d via %s, after %s %d via %s", key, o.Event, o.Value, o.Via, was.Event, was.Value, was.Via))
		}
		last[key] = o
	}
	return none("looks at an incident that showed an earlier state than one before", looks, back)
}

// Acts checks what officers and students were told that they had done against the events, which are by incident and seq.
func Acts(events map[string]string, ops []history.Op) Result {
	var lost []string
	done := 0
	for _, o := range ops {
		if o.Outcome != history.OK {
			continue
		}
		done++
		switch o.Kind {
		case history.Act:
			if got, want := events[fmt.Sprintf("%s %d", o.Key, o.Value)], o.Client+" "+o.Event; got != want {
				lost = append(lost, fmt.Sprintf("%s of %s %d: stored is %q", want, o.Key, o.Value, got))
			}
		case history.Cancel:
			if events[o.Key+" "+o.Client+" "+o.Event] == "" {
				lost = append(lost, fmt.Sprintf("%s by %s: %s", o.Event, o.Client, o.Key))
			}
		}
	}
	return none("acknowledged words about incidents that are lost", done, lost)
}

// Incidents checks all that must hold of the tables, whatever anybody heard.
func Incidents(ctx context.Context, db querier) (results []Result, err error) {
	var count int
	if err := db.QueryRow(ctx, `select count(*) from sos_incident`).Scan(&count); err != nil {
		return nil, err
	}
	for _, rule := range []struct{ what, sql string }{
		{"incidents with a gap in their events", `select format('%s: %s events, the last is %s, should be %s', i.id, count(e), max(e.seq), i.last_seq)
			from sos_incident i left join sos_event e on e.incident_id = i.id group by i.id having count(e) <> i.last_seq or max(e.seq) is distinct from i.last_seq`},
		{"incidents open beside another of the same person", `select format('%s of %s raised at %s, before %s', id, user_id, raised_at, before) from (
			select id, user_id, raised_at, lag(coalesce(closed_at, 'infinity')) over (partition by user_id, drill order by raised_at, id) as before from sos_incident where not duress) x
			where raised_at < before`},
		{"incidents that two people took", `select format('%s %s by %s', incident_id, seq, actor) from (
			select *, lag(kind) over (partition by incident_id order by seq) as before from sos_event where kind in ('ACKNOWLEDGED', 'UNACKNOWLEDGED')) x
			where kind = 'ACKNOWLEDGED' and before = 'ACKNOWLEDGED'`},
		{"incidents that went on after their end", `select format('%s %s %s', e.incident_id, e.seq, e.kind) from sos_event e join sos_incident i on i.id = e.incident_id
			where e.kind in ('RESOLVED', 'FALSE_ALARM', 'CANCELLED') and e.seq <> i.last_seq`},
		{"alarms that paged nobody", `select e.incident_id::text from sos_event e where e.kind = 'RAISED' and not exists (
			select from sos_event p where p.incident_id = e.incident_id and p.kind = 'PAGED' and p.seq > e.seq and json_array_length(p.data->'users') > 0)`},
		{"people paged without a line in their stream", `select format('%s %s to %s', e.incident_id, e.seq, u) from sos_event e, json_array_elements_text(e.data->'users') u
			where e.kind = 'PAGED' and not exists (select from safety_delivery d where d.stream = u::uuid and d.incident_id = e.incident_id and d.event_seq = e.seq and d.kind = 'ALERT')`},
		{"streams with a gap", `select format('%s: %s lines, the last is %s, should be %s', s.stream, count(d), max(d.seq), s.last_seq)
			from safety_stream s left join safety_delivery d on d.stream = s.stream group by s.stream having count(d) <> s.last_seq or coalesce(max(d.seq), 0) <> s.last_seq`},
	} {
		cases, err := lines(ctx, db, rule.sql)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", rule.what, err)
		}
		results = append(results, none(rule.what, count, cases))
	}
	return results, nil
}

// SOSEvents returns who made each event of every incident, and who made which kind, for Acts.
func SOSEvents(ctx context.Context, db *pgxpool.Pool) (map[string]string, error) {
	rows, err := db.Query(ctx, `select e.incident_id::text, e.seq, e.kind, split_part(u.email, '@', 1) from sos_event e join app_user u on u.id = e.actor`)
	if err != nil {
		return nil, err
	}
	events := make(map[string]string)
	var incident, kind, who string
	var seq int
	_, err = pgx.ForEachRow(rows, []any{&incident, &seq, &kind, &who}, func() error {
		events[fmt.Sprintf("%s %d", incident, seq)] = who + " " + kind
		events[incident+" "+who+" "+kind] = who
		return nil
	})
	return events, err
}

// Pressed is how long people who pressed the button waited for the first answer, which has a limit.
func Pressed(ops []history.Op, limit time.Duration) []Result {
	var took []time.Duration
	var slow, open []history.Op
	alarmed := 0
	for _, o := range ops {
		switch {
		case o.Outcome == history.Unknown:
			open = append(open, o)
			continue
		case o.Alarmed:
			alarmed++
		}
		took = append(took, time.Duration(o.Return-o.Call))
		if took[len(took)-1] > limit {
			slow = append(slow, o)
		}
	}
	slices.SortFunc(slow, func(a, b history.Op) int { return cmp.Compare(b.Return-b.Call, a.Return-a.Call) })
	worst := Within("an SOS is answered, max", Quantile(took, 1), limit)
	for _, o := range slow[:min(len(slow), detailed)] {
		worst.Detail = append(worst.Detail, fmt.Sprintf("%s at %v took %v, %d attempts: %v", o.Event, time.Duration(o.Call).Round(time.Millisecond),
			time.Duration(o.Return-o.Call).Round(time.Millisecond), o.Attempts, o.Troubles))
	}
	var never []string
	for _, o := range open {
		never = append(never, fmt.Sprintf("%s at %v: %v", o.Event, time.Duration(o.Call).Round(time.Millisecond), o.Troubles[max(0, len(o.Troubles)-3):]))
	}
	return []Result{
		worst,
		none("SOS that were never answered", len(ops), never),
		Note("SOS answered", "%d, %d of them not durable at first, %d later than %v; p50 %v, p99 %v",
			len(took), alarmed, len(slow), limit, Quantile(took, 0.5).Round(time.Millisecond), Quantile(took, 0.99).Round(time.Millisecond)),
	}
}
