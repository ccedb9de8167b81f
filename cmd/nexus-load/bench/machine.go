package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// machine is what figures depend on.
func machine(ctx context.Context) ([]string, error) {
	facts := []string{fmt.Sprintf("%d cores", runtime.NumCPU())}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil { // on Linux
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "model name"); ok {
				facts[0] += " of " + strings.TrimSpace(strings.TrimLeft(name, "\t :"))
				break
			}
		}
	}
	for _, tool := range [][]string{{"uname", "-sr"}, {"node", "--version"}} {
		out, err := exec.CommandContext(ctx, tool[0], tool[1:]...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(tool, " "), err)
		}
		fact := strings.TrimSpace(string(out))
		if tool[0] == "node" {
			fact = "Node " + fact
		}
		facts = append(facts, fact)
	}
	return append(facts, runtime.Version()), nil
}
