package pgdev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// unfinished starts the names of clusters that initdb works on.
const unfinished = "init-"

// create makes the cluster if there is none: beside its place, and renamed when
// whole, so that an initdb killed half-way leaves no half cluster. The caller
// holds the lock.
func (s *Server) create(ctx context.Context) error {
	s.sweep()
	if _, err := os.Stat(filepath.Join(s.home.data(), "PG_VERSION")); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	made, err := os.MkdirTemp(s.home.dir, unfinished)
	if err != nil {
		return err
	}
	if err = s.home.give(made); err != nil {
		return err
	}
	if err = s.initdb(ctx, made); err != nil {
		return errors.Join(err, os.RemoveAll(made))
	}
	hba := "# Only the owner and root reach the socket's directory.\nlocal all all trust\n"
	if err = os.WriteFile(filepath.Join(made, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return err
	}
	return os.Rename(made, s.home.data())
}

// sweep removes what a killed initdb left behind. A failure costs only space.
func (s *Server) sweep() {
	entries, err := os.ReadDir(s.home.dir)
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unfinished) {
			err = errors.Join(err, os.RemoveAll(s.home.path(entry.Name())))
		}
	}
	if err != nil {
		s.cfg.Log.Warn("remove unfinished postgres clusters", "err", err)
	}
}

// initdb prefers C.UTF-8, which knows every script's upper and lower case, to
// C, which every system has.
func (s *Server) initdb(ctx context.Context, dir string) error {
	var out []byte
	var err error
	for _, locale := range []string{"C.UTF-8", "C"} {
		args := []string{"-D", dir, "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale", locale, "--no-instructions"}
		if !s.cfg.Durable {
			args = append(args, "--no-sync")
		}
		cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"), args...)
		cmd.WaitDelay = time.Second // its own children may outlive it with our pipe open
		s.home.dress(cmd)
		if out, err = cmd.CombinedOutput(); err == nil {
			return nil
		}
		if !bytes.Contains(out, []byte("invalid locale")) {
			break
		}
	}
	return fmt.Errorf("initdb: %w: %s", err, tail(out))
}

// dress gives a command the user, the folder and the environment of PostgreSQL.
// Nothing of ours is passed on: PGDATA or PGOPTIONS would steer it elsewhere.
func (h home) dress(cmd *exec.Cmd) {
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + filepath.Dir(cmd.Path) + ":/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: h.credential()}
}

// createDatabase makes a database if it is missing.
func (h home) createDatabase(ctx context.Context, name string) error {
	conn, err := pgconn.Connect(ctx, h.url(name))
	if err == nil {
		return conn.Close(ctx)
	}
	var missing *pgconn.PgError
	if !errors.As(err, &missing) || missing.Code != "3D000" {
		return fmt.Errorf("open database %s: %w", name, err)
	}
	if _, err = h.query(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// checkDurable refuses to trust a server to keep data that another process
// started without fsync.
func (s *Server) checkDurable(ctx context.Context) error {
	fsync, err := s.home.query(ctx, "SHOW fsync")
	if err == nil && s.cfg.Durable && fsync != "on" {
		err = errors.New("the server that another process started runs without fsync: stop it first")
	}
	return err
}

// query runs one statement in the database "postgres" and returns its first value, if any.
func (h home) query(ctx context.Context, sql string) (string, error) {
	conn, err := pgconn.Connect(ctx, h.url("postgres"))
	if err != nil {
		return "", err
	}
	results, err := conn.Exec(ctx, sql).ReadAll()
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return "", err
	}
	if len(results) == 0 || len(results[0].Rows) == 0 {
		return "", nil
	}
	return string(results[0].Rows[0][0]), nil
}
