package onfiber_test

import (
	"runtime"
	"testing"

	"nexus/transport/engineio"
)

// BenchmarkIdleSession opens WebSocket sessions and reports the memory of one that is silent, in bytes of heap and stack. The client's end
// is in the same process and counts too, with about 1 KB.
func BenchmarkIdleSession(b *testing.B) {
	const count = 2000
	for b.Loop() {
		host, u := serve(b, engineio.Config{}, way{})
		before := inUse()
		wires := make([]wire, count)
		for i := range wires {
			wires[i] = dial(b, host)
			wires[i].write(upgrade + key + "\r\n")
			wires[i].answer()
			wires[i].frame()
			wires[i].r = nil
			<-u.opened
		}
		b.ReportMetric(float64(inUse()-before)/count, "B/session")
		for _, w := range wires {
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			<-u.closed
		}
	}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
