package check

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cloud is a folder that the programs in testdata take for AWS or a cluster.
type cloud struct {
	t   *testing.T
	dir string
}

func newCloud(t *testing.T, files map[string]string) cloud {
	t.Helper()
	c := cloud{t, t.TempDir()}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// read is what became of one of its files; what is not there is empty.
func (c cloud) read(name string) string {
	c.t.Helper()
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// run runs a script of the repository in it and returns its status and what it said.
func (c cloud) run(variables []string, script string, args ...string) (int, string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), filepath.Join(absolute(c.t, root), script), args...)
	cmd.Env = append(append(os.Environ(), "PATH="+absolute(c.t, "testdata")+":"+os.Getenv("PATH"), "CLOUD="+c.dir), variables...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// settings are all variables of deploy/ecs.
func settings(more ...string) []string {
	return append([]string{
		"NEXUS_CLUSTER=campus", "NEXUS_SERVICE=nexus", "NEXUS_FAMILY=nexus", "NEXUS_EXECUTION_ROLE=arn:execution", "NEXUS_TASK_ROLE=arn:task-role",
		"NEXUS_SECRETS=arn:secrets", "NEXUS_SEEDS=nodes.campus.local:7946", "NEXUS_BALANCER_SUBNETS=10.0.0.0/24,10.0.1.0/24", "NEXUS_ORIGIN=https://campus.example",
		"NEXUS_TARGET_GROUP=arn:group:nexus", "NEXUS_URL=https://campus.example", "AWS_REGION=eu-central-1", "NEXUS_LISTENER=arn:listener",
		"NEXUS_BLUE_SERVICE=blue", "NEXUS_GREEN_SERVICE=green", "NEXUS_BLUE_TARGET_GROUP=arn:group:blue", "NEXUS_GREEN_TARGET_GROUP=arn:group:green", "NEXUS_SOAK=0",
	}, more...)
}

// TestRolling: whatever goes wrong, the service runs in the end what it ran before, and the status says so.
func TestRolling(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fault  string
		status int
		runs   string
		says   string
	}{
		{"", 0, "arn:task:new", "registry.example/nexus@sha256:1 serves"},
		{"unstable", 1, "arn:task:old", "the old one serves again"},
		{"unhealthy", 1, "arn:task:old", "the old one serves again"},
		{"deaf", 1, "arn:task:old", "does not answer"},
		{"breaker", 1, "arn:task:old", "the old one serves again"},
		{"stuck", 2, "arn:task:old", "DOES NOT SERVE EITHER"},
	} {
		t.Run("fault "+c.fault, func(t *testing.T) {
			t.Parallel()
			cloud := newCloud(t, map[string]string{"service.nexus": "arn:task:old\n"})
			status, said := cloud.run(settings("FAULT="+c.fault), "deploy/ecs/rolling.sh", "registry.example/nexus@sha256:1")
			if status != c.status || cloud.read("service.nexus") != c.runs || !strings.Contains(said, c.says) {
				t.Errorf("status %d, runs %s, said %s", status, cloud.read("service.nexus"), said)
			}
			if task := cloud.read("task.json"); !strings.Contains(task, `"registry.example/nexus@sha256:1"`) || !strings.Contains(task, `"arn:secrets:jwt-secret::"`) {
				t.Errorf("registered %s", task)
			}
		})
	}
}

// TestBlueGreen: the balancer goes over in steps, and all the way back when one of them fails.
func TestBlueGreen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fault, heavier string
		status               int
		weights              string // blue/green, in order
		old, new             string // counts of blue and green in the end
		says                 string
	}{
		{"to green", "", "blue", 0, "90/10\n50/50\n0/100", "0", "3", "serves as green"},
		{"to blue", "", "green", 0, "10/90\n50/50\n100/0", "3", "0", "serves as blue"},
		{"never stable", "unstable", "blue", 1, "100/0", "", "0", "blue has all traffic"},
		{"ill", "unhealthy", "blue", 1, "100/0", "", "0", "blue has all traffic"},
		{"deaf at the first step", "deaf", "blue", 1, "90/10\n100/0", "", "0", "blue has all traffic"},
		{"deaf on the way back to blue", "deaf", "green", 1, "10/90\n0/100", "0", "", "green has all traffic"},
		{"something else", "", "red", 1, "", "", "", "neither blue nor green"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cloud := newCloud(t, map[string]string{"service.blue": "arn:task:old\n", "service.green": "arn:task:older\n", "heavier": "arn:group:" + c.heavier + "\n"})
			status, said := cloud.run(settings("FAULT="+c.fault), "deploy/ecs/bluegreen.sh", "registry.example/nexus@sha256:1")
			if status != c.status || cloud.read("weights") != c.weights || !strings.Contains(said, c.says) {
				t.Errorf("status %d, weights %q, said %s", status, cloud.read("weights"), said)
			}
			if blue, green := cloud.read("count.blue"), cloud.read("count.green"); blue != c.old || green != c.new {
				t.Errorf("%q blue and %q green nodes are wanted, want %q and %q", blue, green, c.old, c.new)
			}
		})
	}
}

// TestABalancerThatCannotBePutBackIsCriedOut: the one case in which a script cannot help.
func TestABalancerThatCannotBePutBackIsCriedOut(t *testing.T) {
	t.Parallel()
	cloud := newCloud(t, map[string]string{"service.blue": "arn:task:old\n", "service.green": "arn:task:older\n", "heavier": "arn:group:blue\n", "turns": "x\n"})
	status, said := cloud.run(settings("FAULT=forbidden"), "deploy/ecs/bluegreen.sh", "registry.example/nexus@sha256:1")
	if status != 2 || !strings.Contains(said, "COULD NOT BE PUT BACK") {
		t.Errorf("status %d, said %s", status, said)
	}
}

// TestMissingVariablesAreNamed before anything is touched.
func TestMissingVariablesAreNamed(t *testing.T) {
	t.Parallel()
	for script, says := range map[string]string{
		"deploy/ecs/rolling.sh": "set NEXUS_CLUSTER NEXUS_TARGET_GROUP", "deploy/ecs/bluegreen.sh": "set NEXUS_CLUSTER NEXUS_LISTENER",
	} {
		cloud := newCloud(t, nil)
		status, said := cloud.run([]string{"NEXUS_SERVICE=nexus", "NEXUS_URL=https://campus.example"}, script, "image")
		if status != 1 || !strings.Contains(said, says) || cloud.read("log") != "" {
			t.Errorf("%s: status %d, said %s, did %s", script, status, said, cloud.read("log"))
		}
	}
}

// TestKubernetesDeploy: what does not get ready is taken back.
func TestKubernetesDeploy(t *testing.T) {
	t.Parallel()
	image := "registry.example/campus/nexus@sha256:" + strings.Repeat("a", 64)
	for _, c := range []struct {
		name, fault, revision, image string
		status                       int
		runs, says                   string
	}{
		{"all is well", "", "7", image, 0, "new", "serves"},
		{"not ready", "unready", "7", image, 1, "old", "revision 7 serves again"},
		{"refused manifests", "refused", "7", image, 1, "old", "revision 7 serves again"},
		{"nothing works", "stuck", "7", image, 2, "old", "DOES NOT SERVE EITHER"},
		{"the first one fails", "unready", "", image, 2, "new", "NOTHING WAS THERE BEFORE"},
		{"an image that may change", "", "7", "registry.example/nexus:v1", 1, "", "usage"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cloud := newCloud(t, map[string]string{"revision": c.revision})
			status, said := cloud.run([]string{"FAULT=" + c.fault}, "deploy/kubernetes/deploy.sh", "production", c.image)
			if status != c.status || cloud.read("running") != c.runs || !strings.Contains(said, c.says) {
				t.Errorf("status %d, runs %q, said %s", status, cloud.read("running"), said)
			}
		})
	}
}
