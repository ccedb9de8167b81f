package check

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	namedMetric = regexp.MustCompile("\\bnexus_[a-z_]+[a-z]\\b")
	namedTest   = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`")
	testHead    = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
)

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

// Threats holds SECURITY.md to tests that exist: a guard that is gone is no guard. Every boundary must name one.
func Threats(_ context.Context, root string) []error {
	var f findings
	const file = "SECURITY.md"
	there := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && slices.Contains([]string{".git", "bin", "data", "node_modules"}, d.Name()) {
			return cmpSkip(err)
		}
		if !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		for _, m := range testHead.FindAllSubmatch(text, -1) {
			there[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		f.add(file, "%w", err)
	}
	text, rows := string(f.read(root, file)), 0
	for _, m := range namedTest.FindAllStringSubmatch(text, -1) {
		if !there[m[1]] {
			f.add(file, "names %s, which is not there", m[1])
		}
	}
	_, model, _ := strings.Cut(text, "## Trust boundaries")
	model, _, _ = strings.Cut(model, "\n## ")
	for l := range strings.Lines(model) {
		if strings.HasPrefix(l, "| ") && !strings.HasPrefix(l, "| boundary") {
			if rows++; !namedTest.MatchString(l) {
				f.add(file, "names no test in %.60q", l)
			}
		}
	}
	if rows < 8 {
		f.add(file, "names %d boundaries", rows)
	}
	return f.errs
}

func cmpSkip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}
