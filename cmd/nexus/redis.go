package main

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"nexus/cluster/redisbus"
	"nexus/transport/limit"
	"nexus/transport/limit/redislimit"
)

// redisLink is what a node does with Redis: it may be away at any time.
type redisLink struct {
	client   *redis.Client
	failures *prometheus.CounterVec
	bus      *redisbus.Bus
	limiter  *redislimit.Limiter // nil until the transport opens
}

// openRedis prepares what NEXUS_REDIS_URL names, if anything. It waits for nothing.
func (n *node) openRedis(context.Context) error {
	if n.cfg.RedisURL == "" {
		return nil
	}
	client, err := redisbus.Open(n.cfg.RedisURL, n.log)
	if err != nil {
		return fmt.Errorf("open redis: %w", err)
	}
	n.onClose("redis", func(context.Context) error { return client.Close() })
	failures := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nexus_redis_errors_total", Help: "Calls that Redis did not answer, by what they were for.",
	}, []string{"use"})
	if err := n.registry.Register(failures); err != nil {
		return fmt.Errorf("register metrics: %w", err)
	}
	channel := fmt.Sprintf("nexus:%d:bus", client.Options().DB) // Pub/Sub itself knows no databases
	n.redis = &redisLink{
		client: client, failures: failures,
		bus: redisbus.New(client, channel, n.log, failures.WithLabelValues("bus")),
	}
	return nil
}

// openLimiter returns the limiter of all nodes with Redis, else that of this node alone.
func (n *node) openLimiter() limit.Limiter {
	if n.redis == nil {
		return limit.NewMemory(limiterKeys)
	}
	n.redis.limiter = redislimit.New(redislimit.Config{
		Client: n.redis.client, Keys: limiterKeys, Nodes: n.cluster.Size, Log: n.log,
		Failures: n.redis.failures.WithLabelValues("limit"),
	})
	n.onClose("limits", func(context.Context) error { n.redis.limiter.Close(); return nil })
	return n.redis.limiter
}

// state is Redis as /readyz shows it. A node without it is as ready as one that has it.
func (r *redisLink) state() string {
	if r.bus.There() && r.limiter.Shared() {
		return "ok"
	}
	return "away"
}
