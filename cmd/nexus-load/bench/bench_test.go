package bench

import (
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   float64
	}{
		{"one", []float64{3}, 3},
		{"three", []float64{9, 1, 3}, 3},
		{"two", []float64{1, 9}, 9},
	} {
		var rounds []figures
		for _, v := range c.values {
			rounds = append(rounds, figures{tickP99: v, failures: -v})
		}
		if got := median(rounds)[tickP99]; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// TestGoalsReadWhatIsMeasured: a goal about a figure that no scenario has would never be missed.
func TestGoalsReadWhatIsMeasured(t *testing.T) {
	for _, g := range goals() {
		for _, r := range []reading{g.of, g.by} {
			if r == (reading{}) {
				continue
			}
			i := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == r.scenario })
			if i < 0 || !slices.Contains(scenarios()[i].targets, r.target) || !slices.Contains(columns, r.figure) {
				t.Errorf("%s: there is no %+v", g.text, r)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	medians := map[string]map[string]figures{"one-hall": {nexusTarget: {cpuMessage: 12}, nodeTarget: {cpuMessage: 24}, rawTarget: {cpuMessage: 0}}}
	at := func(target string) reading { return reading{"one-hall", target, cpuMessage} }
	for _, c := range []struct {
		name string
		g    goal
		want float64
		ok   bool
	}{
		{"a figure", goal{of: at(nexusTarget)}, 12, true},
		{"a ratio", goal{of: at(nexusTarget), by: at(nodeTarget)}, 0.5, true},
		{"a ratio to nothing", goal{of: at(nexusTarget), by: at(rawTarget)}, 0, false},
		{"what was not measured", goal{of: reading{"idle", nexusTarget, bytesEach}}, 0, false},
		{"a ratio to what was not", goal{of: at(nexusTarget), by: reading{"idle", nexusTarget, bytesEach}}, 0, false},
	} {
		if got, ok := c.g.judge(medians); ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %v, %v", c.name, got, ok)
		}
	}
}

func TestPage(t *testing.T) {
	list, err := selected([]string{"one-hall", "idle"})
	if err != nil {
		t.Fatal(err)
	}
	p := page{
		options: Options{Rounds: 1, Quick: true}, size: quick, machine: []string{"2 cores", "Go"}, list: list, failed: []error{errors.New("round 1, idle on Node: see /home/asha/logs/1-idle.log: gone\nat length")},
		medians: map[string]map[string]figures{
			"one-hall": {nexusTarget: {cpuMessage: 10, tickP99: 12.345}, nodeTarget: {cpuMessage: 25}, rawTarget: {cpuMessage: 9}},
			"idle":     {nexusTarget: {bytesEach: 5000}, nodeTarget: {}},
		},
	}
	text := p.text(time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	for _, want := range []string{
		"the median of 1 round.", "no figure of it should be quoted", "2026-11-25, on 2 cores; Go.", "in no figure:**\n\n- round 1, idle on Node: see 1-idle.log: gone\n\n## Goals",
		"| Memory of an idle socket, bytes | 5000 | 4096 | **missed** |\n",
		"| CPU per message, one hall, to Node | 0.40 | 0.50 | met |\n",
		"### One hall at 1 Hz to everybody\n\n1000 sockets, 3s.\n\n| | µs/message | tick p99 ms |\n|---|---:|---:|\n| NEXUS | 10.0 | 12.3 |\n| Node | 25.0 | - |\n",
		"3.2 million messages a second", "16.0 GB in the process",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "eight halls") {
		t.Error("the page speaks of what was not measured")
	}
}

func TestSelected(t *testing.T) {
	if list, err := selected(nil); err != nil || len(list) != len(scenarios()) {
		t.Errorf("%d scenarios, %v", len(list), err)
	}
	if _, err := selected([]string{"idle", "nothing"}); err == nil || !strings.Contains(err.Error(), `"nothing"`) {
		t.Errorf("an unknown name gives %v", err)
	}
}

func TestProcesses(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	p, err := start(exec.Command("sleep", "3600"), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ended(); err != nil {
		t.Error(err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if err := p.stop(); err != nil { // it is gone
		t.Error(err)
	}
	var status *exec.ExitError
	if err := p.ended(); !errors.As(err, &status) || !strings.Contains(err.Error(), log) {
		t.Errorf("an ended process says %v", err)
	}
	if _, err := start(exec.Command("/nonexistent"), log); err == nil {
		t.Error("what is not there runs")
	}
}

func TestWithoutThePackagesOfNodeItSaysWhatToType(t *testing.T) {
	dir := t.TempDir()
	err := Run(t.Context(), Options{Work: dir, Node: dir, Rounds: 1, Log: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "npm ci --prefix "+dir) {
		t.Error(err)
	}
}

func TestRound(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.123: "0.12", -4892.44: "-4892", 12.345: "12.3", 99.96: "100.0", 1234.5: "1234"} {
		if got := round(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
