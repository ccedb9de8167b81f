package stage

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"nexus/persistence/pgdev"
)

// Postgres is the trial's own PostgreSQL, which stays dead when it is killed until it is started again.
type Postgres struct {
	dir    string
	server *pgdev.Server
	pool   *pgxpool.Pool
}

func openPostgres(ctx context.Context, dir string) (_ *Postgres, err error) {
	p := &Postgres{dir: dir}
	if err := p.Start(ctx); err != nil {
		return nil, err
	}
	if p.pool, err = pgxpool.New(ctx, p.server.URL()); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// Start returns when it answers.
func (p *Postgres) Start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	server, err := pgdev.Start(ctx, pgdev.Config{Dir: p.dir, Durable: true, Unwatched: true})
	if err != nil {
		return err
	}
	if p.server != nil {
		return server.Close() // the first one still holds its share
	}
	p.server = server
	return nil
}

// Kill ends the server as it is: with syscall.SIGQUIT as `pg_ctl stop -m immediate` does, with syscall.SIGKILL as a crash.
func (p *Postgres) Kill(sig syscall.Signal) error {
	pid, err := p.postmaster()
	if err != nil {
		return err
	}
	return syscall.Kill(pid, sig)
}

func (p *Postgres) postmaster() (int, error) {
	text, err := os.ReadFile(filepath.Join(p.server.Dir(), "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0, err
	}
	// A pid of a file may be anybody's by now.
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(line), p.server.Dir()) {
		return 0, fmt.Errorf("no server runs in %s", p.dir)
	}
	return pid, nil
}

// Pool is the rig's own way in, past every proxy.
func (p *Postgres) Pool() *pgxpool.Pool { return p.pool }

// URL is the rig's own connection string.
func (p *Postgres) URL() string { return p.server.URL() }

// socket is the path of the Unix socket.
func (p *Postgres) socket() (string, error) {
	u, err := url.Parse(p.server.URL())
	if err != nil {
		return "", err
	}
	return filepath.Join(u.Query().Get("host"), ".s.PGSQL."+u.Query().Get("port")), nil
}

func (p *Postgres) close() error {
	if p.pool != nil {
		p.pool.Close()
	}
	return p.server.Close()
}
