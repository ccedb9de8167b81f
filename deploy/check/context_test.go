package check

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// TestTheImageIsBuiltOfItsContext builds the program of exactly what .dockerignore leaves, as the Dockerfile does: nothing is missing, and
// neither tests nor what happens to lie about get in.
func TestTheImageIsBuiltOfItsContext(t *testing.T) {
	f, err := os.Open(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	patterns, err := ignorefile.ReadAll(f)
	if e := f.Close(); err != nil || e != nil {
		t.Fatal(err, e)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var files []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", "bin", "data", "node_modules"}, d.Name()) {
			return fs.SkipDir
		}
		out, err := ignored.MatchesOrParentMatches(name)
		if err != nil || out || d.IsDir() {
			return err
		}
		files = append(files, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), text, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "deploy/") || strings.HasPrefix(name, ".") {
			t.Errorf("%s gets into the image's context", name)
		}
	}
	built := filepath.Join(dir, "nexus.out")
	compile(t, dir, built)
	again := filepath.Join(t.TempDir(), "nexus.out")
	compile(t, absolute(t, root), again)
	if read(t, built) != read(t, again) {
		t.Error("the same source makes other bytes in another place")
	}
	out, err := exec.CommandContext(t.Context(), built, "version").CombinedOutput()
	if err != nil || string(out) != "nexus v1.2.3\n" {
		t.Errorf("it says %q (%v)", out, err)
	}
}

// compile builds the program as the Dockerfile does.
func compile(t *testing.T, dir, into string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-tags", "timetzdata", "-ldflags", "-s -w -X main.released=v1.2.3", "-o", into, "./cmd/nexus")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
