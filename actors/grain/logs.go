package grain

import (
	"context"
	"log/slog"
)

// logs is the handler of an activation's log. It puts the grain's kind and id on what is logged only then: a logger that has them from the
// beginning costs an activation 200 bytes, and most never log.
type logs struct{ of *host }

func (l logs) named() slog.Handler {
	return l.of.env.Log.Handler().WithAttrs([]slog.Attr{slog.String("kind", l.of.kind.Name), slog.String("grain", l.of.ctx.ID)})
}

// Enabled implements slog.Handler, as do the others.
func (l logs) Enabled(ctx context.Context, level slog.Level) bool {
	return l.of.env.Log.Enabled(ctx, level)
}

// Handle logs.
func (l logs) Handle(ctx context.Context, r slog.Record) error { return l.named().Handle(ctx, r) }

// WithAttrs adds what every line is to say.
func (l logs) WithAttrs(attrs []slog.Attr) slog.Handler { return l.named().WithAttrs(attrs) }

// WithGroup opens a group.
func (l logs) WithGroup(name string) slog.Handler { return l.named().WithGroup(name) }
