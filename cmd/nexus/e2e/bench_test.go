package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The figures are taken by the clock, each over some seconds of a real server over a private PostgreSQL on disk; client and server share
// the machine. They are no benchmarks in Go's sense: b.N is 1.

// bench starts a server without the race detector, whose limits are out of the way.
func bench(b *testing.B) *server {
	b.Helper()
	s, err := newServer(plain, "NEXUS_FLOOD_RATE=1000000")
	if err == nil {
		err = s.start()
	}
	if err != nil {
		b.Fatal(err)
	}
	s.cleanup(b)
	return s
}

// BenchmarkCheckIns counts people through REST into PostgreSQL: 32 senders, each of which waits for its answer.
func BenchmarkCheckIns(b *testing.B) {
	s := bench(b)
	halls, gates := s.halls(b), s.gates(b, 64)
	for _, c := range []struct{ halls, batch int }{{1, 1}, {3, 1}, {1, 100}, {3, 100}} {
		b.Run(fmt.Sprintf("halls=%d/batch=%d", c.halls, c.batch), func(b *testing.B) {
			ctx, cancel := context.WithTimeout(b.Context(), 4*time.Second)
			defer cancel()
			before, began := s.cpu(b), time.Now()
			var mu sync.Mutex
			var took []float64
			var wg sync.WaitGroup
			for sender := range 32 {
				wg.Go(func() {
					for n := 0; ctx.Err() == nil; n++ {
						events := make([]any, c.batch)
						for i := range events {
							events[i] = in("gate", fmt.Sprintf("%s-%d-%d-%d", b.Name(), sender, n, i))
						}
						asked := time.Now()
						a, err := gates[(sender+32*n)%len(gates)].do(b.Context(), "POST", checkins(halls[sender%c.halls].ID), map[string]any{"events": events})
						if err != nil || a.status != 200 {
							b.Errorf("%v %d %.200s", err, a.status, a.body)
							return
						}
						mu.Lock()
						took = append(took, time.Since(asked).Seconds()*1000)
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			seconds, requests := time.Since(began).Seconds(), float64(len(took))
			b.ReportMetric(requests*float64(c.batch)/seconds, "checkins/s")
			b.ReportMetric(quantile(took, 0.5), "p50-ms")
			b.ReportMetric(quantile(took, 0.99), "p99-ms")
			b.ReportMetric((s.cpu(b)-before).Seconds()*1e6/requests, "server-µs/request")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkTicks has 1,000 sockets listen for 10 s, and takes how long after the edge of the second each update arrived, and what one
// cost the server.
func BenchmarkTicks(b *testing.B) {
	for _, c := range []struct {
		name, subscribe string
		halls           int
	}{{"halls=1", "", 1}, {"halls=3", `["subscribe",{"halls":["*"]}]`, 3}} {
		b.Run(c.name, func(b *testing.B) {
			s := bench(b)
			var mu sync.Mutex
			var offsets []float64
			note := func(at time.Time) {
				mu.Lock()
				offsets = append(offsets, float64(at.Sub(at.Truncate(time.Second)).Microseconds())/1000)
				mu.Unlock()
			}
			const sockets, seconds = 1000, 10
			all := s.crowdOf(b, sockets, "/mess", c.subscribe)
			s.edge()
			var wg sync.WaitGroup
			for _, r := range all {
				wg.Go(func() { r.hear(note) })
			}
			s.edge()
			before := s.cpu(b)
			mu.Lock()
			offsets = offsets[:0]
			mu.Unlock()
			for range seconds {
				s.edge()
			}
			mu.Lock()
			heard, cpu := offsets, s.cpu(b)-before
			offsets = nil
			mu.Unlock()
			for _, r := range all {
				_ = r.conn.Close() // it was only read
			}
			wg.Wait()
			if len(heard) < sockets*c.halls*seconds*99/100 {
				b.Errorf("%d updates, want %d", len(heard), sockets*c.halls*seconds)
			}
			b.ReportMetric(float64(len(heard))/seconds, "updates/s")
			b.ReportMetric(quantile(heard, 0.5), "p50-ms")
			b.ReportMetric(quantile(heard, 0.99), "p99-ms")
			b.ReportMetric(quantile(heard, 1), "max-ms")
			b.ReportMetric(cpu.Seconds()*1e6/float64(len(heard)), "server-µs/update")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// edge waits for the middle between two ticks.
func (s *server) edge() {
	now := time.Now()
	<-time.After(now.Truncate(time.Second).Add(1500 * time.Millisecond).Sub(now))
}

// BenchmarkIdleSockets takes what a socket costs that hears nothing, over 5,000 of them.
func BenchmarkIdleSockets(b *testing.B) {
	s := bench(b)
	s.crowdOf(b, 100, "/academic", "") // what the first ones bring along does not count
	rss, heap := s.resident(b), s.metric(b, "go_memstats_heap_inuse_bytes")+s.metric(b, "go_memstats_stack_inuse_bytes")
	const sockets = 5000
	s.crowdOf(b, sockets, "/academic", "")
	s.edge()
	before := s.cpu(b)
	began := time.Now()
	for range 3 {
		s.edge()
	}
	b.ReportMetric(float64(s.resident(b)-rss)/sockets, "resident-B/socket")
	b.ReportMetric((s.metric(b, "go_memstats_heap_inuse_bytes")+s.metric(b, "go_memstats_stack_inuse_bytes")-heap)/sockets, "heap+stack-B/socket")
	b.ReportMetric((s.cpu(b)-before).Seconds()/time.Since(began).Seconds()*1000, "server-ms/s")
	b.ReportMetric(0, "ns/op")
}

// cpu is the time that the process has run on a processor, in the kernel too.
func (s *server) cpu(b *testing.B) time.Duration {
	b.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		b.Fatalf("no threads: %v", err)
	}
	var sum time.Duration
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(n)
	}
	return sum
}

// resident is the process's memory in bytes.
func (s *server) resident(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// metric reads one figure of /metrics.
func (s *server) metric(b *testing.B, name string) float64 {
	b.Helper()
	a := s.stranger().call(b, "GET", "//metrics", nil, 200, nil)
	lines := bufio.NewScanner(bytes.NewReader(a.body))
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			f, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			return f
		}
	}
	b.Fatalf("no metric %s", name)
	return 0
}
