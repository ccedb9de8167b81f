package load

import "testing"

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		url    string
		remote bool
		want   string // empty: refused
	}{
		{"http://127.0.0.1:4000", false, "127.0.0.1:4000"},
		{"http://127.0.0.1:4000/", false, "127.0.0.1:4000"},
		{"http://127.7.7.7", false, "127.7.7.7:80"},
		{"http://[::1]:4000", false, "[::1]:4000"},
		{"http://localhost:4000", false, "127.0.0.1:4000"},
		{"http://192.0.2.1:4000", false, ""},
		{"http://192.0.2.1:4000", true, "192.0.2.1:4000"},
		{"http://[::ffff:192.0.2.1]:4000", false, ""},
		{"http://0.0.0.0:4000", false, ""},
		{"https://127.0.0.1:4000", false, ""},
		{"ws://127.0.0.1:4000", false, ""},
		{"127.0.0.1:4000", false, ""},
		{"http://127.0.0.1:0", false, ""},
		{"http://127.0.0.1:65536", false, ""},
		{"http://127.0.0.1:4000/api", false, ""},
		{"http://user@127.0.0.1:4000", false, ""},
		{"http://127.0.0.1:4000?x", false, ""},
	} {
		got, err := Resolve(t.Context(), c.url, c.remote)
		if (err == nil) != (c.want != "") || err == nil && got.Addr.String() != c.want {
			t.Errorf("%s is %v, %v, want %q", c.url, got.Addr, err, c.want)
		}
	}
}
