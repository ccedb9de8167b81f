package live

import (
	"context"
	"math/rand/v2"
	"time"

	"nexus"
	"nexus/transport/engineio"
)

// Drain takes no new connections and closes those that are there one by one, in random order, over the given time: a word
// for each client to come back, which the balancer sends elsewhere, without all of them knocking at once. It ends
// early with ctx; Close ends what is left.
func (s *Server) Drain(ctx context.Context, over time.Duration) {
	engine := s.io.Engine()
	engine.Refuse()
	sessions := engine.Sessions()
	rand.Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
	began := time.Now()
	for i, x := range sessions {
		due := began.Add(over * time.Duration(i) / time.Duration(len(sessions)))
		if !nexus.Pause(ctx, time.Until(due)) {
			return
		}
		x.Close(engineio.ShuttingDown)
	}
}
