package main

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// importRule forbids imports to everything below a folder; in "" is everywhere.
type importRule struct {
	in   string
	not  []string
	only bool   // of the folder itself, not of those below
	but  string // the one file that may
}

// tree is the house as it was read: its Go, and all its text.
type tree struct {
	set      *token.FileSet
	files    map[string]*ast.File
	packages map[string][]string // files by folder
	texts    map[string][]byte
}

// problem is a broken rule. An edge names a forbidden import by its ends.
type problem struct{ where, what, edge string }

// String implements fmt.Stringer.
func (p problem) String() string { return p.where + ": " + p.what }

// parseTree reads every file that belongs to the house.
func parseTree(fsys fs.FS) (*tree, error) {
	t := &tree{set: token.NewFileSet(), files: map[string]*ast.File{}, packages: map[string][]string{}, texts: map[string][]byte{}}
	return t, fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "bin", "data", "dist", "node_modules", "testdata"}, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular(), d.Name() == ".git": // a worktree has a file of that name
			return nil
		}
		source, err := fs.ReadFile(fsys, name)
		if err != nil || bytes.IndexByte(source, 0) >= 0 {
			return err
		}
		t.texts[name] = source
		if path.Ext(name) != ".go" {
			return nil
		}
		t.files[name], err = parser.ParseFile(t.set, name, source, parser.ParseComments)
		t.packages[path.Dir(name)] = append(t.packages[path.Dir(name)], name)
		return err
	})
}

// check returns every broken rule, in order of place.
func check(t *tree) []problem {
	var c checker
	for name, f := range t.files {
		c.file, c.set = name, t.set
		c.imports(f)
		if path.Base(name) == "state.go" {
			c.pure(f)
		}
		if strings.HasSuffix(name, "_test.go") {
			c.test(f)
		}
		if !ast.IsGenerated(f) && !strings.HasSuffix(name, "_test.go") {
			c.documented(f)
		}
		c.finished(f)
	}
	for _, files := range t.packages {
		c.packageDocumented(t, files)
	}
	for name, text := range t.texts {
		c.file = name
		c.places(text)
	}
	slices.SortFunc(c.found, func(a, b problem) int {
		return cmp.Or(strings.Compare(a.where, b.where), strings.Compare(a.what, b.what))
	})
	return c.found
}

type checker struct {
	set   *token.FileSet
	file  string
	found []problem
}

func (c *checker) report(at ast.Node, format string, args ...any) {
	c.found = append(c.found, problem{where: fmt.Sprintf("%s:%d", c.file, c.set.Position(at.Pos()).Line), what: fmt.Sprintf(format, args...)})
}

// below reports whether a slash-separated name is that of a folder, or lies below it.
func below(name, folder string) bool {
	return folder == "" || name == folder || strings.HasPrefix(name, folder+"/")
}

func imported(s *ast.ImportSpec) string {
	name, err := strconv.Unquote(s.Path.Value)
	if err != nil {
		panic(err) // it was parsed
	}
	return name
}

func (c *checker) imports(f *ast.File) {
	dir := path.Dir(c.file)
	for _, s := range f.Imports {
		name := imported(s)
		for _, r := range imports {
			if r.but == c.file || r.only && dir != r.in || !r.only && !below(dir, r.in) {
				continue
			}
			if slices.ContainsFunc(r.not, func(not string) bool { return below(name, not) }) {
				c.report(s, "imports %s", name)
				c.found[len(c.found)-1].edge = dir + " -> " + name
			}
		}
		if from, to := kind(dir), kind(strings.TrimPrefix(name, "nexus/")); from != "" && to != "" && from != to {
			c.report(s, "a kind imports the kind %s; they meet in actors/grain alone", to)
		}
	}
}

// kind names the kind of grain that a folder belongs to: "mess" for actors/mess and all below.
func kind(dir string) string {
	rest, ok := strings.CutPrefix(dir, "actors/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || name == "grain" {
		return ""
	}
	return name
}

// pure holds for the rules of a grain: what they say depends on their arguments alone.
func (c *checker) pure(f *ast.File) {
	clock := ""
	for _, s := range f.Imports {
		name := imported(s)
		if name == "context" || below(name, protoactor) {
			c.report(s, "state.go imports %s", name)
		}
		if name == "time" {
			clock = "time"
			if s.Name != nil {
				clock = s.Name.Name
			}
		}
	}
	reads := []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}
	selections(f, func(x string, s *ast.SelectorExpr) {
		if clock != "" && x == clock && slices.Contains(reads, s.Sel.Name) {
			c.report(s, "state.go reads a clock: %s.%s", x, s.Sel.Name)
		}
	})
}

// test holds for tests: they wait for events and not for time, and run always.
func (c *checker) test(f *ast.File) {
	bubble := slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return imported(s) == "testing/synctest" })
	selections(f, func(x string, s *ast.SelectorExpr) {
		switch {
		case x == "time" && s.Sel.Name == "Sleep" && !bubble:
			c.report(s, "a test sleeps outside of testing/synctest")
		case slices.Contains([]string{"t", "b", "tb", "f"}, x) && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name):
			c.report(s, "a test skips itself")
		}
	})
}

// selections visits every x.Name of which x is a plain name.
func selections(f *ast.File, visit func(x string, s *ast.SelectorExpr)) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				visit(x.Name, s)
			}
		}
		return true
	})
}

// documented holds for every exported name outside of tests and generated code.
func (c *checker) documented(f *ast.File) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			owner := ""
			if d.Recv != nil {
				if owner = receiver(d.Recv.List[0].Type); !ast.IsExported(owner) {
					continue
				}
				owner += "."
			}
			if d.Name.IsExported() && d.Doc == nil {
				c.report(d, "%s%s has no doc comment", owner, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				c.specDocumented(d, s)
			}
		}
	}
}

// specDocumented takes a comment of the whole group, above the name, or behind it.
func (c *checker) specDocumented(d *ast.GenDecl, s ast.Spec) {
	var names []*ast.Ident
	doc := d.Doc
	switch s := s.(type) {
	case *ast.TypeSpec:
		names, doc = []*ast.Ident{s.Name}, cmp.Or(doc, s.Doc, s.Comment)
	case *ast.ValueSpec:
		names, doc = s.Names, cmp.Or(doc, s.Doc, s.Comment)
	}
	for _, n := range names {
		if n.IsExported() && doc == nil {
			c.report(n, "%s has no doc comment", n.Name)
		}
	}
}

// receiver is the name of the type of a method: T for T, *T and *T[X].
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	default:
		return ""
	}
}

// packageDocumented wants one comment of the package, tests aside.
func (c *checker) packageDocumented(t *tree, files []string) {
	files = slices.DeleteFunc(slices.Sorted(slices.Values(files)), func(name string) bool {
		return strings.HasSuffix(name, "_test.go") || ast.IsGenerated(t.files[name])
	})
	if len(files) > 0 && !slices.ContainsFunc(files, func(name string) bool { return t.files[name].Doc != nil }) {
		c.file = files[0]
		c.report(t.files[files[0]], "package %s has no doc comment", t.files[files[0]].Name.Name)
	}
}

var toDo = regexp.MustCompile(`\b(TODO|FIXME|XXX)\b`)

// finished holds for comments: what is not done is not there.
func (c *checker) finished(f *ast.File) {
	for _, g := range f.Comments {
		if toDo.MatchString(g.Text()) {
			c.report(g, "leaves something to do")
		}
	}
}

// The words are put together so that this file may hold them.
var (
	registries  = regexp.MustCompile(`\b(registry\.` + `npmjs\.org|proxy\.` + `golang\.org|sum\.` + `golang\.org|deb\.` + `debian\.org|pypi\.` + `org)\b`)
	thisMachine = regexp.MustCompile(`(^|[\s"'=:(])/(ro` + `ot|wo` + `rk)/`)
)

// places holds for all text: it must mean the same on every machine.
func (c *checker) places(text []byte) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		where := fmt.Sprintf("%s:%d", c.file, i+1)
		if registries.Match(line) {
			c.found = append(c.found, problem{where: where, what: "names a registry's host"})
		}
		if thisMachine.Match(line) {
			c.found = append(c.found, problem{where: where, what: "names a path of one machine"})
		}
	}
}
