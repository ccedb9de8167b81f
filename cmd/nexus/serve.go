package main

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/alecthomas/kong"
)

// grace is how long an orderly end may take.
const grace = 60 * time.Second

type serveCmd struct {
	Config `embed:""`
}

// Run serves until ctx ends.
func (s *serveCmd) Run(ctx context.Context, k *kong.Kong) error {
	cfg := &s.Config
	if err := cfg.check(); err != nil {
		return err
	}
	log := cfg.logger()
	if len(cfg.secrets) == 0 {
		secret, err := developmentSecret(cfg.DataDir)
		if err != nil {
			return err
		}
		cfg.secrets = [][]byte{secret}
	}
	log.Info("starting", "version", version(), "config", cfg)
	if unknown := unknownVariables(variables(k.Model.Node)); len(unknown) > 0 {
		log.Warn("variables that this version does not know", "names", unknown)
	}
	if cfg.Env == development && !loopback(cfg.Addr) {
		log.Warn("development mode on an address that others can reach: the demo's passwords are public", "addr", cfg.Addr)
	}
	began := time.Now()
	n, err := open(ctx, cfg, log)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil // asked to end while it started
		}
		return err
	}
	log.Info("serving", "url", n.http.URL(), "took", time.Since(began).Round(time.Millisecond))
	<-ctx.Done()
	log.Info("ending; a second signal ends at once")
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	n.drain(ending)
	err = n.close(ending)
	log.Info("ended", "err", err)
	return err
}

// loopback reports whether only this machine reaches the address.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// variables lists the environment variables of a command and all below it.
func variables(n *kong.Node) (names []string) {
	for _, f := range flags(n) {
		names = append(names, f.Envs...)
	}
	return names
}
