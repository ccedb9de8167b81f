package e2e_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
)

// request marks the lines that are not kept.
var request = []byte(`"msg":"request"`)

// logLines keeps what a server writes to its log, by the line.
type logLines struct {
	mu    sync.Mutex
	lines [][]byte
	part  []byte
	read  int           // lines that take has passed
	more  chan struct{} // closed when there is more
}

func newLogLines() *logLines { return &logLines{more: make(chan struct{})} }

// Write implements io.Writer.
func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.part = append(l.part, p...)
	for {
		line, rest, found := bytes.Cut(l.part, []byte("\n"))
		if !found {
			break
		}
		if !bytes.Contains(line, request) { // which are many, and speak for themselves in the answers
			l.lines = append(l.lines, bytes.Clone(line))
		}
		l.part = rest
	}
	close(l.more)
	l.more = make(chan struct{})
	return len(p), nil
}

// take returns the next line with the message, nil if there is none yet; then the channel is closed as soon as there is more.
func (l *logLines) take(msg string) ([]byte, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.read < len(l.lines) {
		line := l.lines[l.read]
		l.read++
		var said struct{ Msg string }
		if json.Unmarshal(line, &said) == nil && said.Msg == msg {
			return line, nil
		}
	}
	return nil, l.more
}

// tail is the end of the log.
func (l *logLines) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.lines[max(0, len(l.lines)-60):]
	return string(bytes.Join(last, []byte("\n"))) + "\n" + string(l.part)
}

// race is what the race detector said, empty if nothing.
func (l *logLines) race() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := string(bytes.Join(l.lines, []byte("\n")))
	_, report, found := strings.Cut(all, "WARNING: DATA RACE")
	if !found {
		return ""
	}
	return "data race" + report[:min(len(report), 6000)]
}
