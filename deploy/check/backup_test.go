package check

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// server is a PostgreSQL of the test's own. It archives its log by deploy/backup/archive.sh.
type server struct {
	t       *testing.T
	dir     string // that the server's user may write
	data    string
	port    int
	archive string
	owner   *syscall.Credential // nil: the test's own user; PostgreSQL refuses root
	process *process
}

// newServer makes a cluster and starts it.
func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, port: ports(t, 1)}
	// Not below a folder that is the test's alone: the server may be another user.
	dir, err := os.MkdirTemp("", "nexus-backup")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // a temporary folder
	s.dir, s.data, s.archive = dir, filepath.Join(dir, "data"), filepath.Join(dir, "archive")
	if err := os.Mkdir(s.archive, 0o755); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join(root, "deploy/backup/archive.sh"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "archive.sh"), script, 0o755) //nolint:gosec // the server's user runs it
	}
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			u, err = user.Lookup("nobody")
		}
		if err != nil {
			t.Fatal(err)
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2, os.Chown(dir, int(uid), int(gid)), os.Chown(s.archive, int(uid), int(gid))); err != nil { //nolint:gosec // 32 bits
			t.Fatal(err)
		}
		s.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	s.must(s.command("initdb", "--pgdata", s.data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"))
	s.start()
	return s
}

// command runs one of PostgreSQL's programs as the server's user.
func (s *server) command(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	path := name
	if err == nil && len(found) > 0 {
		path = found[len(found)-1]
	}
	cmd := exec.Command(path, args...) //nolint:gosec // a test's own command
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

func (s *server) must(cmd *exec.Cmd) string {
	s.t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%v: %v: %s", cmd.Args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// start runs the server on its data, as production does with its log.
func (s *server) start() {
	s.t.Helper()
	s.process = start(s.t, s.command("postgres", "-D", s.data, "-c", fmt.Sprint("port=", s.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "wal_level=replica", "-c", "archive_mode=on", "-c", fmt.Sprintf("archive_command=%s/archive.sh %%p %s/%%f", s.dir, s.archive)))
	within(s.t, "PostgreSQL answers", func() error {
		out, err := s.command("psql", s.url("postgres"), "-Atc", "select pg_is_in_recovery()").CombinedOutput()
		if err == nil && strings.TrimSpace(string(out)) != "f" {
			err = errors.New("it still recovers")
		}
		return err
	})
}

func (s *server) url(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

func (s *server) sql(database, query string) string {
	s.t.Helper()
	return s.must(s.command("psql", s.url(database), "-AtXc", query))
}

const headQuery = "select seq || ' ' || encode(hash, 'hex') from audit_head"

// asNexus runs a command of the program on a database.
func (s *server) asNexus(database, input string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(nexus(s.t), args...)
	cmd.Env = append(os.Environ(), "NEXUS_DATABASE_URL="+s.url(database))
	cmd.Stdin = strings.NewReader(input)
	return s.must(cmd)
}

func (s *server) addUser(name string) {
	s.t.Helper()
	s.asNexus("nexus", "correct horse battery\n", "user", "add", "--name", name, "--role=ADMIN", name+"@campus.example")
}

// script runs one of deploy/backup on a database and returns how it ended and what it said.
func (s *server) script(database, name string, args ...string) (int, string) {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(absolute(s.t, root), "deploy/backup", name), args...)
	cmd.Env = append(os.Environ(), "NEXUS_DATABASE_URL="+s.url(database), "NEXUS_REPLICATION_URL="+s.url("postgres"), "NEXUS_BACKUP_KEEP=2")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), strings.TrimSpace(string(out))
}

// TestADumpIsRestoredIntoANewNode: a new node on a new database has the same people and the same past, and goes on with it.
func TestADumpIsRestoredIntoANewNode(t *testing.T) {
	s := newServer(t)
	s.sql("postgres", "create database nexus")
	s.asNexus("nexus", "", "migrate")
	for i := range 5 {
		s.addUser(fmt.Sprint("user", i))
	}
	head := s.sql("nexus", headQuery)
	folder := t.TempDir()
	status, said := s.script("nexus", "backup.sh", folder)
	if status != 0 || !strings.Contains(said, "audit head "+head) {
		t.Fatalf("status %d: %s", status, said)
	}
	dumps, err := filepath.Glob(filepath.Join(folder, "nexus-*.dump"))
	if err != nil || len(dumps) != 1 {
		t.Fatalf("%v, %v", dumps, err)
	}
	s.addUser("later") // who comes after the dump is not in it

	s.sql("postgres", "create database fresh")
	if status, said = s.script("fresh", "restore.sh", dumps[0]); status != 0 || said != "restored: audit head "+head {
		t.Fatalf("status %d: %s", status, said)
	}
	if got := s.sql("fresh", headQuery); got != head {
		t.Errorf("the log ends at %s, and did at %s", got, head)
	}
	if said := s.asNexus("fresh", "", "audit", "verify"); !strings.Contains(said, "entries, all fit") {
		t.Errorf("verify says %s", said)
	}
	if n := s.sql("fresh", "select count(*) from app_user where email like 'user%' or email like 'later%'"); n != "5" {
		t.Errorf("%s people came back", n)
	}

	// A node serves it, and the chain goes on.
	port := ports(t, 1)
	cmd := exec.Command(nexus(t), "--addr", fmt.Sprint("127.0.0.1:", port), "--no-demo")
	cmd.Env = append(os.Environ(), "NEXUS_DATABASE_URL="+s.url("fresh"))
	cmd.Dir = t.TempDir()
	node := start(t, cmd)
	within(t, "the node gets ready", func() error { return get(fmt.Sprint("http://127.0.0.1:", port, "/readyz")) })
	res, err := client.Post(fmt.Sprint("http://127.0.0.1:", port, "/api/v1/auth/login"), "application/json", strings.NewReader(`{"identifier":"user1@campus.example","password":"correct horse battery"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != 200 {
		t.Errorf("who was there before cannot log in: %s, %v", res.Status, err)
	}
	node.end()
	s.asNexus("fresh", "", "audit", "verify")

	t.Run("refused", func(t *testing.T) {
		if status, said := s.script("fresh", "restore.sh", dumps[0]); status != 1 || !strings.Contains(said, "not empty") {
			t.Errorf("into a database that is not empty: status %d: %s", status, said)
		}
		s.sql("postgres", "create database other")
		text, err := os.ReadFile(dumps[0])
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)/2] ^= 1
		bad := filepath.Join(folder, "bad")
		head, err := os.ReadFile(strings.TrimSuffix(dumps[0], ".dump") + ".head")
		if err := errors.Join(err, os.WriteFile(bad+".dump", text, 0o600), os.WriteFile(bad+".head", head, 0o600)); err != nil {
			t.Fatal(err)
		}
		if status, said := s.script("other", "restore.sh", bad+".dump"); status != 1 || !strings.Contains(said, "damaged") {
			t.Errorf("a damaged one: status %d: %s", status, said)
		}
		text[len(text)/2] ^= 1
		head = bytes.Replace(head, []byte("seq "), []byte("seq 9"), 1)
		if err := errors.Join(os.WriteFile(bad+".dump", text, 0o600), os.WriteFile(bad+".head", head, 0o600)); err != nil {
			t.Fatal(err)
		}
		if status, said := s.script("other", "restore.sh", bad+".dump"); status != 1 || !strings.Contains(said, "THE AUDIT LOG ENDS AT") {
			t.Errorf("one that ends elsewhere: status %d: %s", status, said)
		}
		if status, said := s.script("postgres", "backup.sh", folder); status != 1 || !strings.Contains(said, "is this the database of NEXUS?") {
			t.Errorf("of another database: status %d: %s", status, said)
		}
	})
	t.Run("kept", func(t *testing.T) {
		// Names are of seconds, and three dumps take less: older ones are made by name.
		for _, name := range []string{"nexus-20200101T000000Z", "nexus-20200102T000000Z"} {
			if err := errors.Join(os.WriteFile(filepath.Join(folder, name+".dump"), nil, 0o600), os.WriteFile(filepath.Join(folder, name+".head"), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		within(t, "another backup", func() error {
			if status, said := s.script("nexus", "backup.sh", folder); status != 0 {
				return errors.New(said) // in the same second as the first
			}
			return nil
		})
		left, err := filepath.Glob(filepath.Join(folder, "nexus-*"))
		if err != nil || len(left) != 4 || strings.Contains(strings.Join(left, " "), "2020") {
			t.Errorf("left: %v (%v)", left, err)
		}
	})
}

// TestTheLogBringsTheLastMinuteBack: the base copy is of before, the server dies without warning, and the archive has what came after.
func TestTheLogBringsTheLastMinuteBack(t *testing.T) {
	s := newServer(t)
	s.sql("postgres", "create database nexus")
	s.asNexus("nexus", "", "migrate")
	s.addUser("before")
	base := filepath.Join(s.dir, "base")
	if status, said := s.script("postgres", "base.sh", base); status != 0 {
		t.Fatalf("status %d: %s", status, said)
	}
	s.addUser("after")
	head := s.sql("nexus", headQuery)
	segment := s.sql("nexus", "select pg_walfile_name(pg_switch_wal())")
	within(t, "the segment is archived", func() error {
		_, err := os.Stat(filepath.Join(s.archive, segment))
		return err
	})
	s.addUser("lost") // in no archive yet
	if err := s.process.cmd.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	s.process.end()

	recovered := filepath.Join(s.dir, "recovered")
	if status, said := s.script("postgres", "recover.sh", base, s.archive, recovered); status != 0 {
		t.Fatalf("status %d: %s", status, said)
	}
	if s.owner != nil {
		err := filepath.WalkDir(recovered, func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	second := *s
	second.data, second.archive = recovered, filepath.Join(s.dir, "archive-of-the-second")
	if err := os.Mkdir(second.archive, 0o777); err != nil { //nolint:gosec // the server's user writes there
		t.Fatal(err)
	}
	second.start()
	if got := second.sql("nexus", headQuery); got != head {
		t.Errorf("the log ends at %s, want %s", got, head)
	}
	if said := second.asNexus("nexus", "", "audit", "verify"); !strings.Contains(said, "entries, all fit") {
		t.Errorf("verify says %s", said)
	}
}

// TestArchive: a segment is kept whole, the same one again is no matter, and another one of its name is refused.
func TestArchive(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	segment, kept := filepath.Join(dir, "segment"), filepath.Join(dir, "kept")
	archive := func(text string) (int, string) {
		if err := os.WriteFile(segment, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return cloud{t, dir}.run(nil, "deploy/backup/archive.sh", segment, kept)
	}
	for _, c := range []struct {
		text   string
		status int
	}{{"one", 0}, {"one", 0}, {"two", 1}} {
		if status, said := archive(c.text); status != c.status {
			t.Errorf("%s: status %d: %s", c.text, status, said)
		}
	}
	if got := read(t, kept); got != "one" {
		t.Errorf("kept %q", got)
	}
}
