package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"nexus/cmd/nexus-load/crowd"
	"nexus/cmd/nexus-load/hist"
	"nexus/cmd/nexus-load/load"
)

// size is how large and long everything is.
type size struct {
	sockets  int // of the usual crowd
	eight    int // sockets that hear eight halls each
	burst    int // sockets that hear fifty halls each
	many     int // on one node
	three    int // over three nodes
	each     int // for each process of the generator: fewer than the 20,000 descriptors that one often may have
	ramp     int // sockets a second
	students int
	measure  time.Duration
	idle     time.Duration // more than one heartbeat
	stalled  time.Duration // more than a heartbeat and its timeout
	settle   time.Duration
	calm     time.Duration // for a server to give memory back
}

var (
	full = size{
		sockets: 10_000, eight: 6_250, burst: 1_000, many: 19_000, three: 50_000, each: 15_000, ramp: 2000, students: 200,
		measure: 20 * time.Second, idle: 55 * time.Second, stalled: 55 * time.Second, settle: 3 * time.Second, calm: 15 * time.Second,
	}
	quick = size{
		sockets: 1_000, eight: 400, burst: 100, many: 2_000, three: 3_000, each: 1_500, ramp: 2000, students: 60,
		measure: 3 * time.Second, idle: 3 * time.Second, stalled: 3 * time.Second, settle: 500 * time.Millisecond, calm: time.Second,
	}
)

// Halls of the campuses.
const (
	someHalls = 8
	manyHalls = 50
)

const (
	quietRate  = 50 // presses a second where they are the load
	busyRate   = 12 // where the ticks are
	presses    = 400
	allHalls   = "*"
	officerNum = 3
)

// scenario is one load, and what is read of it.
type scenario struct {
	name    string
	title   string // as a sentence without its end
	halls   int
	nodes   int
	targets []string
	run     func(ctx context.Context, t *target, z size) (figures, error)
	log     string
}

var (
	everybody = []string{nexusTarget, nodeTarget, rawTarget}
	both      = []string{nexusTarget, nodeTarget}
	alone     = []string{nexusTarget}
)

// scenarios lists all, in the order of the page.
func scenarios() []scenario {
	return []scenario{
		{name: "idle", title: "Sockets that hear nothing, of strangers", targets: both, run: idle(false)},
		{name: "logged-in", title: "Sockets that hear nothing, of as many people who are logged in", targets: alone, run: idle(true)},
		{name: "one-hall", title: "One hall at 1 Hz to everybody", halls: 1, targets: everybody, run: ticks(func(z size) int { return z.sockets }, "")},
		{name: "eight-halls", title: "Eight halls at 1 Hz to everybody", halls: someHalls, targets: everybody, run: ticks(func(z size) int { return z.eight }, allHalls)},
		{name: "fifty-at-once", title: "Fifty messages at once to everybody, each second", halls: manyHalls, targets: everybody, run: ticks(func(z size) int { return z.burst }, allHalls)},
		{name: "sos-quiet", title: fmt.Sprintf("SOS, %d a second, on a quiet campus", quietRate), targets: both, run: alarms(nil, "", quietRate)},
		{name: "sos-ticks", title: fmt.Sprintf("SOS, %d a second, while everybody hears one hall", quietRate), targets: both, run: alarms(func(z size) int { return z.sockets }, "", quietRate)},
		{name: "sos-eight", title: fmt.Sprintf("SOS, %d a second, while everybody hears eight halls", busyRate), halls: someHalls, targets: both, run: alarms(func(z size) int { return z.eight }, allHalls, busyRate)},
		{name: "stalled", title: "Eight halls at 1 Hz, and one reader in a hundred never reads", halls: someHalls, targets: both, run: stalled},
		{name: "reconnect", title: "Everybody comes back at once", targets: both, run: reconnect},
		{name: "many", title: "As many as a node may have here, one hall", targets: both, run: ticks(func(z size) int { return z.many }, "")},
		{name: "three-nodes", title: "Three nodes, one hall", nodes: 3, targets: alone, run: ticks(func(z size) int { return z.three }, "")},
	}
}

// selected picks scenarios by name; no name picks all.
func selected(only []string) (list []scenario, err error) {
	all := scenarios()
	if len(only) == 0 {
		return all, nil
	}
	for _, name := range only {
		i := slices.IndexFunc(all, func(s scenario) bool { return s.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no scenario is called %q", name)
		}
		list = append(list, all[i])
	}
	return list, nil
}

func ms(h *hist.Histogram, q float64) float64 { return float64(h.Quantile(q).Microseconds()) / 1000 }

// timed are the flags of how long.
func timed(z size, d time.Duration) []string {
	return []string{"--settle", z.settle.String(), "--duration", d.String()}
}

// idle has sockets that nothing is sent to but heartbeats.
func idle(loggedIn bool) func(context.Context, *target, size) (figures, error) {
	return func(ctx context.Context, t *target, z size) (figures, error) {
		if err := t.exercise(ctx, z); err != nil {
			return nil, err
		}
		args := append(timed(z, z.idle), "--namespace", "/academic")
		if loggedIn {
			args = append(args, "--tokens", t.bench.data.students)
		}
		h, err := t.hear(ctx, z.sockets, args...)
		if err != nil {
			return nil, err
		}
		s := h.results[0].Server
		return figures{
			bytesEach: s.BytesPerSocket, cpuConnection: s.CPUPerConnectionUS, cpuIdle: s.CPUMSPerSecond,
			connectP99: ms(&h.results[0].Ramp.Connect, 0.99), failures: h.failures(),
		}, nil
	}
}

// exercise has a small crowd come and go, so that the server has collected what its start left behind, and has given it back: else sockets
// would find room in that, and seem to need none.
func (t *target) exercise(ctx context.Context, z size) (err error) {
	o := crowd.Options{Namespace: "/academic", Sockets: z.sockets / 10, Sources: 10}
	for _, url := range t.urls {
		to, err := load.Resolve(ctx, url, false)
		if err != nil {
			return err
		}
		o.Addrs = append(o.Addrs, to.Addr)
	}
	c, err := crowd.Open(ctx, o, o.Sockets)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close(), rest(ctx, z.calm)) }()
	for range 5 {
		limited, cancel := context.WithTimeout(ctx, startLimit)
		err := c.Await(limited, o.Sockets, func(int) {})
		cancel()
		if err != nil {
			return err
		}
		if err := c.Drop(); err != nil {
			return err
		}
	}
	return nil
}

// rest waits.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ticks has a crowd listen.
func ticks(sockets func(size) int, subscribe string) func(context.Context, *target, size) (figures, error) {
	return func(ctx context.Context, t *target, z size) (figures, error) {
		h, err := t.hear(ctx, sockets(z), append(timed(z, z.measure), "--subscribe", subscribe)...)
		if err != nil {
			return nil, err
		}
		return h.ticks(), nil
	}
}

// stalled is ticks with readers that do not read.
func stalled(ctx context.Context, t *target, z size) (figures, error) {
	h, err := t.hear(ctx, z.eight, append(timed(z, z.stalled), "--subscribe", allHalls, "--stalled", "1")...)
	if err != nil {
		return nil, err
	}
	return h.ticks(), nil
}

// reconnect has everybody drop and come back.
func reconnect(ctx context.Context, t *target, z size) (figures, error) {
	h, err := t.hear(ctx, z.sockets, append(timed(z, time.Second), "--reconnect")...)
	if err != nil {
		return nil, err
	}
	back := h.results[0].Reconnect
	failed := float64(z.sockets - back.Served)
	for _, n := range back.Failures {
		failed += float64(n)
	}
	return figures{backSeconds: back.Seconds, failures: failed, cpuConnection: back.CPUPerConnectionUS, connectP99: ms(&back.Connect, 0.99)}, nil
}

// alarms has people press the button, while a crowd listens if there is one.
func alarms(sockets func(size) int, subscribe string, rate int) func(context.Context, *target, size) (figures, error) {
	return func(ctx context.Context, t *target, z size) (figures, error) {
		var a audience
		if sockets != nil {
			var err error
			// It goes on until it is told to stop.
			if a, err = t.listen(ctx, sockets(z), append(timed(z, longest/2), "--subscribe", subscribe)...); err != nil {
				return nil, err
			}
			if err := a.giveWay(); err != nil {
				return nil, err
			}
		}
		d := z.measure
		if rate == quietRate {
			d = min(d, presses*time.Second/quietRate)
		}
		args := append(timed(z, d), "--sos", strconv.Itoa(rate), "--students", strconv.Itoa(z.students), "--officers", strconv.Itoa(officerNum))
		if t.kind == nexusTarget {
			args = append(args, "--student-tokens", t.bench.data.students, "--officer-tokens", t.bench.data.officers)
		} else {
			args = append(args, "--no-login", "--student", "student%d", "--officer", "officer%d")
		}
		probe, err := t.child(args...)
		if err != nil {
			return nil, err
		}
		r, err := probe.result(ctx)
		if err != nil {
			return nil, err
		}
		f := figures{
			alertP50: ms(&r.SOS.Alert, 0.5), alertP99: ms(&r.SOS.Alert, 0.99), ackP99: ms(&r.SOS.Ack, 0.99),
			pressed: float64(r.SOS.Presses), unheard: float64(r.SOS.Unheard + r.SOS.Presses - r.SOS.Answered + r.SOS.Late),
		}
		for _, c := range a {
			if err := c.interrupt(); err != nil {
				return nil, err
			}
		}
		if a == nil {
			return f, nil
		}
		h, err := a.results(ctx)
		if err != nil {
			return nil, err
		}
		f[tickP99], f[perSecond] = ms(&h.Edge, 0.99), h.rate()
		return f, nil
	}
}

// hear has a crowd listen to its end.
func (t *target) hear(ctx context.Context, sockets int, args ...string) (*heard, error) {
	a, err := t.listen(ctx, sockets, args...)
	if err != nil {
		return nil, err
	}
	return a.results(ctx)
}

// rate is how many messages a second were heard.
func (h *heard) rate() float64 {
	return float64(h.Messages) / h.mean(func(r *load.Result) float64 { return r.Seconds })
}

// failures is how many connections failed or ended.
func (h *heard) failures() float64 {
	return h.sum(func(r *load.Result) (n float64) {
		for _, m := range []map[string]uint64{r.Ramp.Failures, r.Ramp.Ends, r.Links.Failures, r.Links.Ends} {
			for _, k := range m {
				n += float64(k)
			}
		}
		return n
	})
}

// ticks are the figures of a crowd that listens.
func (h *heard) ticks() figures {
	cpu := h.mean(func(r *load.Result) float64 { return r.Server.CPUMSPerSecond })
	return figures{
		cpuMessage: cpu * 1000 / max(h.rate(), 1e-9), tickP50: ms(&h.Edge, 0.5), tickP99: ms(&h.Edge, 0.99), tickMax: ms(&h.Edge, 1),
		perSecond: h.rate(), leftOut: float64(h.Gaps()) / max(float64(h.Messages), 1) * 100, failures: h.failures(),
		generator:  h.sum(func(r *load.Result) float64 { return r.GeneratorCPUMSPerSecond }),
		residentMB: h.sum(func(r *load.Result) float64 { return float64(r.ResidentMost) }) / float64(len(h.results)) / 1e6,
	}
}
