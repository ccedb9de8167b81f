package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// process is a child that logs to a file.
type process struct {
	cmd  *exec.Cmd
	log  *os.File
	gone chan struct{} // closed when it is reaped
	err  error         // how it ended, after gone
}

// start starts a command. Its output is taken from the command, or else goes to the log.
func start(cmd *exec.Cmd, log string) (*process, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: f, gone: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = f
	}
	cmd.Stderr = f
	cmd.SysProcAttr = bound()
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	go func() {
		p.err = cmd.Wait()
		_ = f.Close() // it was only logged to
		close(p.gone)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended reports how the process ended, if it has.
func (p *process) ended() error {
	select {
	case <-p.gone:
		if p.err == nil {
			return fmt.Errorf("%s has ended by itself, see %s", p.cmd.Path, p.log.Name())
		}
		return fmt.Errorf("%s has ended, see %s: %w", p.cmd.Path, p.log.Name(), p.err)
	default:
		return nil
	}
}

// endLimit bounds an orderly end.
const endLimit = 70 * time.Second

// stop ends the process: in order if it does so in time.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	t := time.NewTimer(endLimit)
	defer t.Stop()
	select {
	case <-p.gone:
		return nil
	case <-t.C:
	}
	err := p.cmd.Process.Kill()
	<-p.gone
	return errors.Join(fmt.Errorf("%s has not ended %v after SIGTERM", p.cmd.Path, endLimit), err)
}

// environment is ours without any NEXUS_* of the one who compares.
func environment() (env []string) {
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "NEXUS_") {
			env = append(env, kv)
		}
	}
	return env
}
