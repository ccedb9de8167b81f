package wire_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"nexus/transport/rest/wire"
)

type inner struct {
	At time.Time `json:"at"`

	Never time.Time `json:"never"`
}

type Shared struct {
	Name string `json:"name"`
	When time.Time
}

type outer struct {
	Shared
	List    []inner           `json:"list"`
	None    []string          `json:"none"`
	Left    []string          `json:"left,omitempty"`
	Pointer *time.Time        `json:"pointer,omitempty"`
	Map     map[string]inner  `json:"map"`
	Any     any               `json:"any"`
	Raw     json.RawMessage   `json:"raw"`
	Bytes   []byte            `json:"bytes"`
	Secret  string            `json:"-"`
	Pair    [2]time.Time      `json:"pair"`
	Text    string            `json:"text"`
	Words   map[string]string `json:"words"`
}

func TestTimesHaveMillisecondsInUTC(t *testing.T) {
	at := time.Date(2026, 1, 2, 8, 4, 5, 0, time.FixedZone("IST", 19800))
	v := outer{
		Shared: Shared{"x", at}, List: []inner{{At: at.Add(123456789)}}, Pointer: &at, Map: map[string]inner{"a": {At: at}},
		Any: []any{at, "2026-01-02T03:04:05Z", map[string]any{"deep": at}}, Raw: json.RawMessage(`{"kept":"as it is"}`),
		Bytes: []byte("hi"), Secret: "no", Text: "<&>",
	}
	const ms = `"2026-01-02T02:34:05.000Z"`
	want := `{"name":"x","When":` + ms + `,"list":[{"at":"2026-01-02T02:34:05.123Z","never":null}],"none":[],"pointer":` + ms +
		`,"map":{"a":{"at":` + ms + `,"never":null}},"any":[` + ms + `,"2026-01-02T03:04:05Z",{"deep":` + ms + `}],` +
		`"raw":{"kept":"as it is"},"bytes":"aGk=","pair":[null,null],"text":"<&>","words":{}}` + "\n"
	var got bytes.Buffer
	if err := wire.Encode(&got, v); err != nil {
		t.Fatal(err)
	}
	if got.String() != want {
		t.Errorf("got  %s\nwant %s", &got, want)
	}
	if b, err := wire.Marshal(nil); err != nil || string(b) != "null" {
		t.Errorf("nil: %s %v", b, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"nothing": "", "half": `{"a":`, "more": `{} {}`, "comma": `[1,]`, "no colon": `{"a" 1}`, "huge number": `[1e999]`,
		"twice": `{"a":1,"a":2}`, "twice in two cases": `{"a":1,"A":2}`, "twice by a Kelvin sign": "{\"k\":1,\"\u212a\":2}",
		"deep": strings.Repeat("[", 100) + strings.Repeat("]", 100), "bare word": `nul`,
	} {
		var v any
		if err := wire.Decode([]byte(body), &v); err == nil {
			t.Errorf("%s: taken as %v", name, v)
		}
	}
}

func TestDecodeTakesIntegersInEveryForm(t *testing.T) {
	var v struct{ N int }
	for _, body := range []string{`{"N":500}`, `{"n":5e2}`, `{"N":500.0}`} {
		if err := wire.Decode([]byte(body), &v); err != nil || v.N != 500 {
			t.Errorf("%s: %d %v", body, v.N, err)
		}
	}
	if err := wire.Decode([]byte(`{"N":"x"}`), &v); err == nil || strings.Contains(err.Error(), "Go") {
		t.Errorf("a wrong type: %v", err)
	}
}

// TestViewChangesTimesAlone holds the view to encoding/json on values without times.
func TestViewChangesTimesAlone(t *testing.T) {
	type tree struct {
		S string            `json:"s,omitempty"`
		N *int              `json:"n"`
		F float64           `json:"f"`
		B bool              `json:"b"`
		M map[string]string `json:"m"`
		L []string          `json:"l"`
	}
	rapid.Check(t, func(t *rapid.T) {
		v := tree{
			S: rapid.String().Draw(t, "s"), F: rapid.Float64().Draw(t, "f"), B: rapid.Bool().Draw(t, "b"),
			N: rapid.Ptr(rapid.Int(), true).Draw(t, "n"),
			M: rapid.MapOf(rapid.String(), rapid.String()).Draw(t, "m"), L: rapid.SliceOf(rapid.String()).Draw(t, "l"),
		}
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := wire.Marshal(v)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %s, want %s, %v", got, want, err)
		}
	})
}
