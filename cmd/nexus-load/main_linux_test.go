package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"go.uber.org/goleak"

	"nexus/cmd/nexus-load/load"
	"nexus/cmd/nexus-load/raw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func parse(t *testing.T, args ...string) (*cli, error) {
	t.Helper()
	c := new(cli)
	parser, err := kong.New(c, kong.Exit(func(int) { t.Error("exit") }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return c, err
}

func TestFlags(t *testing.T) {
	c, err := parse(t, "--sockets", "10", "--subscribe", "*", "--server-pid", "7", "--pid", "8", "--duration", "3s", "--url", "http://127.0.0.1:1,http://127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Run; r.Sockets != 10 || r.Duration != 3*time.Second || !slices.Equal(r.Pid, []int{7, 8}) || len(r.URL) != 2 || r.Sources != 10 || r.Namespace != "/mess" {
		t.Errorf("%+v", r)
	}
	if _, err := parse(t, "--transport", "polling"); err == nil {
		t.Error("polling is taken")
	}
}

func TestWrongLoadsAreRefused(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "nothing to do"},
		{[]string{"--sockets", "1", "--stalled", "101"}, "--stalled takes 0 to 100"},
		{[]string{"--sockets", "1", "--duration", "2h"}, "up to an hour"},
		{[]string{"--sockets", "1", "--url", "http://192.0.2.1:4000"}, "--allow-remote"},
		{[]string{"--sos", "1", "--student", "nobody"}, "has no %d"},
	} {
		cli, err := parse(t, c.args...)
		if err == nil {
			err = cli.Run.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
}

func TestLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	for text, want := range map[string][]string{"a\n\n b \nc": {"a", "b", "c"}, "\n \n": nil} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := lines(path); !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q gives %q, %v", text, got, err)
		}
	}
}

// TestTheFloorByTheCommandLine runs the command as a user would, and reads its file.
func TestTheFloorByTheCommandLine(t *testing.T) {
	s, err := raw.Listen("127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(t.TempDir(), "result.json")
	c, err := parse(t, "--url", "http://"+s.Addr(), "--sockets", "20", "--settle", "0s", "--duration", "4500ms", "--json", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Run.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var r load.Result
	if err := json.Unmarshal(text, &r); err != nil || r.Sockets != 20 || r.Heard.Messages < 20 {
		t.Errorf("%+v, %v", r, err)
	}
}
