package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"nexus/actors/ai/forecast"
	"nexus/cmd/nexus/simulate"
)

type forecastCmd struct {
	Backtest backtestCmd `cmd:"" help:"Let the models live through a file of counts, and say how far off they were. They know nothing before its time."`
}

type backtestCmd struct {
	File   string `required:"" type:"existingfile" help:"CSV with the header at,people: times with their offset, in order."`
	Warmup span   `default:"56d" help:"What is learnt before anything is scored, in days (56d) or hours (12h)."`
	Days   string `type:"existingfile" help:"CSV with the header day,kind: days unlike others (YYYY-MM-DD), and their kind, such as holiday or exams."`
	TZ     string `help:"IANA zone whose clock people follow; without it, the offsets in the file."`
	JSON   bool   `help:"Print JSON and no table."`
}

// span is a duration, which may be in days.
type span time.Duration

// UnmarshalText reads 56d, or what Go takes for a duration.
func (s *span) UnmarshalText(text []byte) error {
	if days, ok := strings.CutSuffix(string(text), "d"); ok {
		n, err := strconv.ParseUint(days, 10, 14)
		*s = span(time.Duration(n) * 24 * time.Hour)
		return err
	}
	d, err := time.ParseDuration(string(text))
	if err == nil && d < 0 {
		err = errors.New("is below 0")
	}
	*s = span(d)
	return err
}

// Run scores every model at each horizon.
func (c *backtestCmd) Run(ctx context.Context) error {
	var zone *time.Location
	if c.TZ != "" {
		var err error
		if zone, err = time.LoadLocation(c.TZ); err != nil {
			return wrong("--tz", "is no IANA zone")
		}
	}
	days, err := c.calendar()
	if err != nil {
		return err
	}
	series, err := c.read(ctx)
	if err != nil {
		return err
	}
	models := []struct {
		name string
		make func(ahead int) forecast.Model
	}{
		{forecast.NameNaive, func(int) forecast.Model { return forecast.NewNaive() }},
		{forecast.NameAdaptive, func(ahead int) forecast.Model { return forecast.New(zone, days, ahead) }},
	}
	bars := io.Discard
	if term.IsTerminal(int(os.Stderr.Fd())) {
		bars = os.Stderr
	}
	bar := progressbar.NewOptions(len(models)*len(forecast.Horizons)*len(series.People), progressbar.OptionSetWriter(bars), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	var scores []forecast.Score
	for _, m := range models {
		for _, ahead := range forecast.Horizons {
			begun := len(scores) * len(series.People)
			score := forecast.Backtest(m.name, m.make(ahead), series, time.Duration(c.Warmup), ahead, func(done, _ int) bool {
				_ = bar.Set(begun + done) // what the terminal refuses is not worth stopping for
				return ctx.Err() == nil
			})
			scores = append(scores, score)
		}
	}
	_ = bar.Finish() // as above
	if err := ctx.Err(); err != nil {
		return err
	}
	if scores[0].N == 0 {
		return wrong("--warmup", "leaves nothing of the file to be scored")
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"models": scores})
	}
	return printScores(os.Stdout, scores)
}

// maxDays bounds a calendar.
const maxDays = 10_000

// calendar reads the days unlike others, if there is a file of them.
func (c *backtestCmd) calendar() (forecast.Calendar, error) {
	if c.Days == "" {
		return nil, nil
	}
	f, err := os.Open(c.Days)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was read only
	rows := csv.NewReader(f)
	rows.FieldsPerRecord = 2
	days := forecast.Calendar{}
	for line := 1; ; line++ {
		row, err := rows.Read()
		switch {
		case errors.Is(err, io.EOF):
			return days, nil
		case err != nil:
			return nil, wrong("--days", "%v", err)
		case line == 1 && row[0] == "day" && row[1] == "kind":
			continue
		case line > maxDays:
			return nil, wrong("--days", "takes at most %d days", maxDays)
		}
		if _, err := time.Parse(time.DateOnly, row[0]); err != nil || row[1] == "" {
			return nil, wrong("--days", "line %d: expected YYYY-MM-DD and a kind", line)
		}
		days[row[0]] = row[1]
	}
}

// read returns the file's slots. A row that is wrong is named on standard error and left out.
func (c *backtestCmd) read(ctx context.Context) (forecast.Series, error) {
	f, err := os.Open(c.File)
	if err != nil {
		return forecast.Series{}, err
	}
	defer func() { _ = f.Close() }() // it was read only
	counts, err := simulate.NewCounts(f)
	if err != nil {
		return forecast.Series{}, fmt.Errorf("%s: %w", c.File, err)
	}
	var points []forecast.Point
	for ctx.Err() == nil {
		n, err := counts.Next()
		var bad *simulate.BadRow
		switch {
		case errors.As(err, &bad):
			fmt.Fprintf(os.Stderr, "%s: %s: left out\n", c.File, bad)
			continue
		case errors.Is(err, io.EOF):
			s, ok := forecast.Slots(points)
			if !ok {
				return s, fmt.Errorf("%s: holds no counts, or of more than fifty years", c.File)
			}
			return s, nil
		case err != nil:
			return forecast.Series{}, fmt.Errorf("%s: %w", c.File, err)
		}
		points = append(points, forecast.Point{At: n.At, People: float64(n.People)})
	}
	return forecast.Series{}, ctx.Err()
}

func printScores(out io.Writer, scores []forecast.Score) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "model\tminutes ahead\tforecasts\tMAE\tof last week's\tpinball\tin the 80% band\t")
	for _, s := range scores {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.2f\t%.3f\t%.2f\t%.1f%%\t\n", s.Model, s.HorizonMin, s.N, s.MAE, s.MASE, s.Pinball, 100*s.Cover80)
	}
	return w.Flush()
}
