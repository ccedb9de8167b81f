// Package load puts a load on a server for a while, and says what came of it.
//
//	warm up -> connect everybody -> settle -> measure -> all drop and come back, if asked -> report
package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"nexus"
	"nexus/cmd/nexus-load/crowd"
	"nexus/cmd/nexus-load/sos"
	"nexus/cmd/nexus-load/usage"
)

// Options describe a load: a crowd that listens, people who press the button, or both.
type Options struct {
	Targets   []Target
	Crowd     crowd.Options // its addresses are set by Run
	Warm      int           // sockets whose cost is not counted: what the first ones bring along
	Within    time.Duration // for all to be served
	Settle    time.Duration // between that and the measuring
	Duration  time.Duration // of the measuring
	Reconnect bool
	SOS       *sos.Options // nil: nobody presses
	Server    usage.Processes
	Show      Show
}

// Show is told how far things are.
type Show interface {
	// Phase begins something of so many steps, or seconds.
	Phase(name string, total int)
	// Done says how many are behind us.
	Done(n int)
	// Say is a line for whoever waits for it.
	Say(line string)
}

// Run puts the load on. When ctx ends while it is measured, what was measured until then is the result.
func Run(ctx context.Context, o Options) (_ *Result, err error) {
	r := &run{Options: o, result: &Result{Sockets: o.Crowd.Sockets, Began: time.Now().UTC()}}
	for _, t := range o.Targets {
		r.Crowd.Addrs = append(r.Crowd.Addrs, t.Addr)
	}
	if len(o.Targets) > 0 {
		r.Crowd.Host = o.Targets[0].Host
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if r.Crowd.Sockets > 0 {
		if err := r.connect(ctx); err != nil {
			return nil, err
		}
	}
	if r.SOS != nil {
		r.Show.Phase("connecting who presses and who hears", 1)
		if r.probe, err = sos.Open(ctx, *r.SOS); err != nil {
			return nil, err
		}
	}
	r.Show.Say(fmt.Sprintf("served %d sockets in %.2f s", r.Crowd.Sockets, r.result.Ramp.Seconds))
	if err := r.measure(ctx); err != nil {
		return nil, err
	}
	if r.Reconnect && r.crowd != nil && ctx.Err() == nil {
		if err := r.reconnect(ctx); err != nil {
			return nil, err
		}
	}
	return r.result, nil
}

// self is this process, where the system says what it takes.
var self = usage.Processes{os.Getpid()}

type run struct {
	Options
	crowd  *crowd.Crowd
	probe  *sos.Probe
	result *Result
}

func (r *run) close() (err error) {
	if r.probe != nil {
		r.probe.Close()
	}
	if r.crowd != nil {
		err = r.crowd.Close()
	}
	return err
}

// connect opens the crowd, and takes what a connection costs the server.
func (r *run) connect(ctx context.Context) (err error) {
	warm := min(r.Warm, r.Crowd.Sockets-1)
	r.Show.Phase("connecting", r.Crowd.Sockets)
	limited, cancel := context.WithTimeout(ctx, r.Within)
	defer cancel()
	// The crowd lives as long as the run, whatever ends the measuring.
	if r.crowd, err = crowd.Open(context.WithoutCancel(ctx), r.Crowd, max(warm, 0)); err != nil {
		return err
	}
	if err := r.crowd.Await(limited, max(warm, 0), r.Show.Done); err != nil {
		return err
	}
	if !nexus.Pause(ctx, r.Settle) {
		return ctx.Err()
	}
	before, err := r.Server.Read()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := r.crowd.Grow(r.Crowd.Sockets); err != nil {
		return err
	}
	if err := r.crowd.Await(limited, r.Crowd.Sockets, r.Show.Done); err != nil {
		if links, e := r.crowd.Links(); e == nil && len(links.Failures)+len(links.Ends) > 0 {
			err = fmt.Errorf("%w; connections failed: %v, ended: %v", err, links.Failures, links.Ends)
		}
		return err
	}
	after, err := r.Server.Read()
	if err != nil {
		return err
	}
	links, err := r.crowd.Links()
	if err != nil {
		return err
	}
	n := r.Crowd.Sockets - max(warm, 0)
	r.result.Ramp = Ramp{Links: *links, Seconds: time.Since(began).Seconds()}
	if len(r.Server) > 0 {
		r.result.Server = &Server{ResidentBefore: before.Resident, CPUPerConnectionUS: micros(after.CPU-before.CPU) / float64(n), connections: n}
	}
	return nil
}

// measure counts and times for a while, between two ticks.
func (r *run) measure(ctx context.Context) error {
	if !nexus.Pause(ctx, r.Settle) {
		return ctx.Err()
	}
	between(ctx)
	before, err := r.Server.Read()
	if err != nil {
		return err
	}
	own, unread := self.Read()
	if r.crowd != nil {
		if err := r.crowd.Measure(true); err != nil {
			return err
		}
	}
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, r.Duration)
	defer cancel()
	pressed := make(chan error, 1)
	go func() {
		var err error
		if r.probe != nil {
			var result sos.Result
			result, err = r.probe.Run(limited)
			r.result.SOS = &result
		}
		pressed <- err
	}()
	r.watch(limited, began)
	if ctx.Err() != nil {
		between(context.WithoutCancel(ctx))
	}
	seconds := time.Since(began)
	after, err := r.Server.Read()
	if err = errors.Join(err, r.heard(), <-pressed); err != nil {
		return err
	}
	r.result.Seconds = seconds.Seconds()
	if now, err := self.Read(); err == nil && unread == nil {
		r.result.GeneratorCPUMSPerSecond = micros(now.CPU-own.CPU) / 1000 / seconds.Seconds()
	}
	if s := r.result.Server; len(r.Server) > 0 {
		if s == nil {
			s = &Server{ResidentBefore: before.Resident}
			r.result.Server = s
		}
		s.CPUMSPerSecond = micros(after.CPU-before.CPU) / 1000 / seconds.Seconds()
		s.Resident = after.Resident
		if s.connections > 0 {
			s.BytesPerSocket = float64(after.Resident-s.ResidentBefore) / float64(s.connections)
		}
		if n := r.result.Heard.Messages; n > 0 {
			s.CPUPerMessageUS = micros(after.CPU-before.CPU) / float64(n)
		}
	}
	return nil
}

// watch shows how time goes by until ctx ends, and takes the largest memory that is seen.
func (r *run) watch(ctx context.Context, began time.Time) {
	r.Show.Phase("measuring", int(r.Duration.Seconds()))
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			r.Show.Done(int(time.Since(began).Seconds()))
			if u, err := r.Server.Read(); err == nil {
				r.result.ResidentMost = max(r.result.ResidentMost, u.Resident)
			}
		case <-ctx.Done():
			return
		}
	}
}

// heard takes what the crowd has heard, and what became of its connections meanwhile.
func (r *run) heard() error {
	if r.crowd == nil {
		return nil
	}
	if err := r.crowd.Measure(false); err != nil {
		return err
	}
	h, err := r.crowd.Heard()
	if err != nil {
		return err
	}
	links, err := r.crowd.Links()
	if err != nil {
		return err
	}
	r.result.Heard, r.result.Links, r.result.Served = *h, *links, r.crowd.Served()
	return nil
}

// reconnect has all drop and come back at once.
func (r *run) reconnect(ctx context.Context) error {
	n := r.crowd.Served()
	r.Show.Phase("all drop and come back", n)
	before, err := r.Server.Read()
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, r.Within)
	defer cancel()
	began := time.Now()
	if err := r.crowd.Drop(); err != nil {
		return err
	}
	awaited := r.crowd.Await(limited, r.Crowd.Sockets, r.Show.Done)
	seconds := time.Since(began).Seconds()
	after, err := r.Server.Read()
	if err != nil {
		return err
	}
	links, err := r.crowd.Links()
	if err != nil {
		return err
	}
	back := &Ramp{Links: *links, Seconds: seconds, Served: r.crowd.Served()}
	if len(r.Server) > 0 {
		back.CPUPerConnectionUS = micros(after.CPU-before.CPU) / float64(r.Crowd.Sockets)
	}
	r.result.Reconnect = back
	if awaited != nil && limited.Err() == nil {
		return awaited
	}
	return nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// between waits for the middle between two ticks, so that what is counted is whole seconds of them.
func between(ctx context.Context) {
	now := time.Now()
	nexus.Pause(ctx, now.Truncate(time.Second).Add(1500*time.Millisecond).Sub(now))
}
