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

// safety is what an SOS stands on. What is done about presses, and deliveries, have connections of their own to the database, which no other
// traffic can use up; the courier takes four at most. Presses have some that not even those can. What people look up about incidents goes by
// the others.
type safety struct {
	db   *pg.DB
	sos  *pg.SOS
	desk *incident.Desk
	with incident.Options
}

// safetyOptions are the bounds of the SOS's ways to the database. The server ends a wait before the caller does, who would have to give the
// connection up with it; and it ends a transaction that stands still, because its node is frozen or cut off, before others are tired of waiting
// for what that has locked.
func safetyOptions(env string) pg.Options {
	return pg.Options{
		MaxConns: 8, AcquireTimeout: 300 * time.Millisecond, CallTimeout: time.Second, StatementTimeout: 900 * time.Millisecond,
		LockTimeout: 800 * time.Millisecond, IdleInTransaction: 500 * time.Millisecond, ClientCheck: 200 * time.Millisecond,
		ApplicationName: "nexus sos", RequireDurable: env == production,
	}
}

// pressOptions are those for presses, each of which may wait its whole second for a connection.
func pressOptions(env string) pg.Options {
	o := safetyOptions(env)
	o.MaxConns, o.Warm, o.AcquireTimeout, o.ApplicationName = 4, true, time.Second, "nexus press"
	return o
}

// openSafetyStore opens the SOS's own ways to the database at url.
func (n *node) openSafetyStore(ctx context.Context, url string) error {
	var pools [2]*pg.DB
	for i, o := range []pg.Options{pressOptions(n.cfg.Env), safetyOptions(n.cfg.Env)} {
		db, err := pg.Open(ctx, url, o)
		if err != nil {
			return fmt.Errorf("open the database for safety: %w", err)
		}
		n.onClose("database for safety", func(context.Context) error { db.Close(); return nil })
		pools[i] = db
	}
	n.safety = safety{db: pools[1], sos: pg.NewSOS(pools[0], pools[1]), with: incident.Options{Log: n.log, Metrics: incident.NewMetrics(n.registry)}}
	return nil
}

// openSafety begins to take alarms, to watch over those that are open, and to page people outside the campus.
func (n *node) openSafety(context.Context) error {
	s := &n.safety
	s.desk = incident.NewDesk(s.sos, n.cluster, n.cluster, s.with)
	n.onClose("desk", func(context.Context) error { s.desk.Close(); return nil })
	watch := incident.StartWatch(s.desk)
	n.onClose("watch", func(context.Context) error { watch.Close(); return nil })
	pager, err := page.Start(pg.NewPages(n.db), n.cfg.pages, n.log, n.registry)
	if err != nil {
		return fmt.Errorf("start the pager: %w", err)
	}
	n.onClose("pager", func(context.Context) error { pager.Close(); return nil })
	return nil
}

// onSockets is what /security needs.
func (n *node) onSockets(guard *auth.Service, limiter limit.Limiter) (*live.Safety, error) {
	key, err := guard.Derive("nexus connection recovery")
	return &live.Safety{
		Desk: n.safety.desk, Pins: guard, Incidents: pg.NewIncidents(n.db), Streams: pg.NewStreams(n.safety.db), Limiter: limiter, RecoveryKey: key,
	}, err
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
