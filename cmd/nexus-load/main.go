// Command nexus-load puts a load on a NEXUS, or on any Socket.IO server that emits the same events, and times what comes of it: ten
// thousand listeners from one process, people who press the button, everybody coming back at once. `bench` runs NEXUS side by side
// with a server in Node and with a bare loop of writes, and writes docs/benchmarks.md.
//
//	nexus-load --sockets 5000 --subscribe '*'                  listeners of all halls
//	nexus-load --sockets 5000 --sos 5 --pid $(pgrep -x nexus)  and people in need; what both cost the server
//	nexus-load bench --quick                                   the comparison, in small
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"nexus/cmd/nexus-load/raw"
)

type cli struct {
	Run   runCmd   `cmd:"" default:"withargs" help:"Put a load on a server (the default)."`
	Raw   rawCmd   `cmd:"" help:"Serve what a load needs, and nothing else: the floor to compare with."`
	Bench benchCmd `cmd:"" help:"Compare NEXUS with a server in Node and with the floor."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends at once
	var c cli
	command := kong.Parse(&c, kong.Name("nexus-load"), kong.Description("A load on a live campus, timed."), kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "nexus-load:", err)
		os.Exit(1)
	}
}

type rawCmd struct {
	Addr  string `default:"127.0.0.1:4010" help:"Where to listen."`
	Halls int    `default:"1" help:"Halls that tick."`
}

// Run serves until ctx ends.
func (r *rawCmd) Run(ctx context.Context) error {
	s, err := raw.Listen(r.Addr, r.Halls)
	if err != nil {
		return err
	}
	fmt.Println("listening at http://" + s.Addr())
	return s.Serve(ctx)
}
