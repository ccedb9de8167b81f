package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nexus/persistence/pg/pgfix"
)

// TestMetricsAreListed holds deploy/monitoring/metrics.txt to what a node has with everything switched on, also what nobody has counted
// yet. Alerts and dashboards are checked against that list.
func TestMetricsAreListed(t *testing.T) {
	const path = "../../deploy/monitoring/metrics.txt"
	cfg, err := configured(t, map[string]string{
		"NEXUS_DATABASE_URL": pgfix.URL(t), "NEXUS_ADDR": "127.0.0.1:0", "NEXUS_DEMO": "false", "NEXUS_DATA_DIR": t.TempDir(),
		"NEXUS_REDIS_URL": "redis://127.0.0.1:1", "NEXUS_GEMINI_API_KEY": "none", "NEXUS_SMTP_ADDR": "127.0.0.1:0",
		"NEXUS_PAGE_SMS": "https://127.0.0.1:1/sms", "NEXUS_PAGE_SECRET": longSecret, "NEXUS_JWT_SECRET": longSecret,
	})
	if err != nil {
		t.Fatal(err)
	}
	n, err := open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	want := listed(t, n.registry)
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("deploy/monitoring/metrics.txt is stale (%v); type: go test ./cmd/nexus -run MetricsAreListed -update", err)
	}
}

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", .*, variableLabels: \{(.*)\}\}$`)

// listed has a line for each metric: name, type, labels. A metric without a value does not say its type; names do, and those
// that have values show that names tell the truth.
func listed(t *testing.T, r *prometheus.Registry) string {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, f := range families {
		is, says := strings.ToLower(f.GetType().String()), typeOf(f.GetName())
		if types[f.GetName()] = is; strings.HasPrefix(f.GetName(), "nexus_") && is != says {
			t.Errorf("%s is a %s, and by its name a %s", f.GetName(), is, says)
		}
	}
	descs := make(chan *prometheus.Desc)
	go func() {
		r.Describe(descs)
		close(descs)
	}()
	lines := map[string]string{}
	for d := range descs {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			t.Fatalf("cannot read %s", d)
		}
		if strings.HasPrefix(m[1], "go_") && m[1] != "go_goroutines" { // they change with Go
			continue
		}
		lines[m[1]] = fmt.Sprintf("%s %s %s\n", m[1], cmp.Or(types[m[1]], typeOf(m[1])), cmp.Or(m[2], "-"))
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		out.WriteString(lines[name])
	}
	return out.String()
}

// typeOf is the house's way of naming metrics.
func typeOf(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_seconds"):
		return "histogram"
	default:
		return "gauge"
	}
}
