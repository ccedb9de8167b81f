package pgdev

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOnlyOwnerAndRootReachTheServer(t *testing.T) {
	s := start(t, Config{Dir: newDir(t)})
	if s.home.uid == 0 {
		t.Fatal("postgres is to run as root")
	}
	for _, dir := range []string{s.home.data(), s.home.socket()} {
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if uid, _ := owner(info); uid != s.home.uid || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: owner %d, mode %v, want %d and 0700", dir, uid, info.Mode(), s.home.uid)
		}
	}
	if os.Geteuid() != 0 {
		return // only root can try it as somebody else
	}
	look := exec.Command("test", "-e", filepath.Join(s.home.socket(), ".s.PGSQL.5432"))
	if err := look.Run(); err != nil {
		t.Fatalf("root does not see the socket: %v", err)
	}
	look = exec.Command(look.Path, look.Args[1:]...)
	look.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := look.Run(); err == nil {
		t.Error("nobody sees the socket")
	}
}

func TestPrivateHome(t *testing.T) {
	outer := newDir(t)
	private := filepath.Join(outer, "home")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := Config{Dir: filepath.Join(private, "pg"), base: filepath.Join(outer, "base")}
	s := start(t, cfg)
	value(t, s, "CREATE TABLE mark(n int); SELECT 'x'")
	text, err := os.ReadFile(filepath.Join(cfg.Dir, pointer))
	if os.Geteuid() != 0 {
		if s.Dir() != s.home.asked || err == nil {
			t.Errorf("a plain user's data went to %s", s.Dir())
		}
		return
	}
	if filepath.Dir(s.Dir()) != cfg.base || !strings.Contains(string(text), s.Dir()) {
		t.Errorf("data is in %s, the pointer says %q, %v", s.Dir(), text, err)
	}
	if err = s.Close(); err != nil {
		t.Fatal(err)
	}
	if err = os.Chmod(private, 0o711); err != nil { // the data stays where it went
		t.Fatal(err)
	}
	if got := value(t, start(t, cfg), "SELECT count(*)::text FROM mark"); got != "0" {
		t.Errorf("the second start says %q", got)
	}
}

func TestSocketAddressTooLongOrAmbiguous(t *testing.T) {
	for _, name := range []string{strings.Repeat("a", 90), "a,b", "spaces and 'quotes\" %41"} {
		t.Run(name, func(t *testing.T) {
			outer := newDir(t)
			s := start(t, Config{Dir: filepath.Join(outer, name)})
			if got := value(t, s, "SELECT 'well'"); got != "well" {
				t.Errorf("server says %q", got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(s.home.socket()); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestSquatterOfTheSocketDirectory(t *testing.T) {
	type squat struct {
		name string
		make func(dir string) error
	}
	tests := []squat{
		{"open to all", func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) }},
		{"a link", func(dir string) error { return os.Symlink(filepath.Dir(dir), dir) }},
		{"a file", func(dir string) error { return os.WriteFile(dir, nil, 0o600) }},
	}
	if os.Geteuid() == 0 { // nobody else can make it
		tests = append(tests, squat{"a stranger's", func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 65534, 65534))
		}})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := home{dir: newDirOnly(t), uid: os.Geteuid(), gid: os.Getegid()}
			if err := test.make(h.socket()); err != nil {
				t.Fatal(err)
			}
			if err := h.makeSocketDir(); err == nil || !strings.Contains(err.Error(), "remove it") {
				t.Errorf("makeSocketDir says %v", err)
			}
		})
	}
}

func TestReachable(t *testing.T) {
	me, mine := os.Geteuid(), os.Getegid()
	tests := []struct {
		name     string
		mode     fs.FileMode
		uid, gid int
		want     bool
	}{
		{"owner", 0o700, me, mine, true},
		{"owner without x", 0o677, me, mine, false},
		{"group", 0o710, me + 1, mine, true},
		{"group without x, others with", 0o701, me + 1, mine, false},
		{"others", 0o701, me + 1, mine + 1, true},
		{"others without x", 0o770, me + 1, mine + 1, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			outer := newDirOnly(t)
			dir := filepath.Join(outer, "a")
			below := filepath.Join(dir, "b")
			if err := os.MkdirAll(below, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, test.mode); err != nil {
				t.Fatal(err)
			}
			if got := reachable(dir, test.uid, test.gid); got != test.want {
				t.Errorf("reachable is %v, want %v", got, test.want)
			}
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		})
	}
}
