package pgdev

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"nexus"
)

const (
	watchEvery   = 250 * time.Millisecond
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 10 * time.Second
	steady       = 10 * time.Second // a server that lived this long starts the back-off afresh
	restartTime  = 30 * time.Second

	logName = "postgres.log"
	maxLog  = 8 << 20 // bytes; one older file of this size is kept beside it
)

// watch restarts a server that died, until the context ends. Of several
// watchers the first under the lock does it, the others find it running. It
// gives up never, but slows down to one attempt per ten seconds: a full disk
// may be emptied.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	quick := 0 // restarts in a row of a server that did not live long
	up := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.runs(ctx) {
			continue
		}
		died := time.Now()
		if died.Sub(up) >= steady {
			quick = 0
		}
		wait := backoff(quick)
		quick++
		s.cfg.Log.Warn("postgres died, restarting it", "dir", s.home.dir, "in", wait)
		if !nexus.Pause(ctx, wait) {
			return
		}
		if err := s.restart(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Log.Error("restart postgres", "dir", s.home.dir, "err", err)
			continue
		}
		up = time.Now()
		s.cfg.Log.Info("postgres is back", "dir", s.home.dir, "took", up.Sub(died))
	}
}

// runs is the watcher's look: two small reads on disk and in /proc. Only a server
// that is not seen there is asked: it is dead, or in another container.
func (s *Server) runs(ctx context.Context) bool {
	s.reap()
	pid, alive := s.home.postmaster()
	if alive {
		s.child = pid
	}
	s.boundLog()
	return alive || s.probe(ctx) == nil
}

// restart brings the server up again, unless another watcher has.
func (s *Server) restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, restartTime)
	defer cancel()
	lock, err := s.home.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock(lock)
	return s.ensure(ctx)
}

// backoff is how long to wait before a restart when so many before it did not
// last: nothing at first, then twice as long each time.
func backoff(quick int) time.Duration {
	if quick == 0 {
		return 0
	}
	return min(firstBackoff<<min(quick-1, 10), lastBackoff)
}

// boundLog moves the log's text aside when it is long. Postgres keeps the file
// open, so it is copied and emptied, not renamed; lines written between the two
// are lost, and a failure is left to the next look.
func (s *Server) boundLog() {
	info, err := os.Lstat(s.home.path(logName))
	if err != nil || info.Size() < maxLog {
		return
	}
	if err = s.home.rotateLog(); err != nil {
		s.cfg.Log.Warn("rotate the log of postgres", "err", err)
	}
}

func (h home) rotateLog() (err error) {
	log, err := h.openFile(logName, os.O_RDWR)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	// The lock keeps a second process from copying the emptied file over the copy.
	if mine, err := tryFlock(log, exclusive); err != nil || !mine {
		return err
	}
	if info, err := log.Stat(); err != nil || info.Size() < maxLog {
		return err
	}
	old, err := h.openFile(logName+".1", os.O_WRONLY|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = io.Copy(old, log)
	if err = errors.Join(err, old.Close()); err != nil {
		return err
	}
	return log.Truncate(0)
}

// logTail is the end of postgres's log, for an error's text.
func (h home) logTail() []byte {
	text, err := os.ReadFile(h.path(logName)) // bounded, see maxLog
	if err != nil {
		return []byte(err.Error())
	}
	return tail(text)
}
