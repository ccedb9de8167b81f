package load

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"nexus/cmd/nexus-load/crowd"
	"nexus/cmd/nexus-load/hist"
	"nexus/cmd/nexus-load/sos"
)

// Result is what came of a load.
type Result struct {
	Began        time.Time   `json:"began"`
	Sockets      int         `json:"sockets"`
	Served       int         `json:"served"` // at the end of the measuring
	Seconds      float64     `json:"seconds"`
	Ramp         Ramp        `json:"ramp"`
	Heard        crowd.Heard `json:"heard"`
	Links        crowd.Links `json:"links"` // while it was measured
	SOS          *sos.Result `json:"sos,omitempty"`
	Reconnect    *Ramp       `json:"reconnect,omitempty"`
	Server       *Server     `json:"server,omitempty"`
	ResidentMost int64       `json:"residentMost,omitempty"` // bytes of the server, the most seen while it was measured

	GeneratorCPUMSPerSecond float64 `json:"generatorCpuMsPerSecond"` // what measuring took itself
}

// Ramp is how everybody was connected.
type Ramp struct {
	crowd.Links
	Seconds            float64 `json:"seconds"`
	Served             int     `json:"served,omitempty"`
	CPUPerConnectionUS float64 `json:"cpuPerConnectionUs,omitempty"`
}

// Server is what the server's processes took.
type Server struct {
	CPUPerConnectionUS float64 `json:"cpuPerConnectionUs"`
	CPUPerMessageUS    float64 `json:"cpuPerMessageUs,omitempty"`
	CPUMSPerSecond     float64 `json:"cpuMsPerSecond"`
	ResidentBefore     int64   `json:"residentBefore"` // bytes, with what was connected to warm up
	Resident           int64   `json:"resident"`       // at the end of the measuring
	BytesPerSocket     float64 `json:"bytesPerSocket,omitempty"`

	connections int
}

// Print writes the result for people.
func (r *Result) Print(out io.Writer) {
	if r.Sockets > 0 {
		fmt.Fprintf(out, "\n%d sockets: connected in %.2f s, %d served after %.1f s of measuring\n", r.Sockets, r.Ramp.Seconds, r.Served, r.Seconds)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "ms\tcount\tmean\tp50\tp90\tp99\tmax\t")
	row := func(name string, h *hist.Histogram) {
		if h.Count() == 0 {
			return
		}
		ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", name, h.Count(), ms(h.Mean()), ms(h.Quantile(0.5)), ms(h.Quantile(0.9)), ms(h.Quantile(0.99)), ms(h.Max()))
	}
	row("connect", &r.Ramp.Connect)
	topics := slices.Clone(r.Heard.Topics)
	slices.SortFunc(topics, func(a, b *crowd.Topic) int { return compare(a.Name, b.Name) })
	for _, t := range topics {
		row(t.Name+", from its timestamp", &t.Latency)
	}
	if len(topics) > 1 {
		row("all halls, from the timestamp", &r.Heard.Latency)
	}
	row("ticks, from the second's edge", &r.Heard.Edge)
	if r.SOS != nil {
		row("SOS until answered", &r.SOS.Ack)
		row("SOS until an officer has it", &r.SOS.Alert)
	}
	if r.Reconnect != nil {
		row("all at once again", &r.Reconnect.Connect)
	}
	_ = w.Flush() // as fmt.Fprint: what the terminal refuses is not worth stopping for
	r.printCounts(out)
}

func compare(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b) // Hall 2 before Hall 10
	}
	return slices.Compare([]byte(a), []byte(b))
}

func (r *Result) printCounts(out io.Writer) {
	if r.Sockets > 0 {
		fmt.Fprintf(out, "%d updates, %.0f a second; left out %d, heard again %d; %d sockets came back\n",
			r.Heard.Messages, float64(r.Heard.Messages)/max(r.Seconds, 1e-9), r.Heard.Gaps(), r.Heard.Duplicates(), r.Links.Resumes)
	}
	if s := r.SOS; s != nil {
		fmt.Fprintf(out, "%d presses, %d answered (%d before they were stored), %d alerts not heard, %d not made for want of students\n",
			s.Presses, s.Answered, s.NotDurable, s.Unheard, s.Late)
		counts(out, "refused", s.Refused)
	}
	if b := r.Reconnect; b != nil {
		fmt.Fprintf(out, "reconnecting: %d of %d served within %.2f s, server %.1f µs of CPU each\n", b.Served, r.Sockets, b.Seconds, b.CPUPerConnectionUS)
		counts(out, "reconnecting failed", b.Failures)
	}
	counts(out, "connecting failed", r.Ramp.Failures)
	counts(out, "later failed", r.Links.Failures)
	counts(out, "ended", r.Links.Ends)
	counts(out, "strange", r.Ramp.Unlikely)
	counts(out, "strange", r.Links.Unlikely)
	if s := r.Server; s != nil {
		fmt.Fprintf(out, "server: %.1f µs of CPU per connection, %.2f per update, %.1f ms/s in all; %.1f MB resident, %.0f bytes per socket\n",
			s.CPUPerConnectionUS, s.CPUPerMessageUS, s.CPUMSPerSecond, float64(s.Resident)/1e6, s.BytesPerSocket)
	}
	fmt.Fprintf(out, "this generator: %.1f ms/s of CPU\n", r.GeneratorCPUMSPerSecond)
}

func counts[N int | uint64](out io.Writer, what string, m map[string]N) {
	for _, why := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(out, "%s: %d, %s\n", what, m[why], why)
	}
}
