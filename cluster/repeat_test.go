package cluster

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"nexus"
	"nexus/actors/grain"
)

// tally answers with how many calls it has handled, after a while.
type tally struct {
	handled int64
	takes   time.Duration
}

func (*tally) Load(context.Context, *grain.Context, nexus.Snapshot) error { return nil }

func (g *tally) Receive(c *grain.Context, _ any) {
	g.handled++
	n, asker := g.handled, c.Asker()
	c.Work(func(context.Context) error { time.Sleep(g.takes); return nil }, func(error) { asker.Reply(wrapperspb.Int64(n)) })
}

func (*tally) Stop(context.Context, *grain.Context) {}

// TestARepeatedCallIsHandledOnceAndAnsweredAlike has the first answer come late, so that a second attempt is made before
// it, and get lost.
func TestARepeatedCallIsHandledOnceAndAnsweredAlike(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		fault func(s *sim, asks, owns *simNode)
	}{
		"late": {takes: 1900 * time.Millisecond, fault: func(*sim, *simNode, *simNode) {}},
		"lost": {takes: 100 * time.Millisecond, fault: func(s *sim, asks, owns *simNode) {
			time.Sleep(50 * time.Millisecond)
			s.net.Cut(owns.ip, asks.ip)
			time.Sleep(100 * time.Millisecond) // the answer is on its way, and held up
			asks.link.part(owns.system.Address())
			s.net.Heal()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSim(t, 1)
				s.calm.Store(true)
				s.kinds = func(*simNode) []grain.Kind {
					return []grain.Kind{{Name: "probe", Volatile: true, New: func(string) grain.Grain { return &tally{takes: c.takes} }}}
				}
				asks, owns := s.start(""), s.start("")
				s.mustAgree()
				id := elsewhere(asks.Node, 1)[0]
				if _, err := asks.Locate(t.Context(), grain.Ref{Kind: "probe", ID: id}); err != nil {
					t.Fatal(err)
				}
				go c.fault(s, asks, owns)
				began := time.Now()
				mustAsk(t, asks.Node, id, 1)
				if took := time.Since(began); took < 600*time.Millisecond && c.takes > time.Second || took > 4*time.Second {
					t.Errorf("answered after %v", took)
				}
				mustAsk(t, asks.Node, id, 2) // another call is another call
				s.end()
				time.Sleep(time.Minute)
			})
		})
	}
}
