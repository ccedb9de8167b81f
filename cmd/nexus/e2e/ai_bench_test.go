package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nexus/actors/ai/aitest"
)

// core is what a load measures of the core: when ticks come and how soon an SOS is answered and heard.
type core struct {
	Heard struct{ Edge span }
	SOS   struct{ Ack, Alert span }
}

type span struct{ P50Ms, P99Ms float64 }

// figures are a core's by name.
func (c core) figures() map[string]float64 {
	return map[string]float64{
		"tick-p50": c.Heard.Edge.P50Ms, "tick-p99": c.Heard.Edge.P99Ms, "ack-p50": c.SOS.Ack.P50Ms, "ack-p99": c.SOS.Ack.P99Ms,
		"alert-p50": c.SOS.Alert.P50Ms, "alert-p99": c.SOS.Alert.P99Ms,
	}
}

// badly answers in all the ways in which a model has been seen to fail, one after the other, and well every tenth time.
func badly() aitest.Reply {
	well := aitest.JSON(func(string) any {
		return object{"summary": "Fees are due.", "category": "admin", "urgent": false, "actions": []object{}}
	})
	ways := []aitest.Reply{
		aitest.Limited(1), aitest.Failing(500), aitest.Slow(20*time.Second, well), aitest.Raw("<html>"), aitest.Raw("{}"), aitest.Blocked(), aitest.Truncated(),
		aitest.Endless(200 << 20), aitest.Cut(), well,
	}
	var n atomic.Int64
	return func(w http.ResponseWriter, r *http.Request, prompt string) {
		ways[int(n.Add(1))%len(ways)](w, r, prompt)
	}
}

// BenchmarkBesideAModel has 2,000 sockets hear all halls and fifteen students a second press, again and again in turn: on a quiet campus; while 500 mails a
// minute come in; and while they do and a model is asked for each that answers badly in every way. It reports the figures of the last two by those of a quiet
// campus, medians of the turns: 1 is no difference.
func BenchmarkBesideAModel(b *testing.B) {
	const turns, perMinute = 3, 500
	g := aitest.New(b, badly())
	open := func(more ...string) *server {
		s, err := newServer(plain, append(more, "NEXUS_FLOOD_RATE=1000000")...)
		if err == nil {
			err = s.start()
		}
		if err != nil {
			b.Fatal(err)
		}
		s.cleanup(b)
		return s
	}
	local, asking := open(), open("NEXUS_GEMINI_API_KEY=a-key-of-tests", "NEXUS_GEMINI_BASE_URL="+g.URL, "NEXUS_GEMINI_FLASH_LIMITS=0:0")
	load := filepath.Join(b.TempDir(), "nexus-load")
	if out, err := exec.Command("go", "build", "-o", load, "nexus/cmd/nexus-load").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	measure := func(s *server) map[string]float64 {
		file := filepath.Join(b.TempDir(), "load.json")
		if out, err := exec.Command(load, "run", "--url", s.url, "--sockets", "2000", "--subscribe", "*", "--sos", "15", "--duration", "20s", "--json", file).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(file)
		var c core
		if err != nil || json.Unmarshal(text, &c) != nil || c.Heard.Edge.P50Ms == 0 || c.SOS.Ack.P50Ms == 0 {
			b.Fatalf("%v %s", err, text)
		}
		return c.figures()
	}
	gates := map[*server]caller{local: local.gateway(b), asking: asking.gateway(b)}
	mails := func(s *server) (stop func()) {
		ctx, cancel := context.WithCancel(b.Context())
		var done sync.WaitGroup
		done.Go(func() {
			for tick := time.NewTicker(time.Minute / perMinute); ; {
				select {
				case <-tick.C:
					gates[s].call(b, "POST", "/mail/inbound?to=student1@demo.nexus", letter("Fees", "Pay your fees by Friday. "+fmt.Sprint(time.Now())), 200, nil)
				case <-ctx.Done():
					return
				}
			}
		})
		return func() { cancel(); done.Wait() }
	}
	quiet, beside, badly := map[string][]float64{}, map[string][]float64{}, map[string][]float64{}
	for turn := -1; turn < turns; turn++ {
		for _, x := range []struct {
			s    *server
			mail bool
			to   map[string][]float64
		}{{local, false, quiet}, {local, true, beside}, {asking, true, badly}} {
			stop := func() {}
			if x.mail {
				stop = mails(x.s)
			}
			figures := measure(x.s)
			stop()
			for name, ms := range figures {
				if turn >= 0 { // what is done for the first time does not count
					x.to[name] = append(x.to[name], ms)
				}
			}
		}
	}
	for name := range quiet {
		middle := func(of map[string][]float64) float64 { slices.Sort(of[name]); return of[name][turns/2] }
		b.ReportMetric(middle(quiet), name+"-ms")
		b.ReportMetric(middle(beside)/middle(quiet), name+"-mails")
		b.ReportMetric(middle(badly)/middle(quiet), name+"-model")
	}
	b.ReportMetric(float64(len(g.Seen())), "asked")
	b.ReportMetric(float64(asking.resident(b))/(1<<20), "resident-MB")
	b.ReportMetric(0, "ns/op")
}
