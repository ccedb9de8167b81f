package cluster

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"nexus/actors/grain"
)

// inspectTimeout bounds what a member may take to tell of itself.
const inspectTimeout = time.Second

// Status is what operators see of one member.
type Status struct {
	ID        string         `json:"id"`
	Address   string         `json:"address"` // where it takes messages of other nodes
	HTTP      string         `json:"http"`
	Version   string         `json:"version"`
	Self      bool           `json:"self"` // the member that was asked
	Draining  bool           `json:"draining"`
	Share     float64        `json:"share"`           // of all grains that it owns, 0 to 1, estimated
	Error     string         `json:"error,omitempty"` // why it does not tell what follows
	Started   time.Time      `json:"started,omitzero"`
	Grains    map[string]int `json:"grains,omitempty"`    // that live there, by kind
	HandOvers []HandedOver   `json:"handOvers,omitempty"` // the last few that came to it, the newest first
}

// HandedOver is a grain that came to a member from another one.
type HandedOver struct {
	Kind string        `json:"kind"`
	ID   string        `json:"id"`
	At   time.Time     `json:"at"`
	Took time.Duration `json:"tookNanos"` // from the first call at the new owner
}

// Inspect asks every member what operators want to know of it, all at once, and returns them ordered by id. One that
// does not answer within a second, or before ctx ends, is there with an Error.
func (n *Node) Inspect(ctx context.Context) []Status {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	ring := *n.ring.Load()
	shares := ring.shares()
	all := make([]Status, len(ring.members))
	var asked sync.WaitGroup
	for i, m := range ring.members {
		all[i] = Status{
			ID: m.ID, Address: m.Address, HTTP: m.HTTP, Version: m.Version, Draining: m.Draining,
			Self: m.ID == n.id, Share: shares[m.ID],
		}
		asked.Go(func() { n.inspect(ctx, &all[i]) })
	}
	asked.Wait()
	return all
}

// inspect adds to a status what its member says.
func (n *Node) inspect(ctx context.Context, s *Status) {
	answer, err := grain.Request(ctx, n.system, actor.NewPID(s.Address, placementName), &Inspect{})
	if err != nil {
		s.Error = "does not answer"
		return
	}
	i, ok := answer.(*Inspected)
	if !ok {
		s.Error = "does not know the question"
		return
	}
	s.Draining = s.Draining || i.GetDraining()
	s.Started = time.UnixMilli(i.GetStarted())
	s.Grains = make(map[string]int, len(i.GetGrains()))
	for kind, live := range i.GetGrains() {
		s.Grains[kind] = int(live)
	}
	for _, h := range i.GetHandOvers() {
		s.HandOvers = append(s.HandOvers, HandedOver{
			Kind: h.GetKind(), ID: h.GetId(), At: time.UnixMilli(h.GetAt()), Took: time.Duration(h.GetTookMicros()) * time.Microsecond,
		})
	}
}

func (p *placement) inspect() *Inspected {
	i := &Inspected{
		Id: p.node.id, Version: p.node.cfg.Version, Draining: p.closing != nil, Started: p.node.started.UnixMilli(),
		Grains: make(map[string]int32), HandOvers: slices.Clone(p.handOver),
	}
	for name := range p.kinds {
		i.Grains[name] = 0
	}
	for _, ref := range p.refs {
		i.Grains[ref.Kind]++
	}
	slices.Reverse(i.HandOvers)
	return i
}

// sampled is how many ids of each kind shares looks at: enough for an error of about 1%.
const sampled = 2000

// shares estimates which part of all grains each member owns, by id. Each kind counts alike.
func (r Ring) shares() map[string]float64 {
	kinds := make(map[string]struct{})
	for _, m := range r.members {
		for _, k := range m.Kinds {
			kinds[k] = struct{}{}
		}
	}
	owned, total := make(map[string]int), 0
	for k := range kinds {
		for i := range sampled {
			if owner, ok := r.Owner(k, strconv.Itoa(i)); ok {
				owned[owner.ID]++
				total++
			}
		}
	}
	shares := make(map[string]float64, len(owned))
	for id, n := range owned {
		shares[id] = float64(n) / float64(total)
	}
	return shares
}

// Announce tells the other members where this one's HTTP server is, such as http://10.0.0.7:4000. It is called once the
// port is open, and waits until one of them has been told, 3 s at most.
func (n *Node) Announce(httpURL string) {
	if n.membership == nil {
		n.changing.Lock()
		defer n.changing.Unlock()
		self, _ := n.Member(n.id)
		self.HTTP = httpURL
		n.setRing(self)
		return
	}
	if err := n.membership.change(func(self *Member) { self.HTTP = httpURL }); err != nil {
		n.cfg.Log.Warn("announce the HTTP address", "url", httpURL, "err", err)
	}
}
