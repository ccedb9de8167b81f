package wire

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const sample = `["CROWD_UPDATE",{"hallId":"h1","occupancy":84,"level":21,"status":"Low","asOf":null,"hall":"North","seq":17,"timestamp":"2026-11-25T21:50:28.000Z"}]`

func TestReadTick(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ok       bool
		hall     string
		seq      int64
	}{
		{"as NEXUS writes it", sample, true, "h1", 17},
		{"in another order", `["CROWD_UPDATE",{"seq":3,"hallId":"h2","timestamp":"2026-11-25T21:50:28.000Z"}]`, true, "h2", 3},
		{"a name that looks like a field", strings.Replace(sample, "North", `x\",\"seq\":9,\"timestamp\":\"y`, 1), true, "h1", 17},
		{"no seq", strings.Replace(sample, `"seq"`, `"sec"`, 1), false, "", 0},
		{"no number", strings.Replace(sample, `:17`, `:"17"`, 1), false, "", 0},
		{"no timestamp", strings.Replace(sample, `"timestamp"`, `"t"`, 1), false, "", 0},
		{"no hall", strings.Replace(sample, `"hallId"`, `"t"`, 1), false, "", 0},
		{"no end", `{"hallId":"h1`, false, "", 0},
		{"nothing", "", false, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := ReadTick([]byte(c.in))
			if ok != c.ok || ok && (string(got.Hall) != c.hall || got.Seq != c.seq || string(got.Stamp) != "2026-11-25T21:50:28.000Z") {
				t.Errorf("%q %d %q, %v", got.Hall, got.Seq, got.Stamp, ok)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	if name, err := Check([]byte(sample)); err != nil || name != "North" {
		t.Errorf("%q, %v", name, err)
	}
	for _, c := range []struct{ name, old, new string }{
		{"no JSON", "}]", "}"},
		{"more than one argument", "}]", "},1]"},
		{"no object", `{"hallId":"h1",`, `[{"hallId":"h1",`},
		{"no level", `"level":21,`, ""},
		{"no status", `"status":"Low",`, ""},
		{"a time of another form", "28.000Z", "28Z"},
		{"a field twice", `"hall":`, `"seq":16,"hall":`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if name, err := Check([]byte(strings.Replace(sample, c.old, c.new, 1))); err == nil {
				t.Errorf("taken, for %q", name)
			}
		})
	}
}

func TestStampsAreReadAsTheLibraryReadsThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := time.UnixMilli(rapid.Int64Range(0, 7_000_000_000_000).Draw(t, "ms")) // till 2191, leap years and all
		text := want.UTC().Format(stampLayout)
		if ns, ok := Stamp([]byte(text)); !ok || ns != want.UnixNano() {
			t.Fatalf("%s is %d, %v, want %d", text, ns, ok, want.UnixNano())
		}
	})
	for _, text := range []string{"", "2026-11-25T21:50:28Z", "2026-11-25 21:50:28.000Z", "2026-11-25T21:50:28.00xZ", "2026-13-25T21:50:28.000Z", "2026-11-25T24:50:28.000Z", "2026-11-25T21:50:28.0000"} {
		if ns, ok := Stamp([]byte(text)); ok {
			t.Errorf("%q is %d", text, ns)
		}
	}
}

func BenchmarkTick(b *testing.B) {
	message := AppendServer(nil, Text, []byte("42/mess,"+sample))
	b.ReportAllocs()
	for b.Loop() {
		f, _, _ := Next(message)
		tick, _ := ReadTick(Read(f.Payload).Data)
		Stamp(tick.Stamp)
	}
}
