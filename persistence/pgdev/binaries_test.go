package pgdev

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// install makes a folder with programs that only know their version.
func install(t *testing.T, dir, version string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFindsBinaries(t *testing.T) {
	type installed map[string]string // folder below the root of the test: version
	tests := []struct {
		name string
		has  installed
		path string // folder in PATH
		need int
		want string // folder found, "" for an error
	}{
		{"PATH first", installed{"path": "15.3", "pg/17/bin": "17.1"}, "path", 0, "path"},
		{"PATH too old", installed{"path": "13.9", "pg/14/bin": "14.1"}, "path", 0, "pg/14/bin"},
		{"newest by number", installed{"pg/9/bin": "9.6.1", "pg/14/bin": "14.1", "pg/100/bin": "100.1"}, "", 0, "pg/100/bin"},
		{"beta", installed{"pg/18/bin": "18beta1 (Debian)"}, "", 0, "pg/18/bin"},
		{"the cluster's version", installed{"path": "17.1", "pg/15/bin": "15.2", "pg/16/bin": "16.1"}, "path", 15, "pg/15/bin"},
		{"the cluster's version is missing", installed{"path": "17.1"}, "path", 15, ""},
		{"only old ones", installed{"pg/13/bin": "13.1"}, "", 0, ""},
		{"none", nil, "", 0, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			for dir, version := range test.has {
				install(t, filepath.Join(root, dir), version)
			}
			dirs := candidates(filepath.Join(root, test.path), filepath.Join(root, "pg/*/bin"))
			got, err := firstUsable(t.Context(), dirs, test.need, nil)
			if test.want == "" {
				if err == nil || !strings.Contains(err.Error(), "sudo apt-get install -y postgresql") || errors.Is(err, ErrNoBinaries) != (test.need == 0) {
					t.Errorf("got %q, %v", got, err)
				}
			} else if got != filepath.Join(root, test.want) || err != nil {
				t.Errorf("got %q, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestFollowsLinksInPath(t *testing.T) {
	root := t.TempDir()
	real := install(t, filepath.Join(root, "real"), "16.1")
	if err := os.Symlink(filepath.Join(real, "initdb"), filepath.Join(root, "initdb")); err != nil {
		t.Fatal(err)
	}
	if dirs := candidates(root, ""); len(dirs) != 1 || dirs[0] != real {
		t.Errorf("candidates are %v, want %s", dirs, real)
	}
}

func TestClusterVersion(t *testing.T) {
	dir := t.TempDir()
	if v, err := clusterVersion(dir); v != 0 || err != nil {
		t.Errorf("no cluster: %d, %v", v, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, err := clusterVersion(dir); v != 15 || err != nil {
		t.Errorf("cluster of 15: %d, %v", v, err)
	}
}

func TestStartNeedsADirectory(t *testing.T) {
	if _, err := Start(context.Background(), Config{}); err == nil {
		t.Error("Start without a directory")
	}
}
