package check

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// shared is a folder for what all tests use; TestMain makes and removes it.
var shared string

func TestMain(m *testing.M) {
	var err error
	if shared, err = os.MkdirTemp("", "nexus-check"); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(shared) // a temporary folder
	os.Exit(status)
}

// build builds the program once for all tests.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(shared, "nexus")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/nexus")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func nexus(t *testing.T) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// within calls f every 50 ms until it succeeds, and fails the test after a minute.
func within(t *testing.T, what string, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// process runs in a group of its own until the test ends, or until end is called.
type process struct {
	cmd *exec.Cmd
	out *bytes.Buffer
	end func()
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, out: new(bytes.Buffer)}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.end = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = cmd.Wait()                          // how it ends is not what is tested
		if t.Failed() {
			t.Logf("%s said: %s", filepath.Base(cmd.Path), p.out)
		}
	})
	t.Cleanup(p.end)
	return p
}

// ports finds n free ports in a row, for a node takes the one after its cluster's too.
func ports(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		all := []net.Listener{first}
		for i := 1; i < n; i++ {
			l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", port+i))
			if err != nil {
				break
			}
			all = append(all, l)
		}
		for _, l := range all {
			_ = l.Close() // it was ours a moment ago
		}
		if len(all) == n {
			return port
		}
	}
	t.Fatal("no free ports")
	return 0
}

// campus starts n nodes, and before them the proxy with its own configuration, places aside. Its logs are in dir.
func campus(t *testing.T, n int) (nodes []*process, port int, dir string) {
	t.Helper()
	data, dir := t.TempDir(), t.TempDir()
	first := ports(t, 10)
	for i := range n {
		cmd := exec.Command(nexus(t), "--addr", fmt.Sprint("127.0.0.1:", first+i), "--cluster-bind", fmt.Sprint("127.0.0.1:", first+4+2*i), "--cluster-seeds", fmt.Sprint("127.0.0.1:", first+4), "--data-dir", data)
		cmd.Env = append(os.Environ(), "NEXUS_TRUSTED_PROXIES=127.0.0.1")
		nodes = append(nodes, start(t, cmd))
		within(t, "a node gets ready", func() error { return get(fmt.Sprint("http://127.0.0.1:", first+i, "/readyz")) })
	}
	addrs := make([]string, n)
	for i := range addrs {
		addrs[i] = fmt.Sprint("127.0.0.1:", first+i)
	}
	proxy(t, dir, first+3, addrs...)
	within(t, "nginx passes on", func() error { return get(fmt.Sprint("https://127.0.0.1:", first+3, "/healthz")) })
	return nodes, first + 3, dir
}

// proxy runs nginx with the repository's configuration: the nodes are elsewhere, and so are its port and its files.
func proxy(t *testing.T, dir string, port int, nodes ...string) {
	t.Helper()
	config := read(t, filepath.Join(root, nginxFile))
	for i := range 3 {
		config = strings.Replace(config, fmt.Sprintf("node%d:4000", i+1), nodes[i%len(nodes)], 1)
	}
	config = strings.Replace(config, "listen 8443 ssl;", fmt.Sprintf("listen 127.0.0.1:%d ssl;", port), 1)
	if out, err := exec.Command(filepath.Join(absolute(t, root), "deploy/compose/secrets.sh"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	path, err := localNginx(strings.Replace(config, "worker_processes auto;", "worker_processes 1; daemon off;", 1), dir)
	if err != nil {
		t.Fatal(err)
	}
	start(t, exec.Command(nginxBinary(), "-p", dir, "-c", path))
}

// TestTheProxyRepeatsNoWrite has nodes that hang up on every request: what only reads is tried at another one, and what changes something
// is not, for it may have been done.
func TestTheProxyRepeatsNoWrite(t *testing.T) {
	var tries atomic.Int64
	hangUp := func() string {
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			tries.Add(1)
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(s.Close)
		return strings.TrimPrefix(s.URL, "http://")
	}
	port := ports(t, 1)
	proxy(t, t.TempDir(), port, hangUp(), hangUp(), hangUp())
	base := fmt.Sprint("https://127.0.0.1:", port, "/api/v1/safety/sos")
	within(t, "nginx answers", func() error {
		if err := get(base); err == nil || !strings.Contains(err.Error(), "502") {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	for _, c := range []struct {
		method string
		tries  int64
	}{{http.MethodGet, 2}, {http.MethodPost, 1}, {http.MethodPatch, 1}} {
		tries.Store(0)
		req, err := http.NewRequestWithContext(t.Context(), c.method, base, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusBadGateway || tries.Load() != c.tries {
			t.Errorf("%s: %s after %d tries, want %d (%v)", c.method, res.Status, tries.Load(), c.tries, err)
		}
	}
}

// TestNginxBeforeThreeNodes: requests and sockets go to any node, and a node that is killed is not missed.
func TestNginxBeforeThreeNodes(t *testing.T) {
	nodes, port, dir := campus(t, 3)
	base := fmt.Sprint("https://127.0.0.1:", port)
	t.Run("requests go round", func(t *testing.T) {
		for range 9 {
			if err := get(base + "/api/v1/mess/halls"); err != nil {
				t.Error(err)
			}
		}
		seen := map[string]bool{}
		for line := range strings.Lines(read(t, filepath.Join(dir, "access.log"))) {
			var entry struct{ Node string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Errorf("%v: %s", err, line)
			}
			seen[entry.Node] = true
		}
		if len(seen) != 3 {
			t.Errorf("requests went to %v", seen)
		}
	})
	t.Run("metrics are not for everybody", func(t *testing.T) {
		if err := get(base + "/metrics"); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("sockets", func(t *testing.T) {
		for range 6 { // to each node
			socket(t, fmt.Sprint("127.0.0.1:", port))
		}
	})
	t.Run("a killed node is not missed", func(t *testing.T) {
		if err := nodes[2].cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for range 30 {
			if err := get(base + "/healthz"); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("no log holds an address", func(t *testing.T) {
		if err := get(base + "/api/v1/academic/calendar/a-secret-address.ics"); err == nil {
			t.Error("a calendar of nobody is answered")
		}
		if all := read(t, filepath.Join(dir, "access.log")) + read(t, filepath.Join(dir, "error.log")); strings.Contains(all, "a-secret-address") {
			t.Error("the proxy's logs hold the address of a calendar")
		}
	})
}

// client believes the certificate that was made a moment ago.
var client = &http.Client{
	Timeout:   10 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, //nolint:gosec // a test's own certificate
}

func get(url string) error {
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %.200s", url, res.Status, body)
	}
	if e := res.Body.Close(); err == nil {
		err = e
	}
	return err
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// socket opens a WebSocket by hand, through TLS, and hears the handshake of Engine.IO on it.
func socket(t *testing.T, addr string) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it has said what it should
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr)
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("no upgrade: %v %v", res, err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, head[1]&0x7f)
	if _, err := io.ReadFull(r, payload); err != nil || !bytes.HasPrefix(payload, []byte(`0{"sid":"`)) {
		t.Errorf("heard %q (%v)", payload, err)
	}
}

// TestTheProxyPassesOnNoClaim sends what a client might claim about its address, and reads in the node's log what it believed.
func TestTheProxyPassesOnNoClaim(t *testing.T) {
	nodes, port, _ := campus(t, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/api/v1/mess/halls", port), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "203.0.113.66")
	req.Header.Set("Forwarded", "for=203.0.113.66")
	req.Header.Set("X-Real-Ip", "203.0.113.66")
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	nodes[0].end()
	if said := nodes[0].out.String(); !strings.Contains(said, "route=/api/v1/mess/halls") || strings.Contains(said, "203.0.113.66") {
		t.Errorf("the node believed a client's word about its address, or logs no requests: %s", said)
	}
}
