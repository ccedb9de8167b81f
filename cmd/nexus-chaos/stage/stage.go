package stage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"nexus"
)

// endLimit bounds the orderly end of a node.
const endLimit = 75 * time.Second

// openLimit bounds each step of the way to a campus that is whole. No goal depends on it.
const openLimit = 2 * time.Minute

// Options describe a stage.
type Options struct {
	Binary      string        // nexus
	Next        string        // nexus of the next version
	Grains      int           // of the next version's own kind, which its nodes keep alive
	Out         string        // folder of logs
	Nodes       int           // that run from the beginning
	Halls       int           // mess halls, three of them the demo campus's
	Spaces      *Spaces       // nil: all on loopback
	Balanced    bool          // with haproxy
	Redis       bool          // with Redis, if the binary has a use for it
	DrainSpread time.Duration // over which an ending node closes its sockets
}

// Stage is a running campus.
type Stage struct {
	Postgres *Postgres
	Redis    *Redis // nil: see NoRedis
	Nodes    []*Node
	Balancer *Balancer // nil without
	Spaces   *Spaces   // nil without
	Halls    []nexus.HallID
	NoRedis  string // why there is none

	options Options
	dir     string
	network network
	made    int                 // nodes, so far
	split   map[string][]string // seeds of a node that is to see others than usual
	log     *os.File
}

// Open starts everything and returns when all nodes are ready and see each other.
func Open(ctx context.Context, o Options) (_ *Stage, err error) {
	s := &Stage{options: o, Spaces: o.Spaces, network: loopback{}, split: make(map[string][]string)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if o.Spaces != nil {
		s.network = o.Spaces
	}
	if err := os.MkdirAll(o.Out, 0o755); err != nil {
		return nil, err
	}
	if s.log, err = os.Create(filepath.Join(o.Out, "others.log")); err != nil {
		return nil, err
	}
	if err := s.openData(ctx); err != nil {
		return nil, err
	}
	s.NoRedis = "the stage is without"
	if o.Redis {
		if s.Redis, s.NoRedis, err = openRedis(o.Binary, s.log); err != nil {
			return nil, err
		}
	}
	for range o.Nodes {
		if _, err := s.Add(); err != nil {
			return nil, err
		}
	}
	if o.Balanced {
		if s.Balancer, err = openBalancer(s.dir, s.log, s.Nodes); err != nil {
			return nil, err
		}
	}
	for _, n := range s.Nodes {
		if err := n.Start(); err != nil {
			return nil, err
		}
	}
	if err := s.Whole(ctx, len(s.Nodes), openLimit); err != nil {
		return nil, err
	}
	if err := Await(ctx, openLimit, "the balancer answers for the nodes, see others.log", s.balances); err != nil {
		return nil, err
	}
	return s, s.Settle(ctx)
}

// Settle waits until the grains have found their places: until nobody has claimed one for a while.
func (s *Stage) Settle(ctx context.Context) error {
	return Await(ctx, openLimit, "nobody claims grains any more", func(ctx context.Context) (calm bool) {
		err := s.Postgres.pool.QueryRow(ctx, `select max(at) < clock_timestamp() - interval '3 s' from chaos.claim`).Scan(&calm)
		return err == nil && calm
	})
}

// balances reports whether the balancer has found a node; without one there is nothing to wait for.
func (s *Stage) balances(ctx context.Context) bool {
	if s.Balancer == nil {
		return true
	}
	status, _, err := get(ctx, s.Balancer.URL+"/readyz")
	return err == nil && status == http.StatusOK
}

// openData starts PostgreSQL and fills it. The user that PostgreSQL runs as must reach the folder.
func (s *Stage) openData(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("/tmp", "nexus-chaos-"); err != nil {
		return err
	}
	if err = os.Chmod(s.dir, 0o755); err != nil {
		return err
	}
	if s.Postgres, err = openPostgres(ctx, filepath.Join(s.dir, "postgres")); err != nil {
		return err
	}
	for _, command := range []string{"migrate", "seed"} {
		cmd := exec.CommandContext(ctx, s.options.Binary, command)
		cmd.Env = append(environment(), "NEXUS_DATABASE_URL="+s.Postgres.URL(), "NEXUS_DATA_DIR="+filepath.Join(s.dir, command))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", command, err, out)
		}
	}
	if _, err = s.Postgres.pool.Exec(ctx, witness); err != nil {
		return fmt.Errorf("install the witnesses: %w", err)
	}
	return s.makeHalls(ctx)
}

// Verify walks every hash chain of the database with the program's own command, and returns what it says.
func (s *Stage) Verify(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, s.options.Binary, "audit", "verify")
	cmd.Env = append(environment(), "NEXUS_DATABASE_URL="+s.Postgres.URL(), "NEXUS_DATA_DIR="+filepath.Join(s.dir, "verify"), "CHAOS_GRAINS=0")
	out, err := cmd.CombinedOutput()
	return strings.Join(strings.Fields(string(out)), " "), err
}

// makeHalls adds halls to the demo campus's, and lets everybody stay for a day, so that the count of a hall is
// the plain sum of what was reported.
func (s *Stage) makeHalls(ctx context.Context) error {
	for i := 3; i < s.options.Halls; i++ {
		if _, err := s.Postgres.pool.Exec(ctx, `insert into mess_hall (id, name, capacity, service_rate_per_min, dwell_min, tz)
			values ($1, $2, 100000, 10, 1440, 'UTC')`, nexus.NewID(), fmt.Sprintf("Hall %d", i+1)); err != nil {
			return err
		}
	}
	if _, err := s.Postgres.pool.Exec(ctx, `update mess_hall set capacity = 100000, dwell_min = 1440`); err != nil {
		return err
	}
	rows, err := s.Postgres.pool.Query(ctx, `select id::text from mess_hall order by not is_default, id`)
	if err != nil {
		return err
	}
	s.Halls, err = pgx.CollectRows(rows, pgx.RowTo[nexus.HallID])
	return err
}

// makeRole makes the role by which PostgreSQL tells a node from the others.
func (s *Stage) makeRole(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	_, err := s.Postgres.pool.Exec(ctx, "create role "+pgx.Identifier{name}.Sanitize()+" superuser login")
	return err
}

// Add makes one more node, which is not started.
func (s *Stage) Add() (*Node, error) { return s.add(s.options.Binary) }

// AddNext makes one more node, of the next version, which is not started.
func (s *Stage) AddNext() (*Node, error) { return s.add(s.options.Next) }

func (s *Stage) add(binary string) (*Node, error) {
	s.made++
	n, err := s.newNode(s.made, binary)
	if err != nil {
		return nil, err
	}
	s.Nodes = append(s.Nodes, n)
	return n, nil
}

// Remove ends a node and forgets it.
func (s *Stage) Remove(n *Node) error {
	s.Nodes = slices.DeleteFunc(s.Nodes, func(x *Node) bool { return x == n })
	return n.close()
}

// Split has a node look for nobody when it starts next, or for all as usual.
func (s *Stage) Split(n *Node, alone bool) {
	delete(s.split, n.Name)
	if alone {
		s.split[n.Name] = []string{n.gossip}
	}
}

// seedsOf are the first three nodes, which is all that a seed list has in life.
func (s *Stage) seedsOf(n *Node) []string {
	if seeds, ok := s.split[n.Name]; ok {
		return seeds
	}
	var seeds []string
	for _, x := range s.Nodes[:min(3, len(s.Nodes))] {
		if _, alone := s.split[x.Name]; !alone {
			seeds = append(seeds, x.gossip)
		}
	}
	return seeds
}

// members is the metric that says how many nodes a node sees.
const members = "nexus_cluster_members"

// Whole waits until the first n nodes are ready and each sees n members.
func (s *Stage) Whole(ctx context.Context, n int, limit time.Duration) error {
	return Await(ctx, limit, fmt.Sprintf("%d nodes are ready and see each other", n), func(ctx context.Context) bool {
		for _, x := range s.Nodes[:n] {
			if seen, err := x.Metric(ctx, members); err != nil || int(seen) != n || !x.Ready(ctx) {
				return false
			}
		}
		return true
	})
}

// Await looks again and again until something holds.
func Await(ctx context.Context, limit time.Duration, what string, holds func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for !holds(ctx) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("waited %v in vain until %s", limit, strings.TrimSpace(what))
		}
	}
	return nil
}

// Close ends everything that was started. The logs stay.
func (s *Stage) Close() error {
	var errs []error
	if s.Balancer != nil {
		errs = append(errs, s.Balancer.process.stop(time.Second))
	}
	ended := make(chan error, len(s.Nodes))
	for _, n := range s.Nodes {
		go func() { ended <- n.close() }()
	}
	for range s.Nodes {
		errs = append(errs, <-ended)
	}
	if s.Redis != nil {
		errs = append(errs, s.Redis.close())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.close())
	}
	errs = append(errs, s.network.close())
	if s.log != nil {
		errs = append(errs, s.log.Close())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}
