package main

import "testing"

func TestWhereOthersReachThisNode(t *testing.T) {
	for _, c := range []struct{ listens, advertise, bind, want string }{
		{"127.0.0.1", "", "127.0.0.1:0", "127.0.0.1"},
		{"", "", "10.0.0.7:7946", "10.0.0.7"},
		{"0.0.0.0", "", "10.0.0.7:7946", "10.0.0.7"},
		{"::", "", "[2001:db8::7]:7946", "2001:db8::7"},
		{"", "10.0.0.8", "0.0.0.0:7946", "10.0.0.8"},
		{"10.0.0.9", "", "10.0.0.7:7946", "10.0.0.9"},
		{"node7.campus.example", "", "10.0.0.7:7946", "node7.campus.example"},
	} {
		cfg := Config{ClusterAdvertise: c.advertise, ClusterBind: c.bind}
		if got := cfg.reachable(c.listens); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}
