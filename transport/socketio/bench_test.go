package socketio

import "testing"

func BenchmarkEncodeEvent(b *testing.B) {
	type crowd struct {
		HallID string `json:"hallId"`
		Level  int    `json:"level"`
		Status string `json:"status"`
		Wait   string `json:"waitTime"`
		Seq    int    `json:"seq"`
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeEvent("/mess", "CROWD_UPDATE", crowd{"north", 42, "Moderate", "10 mins", 7}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	text := []byte(`2/mess,12["subscribe",{"halls":["north","south","central"]}]`)
	limits := Limits{MaxAttachments: 10, MaxDepth: 64}
	b.ReportAllocs()
	for b.Loop() {
		p, err := Decode(text, limits)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := parseArgs(p.Data, nil); err != nil {
			b.Fatal(err)
		}
	}
}
