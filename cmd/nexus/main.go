// Command nexus is the whole campus backend in one binary; see its subcommands with --help.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line. Every flag has an environment variable beside it.
type cli struct {
	Serve    serveCmd    `cmd:"" default:"withargs" help:"Run a node (the default)."`
	Migrate  migrateCmd  `cmd:"" help:"Bring the database to the newest schema."`
	Seed     seedCmd     `cmd:"" help:"Put the demo campus into the database."`
	Simulate simulateCmd `cmd:"" help:"Play a day of the campus, or a file of counts, against a running server."`
	Cluster  clusterCmd  `cmd:"" help:"See the nodes of a running campus."`
	Audit    auditCmd    `cmd:"" help:"Check that nothing was rewritten."`
	Forecast forecastCmd `cmd:"" help:"Say how good the forecasts of crowds are."`
	User     userCmd     `cmd:"" help:"Manage accounts from the command line."`
	Health   healthCmd   `cmd:"" help:"Ask the node on this machine whether it lives, or takes traffic."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := untilSignal(syscall.SIGINT, syscall.SIGTERM)
	status := run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}

// untilSignal returns a context that the first of the signals ends: the word for an orderly end. The second ends the process
// at once, as a signal does that nobody handles.
func untilSignal(signals ...os.Signal) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	heard := make(chan os.Signal, 2) // both may come before anybody looks
	signal.Notify(heard, signals...)
	go func() { // ends with the process
		<-heard
		cancel()
		again := <-heard
		signal.Reset(signals...)
		if n, ok := again.(syscall.Signal); ok {
			_ = syscall.Kill(os.Getpid(), n) // a process may always signal itself
		}
	}()
	return ctx, cancel
}

// run returns the process's exit status: 0, 1 for a failure, 2 for a wrong command line or configuration.
func run(ctx context.Context, args []string) int {
	command, err := parse(ctx, new(cli), args)
	if err != nil {
		return fail(2, err)
	}
	err = command.Run()
	var wrong *configError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		return fail(2, err)
	default:
		return fail(1, err)
	}
}

// parse reads the environment and the command line into c. Nothing has been done when it fails.
func parse(ctx context.Context, c *cli, args []string) (*kong.Context, error) {
	if err := readSecretFiles(); err != nil {
		return nil, err
	}
	parser, err := kong.New(c, kong.Name("nexus"), kong.Description("A live campus: one binary, one port."),
		kong.UsageOnError(), kong.BindTo(ctx, (*context.Context)(nil)))
	if err != nil {
		return nil, err
	}
	command, err := parser.Parse(args)
	if err != nil {
		return nil, named(err, parser.Model.Node)
	}
	return command, nil
}

// named adds the variable to what the parser says of a flag, for the value may have come from there.
func named(err error, n *kong.Node) error {
	for _, f := range flags(n) {
		option, variable := "--"+f.Name, strings.Join(f.Envs, ", ")
		said := err.Error()
		if variable != "" && (strings.HasPrefix(said, option+" ") || strings.HasPrefix(said, option+":")) && !strings.Contains(said, variable) {
			return fmt.Errorf("%s: %w", variable, err)
		}
	}
	return err
}

// flags lists the flags of a command and of all below it.
func flags(n *kong.Node) []*kong.Flag {
	list := slices.Clone(n.Flags)
	for _, child := range n.Children {
		list = append(list, flags(child)...)
	}
	return list
}

func fail(status int, err error) int {
	fmt.Fprintln(os.Stderr, "nexus:", err)
	return status
}
