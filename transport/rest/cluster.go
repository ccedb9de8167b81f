package rest

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"nexus"
	"nexus/actors/incident"
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
		Summary: "The nodes: version, share of the ring, grains by kind but those of incidents, drain, last hand-overs",
	}, roles(nexus.Admin), a.clusterStatus)
}

// clusterStatus leaves the grains of incidents out: an administrator who was forced to take the own alarm back would show by their number that
// it goes on. Which alarms there are is listed where each may see their own.
func (a *API) clusterStatus(ctx context.Context, _ *struct{}) (*Answer[nexus.List[cluster.Status]], error) {
	nodes := a.Cluster.Inspect(ctx)
	for i := range nodes {
		n := &nodes[i]
		n.Grains = maps.Clone(n.Grains)
		delete(n.Grains, incident.KindName)
		n.HandOvers = slices.DeleteFunc(slices.Clone(n.HandOvers), func(h cluster.HandedOver) bool { return h.Kind == incident.KindName })
	}
	return answer(nexus.List[cluster.Status]{Items: nodes}, nil)
}
