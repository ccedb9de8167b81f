package e2e_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
)

// BenchmarkMarks has 300 students of one class marked within the ten seconds after it opens, and takes how long each waits for the answer. Each
// must be kept once.
func BenchmarkMarks(b *testing.B) {
	const students, within = 300, 10 * time.Second
	s := bench(b)
	c := s.newCourse(b, students, 0)
	pupils := s.pupils(b, students)
	db, err := pgx.Connect(b.Context(), s.database())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(b.Context()) //nolint:errcheck // it was only written to
	if _, err := db.Exec(b.Context(), `insert into enrollment (course_id, user_id, status, seat_no)
		select $1, id, 'ENROLLED', row_number() over () from app_user where email like 'pupil%'`, string(c.ID)); err != nil {
		b.Fatal(err)
	}
	teacher := s.as(b, "faculty1")
	var class nexus.Class
	teacher.call(b, "POST", "/courses/"+string(c.ID)+"/sessions", object{
		"startsAt": time.Now().UTC().Format(nexus.TimeLayout), "endsAt": time.Now().Add(time.Hour).UTC().Format(nexus.TimeLayout), "open": true,
	}, 201, &class)
	path := "/sessions/" + string(class.ID)
	var mu sync.Mutex
	var shown struct{ Code string }
	look := func() {
		var code struct{ Code string }
		teacher.call(b, "GET", path+"/code", nil, 200, &code)
		mu.Lock()
		shown = code
		mu.Unlock()
	}
	look()
	before, began := s.cpu(b), time.Now()
	pace := time.NewTicker(within / students)
	defer pace.Stop()
	var all sync.WaitGroup
	var waits []float64
	for i, p := range pupils {
		<-pace.C
		if i%50 == 0 {
			look() // as somebody does who looks at the screen
		}
		all.Go(func() {
			mu.Lock()
			code := shown.Code
			mu.Unlock()
			sent := time.Now()
			a, err := p.do(b.Context(), "POST", path+"/mark", object{"code": code, "deviceId": fmt.Sprint("phone ", i)})
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, float64(time.Since(sent).Microseconds())/1000)
			if err != nil || a.status != 200 {
				b.Errorf("student %d: %v %d %.200s", i, err, a.status, a.body)
			}
		})
	}
	all.Wait()
	seconds := time.Since(began).Seconds()
	var marks, once int64
	if err := db.QueryRow(b.Context(), `select count(*), count(distinct user_id) from attendance where session_id = $1 and status = 'PRESENT'`,
		string(class.ID)).Scan(&marks, &once); err != nil || marks != students || once != students {
		b.Errorf("%d marks of %d students: %v", marks, once, err)
	}
	b.ReportMetric(quantile(waits, 0.5), "mark-p50-ms")
	b.ReportMetric(quantile(waits, 0.99), "mark-p99-ms")
	b.ReportMetric((s.cpu(b)-before).Seconds()/seconds*1000, "server-ms/s")
	b.ReportMetric(0, "ns/op")
}

// pupils makes accounts with the password of all others, and logs them in.
func (s *server) pupils(b *testing.B, n int) []caller {
	b.Helper()
	names := s.pupilNames(b, n)
	list := make([]caller, n)
	turn := make(chan struct{}, 8)
	var all sync.WaitGroup
	for i, name := range names {
		turn <- struct{}{}
		all.Go(func() {
			defer func() { <-turn }()
			var in struct{ Token string }
			a, err := s.stranger().insist(b.Context(), "POST", "/auth/login", object{"identifier": name + "@demo.nexus", "password": password})
			if err != nil || a.status != 200 {
				b.Errorf("log %s in: %v %d %.200s", name, err, a.status, a.body)
				return
			}
			decode(b, a.body, &in)
			list[i] = s.bearer(in.Token)
		})
	}
	all.Wait()
	return list
}

func (s *server) pupilNames(b *testing.B, n int) (names []string) {
	b.Helper()
	db, err := pgx.Connect(b.Context(), s.database())
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close(b.Context()) //nolint:errcheck // it was only written to
	if _, err := db.Exec(b.Context(), `with made as (
		insert into app_user (id, email, password_hash)
		select gen_random_uuid(), 'pupil' || n || '@demo.nexus', u.password_hash from generate_series(1, $1::int) n, app_user u where u.email = 'student1@demo.nexus'
		returning id, email
	), role as (
		insert into user_role (user_id, role) select id, 'STUDENT' from made
	) insert into profile (user_id, full_name) select id, email from made`, n); err != nil {
		b.Fatal(err)
	}
	for i := range n {
		names = append(names, fmt.Sprint("pupil", i+1))
	}
	return names
}
