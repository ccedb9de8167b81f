package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"nexus"
)

// people are n students as the office exports them, the first of whom has the number from.
func people(from, n int) []byte {
	var b bytes.Buffer
	b.WriteString("email,regNo,name,roles,department,course,semester,phone,externalId\r\n")
	for i := from; i < from+n; i++ {
		fmt.Fprintf(&b, "import%d@campus.example,IMP%06d,\"Student, The %d\",STUDENT,Physics,BSc,%d,+91 98000 %05d,sis-%d\r\n", i, i, i, 1+i%8, i%100_000, i)
	}
	return b.Bytes()
}

// handIn sends a file.
func (c caller) handIn(ctx context.Context, path, media string, file []byte) (answer, error) {
	header := c.header.Clone()
	header.Set("Content-Type", media)
	return caller{c.s, header}.do(ctx, "POST", path, file)
}

// begin hands a file in and returns its run.
func (c caller) begin(t testing.TB, path string, file []byte) nexus.Import {
	t.Helper()
	var run nexus.Import
	a, err := c.handIn(t.Context(), path, "text/csv", file)
	if err != nil || a.status != http.StatusAccepted {
		t.Fatalf("%v, %d %.300s", err, a.status, a.body)
	}
	decode(t, a.body, &run)
	if a.header.Get("Location") != "/api/v1/imports/"+string(run.ID) {
		t.Errorf("Location %q", a.header.Get("Location"))
	}
	return run
}

// watch looks a run up until it has ended, and returns all that was seen of it.
func (c caller) watch(t testing.TB, run nexus.Import) (seen []nexus.Import) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(100 * time.Millisecond) {
		var now nexus.Import
		c.call(t, "GET", "/imports/"+string(run.ID), nil, 200, &now)
		if seen = append(seen, now); now.State != nexus.ImportRunning {
			return seen
		}
	}
	t.Fatalf("the import does not end: %+v", seen[len(seen)-1])
	return nil
}

// imported hands a file in and wants it to come to so many made, changed and left as they were.
func (c caller) imported(t testing.TB, path string, file []byte, made, changed, unchanged int64) (seen []nexus.Import) {
	t.Helper()
	seen = c.watch(t, c.begin(t, path, file))
	if run := seen[len(seen)-1]; run.State != nexus.ImportDone || run.Made != made || run.Changed != changed || run.Unchanged != unchanged {
		t.Fatalf("%+v %+v, want %d made, %d changed, %d unchanged", run, run.Failure, made, changed, unchanged)
	}
	return seen
}

// peak is the most memory that the process has ever had, in bytes.
func (s *server) peak(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}

func TestATermIsImported(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.as(t, "admin")
	const n = 5000
	file := people(0, n)
	admin.imported(t, "/imports/users?dryRun=true", file, n, 0, 0)
	var found nexus.List[nexus.User]
	admin.call(t, "GET", "/admin/users?q=import1@campus.example", nil, 200, &found)
	if len(found.Items) != 0 {
		t.Errorf("a dry run has made %+v", found.Items)
	}
	admin.imported(t, "/imports/users", file, n, 0, 0)
	admin.call(t, "GET", "/admin/users?q=import1@campus.example", nil, 200, &found)
	if len(found.Items) != 1 || found.Items[0].Name != "Student, The 1" || found.Items[0].RegNo != "IMP000001" || found.Items[0].Version != 1 {
		t.Errorf("found %+v", found.Items)
	}
	admin.imported(t, "/imports/users", file, 0, 0, n)
	admin.call(t, "GET", "/admin/users?q=import1@campus.example", nil, 200, &found)
	if len(found.Items) != 1 || found.Items[0].Version != 1 {
		t.Errorf("the second time: %+v", found.Items)
	}
	var log nexus.List[nexus.AuditEntry]
	admin.call(t, "GET", "/admin/audit?action=import.apply", nil, 200, &log)
	if len(log.Items) != 2 {
		t.Errorf("%d entries in the audit log", len(log.Items))
	}
	for _, line := range []string{"import1@campus", "The 1"} {
		if strings.Contains(s.log.tail(), line) {
			t.Errorf("the log holds %q", line)
		}
	}
}

// TestACourseSeesWhatAnImportChanges though its grain is awake and remembers otherwise: more seats go to who waits, and those that a file has
// given away are not given out again.
func TestACourseSeesWhatAnImportChanges(t *testing.T) {
	t.Parallel()
	s := start(t)
	admin := s.as(t, "admin")
	today := time.Now().UTC().Format(time.DateOnly)
	admin.call(t, "POST", "/terms", map[string]any{"id": "T1", "name": "Term", "startsOn": plusDays(t, today, -30), "endsOn": plusDays(t, today, 60), "tz": "UTC"}, 201, nil)
	csv := func(kind string, made, changed int64, lines string) {
		t.Helper()
		admin.imported(t, "/imports/"+kind, []byte(lines), made, changed, 0)
	}
	csv("courses", 1, 0, "termId,code,title,credits,capacity,waitlistCapacity,instructors\nT1,PH1,Optics,4,1,5,faculty1@demo.nexus\n")
	var list nexus.List[nexus.Course]
	admin.call(t, "GET", "/courses?term=T1", nil, 200, &list)
	if len(list.Items) != 1 || len(list.Items[0].Staff) != 1 || list.Items[0].Capacity != 1 {
		t.Fatalf("courses %+v", list.Items)
	}
	path := "/courses/" + string(list.Items[0].ID)
	enrol := func(student string) (e nexus.Enrollment) {
		t.Helper()
		s.as(t, student).call(t, "POST", path+"/enrollments", nil, 200, &e)
		return e
	}
	if one, two := enrol("student1"), enrol("student2"); one.Status != nexus.Enrolled || two.Position != 1 {
		t.Fatalf("%+v %+v", one, two)
	}
	shown := func(enrolled, waitlisted, capacity int) {
		t.Helper()
		var c nexus.Course
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
			if admin.call(t, "GET", path, nil, 200, &c); c.Enrolled == enrolled && c.Waitlisted == waitlisted && c.Capacity == capacity {
				return
			}
		}
		t.Fatalf("%+v, want %d of %d seats and %d who wait", c, enrolled, capacity, waitlisted)
	}
	csv("courses", 0, 1, "termId,code,title,credits,capacity\nT1,PH1,Optics,4,3\n")
	shown(2, 0, 3) // who waited has moved up, and nobody asked
	csv("enrollments", 1, 0, "termId,courseCode,user\nT1,PH1,student3@demo.nexus\n")
	if e := enrol("student4"); e.Position != 1 {
		t.Errorf("%+v: the seat that a file has given away is given out again", e)
	}
	csv("enrollments", 0, 1, "termId,courseCode,user,status\nT1,PH1,DEMO001,COMPLETED\n")
	shown(3, 0, 3)
	run := admin.watch(t, admin.begin(t, "/imports/enrollments", []byte("termId,courseCode,user\nT1,PH1,DEMO005\n")))
	var errs nexus.List[nexus.ImportError]
	admin.call(t, "GET", "/imports/"+string(run[0].ID)+"/errors", nil, 200, &errs)
	if len(errs.Items) != 1 || errs.Items[0] != (nexus.ImportError{File: "enrollments.csv", Line: 2, Field: "user", Value: "DEMO005", Detail: "the course PH1 has 3 seats, and none is left"}) {
		t.Errorf("%+v", errs.Items)
	}
}

// TestAKilledNodesImportChangesNothing, and is known to have failed within a minute, by the node that is left.
func TestAKilledNodesImportChangesNothing(t *testing.T) {
	t.Parallel()
	one := start(t)
	two := &server{binary: raced, dir: one.dir, addr: "127.0.0.1:0"}
	if err := two.start(); err != nil {
		t.Fatal(err)
	}
	two.cleanup(t)
	admin := one.as(t, "admin")
	other := caller{two, admin.header}
	run := other.begin(t, "/imports/users", people(0, 30_000))
	if a, err := admin.handIn(t.Context(), "/imports/users", "text/csv", people(0, 1)); err != nil || a.status != http.StatusConflict {
		t.Errorf("another one meanwhile: %v, %d %s", err, a.status, a.body)
	}
	moved := func(r nexus.Import) bool { return r.RowsDone > 0 }
	var now nexus.Import
	for deadline := time.Now().Add(patience); !moved(now) && time.Now().Before(deadline); <-time.After(20 * time.Millisecond) {
		admin.call(t, "GET", "/imports/"+string(run.ID), nil, 200, &now)
	}
	two.kill(t)
	killed := time.Now()
	if now.State != nexus.ImportRunning || !moved(now) {
		t.Fatalf("the kill came too early or too late to show anything: %+v", now)
	}
	seen := admin.watch(t, run)
	last := seen[len(seen)-1]
	t.Logf("killed at %d of %d rows, %s; failed after %v", now.RowsDone, now.RowsTotal, now.Step, time.Since(killed).Round(time.Second))
	if last.State != nexus.ImportFailed || last.Failure == nil || last.Failure.Code != nexus.ImportInterrupted || time.Since(killed) > time.Minute {
		t.Errorf("%+v %+v", last, last.Failure)
	}
	var found nexus.List[nexus.User]
	admin.call(t, "GET", "/admin/users?q=@campus.example", nil, 200, &found)
	if len(found.Items) != 0 {
		t.Errorf("%d accounts are left of it", len(found.Items))
	}
	admin.imported(t, "/imports/users", people(0, 100), 100, 0, 0)
}

// TestAHundredThousandRowsAreImported without the process growing: as a dry run, in earnest, and again.
func TestAHundredThousandRowsAreImported(t *testing.T) {
	t.Parallel()
	const n, most, within = 100_000, 200 << 20, time.Minute
	s, err := newServer(plain) // with the figures of what people run
	if err == nil {
		err = s.start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.cleanup(t)
	admin, file, before := s.as(t, "admin"), people(0, n), s.peak(t)
	for _, c := range []struct {
		name, path      string
		made, unchanged int64
	}{{"dry", "/imports/users?dryRun=true", n, 0}, {"first", "/imports/users", n, 0}, {"again", "/imports/users", 0, n}} {
		began := time.Now()
		seen := admin.imported(t, c.path, file, c.made, 0, c.unchanged)
		took := time.Since(began)
		places, last := map[int64]bool{}, int64(0)
		for _, r := range seen {
			places[r.RowsDone] = true
			if r.RowsDone < last || r.RowsDone > r.RowsTotal {
				t.Errorf("progress went from %d to %d of %d", last, r.RowsDone, r.RowsTotal)
			}
			last = r.RowsDone
		}
		t.Logf("%s: %v, progress seen at %d places", c.name, took.Round(time.Millisecond), len(places))
		if len(places) < 3 || took > within {
			t.Errorf("%s: took %v, progress seen at %v", c.name, took, places)
		}
	}
	t.Logf("%d bytes of CSV; the process had %d MB at most, %d MB before", len(file), s.peak(t)>>20, before>>20)
	if s.peak(t) > most {
		t.Error("that is too much")
	}
}
