package check

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/solver/pb"
	"github.com/opencontainers/go-digest"
)

const dockerfile = "deploy/image/Dockerfile"

// Dockerfile reads the image's recipe with all rules of `docker build --check`, and holds it to what the image promises.
func Dockerfile(ctx context.Context, root string) []error {
	var f findings
	text := f.read(root, dockerfile)
	if len(f.errs) > 0 {
		return f.errs
	}
	source := llb.NewSourceMap(nil, dockerfile, "Dockerfile", text)
	source.Definition = new(llb.Definition)
	results, err := dockerfile2llb.DockerfileLint(ctx, text, dockerfile2llb.ConvertOpt{
		MetaResolver: nowhere{}, SourceMap: source,
	})
	if err != nil {
		f.add(dockerfile, "%w", err)
		return f.errs
	}
	if results.Error != nil {
		f.add(dockerfile, "line %d: %s", line(&results.Error.Location), results.Error.Message)
	}
	for _, w := range results.Warnings {
		f.add(dockerfile, "line %d: %s: %s", line(w.Location), w.RuleName, w.Detail)
	}
	f.lastStage(root, text)
	return f.errs
}

func line(l *pb.Location) int32 {
	if l == nil || len(l.GetRanges()) == 0 {
		return 0
	}
	return l.GetRanges()[0].GetStart().GetLine()
}

// nowhere answers for every base image that it is an empty one, so that no registry is asked.
type nowhere struct{}

// ResolveImageConfig implements llb.ImageMetaResolver.
func (nowhere) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	return ref, "", []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/go/bin:/usr/bin:/bin"]}}`), nil
}

// lastStage is what runs: of nobody, with a health check, and with variables that the program knows.
func (f *findings) lastStage(root string, text []byte) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return // said already
	}
	seen, stages := map[string]string{}, []string{}
	for _, n := range parsed.AST.Children {
		word := strings.ToUpper(n.Value)
		if word == "FROM" {
			clear(seen)
			stages = append(stages, lastWord(n.Original))
		}
		for _, flag := range n.Flags { // Docker would look for an image of that name
			if stage, ok := strings.CutPrefix(flag, "--from="); ok && !slices.Contains(stages, stage) {
				f.add(dockerfile, "line %d: copies from %s, and there is no stage %s", n.StartLine, stage, stage)
			}
		}
		seen[word] = strings.TrimSpace(n.Original)
		if word == "ENV" {
			for v := n.Next; v != nil && v.Next != nil && v.Next.Next != nil; v = v.Next.Next.Next {
				f.known(dockerfile, v.Value, f.variables(root))
			}
		}
	}
	for _, c := range []struct{ word, is string }{
		{"FROM", "FROM scratch"}, {"USER", "USER 65532:65532"}, {"ENTRYPOINT", `ENTRYPOINT ["/nexus"]`}, {"STOPSIGNAL", "STOPSIGNAL SIGTERM"},
	} {
		if seen[c.word] != c.is {
			f.add(dockerfile, "the last stage has %q, want %q", seen[c.word], c.is)
		}
	}
	if !strings.HasSuffix(seen["HEALTHCHECK"], `CMD ["/nexus", "health"]`) {
		f.add(dockerfile, "the last stage does not ask /nexus health how it is: %q", seen["HEALTHCHECK"])
	}
}

func lastWord(s string) string {
	words := strings.Fields(s)
	return words[len(words)-1]
}
