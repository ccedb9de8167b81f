package simulate

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"nexus"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// options play against the server in memory as the demo's administrator.
func options(s *server, out *strings.Builder) Options {
	return Options{
		URL: "http://campus.test/", Admin: "admin@demo.nexus", Password: "campus-demo", Seed: 7,
		Out: out, Client: &http.Client{Transport: s, Timeout: 15 * time.Second},
	}
}

// tidy fails the test if the play left anything behind.
func tidy(t *testing.T, s *server) {
	t.Helper()
	if len(s.keys) != 0 || s.logins != 0 {
		t.Errorf("%d keys and %d logins are left behind", len(s.keys), s.logins)
	}
}

func TestADayAtSpeed60(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out, began := campusOfThree(t), &strings.Builder{}, time.Now()
		if err := Run(t.Context(), options(s, out)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 24*time.Minute || took > 24*time.Minute+time.Second {
			t.Errorf("the day took %s, want 24 minutes", took)
		}
		for _, h := range s.halls {
			if share := float64(s.peak[h.ID]) / float64(h.Capacity); share < 0.7 || share > 1.2 {
				t.Errorf("%s gets %.0f%% full", h.Name, 100*share)
			}
			// Two in a hundred never check out, and the busiest hall has some 2,700 guests.
			if left := s.people[h.ID]; left < 5 || left > 100 {
				t.Errorf("%d people are left in %s", left, h.Name)
			}
		}
		if s.late > time.Second {
			t.Errorf("an event arrived %s after it happened", s.late)
		}
		if lines := strings.Count(out.String(), "\n"); lines != 24+2 || !strings.Contains(out.String(), "\n13:00  Central ") {
			t.Errorf("%d lines of output:\n%s", lines, out)
		}
		tidy(t, s)
	})
}

func TestNothingIsCountedTwiceWhenAnswersAreLost(t *testing.T) {
	play := func(trouble func(int) int) (s *server, out *strings.Builder) {
		synctest.Test(t, func(t *testing.T) {
			s, out = campusOfThree(t), &strings.Builder{}
			if trouble != nil {
				s.trouble = trouble
			}
			if err := Run(t.Context(), options(s, out)); err != nil {
				t.Fatal(err)
			}
		})
		return s, out
	}
	smooth, _ := play(nil)
	rough, out := play(func(n int) int { return []int{0, lost, 503, 429, 0, 500, lost}[n%7] })
	for _, h := range smooth.halls {
		if smooth.people[h.ID] != rough.people[h.ID] {
			t.Errorf("%s: %d people with a rough server, %d with a smooth one", h.Name, rough.people[h.ID], smooth.people[h.ID])
		}
	}
	if len(smooth.seen) != len(rough.seen) {
		t.Errorf("%d events with a rough server, %d with a smooth one", len(rough.seen), len(smooth.seen))
	}
	if strings.Contains(out.String(), " 0 counted before") || strings.Contains(out.String(), "never answered") {
		t.Errorf("summary:\n%s", out)
	}
}

func TestAFastDayIsSentInFullBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := campusOfThree(t), &strings.Builder{}
		o := options(s, out)
		o.Speed = 86_400
		if err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if s.largest > batchSize || s.batches > 100 {
			t.Errorf("%d batches, the largest of %d", s.batches, s.largest)
		}
		tidy(t, s)
	})
}

func TestInterruptedPlaySendsEverybodyHome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := campusOfThree(t), &strings.Builder{}
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute) // one o'clock, at lunch
		defer cancel()
		if err := Run(ctx, options(s, out)); err != nil {
			t.Fatal(err)
		}
		for _, h := range s.halls {
			if s.peak[h.ID] < h.Capacity/3 {
				t.Errorf("%s had %d people at most", h.Name, s.peak[h.ID])
			}
			if left := s.people[h.ID]; left < 0 || left > 40 { // those who never check out
				t.Errorf("%d people are left in %s", left, h.Name)
			}
		}
		if !strings.Contains(out.String(), "interrupted") {
			t.Errorf("output:\n%s", out)
		}
		tidy(t, s)
	})
}

func TestInterruptionIsNotHeldUpByADeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, out := campusOfThree(t), &strings.Builder{}
		s.trouble = func(int) int { return 503 }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := Run(ctx, options(s, out)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Minute+2*grace {
			t.Errorf("the end took %s", took-time.Minute)
		}
		if !strings.Contains(out.String(), "never answered") {
			t.Errorf("output:\n%s", out)
		}
		tidy(t, s)
	})
}

func TestAPlayIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		change func(*Options)
		after  time.Duration // from the first batch
		want   nexus.Code
	}{
		{"when the server stays away", 503, func(*Options) {}, 2 * time.Minute, nexus.Unavailable},
		{"at once when the key is refused", 0, func(o *Options) { o.APIKey = "stale" }, 0, nexus.Unauthenticated},
		{"before it begins when the password is wrong", 0, func(o *Options) { o.Password = "wrong" }, 0, nexus.Unauthenticated},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, out := campusOfThree(t), &strings.Builder{}
				s.trouble = func(int) int { return c.status }
				o := options(s, out)
				o.From = "12:00"
				c.change(&o)
				began := time.Now()
				if err := Run(t.Context(), o); nexus.CodeOf(err) != c.want {
					t.Errorf("error %v, want the code %s", err, c.want)
				}
				if took := time.Since(began); took > c.after+20*time.Second {
					t.Errorf("given up after %s", took)
				}
				tidy(t, s)
			})
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	s := campusOfThree(t)
	for field, change := range map[string]func(*Options){
		"speed":   func(o *Options) { o.Speed = -1 },
		"from":    func(o *Options) { o.From = "noon" },
		"url":     func(o *Options) { o.URL = "" },
		"api-key": func(o *Options) { o.Password = "" },
		"file":    func(o *Options) { o.File = filepath.Join(t.TempDir(), "none.csv") },
		"hall":    func(o *Options) { o.File, o.Hall = "any.csv", "West" },
	} {
		o := options(s, &strings.Builder{})
		change(&o)
		err := Run(t.Context(), o)
		if nexus.CodeOf(err) != nexus.Invalid || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s: error %v", field, err)
		}
		tidy(t, s)
	}
}

func file(t *testing.T, rows ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "counts.csv")
	if err := os.WriteFile(path, []byte("at,people\n"+strings.Join(rows, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReplayKeepsTheDistancesOfTheFile(t *testing.T) {
	path := file(t, "2015-08-14 17:00:00-07:00,37", "2015-08-14 17:20:00-07:00,45", "oops", "2015-08-14 18:00:00-07:00,0")
	synctest.Test(t, func(t *testing.T) {
		s, out, began := campusOfThree(t), &strings.Builder{}, time.Now()
		o := options(s, out)
		o.File, o.Hall = path, "north"
		if err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{0, 20 * time.Second, time.Minute} {
			if got := s.at[i].Sub(began); got != want {
				t.Errorf("count %d happened after %s, want %s", i, got, want)
			}
		}
		if !slices.Equal(s.absolute, []int{37, 45, 0}) || s.people["hall-1"] != 0 {
			t.Errorf("counts %v", s.absolute)
		}
		if !strings.Contains(out.String(), "line 4: ") || !strings.Contains(out.String(), "3 rows replayed, 1 bad") {
			t.Errorf("output:\n%s", out)
		}
		tidy(t, s)
	})
}

func TestReplayNeverGivesTwoCountsOneInstant(t *testing.T) {
	rows := make([]string, 3000)
	began := time.Date(2015, 8, 14, 0, 0, 0, 0, time.UTC)
	for i := range rows {
		rows[i] = fmt.Sprintf("%s,%d", began.Add(time.Duration(i)*time.Second).Format(time.RFC3339), i)
	}
	path := file(t, rows...)
	synctest.Test(t, func(t *testing.T) {
		s := campusOfThree(t)
		o := options(s, &strings.Builder{})
		o.File, o.Speed = path, maxSpeed
		if err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		for i := range s.at {
			if s.absolute[i] != i || i > 0 && !s.at[i].After(s.at[i-1]) {
				t.Fatalf("count %d is %d, at %s after %s", i, s.absolute[i], s.at[i], s.at[max(i, 1)-1])
			}
		}
		if len(s.at) != len(rows) {
			t.Errorf("%d counts arrived", len(s.at))
		}
	})
}

func TestReplayOfNothingIsAnError(t *testing.T) {
	path := file(t, "oops")
	synctest.Test(t, func(t *testing.T) {
		s := campusOfThree(t)
		o := options(s, &strings.Builder{})
		o.File = path
		if err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no row") {
			t.Errorf("error %v", err)
		}
		tidy(t, s)
	})
}

func TestPick(t *testing.T) {
	halls := []nexus.Hall{{ID: "a", Name: "North"}, {ID: "b", Name: "Central", Default: true}}
	for _, c := range []struct{ name, want string }{{"", "b"}, {"north", "a"}, {"a", "a"}, {"b", "b"}, {"West", ""}} {
		got, err := pick(halls, c.name)
		if c.want == "" && err == nil || c.want != "" && (err != nil || string(got[0].ID) != c.want) {
			t.Errorf("pick(%q) = %v, %v", c.name, got, err)
		}
	}
}
