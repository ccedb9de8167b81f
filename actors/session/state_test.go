package session

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestTheOldestSocketGoesWhenOneMoreComes(t *testing.T) {
	var s State
	hub := place{"n", "hub"}
	for i := range maxSockets {
		if evicted := s.attach(socket{hub: hub, id: fmt.Sprint(i)}); len(evicted) != 0 {
			t.Fatalf("socket %d put out %v", i, evicted)
		}
	}
	if evicted := s.attach(socket{hub: hub, id: "5", login: "renewed"}); len(evicted) != 0 || s.sockets[5].login != "renewed" {
		t.Fatalf("a known socket put out %v", evicted)
	}
	if evicted := s.attach(socket{hub: hub, id: "more"}); len(evicted) != 1 || evicted[0].id != "0" {
		t.Fatalf("put out %v, want the oldest", evicted)
	}
}

// TestSocketsAreAsAListSaysIt compares the state with a plain list of what was attached and not let go.
func TestSocketsAreAsAListSaysIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			s    State
			want []socket
		)
		drop := func(gone func(socket) bool) (out []socket) {
			var rest []socket
			for _, x := range want {
				if gone(x) {
					out = append(out, x)
				} else {
					rest = append(rest, x)
				}
			}
			want = rest
			return out
		}
		hubs := rapid.SampledFrom([]place{{"n", "1"}, {"n", "2"}, {"m", "1"}})
		ids, logins := rapid.IntRange(0, 50), rapid.SampledFrom([]string{"a", "b", "c"})
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			x := socket{hub: hubs.Draw(t, "hub"), id: fmt.Sprint(ids.Draw(t, "id")), login: logins.Draw(t, "login")}
			switch rapid.IntRange(0, 19).Draw(t, "step") {
			case 0:
				s.lose(x.hub)
				drop(func(y socket) bool { return y.hub == x.hub })
			case 1:
				if got, gone := s.disconnect(x.login), drop(func(y socket) bool { return y.login == x.login }); !slices.Equal(got, gone) {
					t.Fatalf("disconnect closed %v, want %v", got, gone)
				}
			case 2:
				if got, gone := s.disconnect(""), drop(func(socket) bool { return true }); !slices.Equal(got, gone) {
					t.Fatalf("disconnect closed %v, want %v", got, gone)
				}
			case 3, 4, 5:
				s.detach(x.hub, x.id)
				drop(func(y socket) bool { return y.hub == x.hub && y.id == x.id })
			default:
				evicted := s.attach(x)
				if i := slices.IndexFunc(want, func(y socket) bool { return y.hub == x.hub && y.id == x.id }); i >= 0 {
					want[i] = x
				} else if want = append(want, x); len(want) > maxSockets {
					if !slices.Equal(evicted, want[:1]) {
						t.Fatalf("put out %v, want %v", evicted, want[:1])
					}
					want = want[1:]
				}
			}
			if !slices.Equal(s.sockets, want) {
				t.Fatalf("sockets %v, want %v", s.sockets, want)
			}
			if s.at(x.hub) != slices.ContainsFunc(want, func(y socket) bool { return y.hub == x.hub }) {
				t.Fatalf("at %v is wrong", x.hub)
			}
		}
	})
}
