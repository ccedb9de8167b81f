package pgdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const oldest = 14 // the first major version whose features the schema may use

// ErrNoBinaries says that no usable PostgreSQL is installed, and what to type.
var ErrNoBinaries = errors.New("PostgreSQL 14 or newer is not installed; type: sudo apt-get install -y postgresql")

// findBinaries returns the folder of initdb and postgres: from PATH, else the
// newest that Debian's packages installed. A cluster that exists needs the
// major version that made it.
func findBinaries(ctx context.Context, h home) (string, error) {
	need, err := clusterVersion(h.data())
	if err != nil {
		return "", err
	}
	return firstUsable(ctx, candidates(os.Getenv("PATH"), "/usr/lib/postgresql/*/bin"), need, h.credential())
}

// candidates lists the folders that may hold the binaries, best first.
func candidates(path, pattern string) []string {
	var dirs []string
	for _, dir := range filepath.SplitList(path) {
		// The links in PATH may lie apart from the programs; initdb looks for postgres beside itself.
		if real, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb")); err == nil && filepath.IsAbs(real) {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	packaged, err := filepath.Glob(pattern)
	if err != nil {
		panic(err) // only a malformed pattern, which is ours
	}
	slices.SortFunc(packaged, func(a, b string) int { return packagedVersion(b) - packagedVersion(a) })
	return append(dirs, packaged...)
}

// packagedVersion is 15 for /usr/lib/postgresql/15/bin, 0 for what is no number.
func packagedVersion(bin string) int {
	n, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
	if err != nil {
		return 0
	}
	return n
}

// firstUsable asks each folder's postgres for its version, as the user that is
// to run it. need is the major version of an existing cluster, or 0.
func firstUsable(ctx context.Context, dirs []string, need int, as *syscall.Credential) (string, error) {
	for _, dir := range dirs {
		version, err := binaryVersion(ctx, filepath.Join(dir, "postgres"), as)
		if err != nil {
			continue // absent, broken, or out of that user's reach: the next may do
		}
		if version == need || need == 0 && version >= oldest {
			return dir, nil
		}
	}
	if need != 0 {
		return "", fmt.Errorf("the data was made by PostgreSQL %d, which is not installed; type: sudo apt-get install -y postgresql-%d", need, need)
	}
	return "", ErrNoBinaries
}

var versionText = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

func binaryVersion(ctx context.Context, postgres string, as *syscall.Credential) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, postgres, "--version")
	cmd.Dir = "/" // ours may be out of that user's reach
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	found := versionText.FindSubmatch(out)
	if found == nil {
		return 0, fmt.Errorf("no version in %q", out)
	}
	return strconv.Atoi(string(found[1]))
}

// clusterVersion is the major version that made the cluster, 0 if there is none.
func clusterVersion(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
