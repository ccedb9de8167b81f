package wire

import (
	"testing"

	"nexus/transport/socketio"
)

func TestRead(t *testing.T) {
	for _, c := range []struct {
		in, namespace, data string
		kind                Kind
		id                  int64
	}{
		{"", "", "", Unknown, -1},
		{`0{"sid":"x"}`, "", `{"sid":"x"}`, Open, -1},
		{"1", "", "", Ended, -1},
		{"2", "", "", Beat, -1},
		{"4", "", "", Unknown, -1},
		{"6", "", "", Unknown, -1},
		{`40{"sid":"x"}`, "", `{"sid":"x"}`, Connected, -1},
		{`40/mess,{"sid":"x"}`, "/mess", `{"sid":"x"}`, Connected, -1},
		{"41/mess,", "/mess", "", Left, -1},
		{`42["a"]`, "", `["a"]`, Event, -1},
		{`42/security,17["CRITICAL_ALERT",{}]`, "/security", `["CRITICAL_ALERT",{}]`, Event, 17},
		{`43/mess,0[{}]`, "/mess", "[{}]", Ack, 0},
		{`44/mess,{"message":"no"}`, "/mess", `{"message":"no"}`, Refused, -1},
		{`451-["a"]`, "", "", Unknown, -1},
		{"4\xff", "", "", Unknown, -1},
	} {
		p := Read([]byte(c.in))
		if p.Kind != c.kind || p.ID != c.id || string(p.Namespace) != c.namespace || c.kind != Unknown && string(p.Data) != c.data {
			t.Errorf("%s is %+v", c.in, p)
		}
	}
}

// TestWhatWeSayIsUnderstood holds our packets against the server's own reader.
func TestWhatWeSayIsUnderstood(t *testing.T) {
	for _, c := range []struct {
		say       string
		kind      socketio.Type
		namespace string
		id        uint64
		hasID     bool
		data      string
	}{
		{Join("/", ""), socketio.TypeConnect, "/", 0, false, ""},
		{Join("/mess", ""), socketio.TypeConnect, "/mess", 0, false, ""},
		{Join("/mess", `a"b`), socketio.TypeConnect, "/mess", 0, false, `{"token":"a\"b"}`},
		{Emit("/mess", 0, `["subscribe",{"halls":["*"]}]`), socketio.TypeEvent, "/mess", 0, true, `["subscribe",{"halls":["*"]}]`},
		{Emit("/", -1, `["x"]`), socketio.TypeEvent, "/", 0, false, `["x"]`},
		{Answer("/security", 17), socketio.TypeAck, "/security", 17, true, "[]"},
	} {
		if c.say[0] != '4' {
			t.Errorf("%s is no message", c.say)
		}
		p, err := socketio.Decode([]byte(c.say[1:]), socketio.Limits{MaxDepth: 5})
		if err != nil || p.Type != c.kind || p.Namespace != c.namespace || p.ID != c.id || p.HasID != c.hasID || string(p.Data) != c.data {
			t.Errorf("%s is understood as %+v, %v", c.say, p, err)
		}
	}
}
