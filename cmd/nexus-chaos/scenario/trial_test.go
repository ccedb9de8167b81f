package scenario

import (
	"strings"
	"testing"

	"nexus/cmd/nexus-chaos/check"
)

func TestReportIsGood(t *testing.T) {
	met, missed := check.Result{What: "a", OK: true}, check.Result{What: "b"}
	stale, counts, seats := check.Result{What: check.StaleWrites}, check.Result{What: check.WrongCounts}, check.Result{What: check.WrongSeats}
	for _, c := range []struct {
		name   string
		report Report
		ok     bool
	}{
		{"all met", Report{Results: []check.Result{met}}, true},
		{"one missed", Report{Results: []check.Result{met, missed}}, false},
		{"went wrong", Report{Error: "no network", Results: []check.Result{met}}, false},
		{"not run", Report{Skipped: "no balancer"}, true},
		{"inverse: nothing noticed", Report{Inverse: true, Results: []check.Result{met}}, false},
		{"inverse: something else noticed", Report{Inverse: true, Results: []check.Result{missed}}, false},
		{"inverse: no wrong seats noticed", Report{Inverse: true, Results: []check.Result{stale, counts}}, false},
		{"inverse: no wrong counts noticed", Report{Inverse: true, Results: []check.Result{stale, seats}}, false},
		{"inverse: noticed", Report{Inverse: true, Results: []check.Result{met, stale, counts, seats}}, true},
		{"inverse: went wrong", Report{Inverse: true, Error: "no network", Results: []check.Result{stale, counts, seats}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.report.OK() != c.ok {
				t.Errorf("good is %v", !c.ok)
			}
		})
	}
}

// TestDamageIsNoFaultOfTheMachine: what is kept and wrong is not tried again until it is right.
func TestDamageIsNoFaultOfTheMachine(t *testing.T) {
	met, late, lost := check.Result{OK: true, Lasting: true}, check.Result{What: "late"}, check.Result{What: "lost", Lasting: true}
	for _, c := range []struct {
		name    string
		report  Report
		damaged bool
	}{
		{"all met", Report{Results: []check.Result{met}}, false},
		{"late", Report{Results: []check.Result{met, late}}, false},
		{"lost", Report{Results: []check.Result{met, late, lost}}, true},
		{"lost, and went wrong", Report{Error: "no network", Results: []check.Result{lost}}, true},
		{"inverse", Report{Inverse: true, Results: []check.Result{lost}}, false},
	} {
		if c.report.Damaged() != c.damaged {
			t.Errorf("%s: damaged is %v", c.name, !c.damaged)
		}
	}
}

func TestPageSaysWhatWasMissed(t *testing.T) {
	var page strings.Builder
	Page(&page, []Report{
		{Name: "kill", Results: []check.Result{{What: "lost", Goal: "0", Measured: "2 of 9", Detail: []string{"e1", "e2"}}}},
		{Name: "redis", Skipped: "there is none"},
	}, []string{"haproxy is not installed"})
	for _, want := range []string{"2 scenarios, 1 failed", "haproxy is not installed", "FAIL  kill", "MISS  lost: 2 of 9 (goal: 0)", "e2", "not run: there is none"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, &page)
		}
	}
}

func TestEveryScenarioIsSound(t *testing.T) {
	for _, list := range [][]Scenario{Short(), Long(100), {Unfenced()}} {
		names := make(map[string]bool)
		for _, c := range list {
			if c.Name == "" || c.Faults == "" || c.Act == nil || c.Size.GatesPerHall == 0 || names[c.Name] {
				t.Errorf("scenario %q has no name of its own, no words, no acts or no load", c.Name)
			}
			names[c.Name] = true
		}
	}
}
