package stage

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"nexus/cluster/freeport"
)

// checkEvery is how often the balancer asks a node whether it is ready; two refusals in a row take it out.
const checkEvery = 500 * time.Millisecond

// drainDelay is how long an ending node still serves, for the balancer to notice.
const drainDelay = 3 * checkEvery

// Balancer is haproxy in front of the nodes.
type Balancer struct {
	URL     string
	process process
}

var balancerConfig = template.Must(template.New("haproxy").Parse(`global
  maxconn 9000
defaults
  mode http
  option http-no-delay
  option redispatch
  http-check disable-on-404
  timeout connect 1s
  timeout client 75s
  timeout server 30s
  timeout tunnel 1h
frontend campus
  bind {{.Addr}}
  default_backend nodes
backend nodes
  balance roundrobin
  option httpchk GET /readyz
  default-server check inter {{.Every}} fall 2 rise 1
{{- range .Nodes}}
  server {{.Name}} {{.Addr}}
{{- end}}
`))

// openBalancer starts haproxy. Without it on the machine the error says so.
func openBalancer(dir string, out io.Writer, nodes []*Node) (*Balancer, error) {
	path, err := exec.LookPath("haproxy")
	if err != nil {
		return nil, fmt.Errorf("haproxy is not installed")
	}
	port, err := freeport.Row(1)
	if err != nil {
		return nil, err
	}
	type server struct{ Name, Addr string }
	data := struct {
		Addr, Every string
		Nodes       []server
	}{fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("%dms", checkEvery.Milliseconds()), nil}
	for _, n := range nodes {
		data.Nodes = append(data.Nodes, server{n.Name, strings.TrimPrefix(n.URL, "http://")})
	}
	var text bytes.Buffer
	if err := balancerConfig.Execute(&text, data); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(config, text.Bytes(), 0o644); err != nil {
		return nil, err
	}
	b := &Balancer{URL: "http://" + data.Addr}
	b.process = process{name: "haproxy", out: out, command: func() *exec.Cmd { return exec.Command(path, "-db", "-f", config) }}
	return b, b.process.start()
}
