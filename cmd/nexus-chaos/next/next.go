//go:build next

// Package cluster, in this folder, is what the next version of a node has beyond the present one: a type of message that
// present nodes do not know, and a kind of grain that they do not host. `go build -overlay` puts this file into the cluster's
// folder; see stage.Build.
package cluster

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"nexus"
	"nexus/actors/grain"
)

// ballastKind is the kind of grain that only the next version hosts. Its grains are claimed, fenced and saved as halls are,
// but are silent, so that many of them can live on a small machine.
const ballastKind = "ballast"

// hintType is the type of message that only the next version knows.
var hintType = func() protoreflect.MessageType {
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("cluster/next.proto"), Package: proto.String("nexus.cluster"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Hint"), Field: []*descriptorpb.FieldDescriptorProto{{
			Name: proto.String("number"), Number: proto.Int32(1),
			Type: descriptorpb.FieldDescriptorProto_TYPE_UINT64.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}}}},
	}, nil)
	if err != nil {
		panic(err)
	}
	t := dynamicpb.NewMessageType(file.Messages().Get(0))
	if err := protoregistry.GlobalTypes.RegisterMessage(t); err != nil {
		panic(err)
	}
	return t
}()

// next has a node host the new kind, and keep as many grains of it as CHAOS_GRAINS says.
func next(cfg Config) Config {
	grains, err := strconv.Atoi(os.Getenv("CHAOS_GRAINS"))
	if err != nil {
		panic(err) // the rig sets it
	}
	ids := make([]string, grains)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	store := cfg.Store
	cfg.Kinds = append(cfg.Kinds, grain.Kind{Name: ballastKind, New: func(string) grain.Grain { return &ballast{store: store} }})
	cfg.Keep = append(cfg.Keep, Keep{Kind: ballastKind, IDs: func(context.Context) ([]string, error) { return ids, nil }})
	return cfg
}

// ballast is a grain that does nothing but live, be claimed and be saved.
type ballast struct {
	store   grain.Store
	version int64
}

// Load implements grain.Grain.
func (b *ballast) Load(_ context.Context, _ *grain.Context, s nexus.Snapshot) error {
	b.version = s.Version
	return nil
}

// Receive implements grain.Grain.
func (b *ballast) Receive(*grain.Context, any) {}

// Stop implements grain.Grain.
func (b *ballast) Stop(ctx context.Context, c *grain.Context) {
	if err := b.store.Save(ctx, c.Fence(), nexus.Snapshot{Version: b.version + 1, Payload: []byte(c.ID)}); err != nil {
		c.Log.Warn("last save", "err", err)
	}
}

// hintEvery is how often every process of every older node that this one knows is sent hints.
const hintEvery = 100 * time.Millisecond

// next sends hints to the nodes that do not know them: to the actors that each node has, and to the grains there that this
// node has learned the addresses of. Of every two hints one wants an answer.
func (n *Node) next(ctx context.Context) {
	asked := prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_next_asked_total", Help: "Hints that want an answer."})
	refused := prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_next_refused_total", Help: "Hints answered with: the node does not know the message."})
	silent := prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_next_silent_total", Help: "Hints without any answer for a long time."})
	grains := prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_next_grains_total", Help: "Hints that want an answer, to grains."})
	n.cfg.Registry.MustRegister(asked, refused, silent, grains)
	again := time.NewTicker(hintEvery)
	defer again.Stop()
	for number := uint64(1); ; number++ {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		hint := hintType.New()
		hint.Set(hint.Descriptor().Fields().ByNumber(1), protoreflect.ValueOfUint64(number))
		for _, pid := range n.older() {
			n.system.Root.Send(pid, hint.Interface())
			asked.Inc()
			if strings.Contains(pid.GetId(), "/") { // a grain's, as placement names it
				grains.Inc()
			}
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			answer, err := grain.Request(ctx, n.system, pid, hint.Interface())
			cancel()
			if f, ok := answer.(*grain.Failure); ok && f.GetCode() == string(nexus.Internal) {
				refused.Inc()
			} else if nexus.CodeOf(err) == nexus.Unavailable {
				silent.Inc()
			}
		}
	}
}

// older returns what this node knows of the processes of nodes that do not host the new kind.
func (n *Node) older() (pids []*actor.PID) {
	old := make(map[string]bool)
	for _, m := range n.others() {
		if !slices.Contains(m.Kinds, ballastKind) {
			old[m.Address] = true
			for _, name := range []string{placementName, busName, grain.HubName} {
				pids = append(pids, actor.NewPID(m.Address, name))
			}
		}
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	for _, pid := range n.addresses {
		if old[pid.Address] {
			pids = append(pids, actor.NewPID(pid.Address, pid.Id))
		}
	}
	return pids
}
