package check

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
	"go.yaml.in/yaml/v2"
)

// ruleTests is promtool's file of tests, as far as ours goes. promtool itself brings the clients of every cloud with it, a quarter of an
// hour of building; what it does with such a file is the few lines below.
type ruleTests struct {
	RuleFiles          []string       `yaml:"rule_files"`
	EvaluationInterval model.Duration `yaml:"evaluation_interval"`
	Tests              []ruleTest     `yaml:"tests"`
}

type ruleTest struct {
	Name        string         `yaml:"name"`
	Interval    model.Duration `yaml:"interval"`
	InputSeries []struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	} `yaml:"input_series"`
	Exprs []exprTest `yaml:"promql_expr_test"`
}

type exprTest struct {
	Expr     string         `yaml:"expr"`
	EvalTime model.Duration `yaml:"eval_time"`
	Samples  []struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	} `yaml:"exp_samples"`
}

// testRules runs the tests over the rules and returns what is not as they say.
func testRules(ctx context.Context, file, tests string) []error {
	text, err := os.ReadFile(tests)
	if err != nil {
		return []error{err}
	}
	var all ruleTests
	if err := yaml.UnmarshalStrict(text, &all); err != nil {
		return []error{fmt.Errorf("alerts_test.yaml: %w", err)}
	}
	if len(all.Tests) == 0 {
		return []error{errors.New("alerts_test.yaml has no tests")}
	}
	var errs []error
	for _, t := range all.Tests {
		for _, err := range t.run(ctx, file, time.Duration(all.EvaluationInterval)) {
			errs = append(errs, fmt.Errorf("%s: %w", t.Name, err))
		}
	}
	return errs
}

// run lets Prometheus's own rules see the series, from 0 on, and asks what is expected after each step.
func (t ruleTest) run(ctx context.Context, file string, every time.Duration) (errs []error) {
	var load strings.Builder
	fmt.Fprintf(&load, "load %s\n", t.Interval)
	for _, s := range t.InputSeries {
		fmt.Fprintf(&load, "  %s %s\n", s.Series, s.Values)
	}
	p := parser.NewParser(parser.Options{})
	start := time.Unix(0, 0).UTC()
	suite, err := promqltest.NewLazyLoader(load.String(), promqltest.LazyLoaderOpts{Parser: p, StartTime: start, EnableAtModifier: true, EnableNegativeOffset: true})
	if err != nil {
		return []error{err}
	}
	defer func() {
		if err := suite.Close(); err != nil {
			errs = append(errs, err)
		}
	}()
	suite.SubqueryInterval = every
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(suite.QueryEngine(), suite.Storage()), AppendableV2: suite.Storage(), Context: ctx,
		NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, Logger: slog.New(slog.DiscardHandler), Parser: p,
	})
	groups, errs := manager.LoadGroups(every, labels.EmptyLabels(), "", nil, false, file)
	if len(errs) > 0 {
		return errs
	}
	order := slices.Sorted(maps.Keys(groups)) // the recorded ones first
	last := slices.MaxFunc(t.Exprs, func(a, b exprTest) int { return int(a.EvalTime - b.EvalTime) }).EvalTime
	for _, g := range groups {
		for _, r := range g.Rules() {
			if r, ok := r.(*rules.AlertingRule); ok {
				r.SetRestored(true) // so that it shows its state at once
			}
		}
	}
	for at := start; !at.After(start.Add(time.Duration(last))); at = at.Add(every) {
		suite.WithSamplesTill(at, func(err error) { errs = append(errs, err) })
		for _, name := range order {
			groups[name].Eval(suite.Context(), at)
			for _, r := range groups[name].Rules() {
				if r.LastError() != nil {
					return append(errs, fmt.Errorf("%s at %v: %w", r.Name(), at.Sub(start), r.LastError()))
				}
			}
		}
		for _, e := range t.Exprs {
			if at.Equal(start.Add(time.Duration(e.EvalTime))) {
				errs = append(errs, e.compare(suite, at))
			}
		}
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// compare asks the one question.
func (e exprTest) compare(suite *promqltest.LazyLoader, at time.Time) error {
	q, err := suite.QueryEngine().NewInstantQuery(suite.Context(), suite.Queryable(), nil, e.Expr, at)
	if err != nil {
		return err
	}
	defer q.Close()
	result := q.Exec(suite.Context())
	vector, err := result.Vector()
	if err != nil {
		return fmt.Errorf("%s: %w", e.Expr, err)
	}
	got, want := map[string]float64{}, map[string]float64{}
	for _, s := range vector {
		got[s.Metric.String()] = s.F
	}
	for _, s := range e.Samples {
		m, err := parser.NewParser(parser.Options{}).ParseMetric(s.Labels)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Labels, err)
		}
		want[m.String()] = s.Value
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("after %s: %s is %v, want %v", e.EvalTime, e.Expr, got, want)
	}
	return nil
}
