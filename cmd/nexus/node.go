package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"nexus/actors/ai/budget"
	"nexus/actors/course"
	"nexus/actors/grain"
	"nexus/actors/incident"
	"nexus/actors/mess"
	"nexus/actors/session"
	"nexus/cluster"
	"nexus/persistence/demo"
	"nexus/persistence/pg"
	"nexus/persistence/pgdev"
	"nexus/transport"
	"nexus/transport/auth"
	"nexus/transport/engineio"
	"nexus/transport/engineio/onfiber"
	"nexus/transport/limit"
	"nexus/transport/live"
	"nexus/transport/relay"
	"nexus/transport/rest"
	"nexus/transport/rest/wire"
	"nexus/transport/socketio"
)

// limiterKeys bounds the callers whose rate is remembered.
const limiterKeys = 200_000

// node is everything that one process runs, opened from the bottom up and closed in the reverse order.
type node struct {
	cfg       *Config
	log       *slog.Logger
	registry  *prometheus.Registry
	db        *pg.DB
	reach     func(context.Context) error // whether the database answers, asked seldom
	redis     *redisLink                  // nil without NEXUS_REDIS_URL
	cluster   *cluster.Node
	safety    safety
	assistant assistant
	relay     *relay.Relay
	live      *live.Server
	http      *transport.Server
	draining  atomic.Bool
	closers   []closer // the last opened is closed first
}

type closer struct {
	what string
	call func(context.Context) error
}

// open starts a node that takes traffic when it returns. On an error everything opened so far is closed again.
func open(ctx context.Context, cfg *Config, log *slog.Logger) (_ *node, err error) {
	n := &node{cfg: cfg, log: log, registry: prometheus.NewRegistry()}
	n.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	defer func() {
		if err != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			err = errors.Join(err, n.close(ctx))
		}
	}()
	for _, step := range []func(context.Context) error{n.openDatabase, n.openRedis, n.openCluster, n.openSafety, n.openAssistant, n.openTransport, n.openMail} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *node) onClose(what string, call func(context.Context) error) {
	n.closers = append(n.closers, closer{what, call})
}

// close ends what open started. A second call does nothing.
func (n *node) close(ctx context.Context) error {
	var errs []error
	for len(n.closers) > 0 {
		last := n.closers[len(n.closers)-1]
		n.closers = n.closers[:len(n.closers)-1]
		if err := last.call(ctx); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", last.what, err))
		}
	}
	return errors.Join(errs...)
}

// drain lets go of everything that others can take over, in this order: the balancer learns first, then the other nodes take
// the grains, then the sockets are told to come back. Meanwhile requests are served. ctx bounds the whole.
func (n *node) drain(ctx context.Context) {
	n.draining.Store(true)
	select {
	case <-time.After(*n.cfg.DrainDelay):
	case <-ctx.Done():
	}
	if err := n.cluster.Drain(ctx); err != nil {
		n.log.Warn("drain", "err", err)
	}
	var sockets sync.WaitGroup
	sockets.Go(func() { n.relay.Drain(ctx, *n.cfg.DrainSpread) })
	n.live.Drain(ctx, *n.cfg.DrainSpread)
	sockets.Wait()
}

// openDatabase finds or starts PostgreSQL, migrates it, and seeds the demo campus where that is wanted.
func (n *node) openDatabase(ctx context.Context) error {
	url, stop, err := database(ctx, n.cfg, n.log)
	if err != nil {
		return err
	}
	n.onClose("private PostgreSQL", func(context.Context) error { return stop() })
	// A database that is refused stays as it was.
	n.db, err = pg.Open(ctx, url, pg.Options{MaxConns: n.cfg.DatabaseConns, RequireDurable: n.cfg.Env == production})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	n.reach = transport.Seldom(n.db.Ping)
	n.onClose("database", func(context.Context) error { n.db.Close(); return nil })
	if err := pg.Migrate(ctx, url, n.log); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := n.openSafetyStore(ctx, url); err != nil {
		return err
	}
	if err := n.openJobStore(ctx, url); err != nil {
		return err
	}
	n.onClose("housekeeping", keepHouse(n.log, chore{"idempotency keys", n.db.PurgeIdempotency},
		chore{"logins", pg.NewIdentity(n.db).PurgeLogins}, chore{"cursors", pg.NewStreams(n.db).PurgeCursors},
		chore{"outbox", pg.NewOutbox(n.db).Purge}, chore{"imports", pg.NewImports(n.db).PurgeImports}, chore{"comments without a score", pg.NewMess(n.db).ScoreComments}, chore{"letters", pg.NewMail(n.db, n.assistant.queue).PurgeLetters}, chore{"forecast scores", pg.NewForecasts(n.db).PurgeScores}))
	n.registry.MustRegister(poolCollector{n.db.Pool()})
	if !*n.cfg.Demo {
		return nil
	}
	wanted, err := demo.Wanted(ctx, n.db.Pool())
	if err != nil || !wanted {
		return err
	}
	if err := demo.Seed(ctx, n.db.Pool(), time.Now(), n.log); err != nil {
		return err
	}
	_, err = pg.NewMess(n.db).ScoreComments(ctx)
	return err
}

// database returns the connection string of the configured PostgreSQL, or of a private one that stop ends.
func database(ctx context.Context, cfg *Config, log *slog.Logger) (url string, stop func() error, err error) {
	if cfg.DatabaseURL != "" {
		return cfg.DatabaseURL, func() error { return nil }, nil
	}
	server, err := pgdev.Start(ctx, pgdev.Config{Dir: filepath.Join(cfg.DataDir, "postgres"), Log: log, Durable: true})
	if err != nil {
		return "", nil, fmt.Errorf("start a private PostgreSQL: %w", err)
	}
	return server.URL(), server.Close, nil
}

// openCluster joins the campus and begins to wake the halls.
func (n *node) openCluster(context.Context) (err error) {
	halls, grains := pg.NewMess(n.db), pg.NewGrains(n.db)
	var carrier cluster.Carrier
	if n.redis != nil {
		carrier = n.redis.bus
	}
	n.cluster, err = cluster.Start(cluster.Config{
		Carrier: carrier,
		Kinds: []grain.Kind{
			mess.Kind(pg.NewHall(n.db)), session.Kind(), incident.Kind(n.safety.sos, n.safety.with), course.Kind(pg.NewSeats(n.db), pg.NewClasses(n.db)),
			budget.Kind(grains, n.cfg.limits),
		},
		Store: grains,
		Keep: []cluster.Keep{{Kind: mess.KindName, IDs: func(ctx context.Context) ([]string, error) {
			list, err := halls.Halls(ctx)
			ids := make([]string, len(list))
			for i, h := range list {
				ids[i] = string(h.ID)
			}
			return ids, err
		}}, {Kind: incident.KindName, IDs: n.safety.openIncidents}, {Kind: course.KindName, IDs: pg.NewClasses(n.db).OpenCourses}},
		Gossip:   &n.cfg.gossip,
		Links:    n.cfg.links,
		Version:  version(),
		Frozen:   n.frozen,
		Log:      n.log,
		Registry: n.registry,
	})
	if err != nil {
		return fmt.Errorf("join the cluster: %w", err)
	}
	n.onClose("cluster", n.cluster.Close)
	return nil
}

// frozenStatus is the exit status of a process that stood still for too long; whoever runs it starts it again.
const frozenStatus = 3

// frozen ends the process at once: what it still holds may be old, and closing in order would take time that it has not.
func (n *node) frozen(gap time.Duration) {
	n.log.Error("this process stood still for too long and may have been replaced; ending", "gap", gap)
	os.Exit(frozenStatus)
}

// openTransport builds the edge and opens the port.
func (n *node) openTransport(context.Context) error {
	limiter := n.openLimiter()
	identity, sessions, messStore := pg.NewIdentity(n.db), session.NewClient(n.cluster), pg.NewMess(n.db)
	guard, err := auth.New(auth.Options{
		Accounts: identity, Logins: identity, Keys: identity, Pins: pg.NewSafetyOffice(n.db, campusSender),
		Limiter: limiter, Sockets: sessions, Log: n.log, Secrets: n.cfg.secrets,
	})
	if err != nil {
		return fmt.Errorf("set up authentication: %w", err)
	}
	if err := n.openRelay(); err != nil {
		return err
	}
	n.http = transport.New(transport.Options{
		Addr: n.cfg.Addr, Origins: n.cfg.origins, AnyLocalhost: n.cfg.Env == development, TrustedProxies: n.cfg.proxies,
		Flood:   limit.Rule{Rate: n.cfg.FloodRate, Burst: int(2 * n.cfg.FloodRate)},
		Limiter: limiter, Log: n.log, Metrics: n.registry, Ready: n.ready, Awake: n.cluster.Awake, Device: guard.KnownKey, Signed: guard.Signed, Relayed: n.relay.Relayed,
	})
	n.http.App().Post(rest.Base+"/safety/sos", func(c *fiber.Ctx) error {
		defer n.live.Hurry()()
		return c.Next()
	})
	rest.New(n.http.App(), rest.Deps{
		Auth: guard, Profiles: identity, Office: identity, Audit: pg.NewAuditLog(n.db),
		Halls: messStore, Menus: messStore, LiveHalls: mess.NewClient(n.cluster), Forecasts: pg.NewForecasts(n.db), Publisher: publisher{n.cluster, n.log}, Cluster: n.cluster,
		Importer: n.openImports(guard), Imports: pg.NewImports(n.db), ImportBytes: n.cfg.imports,
		Desk: n.safety.desk, Incidents: pg.NewIncidents(n.db), SafetyOffice: pg.NewSafetyOffice(n.db, campusSender), Notices: pg.NewNotices(n.db),
		Mails: pg.NewMail(n.db, n.assistant.queue), Inbox: n.inbox(), MailHookKey: []byte(n.cfg.MailHookKey), Summarizer: n.assistant.summary, Models: &n.assistant,
		Catalogue: pg.NewCourses(n.db), Seats: course.NewClient(n.cluster), Enrollments: pg.NewSeats(n.db),
		LiveClasses: course.NewClient(n.cluster), Classes: pg.NewClasses(n.db),
		Timetables: pg.NewCourses(n.db), Assignments: pg.NewAssignments(n.db),
		Limiter: limiter, Log: n.log, Secure: n.cfg.Env == production,
	})
	onSockets, err := n.onSockets(guard, limiter)
	if err != nil {
		return err
	}
	n.live, err = live.New(live.Config{
		// What clients send is small, and half a message may wait for as long as its sender likes.
		Engine: engineio.Config{
			AllowOrigin: n.http.AllowedOrigin, SessionPrefix: n.cluster.Tag() + ".", MaxPayload: 64 << 10,
			MaxSessions: n.cfg.MaxConnections, MaxPerAddress: n.cfg.MaxPerAddress, Pressed: newMemory(n.cfg.memory).short,
		},
		Limits: socketio.Config{MaxEventBytes: 64 << 10, MaxAttachments: 1},
		System: n.cluster.System(), Auth: guard, Sessions: sessions, Halls: messStore, Safety: onSockets,
		Outbox: pg.NewOutbox(n.db), Teachers: pg.NewCourses(n.db),
		Log: n.log, Registry: n.registry,
	})
	if err != nil {
		return fmt.Errorf("set up the live edge: %w", err)
	}
	n.http.App().Use(socketPath, n.relay.Handle)
	onfiber.Mount(n.http.App(), socketPath, n.live.Engine(), onfiber.ClientAddr(clientAddr))
	n.cluster.SetHub(func(b *grain.Broadcast) {
		if !n.safety.desk.Hear(b) {
			n.live.Broadcast(b)
		}
	})
	if err := n.http.Open(); err != nil {
		return err
	}
	// Sockets first, with a word that tells them to come back; then the port.
	n.onClose("http", func(ctx context.Context) error {
		// A client that does not read its answer must not use up the time of what is closed after this.
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		return n.http.Close(ctx)
	})
	n.onClose("relay", n.closeRelay)
	n.onClose("sockets", n.live.Close)
	return n.announce()
}

// ready says whether the node takes traffic: it does while its database answers.
func (n *node) ready(ctx context.Context) transport.Readiness {
	r := transport.Readiness{Ready: true, Checks: map[string]string{"database": "ok", "cluster": "ok"}}
	if n.draining.Load() {
		r.Ready, r.Checks["node"] = false, "draining"
	}
	if n.cluster.Minority() {
		r.Ready, r.Checks["cluster"] = false, "sees fewer than half of the nodes"
	}
	if n.redis != nil {
		r.Checks["redis"] = n.redis.state()
	}
	if err := n.reach(ctx); err != nil {
		r.Ready, r.Checks["database"] = false, "does not answer"
	}
	return r
}

// publisher puts the REST house's broadcasts on the bus.
type publisher struct {
	bus grain.Bus
	log *slog.Logger
}

// Publish implements rest.Publisher.
func (p publisher) Publish(topic, namespace, event, slot string, payload any) {
	data, err := wire.Marshal(payload)
	if err != nil {
		p.log.Error("encode broadcast", "event", event, "err", err)
		return
	}
	p.bus.Publish(&grain.Broadcast{Topic: topic, Namespace: namespace, Event: event, Slot: slot, Payload: data})
}

// News implements rest.Publisher.
func (p publisher) News(streams ...string) { p.bus.Publish(&grain.Broadcast{News: streams}) }

var (
	_ rest.Publisher = publisher{}
	_ rest.LiveHalls = mess.Client{}
)
