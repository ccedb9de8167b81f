package simulate

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a play is: a bar on a terminal, a plain line now and then elsewhere.
type progress struct {
	out   io.Writer
	bar   *progressbar.ProgressBar // nil for plain lines
	every int                      // steps for each plain line
	steps int
}

// newProgress shows a play of total units, or of unknown length for a negative total. Off a terminal, every
// so many steps make a line.
func newProgress(out io.Writer, total int64, every int) *progress {
	p := &progress{out: out, every: every}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(out), progressbar.OptionSetWidth(30), progressbar.OptionUseANSICodes(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish())
	}
	return p
}

// step shows that done units are behind us, and a word on where that is. What the terminal refuses is
// not worth stopping for.
func (p *progress) step(done int64, where string) {
	p.steps++
	switch {
	case p.bar != nil:
		p.bar.Describe(where)
		_ = p.bar.Set64(done)
	case p.steps%p.every == 0:
		fmt.Fprintln(p.out, where)
	}
}

// note shows a remark on a line of its own.
func (p *progress) note(remark string) {
	if p.bar != nil {
		fmt.Fprint(p.out, "\r\x1b[K") // the bar's line, which the next step draws again
	}
	fmt.Fprintln(p.out, remark)
}

// end leaves the terminal as it was.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Exit() // cosmetic, as above
		fmt.Fprintln(p.out)
	}
}
