package pgdev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	startTimeout = 2 * time.Minute // for a Start whose context has no deadline: a long recovery fits in it
	closeTimeout = 30 * time.Second
	superuser    = "nexus"
)

// Config says which server to share. Only Dir is required.
type Config struct {
	Dir       string       // holds the cluster, the socket, the log and the locks; made if missing
	Log       *slog.Logger // nil is silent
	Durable   bool         // fsync on: without it a power cut may ruin the cluster (fit for tests alone)
	Database  string       // made if missing; "nexus" if empty
	Unwatched bool         // a server that dies stays dead until the next Start, and no goroutine is kept

	base string // where homes go that PostgreSQL's user cannot reach; /var/lib/nexus if empty
}

// Server is one use of the PostgreSQL in a directory. The processes and Servers
// that name one directory share one PostgreSQL.
type Server struct {
	cfg   Config
	home  home
	bin   string   // folder of initdb and postgres
	users *os.File // our share of users.lock
	child int      // last postmaster seen, to reap it if it is ours; start and stop and the watcher own it in turn

	stopWatch context.CancelFunc
	watched   sync.WaitGroup
	closing   sync.Once
	closeErr  error
}

// Start returns once the server accepts queries, having started it if no other
// process has. Without binaries the error is ErrNoBinaries. A durable Start
// refuses to share a server that runs without fsync.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Dir == "" {
		return nil, errors.New("start postgres: no directory given")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Database == "" {
		cfg.Database = "nexus"
	}
	if cfg.base == "" {
		cfg.base = "/var/lib/nexus"
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTimeout)
		defer cancel()
	}
	s := &Server{cfg: cfg, stopWatch: func() {}}
	if err := s.open(ctx); err != nil {
		return nil, fmt.Errorf("start postgres in %s: %w", cfg.Dir, err)
	}
	if !cfg.Unwatched {
		watching, stop := context.WithCancel(context.Background())
		s.stopWatch = stop
		s.watched.Go(func() { s.watch(watching) })
	}
	return s, nil
}

// URL is a connection string for pgx and psql. It stays valid when the server
// is restarted.
func (s *Server) URL() string { return s.home.url(s.cfg.Database) }

// Dir is the folder that really holds the data: Config.Dir, or where it had to go.
func (s *Server) Dir() string { return s.home.dir }

// Close gives the server up, and stops it if nobody else uses it. A second
// Close is a no-op.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.stopWatch()
		s.watched.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := s.leave(ctx); err != nil {
			s.closeErr = fmt.Errorf("close postgres in %s: %w", s.cfg.Dir, err)
		}
	})
	return s.closeErr
}

// open finds the place and the binaries and, alone under the lock, joins the
// users and sees to it that the server runs.
func (s *Server) open(ctx context.Context) (err error) {
	if s.home, err = settle(s.cfg.Dir, s.cfg.base); err != nil {
		return err
	}
	if s.home.dir != s.home.asked {
		s.cfg.Log.Info("postgres data is elsewhere: its user cannot reach the directory",
			"dir", s.home.asked, "data", s.home.dir)
	}
	if s.bin, err = findBinaries(ctx, s.home); err != nil {
		return err
	}
	lock, err := s.home.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock(lock)
	if s.users, err = s.home.join(ctx); err != nil {
		return err
	}
	if err = s.prepare(ctx); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return errors.Join(err, s.part(ctx))
	}
	return nil
}

// prepare brings the server up and makes the database.
func (s *Server) prepare(ctx context.Context) error {
	if err := s.create(ctx); err != nil {
		return err
	}
	if err := s.ensure(ctx); err != nil {
		return err
	}
	if err := s.home.createDatabase(ctx, s.cfg.Database); err != nil {
		return err
	}
	return s.checkDurable(ctx)
}

// leave is Close without the watcher.
func (s *Server) leave(ctx context.Context) error {
	lock, err := s.home.lock(ctx)
	if err != nil {
		unlock(s.users)
		return err
	}
	defer unlock(lock)
	return s.part(ctx)
}

// part gives up our share of the users' lock, and stops the server if that was
// the last one. The caller holds the lock, so that of two who leave at once
// the second sees that the first is gone.
func (s *Server) part(ctx context.Context) error {
	defer unlock(s.users)
	if last, err := tryFlock(s.users, exclusive); err != nil || !last {
		return err
	}
	return s.stop(ctx)
}

// path names a file of the home.
func (h home) path(name string) string { return filepath.Join(h.dir, name) }

// url is the connection string for one database of this home.
func (h home) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database}
	query := url.Values{"host": {h.socket()}, "port": {port}, "sslmode": {"disable"}}.Encode()
	u.RawQuery = strings.ReplaceAll(query, "+", "%20") // PostgreSQL's clients take a plus for a plus
	return u.String()
}
