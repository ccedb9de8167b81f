package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"nexus/transport/engineio/enginetest"
)

// A raw client is a WebSocket that speaks just enough of the protocol to listen: a thousand of them are cheap.
type raw struct {
	conn net.Conn
	r    *bufio.Reader
}

// listen opens a socket and joins a namespace, with a token and an event to send afterwards unless they are empty.
func (s *server) listen(namespace, token, event string) (*raw, error) {
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	r := &raw{conn: conn, r: bufio.NewReaderSize(conn, 2048)}
	if err := r.join(namespace, token, event); err != nil {
		return nil, fmt.Errorf("%w (and %v)", err, conn.Close())
	}
	return r, nil
}

func (r *raw) join(namespace, token, event string) error {
	q := &http.Request{Method: "GET", Host: "localhost", URL: &url.URL{Path: "/socket.io/", RawQuery: "EIO=4&transport=websocket"}, Header: http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}}
	if err := r.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if err := q.Write(r.conn); err != nil {
		return err
	}
	res, err := http.ReadResponse(r.r, q)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: %s", res.Status)
	}
	auth := ""
	if token != "" {
		auth = fmt.Sprintf(`{"token":%q}`, token)
	}
	if err := r.write("40" + namespace + "," + auth); err != nil {
		return err
	}
	for _, want := range []string{"0{", "40" + namespace} {
		if f, err := enginetest.ReadFrame(r.r); err != nil || !strings.HasPrefix(f.Payload, want) {
			return fmt.Errorf("expected %s, got %q: %v", want, f.Payload, err)
		}
	}
	if event != "" {
		if err := r.write("42" + namespace + "," + event); err != nil {
			return err
		}
	}
	return r.conn.SetDeadline(time.Time{})
}

func (r *raw) write(text string) error {
	_, err := r.conn.Write(enginetest.AppendFrame(nil, enginetest.Text, []byte(text)))
	return err
}

var crowdUpdate = []byte(`["CROWD_UPDATE",`)

// hear reads until the connection ends, and notes when each update came. It answers pings.
func (r *raw) hear(note func(time.Time)) {
	r.packets(func(p string, at time.Time) error {
		if bytes.Contains([]byte(p[:min(len(p), 40)]), crowdUpdate) {
			note(at)
		}
		return nil
	})
}

// packets reads until the connection ends, or a packet cannot be dealt with because it has, and answers pings.
func (r *raw) packets(each func(packet string, at time.Time) error) {
	for {
		f, err := enginetest.ReadFrame(r.r)
		at := time.Now()
		if err == nil && f.Payload == "2" {
			err = r.write("3")
		} else if err == nil {
			err = each(f.Payload, at)
		}
		if err != nil {
			return // closed by the test
		}
	}
}

// crowdOf opens n sockets, some at a time.
func (s *server) crowdOf(b testing.TB, n int, namespace, event string) []*raw {
	b.Helper()
	all := make([]*raw, n)
	errs := make(chan error, n)
	turn := make(chan struct{}, 32)
	for i := range all {
		turn <- struct{}{}
		go func() {
			defer func() { <-turn }()
			var err error
			all[i], err = s.listen(namespace, "", event)
			errs <- err
		}()
	}
	for range all {
		if err := <-errs; err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		for _, r := range all {
			_ = r.conn.Close() // it was only read
		}
	})
	return all
}
