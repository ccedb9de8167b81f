package client

import (
	"context"
	"net/http"
)

// Member is what GET /admin/cluster says of a node.
type Member struct {
	HTTP     string
	Draining bool
	Error    string
	Grains   map[string]int // that live there, by kind
}

// Members asks one target for the nodes that it sees, in the name of an administrator.
func (w *Web) Members(ctx context.Context, to Target, admin http.Header) ([]Member, error) {
	var all struct{ Items []Member }
	err := w.must(ctx, to, request{method: "GET", path: "/admin/cluster", header: admin}, &all)
	return all.Items, err
}
