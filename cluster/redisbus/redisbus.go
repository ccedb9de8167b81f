// Package redisbus carries broadcasts between nodes by Redis Pub/Sub.
//
// Redis is a convenience that may die or freeze at any time: nothing here waits for it but two goroutines of its own, each call
// ends in 200 ms, and while Redis is away messages are handed back at once. It is found again by itself.
//
//	away --ping answered--> there --publish fails, or ping unanswered--> away
//	deaf --subscribed, ping comes back--> well --nothing heard for 700 ms, or an error--> deaf
package redisbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

const (
	// timeout bounds every call.
	timeout = 200 * time.Millisecond
	// pingEvery is how often both connections show that they live, silentAfter how long the subscription may say nothing.
	pingEvery   = 250 * time.Millisecond
	silentAfter = pingEvery + 2*timeout + 50*time.Millisecond
	// maxQueue bounds the messages that wait for Redis; past it they are handed back.
	maxQueue = 1024
)

// Bus is a cluster.Carrier.
type Bus struct {
	client  *redis.Client
	channel string
	log     *slog.Logger
	errors  prometheus.Counter
	queue   chan message
	there   atomic.Bool // publishing works

	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup

	mu     sync.Mutex // guards closed: nothing is queued behind the last
	closed bool
}

type message struct {
	body []byte
	sent func(reached int)
}

// New returns a bus over the client, whose timeouts must be short and whose retries off; the caller closes the client after the bus.
// Nodes that name the same channel hear each other. failures counts what Redis did not do.
func New(client *redis.Client, channel string, log *slog.Logger, failures prometheus.Counter) *Bus {
	b := &Bus{client: client, channel: channel, log: log, errors: failures, queue: make(chan message, maxQueue)}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// Name implements cluster.Carrier.
func (*Bus) Name() string { return "redis" }

// There reports whether messages leave by Redis now.
func (b *Bus) There() bool { return b.there.Load() }

// Start implements cluster.Carrier.
func (b *Bus) Start(hear func([]byte), well func(bool)) {
	b.loops.Go(b.send)
	b.loops.Go(b.probe)
	b.loops.Go(func() { b.listen(hear, well) })
}

// Close implements cluster.Carrier. What waits is handed back. A second call does nothing.
func (b *Bus) Close() error {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.loops.Wait()
	b.handBack()
	return nil
}

// Publish implements cluster.Carrier.
func (b *Bus) Publish(body []byte, sent func(reached int)) {
	if !b.enqueue(message{body, sent}) {
		sent(0)
	}
}

func (b *Bus) enqueue(m message) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || !b.there.Load() {
		return false
	}
	select {
	case b.queue <- m:
		return true
	default:
		return false
	}
}

// send publishes what is queued. The first failure ends it for now, and what waits behind is handed back.
func (b *Bus) send() {
	for {
		var m message
		select {
		case <-b.ctx.Done():
			return
		case m = <-b.queue:
		}
		reached, err := b.publish(m.body)
		m.sent(reached)
		if err != nil {
			b.lost("publish", err)
			b.handBack()
		}
	}
}

func (b *Bus) publish(body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(b.ctx, timeout)
	defer cancel()
	reached, err := b.client.Publish(ctx, b.channel, body).Result()
	return int(reached), err
}

func (b *Bus) handBack() {
	for {
		select {
		case m := <-b.queue:
			m.sent(0)
		default:
			return
		}
	}
}

// probe finds out whether Redis is there, so that no broadcast has to.
func (b *Bus) probe() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		if err := b.ping(); err != nil {
			b.lost("ping", err)
		} else if !b.there.Swap(true) {
			b.log.Info("redis carries broadcasts")
		}
		select {
		case <-b.ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (b *Bus) ping() error {
	ctx, cancel := context.WithTimeout(b.ctx, timeout)
	defer cancel()
	return b.client.Ping(ctx).Err()
}

// lost takes note of a failure.
func (b *Bus) lost(what string, err error) {
	if b.ctx.Err() != nil {
		return
	}
	b.errors.Inc()
	if b.there.Swap(false) {
		b.log.Warn("redis is away; broadcasts go from node to node", "call", what, "err", err)
	}
}

// listen subscribes, and subscribes again.
func (b *Bus) listen(hear func([]byte), well func(bool)) {
	for {
		err := b.subscribe(hear, well)
		if b.ctx.Err() != nil {
			return
		}
		b.errors.Inc()
		b.log.Debug("redis subscription", "err", err)
		select {
		case <-b.ctx.Done():
			return
		case <-time.After(pingEvery + rand.N(pingEvery)):
		}
	}
}

// subscribe listens until the subscription fails or is silent for too long.
func (b *Bus) subscribe(hear func([]byte), well func(bool)) (err error) {
	ctx, cancel := context.WithCancel(b.ctx)
	sub := b.client.Subscribe(ctx)
	var pings sync.WaitGroup
	defer func() {
		cancel()
		pings.Wait()
		err = errors.Join(err, sub.Close())
	}()
	first, done := context.WithTimeout(ctx, timeout)
	defer done()
	if err := sub.Subscribe(first, b.channel); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	pings.Go(func() { keepAlive(ctx, sub) })
	isWell := false
	defer func() {
		if isWell && b.ctx.Err() == nil {
			well(false)
		}
	}()
	for {
		// Any silence ends the connection, so that no half-read message is ever taken up again.
		m, err := sub.ReceiveTimeout(ctx, silentAfter)
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		switch m := m.(type) {
		case *redis.Message:
			if b.ctx.Err() == nil {
				hear([]byte(m.Payload))
			}
		case *redis.Pong: // comes behind the answer to SUBSCRIBE
			if !isWell && b.ctx.Err() == nil {
				isWell = true
				well(true)
			}
		}
	}
}

// keepAlive pings a subscription until ctx ends. Errors are for the receiver to find.
func keepAlive(ctx context.Context, sub *redis.PubSub) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		bounded, cancel := context.WithTimeout(ctx, timeout)
		_ = sub.Ping(bounded)
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
