package check

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

const monitoringFolder = "deploy/monitoring"

// metric is a line of metrics.txt.
type metric struct {
	kind   string
	labels []string
}

// ruleFile is what is read here of a file of rules; promtool reads all of it.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Alert, Record, Expr string
			Labels, Annotations map[string]string
		}
	}
}

// Monitoring reads Prometheus's configuration and rules as Prometheus does, runs the rules' tests, and holds rules, dashboards and the
// autoscaler's metric to the list of what the nodes really have.
func Monitoring(ctx context.Context, root string) []error {
	var f findings
	folder := filepath.Join(root, monitoringFolder)
	quiet := slog.New(slog.DiscardHandler)
	if _, err := config.LoadFile(filepath.Join(folder, "prometheus.yml"), false, quiet); err != nil {
		f.add(monitoringFolder+"/prometheus.yml", "%w", err)
	}
	for _, err := range testRules(ctx, filepath.Join(folder, "alerts.yaml"), filepath.Join(folder, "alerts_test.yaml")) {
		f.add(monitoringFolder+"/alerts.yaml", "%w", err)
	}
	m := f.metrics(root)
	rules := f.rules(root)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			if r.Record != "" {
				m[r.Record] = metric{kind: "gauge"}
			}
		}
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			f.expr(monitoringFolder+"/alerts.yaml", r.Alert+r.Record, r.Expr, m)
		}
	}
	f.dashboards(root, m)
	f.adapter(root, m)
	return f.errs
}

func (f *findings) metrics(root string) map[string]metric {
	m := map[string]metric{"up": {kind: "gauge"}}
	for l := range strings.Lines(string(f.read(root, monitoringFolder+"/metrics.txt"))) {
		fields := strings.Fields(l)
		if len(fields) != 3 {
			f.add(monitoringFolder+"/metrics.txt", "has the line %q", l)
			continue
		}
		names := strings.Split(strings.Trim(fields[2], "-"), ",")
		if fields[1] != "histogram" {
			m[fields[0]] = metric{fields[1], names}
			continue
		}
		m[fields[0]+"_bucket"] = metric{"counter", append(names, "le")}
		m[fields[0]+"_count"], m[fields[0]+"_sum"] = metric{"counter", names}, metric{"counter", names}
	}
	return m
}

func (f *findings) rules(root string) (r ruleFile) {
	if err := yaml.Unmarshal(f.read(root, monitoringFolder+"/alerts.yaml"), &r); err != nil {
		f.add(monitoringFolder+"/alerts.yaml", "%w", err)
	}
	return r
}

// given are the labels that Prometheus and Kubernetes add.
var given = []string{"instance", "job", "namespace", "pod"}

// expr sees that a query asks for what exists: series by their names, their labels, and rates of counters alone.
func (f *findings) expr(file, what, query string, m map[string]metric) {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		f.add(file, "%s: %w", what, err)
		return
	}
	parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			known, ok := m[n.Name]
			if !ok {
				f.add(file, "%s: no node has the metric %q", what, n.Name)
				return nil
			}
			for _, l := range n.LabelMatchers {
				if l.Name != model.MetricNameLabel && !slices.Contains(known.labels, l.Name) && !slices.Contains(given, l.Name) {
					f.add(file, "%s: %s has no label %q", what, n.Name, l.Name)
				}
			}
			for _, p := range path {
				if c, ok := p.(*parser.Call); ok && slices.Contains([]string{"rate", "increase"}, c.Func.Name) && known.kind != "counter" && n.Name != "nexus_ai_cost_total" {
					f.add(file, "%s: %s of %s, which is a %s", what, c.Func.Name, n.Name, known.kind)
				}
			}
		case *parser.AggregateExpr:
			for _, l := range n.Grouping {
				if !slices.Contains(given, l) && !groups(n.Expr, l, m) {
					f.add(file, "%s: nothing below has the label %q", what, l)
				}
			}
		}
		return nil
	})
}

// groups reports whether any series of the expression has the label.
func groups(e parser.Expr, label string, m map[string]metric) (found bool) {
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok && slices.Contains(m[v.Name].labels, label) {
			found = true
		}
		return nil
	})
	return found
}

// dashboard is as much of Grafana's as the dashboards use; a key that is not here is a typo.
type dashboard struct {
	UID, Title, Timezone, Refresh string
	Tags                          []string
	SchemaVersion                 int
	Time                          struct{ From, To string }
	Templating                    struct {
		List []struct{ Name, Type, Query, Label string }
	}
	Panels []struct {
		ID                       int
		Title, Description, Type string
		GridPos                  struct{ X, Y, W, H int }
		Datasource               struct{ Type, UID string }
		FieldConfig              struct {
			Defaults struct {
				Unit string
				Min  *int
			}
			Overrides []any
		}
		Options struct {
			Legend        *struct{ DisplayMode, Placement string }
			ReduceOptions *struct{ Calcs []string }
		}
		Targets []struct {
			RefID, Expr, LegendFormat string
			Datasource                struct{ Type, UID string }
		}
	}
}

var legendLabel = regexp.MustCompile(`\{\{\s*(\w+)\s*\}\}`)

func (f *findings) dashboards(root string, m map[string]metric) {
	files, err := filepath.Glob(filepath.Join(root, monitoringFolder, "dashboards/*.json"))
	if err != nil || len(files) == 0 {
		f.add(monitoringFolder+"/dashboards", "has none (%w)", err)
	}
	for _, path := range files {
		name := monitoringFolder + "/dashboards/" + filepath.Base(path)
		var d dashboard
		decoder := json.NewDecoder(bytes.NewReader(f.read(root, name)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&d); err != nil {
			f.add(name, "%w", err)
			continue
		}
		if d.UID+".json" != filepath.Base(path) || d.Title == "" {
			f.add(name, "is called %q and has the uid %q", d.Title, d.UID)
		}
		ids := map[int]bool{}
		for _, p := range d.Panels {
			if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 || !slices.Contains([]string{"timeseries", "stat"}, p.Type) || p.GridPos.X+p.GridPos.W > 24 {
				f.add(name, "panel %d, %q, has no title, no query, no place, another one's id, or the type %q", p.ID, p.Title, p.Type)
			}
			ids[p.ID] = true
			for _, t := range p.Targets {
				f.expr(name, p.Title, t.Expr, m)
				for _, l := range legendLabel.FindAllStringSubmatch(t.LegendFormat, -1) {
					if !strings.Contains(t.Expr, l[1]) && !slices.Contains(given, l[1]) {
						f.add(name, "%s: the legend shows %q, by which nothing is summed", p.Title, l[1])
					}
				}
			}
		}
	}
}

// adapter is the metric that the autoscaler goes by.
func (f *findings) adapter(root string, m map[string]metric) {
	const name = monitoringFolder + "/adapter.yaml"
	var a struct {
		Rules struct {
			Default bool
			Custom  []struct {
				SeriesQuery  string
				MetricsQuery string
				Resources    struct {
					Overrides map[string]struct{ Resource string }
				}
			}
		}
	}
	if err := yaml.UnmarshalStrict(f.read(root, name), &a); err != nil {
		f.add(name, "%w", err)
	}
	for _, r := range a.Rules.Custom {
		f.expr(name, "seriesQuery", r.SeriesQuery, m)
		f.expr(name, "metricsQuery", strings.NewReplacer("<<.GroupBy>>", "pod", "<<.LabelMatchers>>", `pod="a"`).Replace(r.MetricsQuery), m)
	}
}
