package check

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the PrometheusRule anew")

// TestPrometheusRule holds the operator's object to the plain file of rules: the same text, two steps further in.
func TestPrometheusRule(t *testing.T) {
	rules, err := os.ReadFile(filepath.Join(root, monitoringFolder, "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, groups, found := bytes.Cut(rules, []byte("\ngroups:\n"))
	if !found {
		t.Fatal("alerts.yaml has no groups")
	}
	var want bytes.Buffer
	want.WriteString("# Written by go test out of ../../monitoring/alerts.yaml; change that, and type: go test -run PrometheusRule -update\n" +
		"apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: nexus\nspec:\n  groups:\n")
	for line := range bytes.Lines(groups) {
		if len(bytes.TrimSpace(line)) > 0 {
			want.WriteString("  ")
		}
		want.Write(line)
	}
	path := filepath.Join(root, manifests, "base/alerts.yaml")
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is stale (%v); type: go test -run PrometheusRule -update", path, err)
	}
}
