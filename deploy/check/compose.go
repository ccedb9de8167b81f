package check

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

const composeFile = "docker-compose.yml"

// Compose loads the compose file as docker compose does, and holds it to the program: variables that it knows, secrets that the script
// makes, bounds for every service that stays.
func Compose(ctx context.Context, root string) []error {
	var f findings
	project := f.project(ctx, root)
	if project == nil {
		return f.errs
	}
	variables, made := f.variables(root), f.secrets(ctx, root)
	for name, secret := range project.Secrets {
		if !made[filepath.Base(secret.File)] {
			f.add(composeFile, "the secret %s is %s, which deploy/compose/secrets.sh does not make", name, secret.File)
		}
	}
	for _, s := range project.Services {
		for name, value := range s.Environment {
			f.known(composeFile, name, variables)
			if value != nil && strings.HasSuffix(name, "_FILE") {
				f.granted(s, name, *value)
			}
		}
		for _, v := range s.Volumes {
			if _, err := os.Stat(v.Source); v.Type == types.VolumeTypeBind && err != nil {
				f.add(composeFile, "%s mounts %s, which is not there", s.Name, v.Source)
			}
		}
		if s.Deploy == nil || s.Deploy.Resources.Limits == nil || s.Deploy.Resources.Limits.MemoryBytes == 0 {
			f.add(composeFile, "%s may use all memory", s.Name)
		}
		if s.Restart == "" {
			continue // runs once
		}
		if s.HealthCheck == nil {
			f.add(composeFile, "%s has no health check", s.Name)
		}
		if s.StopGracePeriod == nil {
			f.add(composeFile, "%s has no time to end", s.Name)
		}
	}
	return f.errs
}

// granted notes a file that the service reads and has not been given.
func (f *findings) granted(s types.ServiceConfig, variable, path string) {
	for _, secret := range s.Secrets {
		if path == "/run/secrets/"+secret.Source {
			return
		}
	}
	f.add(composeFile, "%s reads %s from %s, and has no such secret", s.Name, variable, path)
}

// project is the compose file with its schema checked, its names looked up and its conditions resolved.
func (f *findings) project(ctx context.Context, root string) *types.Project {
	options, err := cli.NewProjectOptions([]string{filepath.Join(root, composeFile)}, cli.WithWorkingDirectory(root), cli.WithDiscardEnvFile)
	if err != nil {
		f.add(composeFile, "%w", err)
		return nil
	}
	project, err := options.LoadProject(ctx)
	if err != nil {
		f.add(composeFile, "%w", err)
		return nil
	}
	return project
}

// secrets runs the script in a folder of its own and lists what it made.
func (f *findings) secrets(ctx context.Context, root string) map[string]bool {
	const script = "deploy/compose/secrets.sh"
	dir, err := os.MkdirTemp("", "secrets")
	if err != nil {
		f.add(script, "%w", err)
		return nil
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if out, err := exec.CommandContext(ctx, filepath.Join(root, script), dir).CombinedOutput(); err != nil {
		f.add(script, "%w: %s", err, out)
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		f.add(script, "%w", err)
	}
	made := make(map[string]bool)
	for _, e := range entries {
		made[e.Name()] = true
	}
	return made
}
