package main

import (
	"context"
	"fmt"
	"time"

	"nexus/actors/incident"
	"nexus/persistence/pg"
	"nexus/transport/auth"
	"nexus/transport/limit"
	"nexus/transport/live"
	"nexus/transport/page"
)

// campusSender is how the campus signs its warnings towards others.
const campusSender = "nexus"

// safety is what an SOS stands on. It has connections of its own to the database: no other traffic can use them up.
type safety struct {
	db   *pg.DB
	sos  *pg.SOS
	desk *incident.Desk
	with incident.Options
}

// openSafetyStore opens the SOS's own way to the database at url.
func (n *node) openSafetyStore(ctx context.Context, url string) error {
	db, err := pg.Open(ctx, url, pg.Options{
		MaxConns: 8, AcquireTimeout: 300 * time.Millisecond, CallTimeout: time.Second, ApplicationName: "nexus sos", RequireDurable: n.cfg.Env == production,
	})
	if err != nil {
		return fmt.Errorf("open the database for safety: %w", err)
	}
	n.onClose("database for safety", func(context.Context) error { db.Close(); return nil })
	n.safety = safety{db: db, sos: pg.NewSOS(db), with: incident.Options{Log: n.log, Metrics: incident.NewMetrics(n.registry)}}
	return nil
}

// openSafety begins to take alarms, to watch over those that are open, and to page people outside the campus.
func (n *node) openSafety(context.Context) error {
	s := &n.safety
	s.desk = incident.NewDesk(s.sos, n.cluster, n.cluster, s.with)
	n.onClose("desk", func(context.Context) error { s.desk.Close(); return nil })
	watch := incident.StartWatch(s.desk)
	n.onClose("watch", func(context.Context) error { watch.Close(); return nil })
	pager, err := page.Start(pg.NewPages(s.db), n.cfg.pages, n.log, n.registry)
	if err != nil {
		return fmt.Errorf("start the pager: %w", err)
	}
	n.onClose("pager", func(context.Context) error { pager.Close(); return nil })
	return nil
}

// onSockets is what /security needs.
func (s *safety) onSockets(guard *auth.Service, limiter limit.Limiter) *live.Safety {
	return &live.Safety{Desk: s.desk, Pins: guard, Incidents: pg.NewIncidents(s.db), Streams: pg.NewStreams(s.db), Limiter: limiter}
}

// openIncidents lists the incidents whose grains must live.
func (s *safety) openIncidents(ctx context.Context) ([]string, error) {
	open, err := s.sos.Open(ctx)
	ids := make([]string, len(open))
	for i, id := range open {
		ids[i] = string(id)
	}
	return ids, err
}
