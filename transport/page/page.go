// Package page carries an SOS out of the campus: by e-mail, web push, and webhooks, one of which may send text messages. What is to be
// sent is kept with the incident, in the same transaction; this package takes it from there and tries until it has left.
//
//	store --Take--> a Pager's runner of one channel, on any node --Send--> the world
//	      <--Sent, or Failed and when to try again--
//
// Each channel has a runner of its own with a bound on what it sends at once, so that one that hangs delays no other. Nothing
// here decides who is paged; a page whose incident has been answered meanwhile is not handed out any more.
package page

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"nexus"
)

// Store hands out pages.
type Store interface {
	// TakePages hands out at most limit pages of a channel that are due, each to one taker; another may have it after lease.
	TakePages(ctx context.Context, channel nexus.PagedChannel, limit int, lease time.Duration) ([]nexus.OutPage, error)
	// PageSent notes that a page has left.
	PageSent(ctx context.Context, id string) error
	// PageFailed notes why a page has not left, and when to try again; 0 is never.
	PageFailed(ctx context.Context, id, why string, again time.Duration) error
	// ForgetPush forgets a browser that takes no messages any more, unless it has subscribed anew meanwhile.
	ForgetPush(ctx context.Context, s nexus.PushSubscription) error
}

// Channel is a way out of the campus.
type Channel interface {
	// Name says which pages it takes.
	Name() nexus.PagedChannel
	// Send sends one page, within ctx. An error that wraps ErrRefused is final: the address is no good; one that wraps ErrGone, that it never
	// will be again.
	Send(ctx context.Context, p nexus.OutPage) error
}

var (
	// ErrRefused says that sending again is of no use.
	ErrRefused = errors.New("refused")
	// ErrGone says that the address is no more. It is an ErrRefused.
	ErrGone = fmt.Errorf("%w: gone", ErrRefused)
)

const (
	look        = time.Second      // how often a channel without work looks for some
	atOnce      = 16               // pages of one channel under way on a node
	sendTimeout = 10 * time.Second // of one attempt
	lease       = 30 * time.Second // longer than one attempt and its note
	maxAttempts = 12               // with the pauses below, some 20 minutes
	firstPause  = 2 * time.Second
	maxPause    = 3 * time.Minute
)

// Pager runs the channels of one node.
type Pager struct {
	store  Store
	log    *slog.Logger
	sent   *prometheus.CounterVec
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Start begins to send by the channels. Close ends it.
func Start(store Store, channels []Channel, log *slog.Logger, reg prometheus.Registerer) (*Pager, error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Pager{store: store, log: log, cancel: cancel, sent: counted()}
	if err := reg.Register(p.sent); err != nil {
		cancel()
		return nil, err
	}
	for _, c := range channels {
		p.done.Go(func() { p.run(ctx, c) })
	}
	return p, nil
}

func counted() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "nexus_pages_total", Help: "Attempts to page somebody outside the campus, by channel and what came of it.",
	}, []string{"channel", "outcome"})
}

// Close ends the pager. What is under way is cut short, and somebody else takes it up when its lease is over.
func (p *Pager) Close() {
	p.cancel()
	p.done.Wait()
}

// run takes and sends a channel's pages, in batches as large as it may have under way.
func (p *Pager) run(ctx context.Context, c Channel) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		pages, err := p.store.TakePages(ctx, c.Name(), atOnce, lease)
		if err != nil && ctx.Err() == nil && nexus.CodeOf(err) != nexus.Unavailable { // an absent database is told of elsewhere
			p.log.ErrorContext(ctx, "take pages", "channel", c.Name(), "err", err)
		}
		var under sync.WaitGroup
		for _, page := range pages {
			under.Go(func() { p.send(ctx, c, page) })
		}
		under.Wait()
		if len(pages) == atOnce {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// send tries one page and notes what came of it.
func (p *Pager) send(ctx context.Context, c Channel, page nexus.OutPage) {
	limited, cancel := context.WithTimeout(ctx, sendTimeout)
	err := c.Send(limited, page)
	cancel()
	outcome, note := "sent", func() error { return p.store.PageSent(ctx, page.ID) }
	if err != nil {
		again := pause(page.Attempts)
		outcome = "failed"
		if errors.Is(err, ErrRefused) || page.Attempts >= maxAttempts {
			outcome, again = "given up", 0
		}
		p.log.WarnContext(ctx, "a page did not leave", "channel", c.Name(), "incident", page.Incident.ID, "attempt", page.Attempts, "outcome", outcome, "err", err)
		note = func() error {
			// The browser first: should this node end in between, the page is handed out again and the push service says the same.
			if errors.Is(err, ErrGone) && page.Push != nil {
				if err := p.store.ForgetPush(ctx, *page.Push); err != nil {
					return err
				}
			}
			return p.store.PageFailed(ctx, page.ID, err.Error(), again)
		}
	}
	p.sent.WithLabelValues(string(c.Name()), outcome).Inc()
	if err := note(); err != nil && ctx.Err() == nil {
		// It is handed out again when its lease is over: a person may be told twice, and is never not told.
		p.log.WarnContext(ctx, "note a page", "channel", c.Name(), "outcome", outcome, "err", err)
	}
}

// pause is how long to wait after so many attempts: twice as long each time, never in step with others.
func pause(attempts int) time.Duration {
	d := min(firstPause<<min(attempts-1, 16), maxPause)
	return d - d/8 + rand.N(d/4)
}
