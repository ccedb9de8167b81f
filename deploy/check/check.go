// Package check reads everything in the repository that no compiler reads: the image, the compose file, the manifests, the task
// definitions, the workflows, the proxy's configuration, the alerts and the dashboards. It needs no network and no cluster. Each check
// names the file and what is wrong in it, and TestPlanted shows that it would.
//
// It is a module of its own, so that what it stands on is no part of the product.
package check

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// Check looks at one kind of file below root, which is the repository's folder, and returns all that it finds wrong.
type Check struct {
	Name string
	Run  func(ctx context.Context, root string) []error
}

// Checks are all of them.
func Checks() []Check {
	return []Check{
		{"compose", Compose},
		{"dockerfile", Dockerfile},
		{"ecs", ECS},
		{"kubernetes", Kubernetes},
		{"monitoring", Monitoring},
		{"nginx", Nginx},
		{"runbooks", Runbooks},
		{"workflows", Workflows},
	}
}

// findings gathers what is wrong.
type findings struct {
	errs   []error
	source []byte // of the alerts, for those who compare with it
}

func (f *findings) add(file, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s: %w", file, fmt.Errorf(format, args...)))
}

// read returns a file, or notes why it cannot.
func (f *findings) read(root, name string) []byte {
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		f.add(name, "%w", errors.Unwrap(err))
	}
	return text
}

var variableRow = regexp.MustCompile(`(?m)^\| (NEXUS_[A-Z_]+)(\[_FILE\])? \|`)

// variables are the names that the program knows, as the README's table lists them; a test of the program holds that table to it.
func (f *findings) variables(root string) []string {
	var names []string
	for _, m := range variableRow.FindAllSubmatch(f.read(root, "README.md"), -1) {
		names = append(names, string(m[1]))
		if len(m[2]) > 0 {
			names = append(names, string(m[1])+"_FILE")
		}
	}
	if len(names) < 20 {
		f.add("README.md", "has no table of variables")
	}
	return names
}

// known notes a variable of ours that the program would only warn about.
func (f *findings) known(file, name string, variables []string) {
	if len(name) > 6 && name[:6] == "NEXUS_" && !slices.Contains(variables, name) {
		f.add(file, "sets %s, which the program does not know", name)
	}
}
