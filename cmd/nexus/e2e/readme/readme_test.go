package readme

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"nexus/persistence/pg/pgfix"
)

func TestMain(m *testing.M) { pgfix.Main(m) }

// address is where the README's server listens. The tests' one takes a free port, which is put in its place.
const address = "http://127.0.0.1:4000"

// patience bounds each test.
const patience = 5 * time.Minute

// block returns the README's first fenced block of a language that holds a word.
func block(t *testing.T, language, word string) string {
	t.Helper()
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(readme, -1) {
		if strings.Contains(string(found[1]), word) {
			return string(found[1])
		}
	}
	t.Fatalf("README.md has no %s block with %q", language, word)
	return ""
}

// binary builds bin/nexus into a new folder and returns the folder. Where the tests run as root PostgreSQL runs as
// another user, who must be able to reach it.
func binary(ctx context.Context, t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(dir, "bin", "nexus"), "nexus/cmd/nexus").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

var serving = regexp.MustCompile(`msg=serving url=(\S+)`)

// serve starts the server in a folder until the test ends, and returns its URL.
func serve(ctx context.Context, t *testing.T, dir string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "bin/nexus", "--addr=127.0.0.1:0")
	cmd.Dir = dir
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url := make(chan string, 1)
	ended := make(chan string, 1)
	go func() {
		var said strings.Builder
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said.WriteString(lines.Text() + "\n")
			if m := serving.FindStringSubmatch(lines.Text()); m != nil {
				url <- m[1]
			}
		}
		ended <- said.String()
	}()
	select {
	case u := <-url:
		t.Cleanup(func() {
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Error(err)
			}
			said := <-ended
			if err := cmd.Wait(); err != nil {
				t.Errorf("the server ended with %v; it said:\n%s", err, said)
			}
		})
		return u
	case said := <-ended:
		t.Fatalf("the server did not start: %v\n%s", cmd.Wait(), said)
		return ""
	}
}

// run has bash run a script in a folder and returns what it prints.
func run(ctx context.Context, t *testing.T, dir, script, input string, variables ...string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
	cmd.Env = append(os.Environ(), variables...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// TestTryIt tries what "Try it" says.
func TestTryIt(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience) // the server ends with the cleanup, in order
	t.Cleanup(cancel)
	dir := binary(ctx, t)
	url := serve(ctx, t, dir)
	here := func(s string) string { return strings.ReplaceAll(s, address, url) }

	said := run(ctx, t, dir, here(block(t, "sh", "/checkins")+block(t, "sh", "FACULTY=")+block(t, "sh", "imports/users")), "")
	for _, want := range []string{
		`"occupancy":0`, `"accepted":1,"duplicates":0`, `"occupancy":30`, `"accepted":0,"duplicates":1`, `"status":"PRESENT"`, `"subjectCode":"CS201"`, `"kind":"users"`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("the curl commands print no %s:\n%s", want, said)
		}
	}

	watch := exec.CommandContext(ctx, "node", "--input-type=module")
	watch.Dir, watch.Stderr = "..", os.Stderr // where the official client is installed
	watch.Stdin = strings.NewReader(here(block(t, "js", "socket.io-client")))
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines, seen := bufio.NewScanner(out), false
	for !seen && lines.Scan() {
		seen = strings.HasSuffix(lines.Text(), " Central 30 Low 0 mins")
	}
	if err := watch.Process.Kill(); err != nil {
		t.Error(err)
	}
	if err := watch.Wait(); !seen {
		t.Errorf("watch.mjs did not print the thirty people; it ended with %v", err)
	}

	_, replay, _ := strings.Cut(block(t, "sh", "simulate"), "\n") // the day takes too long
	if err := os.WriteFile(filepath.Join(dir, "counts.csv"), []byte("at,people\n2026-01-05T12:00:00Z,40\n2026-01-05T12:01:00Z,55\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(ctx, t, dir, replay, "", "NEXUS_SIMULATE_URL="+url)
	if said := run(ctx, t, dir, here("curl -sS "+address+"/api/v1/mess/live-status"), ""); !strings.Contains(said, "waitTime") {
		t.Errorf("after the replay: %s", said)
	}
}

// TestInProduction sets a database up as "In production" says.
func TestInProduction(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dir := binary(ctx, t)
	if err := os.WriteFile(filepath.Join(dir, "database-url"), []byte(pgfix.URL(t)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	script := strings.TrimSpace(block(t, "sh", "NEXUS_ENV=production"))
	script, found := strings.CutSuffix(script, "\nbin/nexus") // which would serve on every address
	if !found {
		t.Fatalf("the last command is not bin/nexus:\n%s", script)
	}
	if said := run(ctx, t, dir, script, "correct horse battery\n"); !strings.Contains(said, "asha@campus.example [ADMIN]") {
		t.Errorf("it said:\n%s", said)
	}
}
