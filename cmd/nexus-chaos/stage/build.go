package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Build builds nexus as this module has it.
func Build(ctx context.Context, binary string) error {
	return build(ctx, "-o", binary, "nexus/cmd/nexus")
}

// grafts are the lines of cluster/node.go at which the next version differs: what is written before each is where it begins.
var grafts = []struct{ line, before string }{
	{"\tif cfg.MaxCalls == 0 {\n", "\tcfg = next(cfg)\n"},
	{"\tn.loops.Go(func() { n.keep(ctx) })\n", "\tn.loops.Go(func() { n.next(ctx) })\n"},
}

// BuildNext builds what the next version may be: this one, and the message type and the kind of grain of the folder next.
// The module's own files stay as they are: the compiler is shown others in the place of some.
func BuildNext(ctx context.Context, binary string) error {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "nexus").Output()
	if err != nil {
		return fmt.Errorf("find the module: %w", err)
	}
	at := func(path string) string {
		return filepath.Join(strings.TrimSpace(string(root)), filepath.FromSlash(path))
	}
	source, err := os.ReadFile(at("cluster/node.go"))
	if err != nil {
		return err
	}
	text := string(source)
	for _, g := range grafts {
		if strings.Count(text, g.line) != 1 {
			return fmt.Errorf("cluster/node.go is not what it was: %q is not there once", strings.TrimSpace(g.line))
		}
		text = strings.Replace(text, g.line, g.before+g.line, 1)
	}
	node := binary + ".node.go"
	if err := os.WriteFile(node, []byte(text), 0o644); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{
		at("cluster/node.go"): node,
		at("cluster/next.go"): at("cmd/nexus-chaos/next/next.go"),
	}})
	if err != nil {
		return err
	}
	if err := os.WriteFile(binary+".overlay.json", overlay, 0o644); err != nil {
		return err
	}
	return build(ctx, "-tags", "next", "-overlay", binary+".overlay.json", "-o", binary, "nexus/cmd/nexus")
}

func build(ctx context.Context, args ...string) error {
	if out, err := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...).CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
