package load

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// screen shows a bar on a terminal, and lines alone elsewhere.
type screen struct {
	lines io.Writer
	bars  *os.File // nil without a terminal
	bar   *progressbar.ProgressBar
}

// Screen is a Show that says its lines to lines, and draws bars if that is where bars end at a terminal.
func Screen(lines io.Writer, bars *os.File) Show {
	s := &screen{lines: lines}
	if term.IsTerminal(int(bars.Fd())) {
		s.bars = bars
	}
	return s
}

func (s *screen) Phase(name string, total int) {
	if s.bars == nil {
		return
	}
	s.end()
	s.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(s.bars), progressbar.OptionSetDescription(name), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionShowCount(), progressbar.OptionClearOnFinish())
}

// Done moves the bar. What the terminal refuses is not worth stopping for.
func (s *screen) Done(n int) {
	if s.bar != nil {
		_ = s.bar.Set(n)
	}
}

func (s *screen) Say(line string) {
	s.end()
	fmt.Fprintln(s.lines, line)
}

func (s *screen) end() {
	if s.bar != nil {
		_ = s.bar.Clear() // cosmetic, as above
		s.bar = nil
	}
}
