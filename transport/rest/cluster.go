package rest

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/cluster"
)

// Cluster tells of the campus's nodes.
type Cluster interface {
	// Inspect asks every member how it is; one that does not answer is there with an Error.
	Inspect(ctx context.Context) []cluster.Status
}

func (a *API) clusterRoutes() {
	handle(a, huma.Operation{
		Method: http.MethodGet, Path: "/admin/cluster", Tags: []string{"admin"},
		Summary: "The nodes: version, share of the ring, grains by kind, drain, last hand-overs",
	}, roles(nexus.Admin), a.clusterStatus)
}

func (a *API) clusterStatus(ctx context.Context, _ *struct{}) (*Answer[nexus.List[cluster.Status]], error) {
	return answer(nexus.List[cluster.Status]{Items: a.Cluster.Inspect(ctx)}, nil)
}
