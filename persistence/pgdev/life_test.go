package pgdev

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestSettingsFitASmallMachineAndKeepData(t *testing.T) {
	t.Setenv("PGDATA", "/nowhere") // the environment must not steer the server
	s := start(t, Config{Dir: newDir(t), Durable: true, Database: `campus "1"`})
	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "listen_addresses": "", "max_connections": "200",
		"server_encoding": "UTF8", "timezone": "UTC", "shared_buffers": "128MB", "unix_socket_permissions": "0700",
	} {
		if got := value(t, s, "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	if got := value(t, s, "SELECT current_database()"); got != `campus "1"` {
		t.Errorf("database is %q", got)
	}
}

func TestLastUserStopsTheServer(t *testing.T) {
	dir := newDir(t)
	first := start(t, Config{Dir: dir, Unwatched: true})
	pid := running(t, first)
	other := startHelper(t, dir).ready(t)
	second := start(t, Config{Dir: dir})

	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if got := running(t, second); got != pid {
		t.Fatalf("postmaster is %d, want the %d of the first user", got, pid)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if got := running(t, second); got != pid {
		t.Fatalf("postmaster is %d while the other process uses %d", got, pid)
	}
	other.close(t)
	if _, alive := first.home.postmaster(); alive {
		t.Error("postgres survived its last user")
	}
	if log := string(first.home.logTail()); !strings.Contains(log, "database system is shut down") {
		t.Errorf("no clean shutdown in the log:\n%s", log)
	}
}

func TestEightStartersShareOneServer(t *testing.T) {
	dir := newDir(t)
	var helpers []*helper
	for range 8 {
		helpers = append(helpers, startHelper(t, dir))
	}
	for _, h := range helpers {
		h.ready(t)
	}
	s := start(t, Config{Dir: dir, Unwatched: true})
	pid := running(t, s)
	if left := unfinishedClusters(t, dir); len(left) > 0 {
		t.Errorf("more than one initdb: %v", left)
	}
	for _, h := range helpers {
		h.close(t)
	}
	if got := running(t, s); got != pid {
		t.Errorf("postmaster is %d, want %d as before", got, pid)
	}
}

func TestServerSurvivesItsStarter(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := newDir(t)
			h := startHelper(t, dir).ready(t)
			look := &Server{home: mustSettle(t, dir)}
			pid := running(t, look)
			h.signal(t, sig)

			s := start(t, Config{Dir: dir})
			if got := running(t, s); got != pid {
				t.Errorf("postmaster is %d, want the %d of the killed starter", got, pid)
			}
		})
	}
}

func TestDurableRefusesAServerWithoutFsync(t *testing.T) {
	dir := newDir(t)
	start(t, Config{Dir: dir})
	_, err := Start(t.Context(), Config{Dir: dir, Durable: true})
	if err == nil || !strings.Contains(err.Error(), "without fsync") {
		t.Errorf("Start says %v", err)
	}
}

func TestStartNamesTheCause(t *testing.T) {
	dir := newDir(t)
	s := start(t, Config{Dir: dir})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	control := s.home.data() + "/global/pg_control"
	if err := os.Rename(control, control+".away"); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Config{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "global/pg_control") {
		t.Errorf("Start says %v, which does not quote the log of postgres", err)
	}
	if err := os.Rename(control+".away", control); err != nil {
		t.Fatal(err)
	}
}

func mustSettle(t *testing.T, dir string) home {
	t.Helper()
	h, err := settle(dir, "/var/lib/nexus")
	if err != nil {
		t.Fatal(err)
	}
	return h
}
