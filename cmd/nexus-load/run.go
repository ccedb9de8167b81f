package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"nexus/cmd/nexus-load/crowd"
	"nexus/cmd/nexus-load/load"
	"nexus/cmd/nexus-load/sos"
)

type runCmd struct {
	URL         []string      `default:"http://127.0.0.1:4000" help:"The server, or several nodes of one, which are used in turn."`
	AllowRemote bool          `help:"Also load a server that is not on this machine."`
	Sockets     int           `default:"0" help:"Clients that listen."`
	Sources     int           `default:"10" help:"Loopback addresses they come from, 127.0.0.2 and on, so that ports and limits of one address do not run out; 0 for the system's choice."`
	Ramp        int           `default:"2000" help:"Sockets to connect a second; 0 for as many as the server takes."`
	Namespace   string        `default:"/mess" help:"What they connect to."`
	Subscribe   string        `help:"Halls that they hear: ids, separated by commas, * for all, nothing for the default hall."`
	Transport   string        `default:"websocket" enum:"websocket" help:"How they connect."`
	Tokens      string        `type:"existingfile" help:"A file of access tokens, one a line, that the clients log in with in turn."`
	Stalled     float64       `help:"Per cent of the clients that never read."`
	Loops       int           `help:"Threads that serve the clients; as many as there are cores by default."`
	Duration    time.Duration `default:"10s" help:"How long to measure."`
	Settle      time.Duration `default:"1s" help:"How long to wait before that."`
	Within      time.Duration `default:"60s" help:"How long connecting everybody may take, and coming back."`
	Warm        int           `default:"100" help:"Sockets that are connected first, and whose cost does not count."`
	Reconnect   bool          `help:"In the end have everybody drop and come back at once."`
	Pid         []int         `name:"pid" aliases:"server-pid" help:"Processes of the server, to read their CPU and memory."`
	JSON        string        `name:"json" type:"path" help:"A file to write everything to."`

	SOS           float64 `name:"sos" help:"Presses of the button a second."`
	Students      int     `default:"40" help:"How many press, in turn: an account may do so every two seconds."`
	Student       string  `default:"student%d@demo.nexus" help:"Their names."`
	Officers      int     `default:"3" help:"How many hear."`
	Officer       string  `default:"officer%d@demo.nexus" help:"Their names."`
	Password      string  `default:"campus-demo" help:"Of all of them."`
	NoLogin       bool    `help:"The server knows no passwords: a name is a token."`
	StudentTokens string  `type:"existingfile" help:"A file of the students' access tokens, in place of logging in."`
	OfficerTokens string  `type:"existingfile" help:"Likewise the officers'."`
}

// Run puts the load on and prints what came of it.
func (r *runCmd) Run(ctx context.Context) error {
	o := load.Options{
		Warm: r.Warm, Within: r.Within, Settle: r.Settle, Duration: r.Duration, Reconnect: r.Reconnect, Server: r.Pid,
		Show: load.Screen(os.Stdout, os.Stderr),
		Crowd: crowd.Options{
			Namespace: r.Namespace, Sockets: r.Sockets, Sources: r.Sources, Ramp: r.Ramp, Loops: r.Loops,
			Stalled: int(float64(r.Sockets) * r.Stalled / 100),
		},
	}
	if r.Sockets == 0 && r.SOS == 0 {
		return errors.New("nothing to do: say --sockets or --sos")
	}
	if r.Stalled < 0 || r.Stalled > 100 || r.SOS < 0 || r.Duration <= 0 || r.Duration > time.Hour {
		return errors.New("--stalled takes 0 to 100, --sos a number from 0, --duration up to an hour")
	}
	for _, u := range r.URL {
		t, err := load.Resolve(ctx, u, r.AllowRemote)
		if err != nil {
			return err
		}
		if !t.Addr.Addr().IsLoopback() {
			o.Crowd.Sources = 0
		}
		o.Targets = append(o.Targets, t)
	}
	if r.Subscribe != "" {
		o.Crowd.Subscribe = strings.Split(r.Subscribe, ",")
	}
	var err error
	if r.Tokens != "" {
		if o.Crowd.Tokens, err = lines(r.Tokens); err != nil {
			return err
		}
	}
	if r.SOS > 0 {
		if o.SOS, err = r.alarm(ctx, o.Targets[0]); err != nil {
			return err
		}
	}
	result, err := load.Run(ctx, o)
	if err != nil {
		return err
	}
	result.Print(os.Stdout)
	if r.JSON == "" {
		return nil
	}
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	return os.WriteFile(r.JSON, text, 0o644)
}

// alarm finds the people who press and hear.
func (r *runCmd) alarm(ctx context.Context, to load.Target) (_ *sos.Options, err error) {
	o := &sos.Options{Addr: to.Addr.String(), Path: "/socket.io/", Rate: r.SOS}
	for _, who := range []struct {
		into          *[]string
		file, pattern string
		n             int
	}{{&o.Students, r.StudentTokens, r.Student, r.Students}, {&o.Officers, r.OfficerTokens, r.Officer, r.Officers}} {
		if who.file != "" {
			if *who.into, err = lines(who.file); err != nil {
				return nil, err
			}
			*who.into = (*who.into)[:min(who.n, len(*who.into))]
			continue
		}
		names, err := sos.Names(who.pattern, who.n)
		if err != nil {
			return nil, err
		}
		if *who.into = names; r.NoLogin {
			continue
		}
		if *who.into, err = sos.Login(ctx, to.URL, names, r.Password); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// lines reads a file's lines that are not empty.
func lines(path string) (list []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	in := bufio.NewScanner(f)
	for in.Scan() {
		if line := strings.TrimSpace(in.Text()); line != "" {
			list = append(list, line)
		}
	}
	if in.Err() == nil && len(list) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return list, in.Err()
}
