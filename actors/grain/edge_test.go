package grain

import (
	"testing"
	"time"
)

func TestNextEdge(t *testing.T) {
	edge := time.Date(2026, 3, 2, 12, 0, 1, 0, time.UTC)
	for _, c := range []struct {
		name      string
		now, last time.Time
		want      time.Time
	}{
		{"the first", edge.Add(-300 * time.Millisecond), time.Time{}, edge},
		{"on an edge", edge, edge, edge.Add(time.Second)},
		{"a little late", edge.Add(time.Millisecond), edge, edge.Add(time.Second)},
		{"a little early", edge.Add(-time.Millisecond), edge, edge.Add(time.Second)},
		{"far behind", edge.Add(5500 * time.Millisecond), edge, edge.Add(6 * time.Second)},
		{"the clock was put back", edge.Add(-time.Hour), edge, edge.Add(-time.Hour + time.Second)},
	} {
		if got := nextEdge(c.now, c.last, time.Second); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
