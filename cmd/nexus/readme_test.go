package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

var update = flag.Bool("update", false, "write what is generated anew: the configuration table of README.md, the list of metrics")

var tableMarks = regexp.MustCompile(`(?s)(<!-- configuration: written by go test -->\n).*?(<!-- end -->)`)

// TestReadmeTable holds the README's configuration table to the one that the program has.
func TestReadmeTable(t *testing.T) {
	const path = "../../README.md"
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !tableMarks.Match(readme) {
		t.Fatal("README.md has no place for the configuration table")
	}
	want := tableMarks.ReplaceAll(readme, []byte("${1}"+strings.ReplaceAll(table(t), "$", "$$")+"${2}"))
	if bytes.Equal(readme, want) {
		return
	}
	if !*update {
		t.Fatal("README.md's configuration table is stale; type: go test ./cmd/nexus -run ReadmeTable -update")
	}
	if err := os.WriteFile(path, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// table lists every variable of every command, those of serve first.
func table(t *testing.T) string {
	t.Helper()
	parser, err := kong.New(new(cli), kong.Name("nexus"), kong.BindTo(context.Background(), (*context.Context)(nil)))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString("| variable | flag | default | meaning |\n|---|---|---|---|\n")
	seen := make(map[string]bool)
	for _, f := range flags(parser.Model.Node) {
		for _, name := range f.Envs {
			if seen[name] {
				continue
			}
			seen[name] = true
			if slices.Contains(secretVariables, name) {
				name += "[_FILE]"
			}
			value := f.Default
			if value != "" {
				value = "`" + value + "`"
			}
			fmt.Fprintf(&out, "| %s | --%s | %s | %s |\n", name, f.Name, value, strings.ReplaceAll(f.Help, "|", "\\|"))
		}
	}
	return out.String()
}
