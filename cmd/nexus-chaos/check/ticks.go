package check

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"nexus/cmd/nexus-chaos/client"
	"nexus/cmd/nexus-chaos/history"
)

// Sockets checks what the sockets heard: none went without a tick for longer than the limit, and none heard a tick that
// was older than one before. Where an old activation may go on ticking for a while, ordered is false, and that is a figure.
func Sockets(all []*client.Socket, limit time.Duration, ordered bool) []Result {
	var longest time.Duration
	var gaps, back []string
	ticks, connects, refused, repeated := 0, 0, 0, 0
	ends := make(map[string]int)
	for _, s := range all {
		h := s.Heard()
		ticks, connects, refused, repeated = ticks+h.Ticks, connects+h.Connects, refused+h.Refused, repeated+h.Repeated
		longest = max(longest, h.Longest)
		if h.Back > 0 {
			back = append(back, fmt.Sprintf("%s: %d", s.Name, h.Back))
		}
		for _, g := range h.Gaps {
			if g.Took > limit {
				gaps = append(gaps, fmt.Sprintf("%s: %v from %v on", g.Socket, g.Took, g.From.Round(time.Millisecond)))
			}
		}
		for end, n := range h.Ends {
			ends[end] += n
		}
	}
	silence := Within(fmt.Sprintf("longest time without a tick, of %d sockets", len(all)), longest, limit)
	silence.Detail = gaps[:min(len(gaps), detailed)]
	if len(gaps) > detailed {
		silence.Detail = append(silence.Detail, fmt.Sprintf("and %d more", len(gaps)-detailed))
	}
	order := none("sockets that heard an old tick after a newer one", len(all), back)
	if !ordered {
		order = Figure(order)
	}
	heard := Note("what sockets heard", "%d ticks, %d of them twice, %d connections, %d refused", ticks, repeated, connects, refused)
	for _, end := range slices.Sorted(maps.Keys(ends)) {
		heard.Detail = append(heard.Detail, fmt.Sprintf("%d x %s", ends[end], end))
	}
	return []Result{silence, order, heard}
}

// Jitter is how far the listeners' ticks of a hall are off their second, at p99, and how many seconds are missing, within
// one connection and one activation.
func Jitter(ticks []history.Tick, limit time.Duration) []Result {
	type stream struct {
		client, hall string
		connection   int
	}
	last := make(map[stream]history.Tick)
	var off []time.Duration
	missing := 0
	for _, t := range ticks {
		key := stream{t.Client, t.Hall, t.Connection}
		before, known := last[key]
		last[key] = t
		if !known || before.Seq>>30 != t.Seq>>30 || t.Seq <= before.Seq {
			continue
		}
		missing += int(t.Seq-before.Seq) - 1
		off = append(off, (time.Duration(t.At-before.At) - time.Duration(t.Seq-before.Seq)*time.Second).Abs())
	}
	jitter := Within("jitter of ticks, p99", Quantile(off, 0.99), limit)
	return []Result{jitter, Note("ticks that a connection missed within one activation", "%d of %d", missing, len(off)+missing)}
}
