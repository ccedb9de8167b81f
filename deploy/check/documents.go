package check

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var namedMetric = regexp.MustCompile(`\bnexus_[a-z_]+[a-z]\b`)

// Runbooks sees that every alert has a page, every page an alert, and that pages speak of metrics that exist.
func Runbooks(_ context.Context, root string) []error {
	var f findings
	const folder = "docs/runbooks"
	m, alerts := f.metrics(root), map[string]bool{}
	for _, g := range f.rules(root).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			alerts[r.Alert] = true
			page := folder + "/" + r.Alert + ".md"
			if r.Annotations["runbook"] != page || r.Annotations["summary"] == "" {
				f.add(monitoringFolder+"/alerts.yaml", "%s has no summary, or not the runbook %s", r.Alert, page)
			}
			if !slices.Contains([]string{"page", "ticket"}, r.Labels["severity"]) {
				f.add(monitoringFolder+"/alerts.yaml", "%s has the severity %q", r.Alert, r.Labels["severity"])
			}
			if text := string(f.read(root, page)); !strings.HasPrefix(text, "# "+r.Alert+"\n") || !strings.Contains(text, "\n1. ") {
				f.add(page, "does not begin with its alert, or has no steps")
			}
		}
	}
	entries, err := os.ReadDir(filepath.Join(root, folder))
	if err != nil {
		f.add(folder, "%w", err)
	}
	pages := []string{"docs/slo.md"}
	for _, e := range entries {
		if !alerts[strings.TrimSuffix(e.Name(), ".md")] {
			f.add(folder+"/"+e.Name(), "is for no alert")
		}
		pages = append(pages, folder+"/"+e.Name())
	}
	for _, page := range pages {
		for _, name := range namedMetric.FindAllString(string(f.read(root, page)), -1) {
			_, plain := m[name]
			_, histogram := m[name+"_bucket"]
			if !plain && !histogram {
				f.add(page, "speaks of %s, which no node has", name)
			}
		}
	}
	return f.errs
}
