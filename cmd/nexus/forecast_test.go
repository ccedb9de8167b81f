package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nexus/actors/ai/forecast"
)

// TestBacktest: ten weeks in which each day is like the others but that more people come on some; one row is wrong.
func TestBacktest(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "counts.csv")
	rows := []string{"at,people"}
	from := time.Date(2026, 1, 5, 0, 0, 0, 0, time.FixedZone("", 3600))
	for i := range 70 * 96 {
		people := 10 * (i / 4 % 24) * (1 + i/96%3)
		rows = append(rows, fmt.Sprintf("%s,%d", from.Add(time.Duration(i)*15*time.Minute).Format(time.RFC3339), people))
	}
	rows[500] = "yesterday,7"
	if err := os.WriteFile(file, []byte(strings.Join(rows, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, nil, "forecast", "backtest", "--file", file, "--warmup", "56d", "--json")
	var warned strings.Builder
	cmd.Stderr = &warned
	out, err := cmd.Output()
	var said struct{ Models []forecast.Score }
	if err != nil || json.Unmarshal(out, &said) != nil || len(said.Models) != 4 {
		t.Fatalf("%v: %s%s", err, out, &warned)
	}
	for i, s := range said.Models {
		if want := []int{60, 1440}[i%2]; s.HorizonMin != want || s.N != 14*96 || s.MAE <= 0 || s.Pinball <= 0 {
			t.Errorf("%+v", s)
		}
	}
	if s := said.Models[2]; s.Model != "adaptive" || s.MASE > 0.5 { // last week was another third of the days
		t.Errorf("%+v", s)
	}
	if !strings.Contains(warned.String(), "line 501: at: \"yesterday\"") {
		t.Errorf("of the wrong row: %q", &warned)
	}
	if status, said := ended(t, nil, "forecast", "backtest", "--file", file); status != 0 || !strings.Contains(said, "adaptive") {
		t.Errorf("status %d: %s", status, said)
	}
}

func TestBacktestRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "counts.csv")
	if err := os.WriteFile(file, []byte("at,people\n2026-01-05T10:00:00Z,5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--file", file}, "--warmup"},
		{[]string{"--file", file, "--warmup", "x"}, "--warmup"},
		{[]string{"--file", file, "--warmup", "-5h"}, "--warmup"},
		{[]string{"--file", file, "--tz", "Mars"}, "--tz"},
		{[]string{"--file", file + "x"}, "--file"},
		{nil, "--file"},
	} {
		if status, said := ended(t, nil, append([]string{"forecast", "backtest"}, c.args...)...); status != 2 || !strings.Contains(said, c.want) {
			t.Errorf("%q: status %d: %s", c.args, status, said)
		}
	}
}
