package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// work is the directory of this run: the binaries and the servers' data. PostgreSQL runs as another user than
// root, who must be able to reach it.
var work string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) (status int) {
	parent := os.TempDir()
	if os.Geteuid() == 0 {
		parent = "/tmp" // root's own may be closed to others
	}
	var err error
	if work, err = os.MkdirTemp(parent, "nexus-e2e-"); err == nil {
		err = os.Chmod(work, 0o755)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() {
		if err := endShared(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: the shared server:", err)
			status = max(status, 1)
		}
		if err := os.RemoveAll(work); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
		}
	}()
	return m.Run()
}

// A binary is built when it is first needed.
type binary struct {
	name  string
	flags []string
	once  sync.Once
	path  string
	err   error
}

var (
	raced = &binary{name: "nexus-race", flags: []string{"-race"}} // for tests
	plain = &binary{name: "nexus"}                                // for figures
)

func (b *binary) build() (string, error) {
	b.once.Do(func() {
		b.path = filepath.Join(work, b.name)
		args := append([]string{"build", "-o", b.path}, b.flags...)
		if out, err := exec.Command("go", append(args, "nexus/cmd/nexus")...).CombinedOutput(); err != nil {
			b.err = fmt.Errorf("build: %w\n%s", err, out)
		}
	})
	return b.path, b.err
}
