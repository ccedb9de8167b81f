package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"nexus/cluster"
)

type clusterCmd struct {
	Status clusterStatusCmd `cmd:"" help:"Show the nodes of a running campus."`
}

type clusterStatusCmd struct {
	URL      string `env:"NEXUS_ADMIN_URL" default:"http://127.0.0.1:4000" help:"Any node."`
	Admin    string `env:"NEXUS_ADMIN" default:"admin@demo.nexus" help:"Administrator to ask as."`
	Password string `env:"NEXUS_ADMIN_PASSWORD" default:"campus-demo" help:"The administrator's password."`
}

// Run prints one line per node.
func (c *clusterStatusCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	base := strings.TrimSuffix(c.URL, "/") + "/api/v1"
	login, err := json.Marshal(map[string]string{"email": c.Admin, "password": c.Password})
	if err != nil {
		return err
	}
	var session struct{ Token string }
	if err := call(ctx, http.MethodPost, base+"/auth/login/admin", "", login, &session); err != nil {
		return fmt.Errorf("log in as %s: %w", c.Admin, err)
	}
	var nodes struct{ Items []cluster.Status }
	asked := call(ctx, http.MethodGet, base+"/admin/cluster", session.Token, nil, &nodes)
	if err := call(ctx, http.MethodPost, base+"/auth/logout", session.Token, nil, nil); err != nil {
		asked = errors.Join(asked, fmt.Errorf("log out: %w", err))
	}
	if asked != nil {
		return asked
	}
	return printNodes(os.Stdout, nodes.Items)
}

func printNodes(out io.Writer, nodes []cluster.Status) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tHTTP\tVERSION\tUP\tSHARE\tSTATE\tGRAINS\tLAST HAND-OVER")
	for _, n := range nodes {
		state, up, last := "serving", "-", "-"
		switch {
		case n.Error != "":
			state = n.Error
		case n.Draining:
			state = "draining"
		}
		if !n.Started.IsZero() {
			up = time.Since(n.Started).Round(time.Second).String()
		}
		var grains []string
		for _, kind := range slices.Sorted(maps.Keys(n.Grains)) {
			grains = append(grains, fmt.Sprintf("%s %d", kind, n.Grains[kind]))
		}
		if len(n.HandOvers) > 0 {
			h := n.HandOvers[0]
			last = fmt.Sprintf("%s, %s ago, took %s", h.Kind, time.Since(h.At).Round(time.Second), h.Took.Round(time.Millisecond))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.0f%%\t%s\t%s\t%s\n", n.ID, n.HTTP, n.Version, up, 100*n.Share, state, strings.Join(grains, ", "), last)
	}
	return w.Flush()
}

// call makes one request and decodes its answer; a problem becomes its words.
func call(ctx context.Context, method, url, token string, body []byte, into any) (err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	answer := json.NewDecoder(io.LimitReader(res.Body, 1<<20))
	if res.StatusCode >= http.StatusMultipleChoices {
		var problem struct{ Detail string }
		if err := answer.Decode(&problem); err != nil || problem.Detail == "" {
			return fmt.Errorf("%s %s: %s", method, url, res.Status)
		}
		return errors.New(problem.Detail)
	}
	if into == nil {
		return nil
	}
	return answer.Decode(into)
}
