package check

import (
	"context"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/rhysd/actionlint"
)

var (
	uses   = regexp.MustCompile(`(?m)uses:\s*(\S+)`)
	pinned = regexp.MustCompile(`^[\w./-]+@v\d+\.\d+\.\d+$`)
)

// Workflows reads them with actionlint, and sees to it that every action is pinned by a whole version and every script is there.
func Workflows(_ context.Context, root string) []error {
	var f findings
	const folder = ".github/workflows"
	files, err := filepath.Glob(filepath.Join(root, folder, "*.yml"))
	if err != nil || len(files) == 0 {
		f.add(folder, "has no workflows (%w)", err)
		return f.errs
	}
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		f.add(folder, "%w", err)
		return f.errs
	}
	for _, path := range files {
		name := folder + "/" + filepath.Base(path)
		text := f.read(root, name)
		// Named by its place in the repository: what it calls is looked for there.
		project, err := actionlint.NewProject(root)
		if err != nil {
			f.add(name, "%w", err)
			continue
		}
		errs, err := linter.Lint(path, text, project)
		if err != nil {
			f.add(name, "%w", err)
		}
		for _, e := range errs {
			f.add(name, "line %d: %s", e.Line, e.Message)
		}
		for _, m := range uses.FindAllStringSubmatch(string(text), -1) {
			if !strings.HasPrefix(m[1], "./") && !pinned.MatchString(m[1]) {
				f.add(name, "uses %s, which is not pinned by a whole version", m[1])
			}
		}
	}
	return f.errs
}
