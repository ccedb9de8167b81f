package live

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/grain/graintest"
	"nexus/actors/mess"
	"nexus/actors/session"
	"nexus/transport/engineio/enginetest"
)

// BenchmarkFanOut hands one tick to many sockets; the cost of each is ns/listener, without any write.
func BenchmarkFanOut(b *testing.B) {
	const many = 5000
	node := graintest.NewNode(b, graintest.NewStore(), session.Kind())
	s, err := New(Config{
		System: node.System(), Halls: &halls{list: []nexus.Hall{{ID: north, Default: true}}},
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		b.Fatal(err)
	}
	for range many {
		var hello struct{ SID string }
		_, body := enginetest.Poll(s.Engine(), "GET", "", "")
		if err := json.Unmarshal([]byte(body[1:]), &hello); err != nil {
			b.Fatal(err)
		}
		enginetest.Poll(s.Engine(), "POST", hello.SID, "40/mess,")
		enginetest.Poll(s.Engine(), "GET", hello.SID, "") // the answer
	}
	topic := mess.Topic(north)
	tick := &grain.Broadcast{Topic: topic, Namespace: mess.Namespace, Event: mess.CrowdUpdate, Slot: topic, Payload: []byte(`{"level":42}`)}
	b.ReportAllocs()
	for b.Loop() {
		s.hub.fanOut(tick)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/listener")
	if err := s.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
}
