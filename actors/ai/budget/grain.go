package budget

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"nexus"
	"nexus/actors/grain"
)

// KindName is the kind of accounts; their identity is the model's name.
const KindName = "ai-budget"

// idleAfter is how long an account that nobody asks is kept in memory: it is written down, after all.
const idleAfter = 5 * time.Minute

// maxWaiting bounds who waits for a grant to be durable.
const maxWaiting = 1000

// Store keeps accounts. It fails with nexus.Fenced, keeping nothing, once a newer activation exists.
type Store interface {
	Save(ctx context.Context, f nexus.Fence, s nexus.Snapshot) error
}

// Grain is the account of one model. What is granted while a save is under way is kept by the next one.
type Grain struct {
	store  Store
	limits Limits
	state  State

	version int64
	saving  bool
	dirty   bool
	waiting []granted
}

// granted is an answer that goes out once it is durable.
type granted struct {
	asker  grain.Asker
	answer proto.Message
}

// Kind returns the kind of accounts over a store. limits are those of a model; one that is not known has none to spend.
func Kind(s Store, limits func(model string) (Limits, bool)) grain.Kind {
	return grain.Kind{Name: KindName, Idle: idleAfter, New: func(model string) grain.Grain {
		l, known := limits(model)
		if !known {
			return unknown{}
		}
		return &Grain{store: s, limits: l}
	}}
}

// Load implements grain.Grain.
func (g *Grain) Load(_ context.Context, _ *grain.Context, s nexus.Snapshot) error {
	var kept Account
	if err := proto.Unmarshal(s.Payload, &kept); err != nil {
		return fmt.Errorf("decode an account: %w", err)
	}
	g.version, g.state.Last = s.Version, kept.GetLast()
	for _, u := range kept.GetUses() {
		g.state.Uses = append(g.state.Uses, Use{Number: u.GetNumber(), At: time.UnixMilli(u.GetAtMs()), Tokens: int(u.GetTokens())})
	}
	return nil
}

// Receive implements grain.Grain.
func (g *Grain) Receive(c *grain.Context, msg any) {
	now := time.Now().Truncate(time.Millisecond)
	switch m := msg.(type) {
	case *Take:
		if len(g.waiting) >= maxWaiting {
			c.Fail(nexus.Errorf(nexus.Unavailable, "too many ask for this model at this moment"))
			return
		}
		number, again := g.state.Take(g.limits, int(m.GetTokens()), now)
		if number == 0 {
			c.Reply(&Taken{WaitMs: again.Sub(now).Milliseconds()})
			return
		}
		g.waiting = append(g.waiting, granted{c.Asker(), &Taken{Number: number}})
		g.save(c)
	case *Settle:
		g.state.Settle(m.GetNumber(), int(m.GetTokens()), m.GetSent())
		c.Reply(&grain.Done{}) // what is lost of it with this node leaves the estimate
		g.dirty = true
	case *Look:
		requests, tokens := g.state.Spent(now)
		c.Reply(&Spent{Requests: int64(requests), Tokens: int64(tokens), MaxRequests: int64(g.limits.Requests), MaxTokens: int64(g.limits.Tokens)})
	default:
		c.Log.Error("unknown message", "type", fmt.Sprintf("%T", msg))
		c.Fail(nexus.Errorf(nexus.Internal, "budget does not know %T", msg))
	}
}

// save keeps the account, and then answers whom it was kept for.
func (g *Grain) save(c *grain.Context) {
	if g.saving {
		return
	}
	g.saving, g.dirty = true, false
	batch := g.waiting
	g.waiting = nil
	snapshot := g.snapshot()
	c.Work(func(ctx context.Context) error {
		return g.store.Save(ctx, c.Fence(), snapshot)
	}, func(err error) {
		g.saving = false
		for _, w := range batch {
			if err != nil {
				w.asker.Fail(err) // it stays on account: the save may have been made all the same
			} else {
				w.asker.Reply(w.answer)
			}
		}
		switch nexus.CodeOf(err) {
		case nexus.Fenced, nexus.Stale:
			g.bounce()
			c.Abandon(err)
			return
		case "":
		default:
			c.Log.Warn("account not kept", "err", err)
		}
		if len(g.waiting) > 0 {
			g.save(c)
		}
	})
}

func (g *Grain) snapshot() nexus.Snapshot {
	g.version++
	kept := &Account{Last: g.state.Last}
	for _, u := range g.state.Uses {
		kept.Uses = append(kept.Uses, &AccountUse{Number: u.Number, AtMs: u.At.UnixMilli(), Tokens: int64(u.Tokens)})
	}
	payload, err := proto.Marshal(kept)
	if err != nil {
		panic(err) // plain numbers always marshal
	}
	return nexus.Snapshot{Version: g.version, Payload: payload}
}

func (g *Grain) bounce() {
	for _, w := range g.waiting {
		w.asker.Bounce()
	}
	g.waiting = nil
}

// Stop implements grain.Grain. A grant that was not answered yet is asked for again, of the next activation.
func (g *Grain) Stop(ctx context.Context, c *grain.Context) {
	g.bounce()
	if !g.dirty {
		return
	}
	if g.saving { // its end will not be heard of: this save is above it
		g.version++
	}
	if err := g.store.Save(ctx, c.Fence(), g.snapshot()); err != nil {
		c.Log.Warn("last save", "err", err) // the next activation goes by the estimates
	}
}

// unknown is the account of a model that is not configured.
type unknown struct{}

func (unknown) Load(context.Context, *grain.Context, nexus.Snapshot) error {
	return nexus.Errorf(nexus.NotFound, "no such model")
}
func (unknown) Receive(*grain.Context, any)          {}
func (unknown) Stop(context.Context, *grain.Context) {}
