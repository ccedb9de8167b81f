package main

import (
	"bytes"
	"go/ast"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// imports are the import rules of ARCHITECTURE.md: what is below a folder imports nothing of what it must not. They
// hold for tests too. A name stands for the package and all below it.
var imports = []importRule{
	{in: "actors", not: []string{"nexus/transport", "nexus/persistence", "nexus/cluster", "nexus/cmd", "nexus/migrations", fiberModule, fasthttp, pgxModule, sqlPackage, redisModule}},
	{in: "cluster", not: []string{"nexus/transport", "nexus/persistence", "nexus/cmd", "nexus/migrations", fiberModule, fasthttp, pgxModule, sqlPackage}},
	{in: "persistence", not: []string{"nexus/transport", "nexus/cluster", "nexus/cmd", protoactor, fiberModule, fasthttp}},
	{in: "transport", not: []string{"nexus/persistence", "nexus/migrations", "nexus/cmd", pgxModule, sqlPackage}},
	{in: "migrations", not: []string{"nexus"}},
	{in: "deploy", not: []string{"nexus"}}, // a module of its own
	{in: "cmd/nexus/simulate", not: []string{"nexus/transport", "nexus/persistence", "nexus/cluster", "nexus/actors"}}, // a client like any other
	{in: ".", only: true, not: []string{"nexus"}},
	{in: "", not: []string{genai}, but: "actors/ai/gemini.go"},
}

const (
	fiberModule = "github.com/gofiber"
	fasthttp    = "github.com/valyala/fasthttp"
	pgxModule   = "github.com/jackc"
	sqlPackage  = "database/sql"
	redisModule = "github.com/redis"
	protoactor  = "github.com/asynkron/protoactor-go"
	genai       = "google.golang.org/genai"
)

// exceptions are edges, written as "persistence/pg -> nexus/transport/auth", that stand for now although a rule forbids
// them, each with its reason. One that nothing needs any more is an error.
var exceptions = map[string]string{}

// TestHouse holds the whole tree to the rules.
func TestHouse(t *testing.T) {
	tree, err := parseTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.files) < 100 || tree.packages["actors/grain"] == nil {
		t.Fatalf("only %d files were read: this is not the whole house", len(tree.files))
	}
	used := make(map[string]bool)
	for _, p := range check(tree) {
		if _, known := exceptions[p.edge]; known {
			used[p.edge] = true
			continue
		}
		t.Error(p)
	}
	for edge := range exceptions {
		if !used[edge] {
			t.Errorf("the exception %q is not needed any more: remove it", edge)
		}
	}
}

// TestArchitectureNamesRealTests: a promise with a test that is gone is no promise. It holds for what else names tests, too.
func TestArchitectureNamesRealTests(t *testing.T) {
	tree, err := parseTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ARCHITECTURE.md", "SECURITY.md", "docs/backup.md"} {
		named, gone := namedTests(tree, name)
		if len(named) == 0 {
			t.Errorf("%s names no test", name)
		}
		for _, n := range gone {
			t.Errorf("%s names %s, which is not there", name, n)
		}
	}
}

// TestEveryBoundaryIsGuarded: a line of the threat model without a test is a hope.
func TestEveryBoundaryIsGuarded(t *testing.T) {
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (.+?) \| .+ \| .+ \| (.+) \|$`).FindAllSubmatch(text, -1)
	for _, row := range rows {
		if string(row[1]) != "boundary" && !bytes.Contains(row[2], []byte("`Test")) {
			t.Errorf("nothing guards %s", row[1])
		}
	}
	if len(rows) < 15 {
		t.Errorf("only %d boundaries were read", len(rows))
	}
}

// namedTests returns the tests that a text names, and those of them that are not in the tree.
func namedTests(tree *tree, name string) (named, gone []string) {
	there := make(map[string]bool)
	for _, f := range tree.files {
		for _, d := range f.Decls {
			if d, ok := d.(*ast.FuncDecl); ok {
				there[d.Name.Name] = true
			}
		}
	}
	for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+)`").FindAllSubmatch(tree.texts[name], -1) {
		if named = append(named, string(m[1])); !there[string(m[1])] {
			gone = append(gone, string(m[1]))
		}
	}
	return named, gone
}

// TestANamedTestThatIsGoneIsFound plants one.
func TestANamedTestThatIsGoneIsFound(t *testing.T) {
	tree, err := parseTree(fstest.MapFS{
		"SECURITY.md": {Data: []byte("| a - b | x | y | `TestThere`, `TestGone`, `FuzzGone` |")},
		"a_test.go":   {Data: []byte("package a\nfunc TestThere() {}")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if named, gone := namedTests(tree, "SECURITY.md"); len(named) != 3 || !slices.Equal(gone, []string{"TestGone", "FuzzGone"}) {
		t.Errorf("named %v, gone %v", named, gone)
	}
}

// TestPlanted plants one violation at a time: a checker that finds nothing proves nothing.
func TestPlanted(t *testing.T) {
	const grain = "// Package poll is a kind.\npackage poll\n"
	for _, c := range []struct{ name, path, source, want string }{
		{"nothing", "actors/poll/grain.go", grain + `import "nexus/actors/grain"; var _ grain.Ref`, ""},
		{"actor and transport", "actors/poll/grain.go", grain + `import _ "nexus/transport/live"`, "imports nexus/transport/live"},
		{"actor and SQL", "actors/poll/store.go", grain + `import _ "github.com/jackc/pgx/v5"`, "imports github.com/jackc/pgx/v5"},
		{"actor's test and persistence", "actors/poll/grain_test.go", grain + `import _ "nexus/persistence/pg"`, "imports nexus/persistence/pg"},
		{"a name that only begins alike", "actors/poll/grain.go", grain + `import _ "nexus/transportation"`, ""},
		{"kind and kind", "actors/poll/grain.go", grain + `import _ "nexus/actors/mess"`, "a kind imports the kind mess"},
		{"kind and its own folder", "actors/poll/grain.go", grain + `import _ "nexus/actors/poll/polltest"`, ""},
		{"persistence and actor system", "persistence/pg/a.go", "// Package pg stores.\npackage pg\n" + `import _ "github.com/asynkron/protoactor-go/actor"`, "imports github.com/asynkron"},
		{"transport and persistence", "transport/rest/a.go", "// Package rest serves.\npackage rest\n" + `import _ "nexus/persistence/pg"`, "imports nexus/persistence/pg"},
		{"root and ours", "errors.go", "// Package nexus speaks.\npackage nexus\n" + `import _ "nexus/cluster"`, "imports nexus/cluster"},
		{"genai elsewhere", "actors/ai/pool.go", "// Package ai asks.\npackage ai\n" + `import _ "google.golang.org/genai"`, "imports google.golang.org/genai"},
		{"genai in its place", "actors/ai/gemini.go", "// Package ai asks.\npackage ai\n" + `import _ "google.golang.org/genai"`, ""},
		{"state with context", "actors/poll/state.go", grain + `import _ "context"`, "state.go imports context"},
		{"state with actors", "actors/poll/state.go", grain + `import _ "github.com/asynkron/protoactor-go/actor"`, "state.go imports github.com/asynkron"},
		{"state with a clock", "actors/poll/state.go", grain + `import "time"; var _ = time.Now()`, "state.go reads a clock"},
		{"state with a clock by another name", "actors/poll/state.go", grain + `import t "time"; var _ = t.Since(t.Time{})`, "state.go reads a clock"},
		{"state with a duration", "actors/poll/state.go", grain + `import "time"; var _ = time.Second`, ""},
		{"no package comment", "actors/poll/grain.go", "package poll", "has no doc comment"},
		{"no function comment", "actors/poll/grain.go", grain + "func Vote() {}", "Vote has no doc comment"},
		{"no method comment", "actors/poll/grain.go", grain + "// T is.\ntype T[X any] struct{}\nfunc (*T[X]) Vote() {}", "T.Vote has no doc comment"},
		{"method of a private type", "actors/poll/grain.go", grain + "type t struct{}\nfunc (t) Vote() {}", ""},
		{"no constant comment", "actors/poll/grain.go", grain + "const Most = 3", "Most has no doc comment"},
		{"one comment for a group", "actors/poll/grain.go", grain + "// Bounds.\nconst (\nMost = 3\nLeast = 1\n)", ""},
		{"generated", "actors/poll/a.pb.go", "// Code generated by hand. DO NOT EDIT.\n\n" + grain + "func Vote() {}", ""},
		{"sleep in a test", "actors/poll/grain_test.go", grain + `import "time"; func wait() { time.Sleep(time.Second) }`, "sleeps"},
		{"sleep in a bubble", "actors/poll/grain_test.go", grain + `import ("time"; "testing"; "testing/synctest")
			func TestA(t *testing.T) { synctest.Test(t, func(*testing.T) { time.Sleep(time.Second) }) }`, ""},
		{"skipped test", "actors/poll/grain_test.go", grain + `import "testing"; func TestA(t *testing.T) { t.Skip() }`, "skips"},
		{"left to do", "actors/poll/grain.go", grain + "// " + "TO" + "DO: all of it\n", "leaves something to do"},
		{"a registry", "README.md", "see https://registry." + "npmjs.org/x", "names a registry"},
		{"a path of one machine", "Makefile", "x:\n\t/ro" + "ot/go/bin/y", "names a path of one machine"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, err := parseTree(fstest.MapFS{c.path: {Data: []byte(c.source)}})
			if err != nil {
				t.Fatal(err)
			}
			found := check(tree)
			if c.want == "" && len(found) > 0 || c.want != "" && len(found) != 1 {
				t.Fatalf("found %v, want %q", found, c.want)
			}
			if c.want != "" && (!strings.Contains(found[0].String(), c.want) || !strings.HasPrefix(found[0].String(), c.path)) {
				t.Errorf("found %v, want %q at %s", found[0], c.want, c.path)
			}
		})
	}
}

// TestRulesAreKnown sees to it that every top-level folder with Go in it has a rule.
func TestRulesAreKnown(t *testing.T) {
	tree, err := parseTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for dir := range tree.packages {
		top, _, _ := strings.Cut(dir, "/")
		if top != "cmd" && !slices.ContainsFunc(imports, func(r importRule) bool { return r.in == top }) {
			t.Errorf("%s: the folder %s has no import rule", dir, top)
		}
	}
}
