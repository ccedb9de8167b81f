package check

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheNodesOfComposeAreConfigured starts the program with a node's variables and the secrets that the script makes: it takes them all, with
// no word of one that it does not know, and misses nothing but the database, which is named as in the network of the containers.
func TestTheNodesOfComposeAreConfigured(t *testing.T) {
	var f findings
	project := f.project(t.Context(), absolute(t, root))
	if project == nil {
		t.Fatal(f.errs)
	}
	dir := t.TempDir()
	if out, err := exec.Command(filepath.Join(absolute(t, root), "deploy/compose/secrets.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"node1", "node2", "node3"} {
		cmd := exec.Command(nexus(t))
		cmd.Dir = dir
		for _, kv := range os.Environ() {
			if !strings.HasPrefix(kv, "NEXUS_") {
				cmd.Env = append(cmd.Env, kv)
			}
		}
		for variable, value := range project.Services[name].Environment {
			text := *value
			if secret, ok := strings.CutPrefix(text, "/run/secrets/"); ok {
				text = filepath.Join(dir, filepath.Base(project.Secrets[secret].File))
			}
			cmd.Env = append(cmd.Env, variable+"="+text)
		}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "open the database") || strings.Contains(string(out), "does not know") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}
