package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"nexus/persistence/pg/pgfix"
)

// TestProductionRefusesADatabaseThatForgets: with synchronous_commit off a crash loses what was acknowledged.
func TestProductionRefusesADatabaseThatForgets(t *testing.T) {
	t.Parallel()
	url := pgfix.URL(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = conn.Exec(t.Context(), `do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$`)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	status, said := ended(t, inProduction("NEXUS_DATABASE_URL="+url, "NEXUS_ADDR=127.0.0.1:0"))
	if status != 1 || !strings.Contains(said, "synchronous_commit is off") {
		t.Errorf("status %d, said %q", status, said)
	}
}

// TestProduction starts a node as production does, and has it end.
func TestProduction(t *testing.T) {
	t.Parallel()
	cmd := command(t, inProduction("NEXUS_DATABASE_URL="+pgfix.URL(t), "NEXUS_ADDR=127.0.0.1:0", "NEXUS_DRAIN_DELAY=0s", "NEXUS_DRAIN_SPREAD=0s", "NEXUS_ADRR=typo"))
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	warned := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		var line struct {
			Msg, URL string
			Names    []string
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Errorf("not JSON: %s", lines.Text())
		}
		warned = warned || len(line.Names) == 1 && line.Names[0] == "NEXUS_ADRR"
		if line.Msg != "serving" {
			continue
		}
		ready(t, line.URL)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("ended with %v", err)
	}
	if !warned || strings.Contains(said.String(), longSecret) || !strings.Contains(said.String(), `"msg":"ended"`) {
		t.Errorf("want a warning of NEXUS_ADRR, no secret, and an orderly end; it said:\n%s", said.String())
	}
}

func ready(t *testing.T, url string) {
	t.Helper()
	response, err := http.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("/readyz: %d %v", response.StatusCode, err)
	}
}

// TestDatabaseAway: a node whose database does not answer says where it looked, and nothing of the password.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	status, said := ended(t, []string{"NEXUS_DATABASE_URL=postgres://nexus:hushhush@127.0.0.1:1/nexus?application_name=x"})
	if status != 1 || !strings.Contains(said, "127.0.0.1") || strings.Contains(said, "hushhush") {
		t.Errorf("status %d, said %q", status, said)
	}
}
