package stage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// restartAfter is how long the supervisor waits before it starts a process again that ended by itself.
const restartAfter = 200 * time.Millisecond

// process is a command that is kept running, as an operator's supervisor would: what ends without being told to is
// started again.
type process struct {
	name    string
	command func() *exec.Cmd // a new one for each start
	out     io.Writer

	mu      sync.Mutex
	cmd     *exec.Cmd
	gone    chan struct{} // closed when cmd has ended and been reaped
	wanted  bool
	exits   []int // status of each end, -1 for a signal
	waiting sync.WaitGroup
}

// start runs the command and keeps it running.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted {
		return fmt.Errorf("%s runs already", p.name)
	}
	p.wanted = true
	return p.launch()
}

// launch needs the lock.
func (p *process) launch() error {
	cmd, gone := p.command(), make(chan struct{})
	cmd.Stdout, cmd.Stderr = p.out, p.out
	cmd.WaitDelay = time.Second // what it started may hold its output open
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = bound()
	}
	if err := cmd.Start(); err != nil {
		p.wanted = false
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	p.cmd, p.gone = cmd, gone
	p.waiting.Go(func() {
		_ = cmd.Wait() // its status is read from the process's state
		p.ended(cmd, gone)
	})
	return nil
}

func (p *process) ended(cmd *exec.Cmd, gone chan struct{}) {
	p.mu.Lock()
	p.exits = append(p.exits, cmd.ProcessState.ExitCode())
	wanted := p.wanted
	close(gone)
	p.mu.Unlock()
	if !wanted {
		return
	}
	time.Sleep(restartAfter)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wanted && p.cmd == cmd {
		if err := p.launch(); err != nil {
			fmt.Fprintln(p.out, "supervisor:", err)
		}
	}
}

// signal sends a signal to the process of now. Whether it is started again when it ends of it, wanted says.
func (p *process) signal(sig syscall.Signal, wanted bool) (gone <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = wanted
	if p.cmd == nil {
		return closed, nil
	}
	select {
	case <-p.gone:
		return p.gone, nil
	default:
	}
	// It may have ended a moment ago, which its waiter is about to tell.
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return p.gone, fmt.Errorf("signal %s: %w", p.name, err)
	}
	return p.gone, nil
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// stop ends the process for good: in order if it does so within the limit, else at once.
func (p *process) stop(limit time.Duration) error {
	gone, err := p.signal(syscall.SIGTERM, false)
	if err == nil {
		t := time.NewTimer(limit)
		defer t.Stop()
		select {
		case <-gone:
		case <-t.C:
			err = fmt.Errorf("%s has not ended %v after SIGTERM", p.name, limit)
		}
	}
	_, e := p.signal(syscall.SIGKILL, false)
	p.waiting.Wait()
	return errors.Join(err, e)
}

// ends returns the status of each end so far.
func (p *process) ends() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]int(nil), p.exits...)
}
