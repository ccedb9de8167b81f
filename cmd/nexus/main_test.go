package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"nexus/persistence/pg/pgfix"
)

// beNexus makes the test's own binary the one it tests: so that exit statuses, standard error and signals are real.
const beNexus = "TEST_AS_NEXUS"

func TestMain(m *testing.M) {
	if os.Getenv(beNexus) != "" {
		main()
	}
	pgfix.Main(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"), // sleeps on for 10 s
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),    // one clock per process, for ever
	)
}

// command is a nexus process with the variables given and no others of ours, in a folder of its own.
func command(t *testing.T, variables []string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = t.TempDir()
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NEXUS_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(append(cmd.Env, beNexus+"=1"), variables...)
	return cmd
}

// ended runs a process to its end and returns its exit status and all that it said.
func ended(t *testing.T, variables []string, args ...string) (status int, said string) {
	t.Helper()
	cmd := command(t, variables, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestVersion(t *testing.T) {
	t.Parallel()
	status, said := ended(t, nil, "version")
	if status != 0 || !strings.HasPrefix(said, "nexus ") {
		t.Errorf("status %d, said %q", status, said)
	}
}

func TestWrongCommandLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"fly"}, {"--no-such-flag"}, {"serve", "surplus"}, {"user"}, {"user", "add", "a@b.example"}} {
		if status, said := ended(t, nil, args...); status != 2 || !strings.HasPrefix(said, "nexus: ") {
			t.Errorf("%v: status %d, said %q", args, status, said)
		}
	}
}

func TestUserAdd(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery"
	variables := []string{"NEXUS_DATABASE_URL=" + pgfix.URL(t)}
	add := func(input string, args ...string) (int, string) {
		cmd := command(t, variables, append([]string{"user", "add", "--name=Asha Rao"}, args...)...)
		cmd.Stdin = strings.NewReader(input)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), password) {
			t.Errorf("the password was printed: %s", out.String())
		}
		return cmd.ProcessState.ExitCode(), out.String()
	}
	for _, c := range []struct {
		name, input string
		args        []string
		status      int
		says        string
	}{
		{"an administrator", password + "\n", []string{"--role=ADMIN,FACULTY", "asha@campus.example"}, 0, "asha@campus.example [ADMIN FACULTY]"},
		{"the same once more", password, []string{"asha@campus.example"}, 1, "is taken"},
		{"no such role", password, []string{"--role=KING", "b@campus.example"}, 2, "--role: takes [ADMIN"},
		{"no password", "", []string{"b@campus.example"}, 1, "no password on standard input"},
		{"short password", "short\n", []string{"b@campus.example"}, 1, "password"},
		{"no address", password, []string{"b"}, 1, "email"},
	} {
		if status, said := add(c.input, c.args...); status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s: status %d, said %q; want %d and %q", c.name, status, said, c.status, c.says)
		}
	}
}

func TestSeedIsRefusedInProduction(t *testing.T) {
	t.Parallel()
	status, said := ended(t, []string{"NEXUS_ENV=production", "NEXUS_DATABASE_URL=" + pgfix.URL(t)}, "seed")
	if status != 2 || !strings.Contains(said, "NEXUS_ENV: is production") {
		t.Errorf("status %d, said %q", status, said)
	}
}
