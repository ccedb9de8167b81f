package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
)

// BenchmarkSOS has 400 students press one after the other, 50 a second, and takes when each is answered and when an officer's client has
// the alert: on a quiet campus, and again while 10,000 sockets hear the one-second tick.
func BenchmarkSOS(b *testing.B) {
	const presses, perSecond, crowd = 400, 50, 10_000
	s := bench(b)
	students := s.students(b, presses)
	s.officer(b, "officer1", students.heard)
	for _, name := range []string{"officer2", "officer3"} {
		s.officer(b, name, func(line, time.Time) {})
	}
	measure := func(b *testing.B) {
		s.edge()
		before, began := s.cpu(b), time.Now()
		unstored := 0.0
		pace := time.NewTicker(time.Second / perSecond)
		defer pace.Stop()
		for _, p := range students.list {
			<-pace.C
			if err := p.press(); err != nil {
				b.Fatal(err)
			}
		}
		var acks, alerts []float64
		for _, p := range students.list {
			ack, alert, err := p.end()
			if err != nil {
				b.Fatal(err)
			}
			acks, alerts = append(acks, ack), append(alerts, alert)
			if p.unstored {
				unstored++
			}
		}
		seconds := time.Since(began).Seconds()
		b.ReportMetric(quantile(acks, 0.5), "ack-p50-ms")
		b.ReportMetric(quantile(acks, 0.99), "ack-p99-ms")
		b.ReportMetric(quantile(alerts, 0.5), "alert-p50-ms")
		b.ReportMetric(quantile(alerts, 0.99), "alert-p99-ms")
		b.ReportMetric(unstored, "not-durable-at-once")
		b.ReportMetric((s.cpu(b)-before).Seconds()/seconds*1000, "server-ms/s")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("quiet", measure)
	var heard atomic.Int64
	var wg sync.WaitGroup
	b.Cleanup(wg.Wait) // once they are closed
	for n := 0; n < crowd; n += 500 {
		for _, r := range s.crowdOf(b, 500, "/mess", "") {
			wg.Go(func() { r.hear(func(time.Time) { heard.Add(1) }) })
		}
	}
	b.Run(fmt.Sprintf("sockets=%d", crowd), func(b *testing.B) {
		began, was := time.Now(), heard.Load()
		measure(b)
		b.ReportMetric(float64(heard.Load()-was)/time.Since(began).Seconds(), "updates/s")
	})
}

// students are many people with a phone each.
type students struct {
	list []*phone
	by   map[nexus.UserID]*phone
}

// phone is a raw client of /security. It acknowledges what it gets.
type phone struct {
	*raw
	answers chan answered
	alerts  chan heard

	n        int // of the press
	pressed  time.Time
	unstored bool // it was answered before it was stored
}

// answered is the answer to a press, or to a cancel.
type answered struct {
	nexus.Raised
	at time.Time
}

// heard is when the officer's client had an alert.
type heard struct {
	incident nexus.IncidentID
	at       time.Time
}

// heard notes an alert.
func (all *students) heard(l line, at time.Time) {
	if p := all.by[l.UserID]; p != nil {
		select {
		case p.alerts <- heard{l.IncidentID, at}:
		default: // nobody waits for so many
		}
	}
}

// students makes accounts with the password of all others, logs them in and connects their phones.
func (s *server) students(b *testing.B, n int) *students {
	b.Helper()
	db, err := pgx.Connect(b.Context(), s.database())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(b.Context()) //nolint:errcheck // it was only written to
	rows, err := db.Query(b.Context(), `with made as (
		insert into app_user (id, email, password_hash)
		select gen_random_uuid(), 'pupil' || n || '@demo.nexus', u.password_hash from generate_series(1, $1::int) n, app_user u where u.email = 'student1@demo.nexus'
		returning id, email
	), role as (
		insert into user_role (user_id, role) select id, 'STUDENT' from made
	), profile as (
		insert into profile (user_id, full_name) select id, email from made
	) select id::text, split_part(email, '@', 1) from made`, n)
	if err != nil {
		b.Fatal(err)
	}
	type pupil struct {
		ID   nexus.UserID
		Name string
	}
	made, err := pgx.CollectRows(rows, pgx.RowToStructByPos[pupil])
	if err != nil {
		b.Fatal(err)
	}
	all := &students{by: make(map[nexus.UserID]*phone)}
	var mu sync.Mutex
	errs := make(chan error, n)
	turn := make(chan struct{}, 8)
	for _, m := range made {
		turn <- struct{}{}
		go func() {
			defer func() { <-turn }()
			p := &phone{answers: make(chan answered, 2), alerts: make(chan heard, 8)}
			err := p.connect(b, s, m.Name)
			mu.Lock()
			all.list, all.by[m.ID] = append(all.list, p), p
			mu.Unlock()
			errs <- err
		}()
	}
	for range made {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	return all
}

func (p *phone) connect(b *testing.B, s *server, name string) error {
	a, err := s.stranger().insist(b.Context(), "POST", "/auth/login", map[string]any{"identifier": name + "@demo.nexus", "password": password})
	if err != nil || a.status != 200 {
		return fmt.Errorf("log %s in: %v %d %.200s", name, err, a.status, a.body)
	}
	var in struct{ Token string }
	if err := json.Unmarshal(a.body, &in); err != nil {
		return err
	}
	if p.raw, err = s.listen("/security", in.Token, ""); err != nil {
		return err
	}
	p.attend(b, func(packet string, at time.Time) error {
		_, text, found := strings.Cut(packet, "[")
		var list []nexus.Raised
		if !found || !strings.HasPrefix(packet, "43/security,") || json.Unmarshal([]byte("["+text), &list) != nil || len(list) != 1 {
			return nil // an event
		}
		p.answers <- answered{list[0], at}
		return nil
	})
	return nil
}

// attend reads packets until the end of the benchmark, acknowledges events and hands every packet on.
func (r *raw) attend(b *testing.B, each func(string, time.Time) error) {
	var wg sync.WaitGroup
	b.Cleanup(func() {
		_ = r.conn.Close() // it was only read
		wg.Wait()
	})
	wg.Go(func() {
		r.packets(func(packet string, at time.Time) error {
			if event, ok := strings.CutPrefix(packet, "42/security,"); ok {
				if id, _, _ := strings.Cut(event, "["); id != "" {
					if err := r.write("43/security," + id + "[]"); err != nil {
						return err
					}
				}
			}
			return each(packet, at)
		})
	})
}

// officer connects a demo officer.
func (s *server) officer(b *testing.B, name string, alert func(line, time.Time)) {
	b.Helper()
	r, err := s.listen("/security", s.login(b, name, password), "")
	if err != nil {
		b.Fatal(err)
	}
	r.attend(b, func(packet string, at time.Time) error {
		_, text, found := strings.Cut(packet, `["CRITICAL_ALERT",`)
		if !found {
			return nil
		}
		var l line
		if err := json.Unmarshal([]byte(strings.TrimSuffix(text, "]")), &l); err != nil {
			return err
		}
		alert(l, at)
		return nil
	})
}

// press sends a press and does not wait.
func (p *phone) press() error {
	p.n++
	p.pressed, p.unstored = time.Now(), false
	return p.send()
}

func (p *phone) send() error {
	return p.write(fmt.Sprintf(`42/security,%d["SOS_RAISE",{"clientKey":"press-%d","lat":12.97,"lng":77.59}]`, p.n, p.n))
}

// end waits until the press is answered and heard, takes the alarm back, and returns how long the two took, in ms.
func (p *phone) end() (ack, alert float64, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	a, err := p.answer(ctx)
	if err != nil {
		return 0, 0, err
	}
	ack = float64(a.at.Sub(p.pressed).Microseconds()) / 1000
	for !a.Durable { // a slow machine may take too long to store it
		p.unstored = true
		<-time.After(2 * time.Second)
		if err := p.send(); err != nil {
			return 0, 0, err
		}
		if a, err = p.answer(ctx); err != nil {
			return 0, 0, err
		}
	}
	for h := (heard{}); h.incident != a.Incident; { // there may be a copy of the last one
		select {
		case h = <-p.alerts:
			alert = float64(h.at.Sub(p.pressed).Microseconds()) / 1000
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("the officer did not hear of %s within %v", a.Incident, patience)
		}
	}
	if err := p.write(fmt.Sprintf(`42/security,0["SOS_CANCEL",{"incidentId":%q}]`, a.Incident)); err != nil {
		return 0, 0, err
	}
	end, err := p.answer(ctx)
	if err == nil && end.State != nexus.SOSCancelled {
		err = fmt.Errorf("a cancel is answered with %+v", end.Raised)
	}
	return ack, alert, err
}

func (p *phone) answer(ctx context.Context) (answered, error) {
	select {
	case a := <-p.answers:
		if a.State == "" {
			return answered{}, fmt.Errorf("press %d, or its cancel, is refused", p.n)
		}
		return a, nil
	case <-ctx.Done():
		return answered{}, fmt.Errorf("no answer within %v", patience)
	}
}
