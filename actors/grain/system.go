package grain

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"
)

// registryMaps is how many maps of 32 shards each the processes of a system are registered in. protoactor lays out 1024 of them, so that nearly
// every process has a shard of its own: a map with places for eight, once there was one, and 3 MB of maps before there is any.
const registryMaps = 16

// NewSystem starts an actor system for the grains of one node.
func NewSystem(options ...actor.ConfigOption) *actor.ActorSystem {
	system := actor.NewActorSystem(options...)
	all := system.ProcessRegistry.LocalPIDs.LocalPIDs
	few := &actor.SliceMap{LocalPIDs: slices.Clone(all[:registryMaps])}
	for _, m := range all {
		for id, process := range m.Items() { // those that every system begins with
			few.GetBucket(id).Set(id, process)
		}
	}
	system.ProcessRegistry.LocalPIDs = few
	return system
}
