package stage

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of a test.
const patience = 10 * time.Second

// echo is a server that says again what it hears.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var served sync.WaitGroup
		defer served.Wait()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				_, _ = io.Copy(c, c) // until the other side ends it
				_ = c.Close()        // as it has
			})
		}
	}()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return l.Addr().String()
}

func proxied(t *testing.T) (*Proxy, net.Conn) {
	t.Helper()
	p, err := NewProxy("127.0.0.1", "tcp", echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, call(t, p)
}

func call(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", p.Addr(), patience)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	return c
}

// heard sends a word and reads what comes back.
func heard(c net.Conn) (string, error) {
	if _, err := c.Write([]byte("hello")); err != nil {
		return "", err
	}
	b := make([]byte, 5)
	_, err := io.ReadFull(c, b)
	return string(b), err
}

func TestProxyPassesOn(t *testing.T) {
	p, c := proxied(t)
	if got, err := heard(c); got != "hello" || err != nil {
		t.Fatalf("heard %q: %v", got, err)
	}
	const delay = 30 * time.Millisecond
	p.Delay(delay)
	began := time.Now()
	if got, err := heard(c); got != "hello" || err != nil {
		t.Fatalf("heard %q: %v", got, err)
	}
	if took := time.Since(began); took < 2*delay {
		t.Errorf("there and back took %v, less than twice %v", took, delay)
	}
}

func TestProxyResets(t *testing.T) {
	p, c := proxied(t)
	if _, err := heard(c); err != nil {
		t.Fatal(err)
	}
	p.Reset()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v, want a reset", err)
	}
}

func TestProxyRefuses(t *testing.T) {
	p, c := proxied(t)
	if _, err := heard(c); err != nil { // it may still wait to be accepted
		t.Fatal(err)
	}
	p.Refuse(true)
	if _, err := heard(call(t, p)); err == nil {
		t.Error("a new connection was served")
	}
	if _, err := heard(c); err != nil {
		t.Errorf("an old connection was not: %v", err)
	}
	p.Refuse(false)
	if _, err := heard(call(t, p)); err != nil {
		t.Error(err)
	}
}
