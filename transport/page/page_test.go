package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"nexus"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// queue is a Store in memory that keeps its promises.
type queue struct {
	mu     sync.Mutex
	pages  map[string]*queued
	forgot []nexus.PushSubscription
	fails  error // of ForgetPush
}

type queued struct {
	nexus.OutPage
	due   time.Time
	state string
}

func newQueue(pages ...nexus.OutPage) *queue {
	q := &queue{pages: map[string]*queued{}}
	for _, p := range pages {
		q.pages[p.ID] = &queued{OutPage: p, due: time.Now()}
	}
	return q
}

func (q *queue) TakePages(_ context.Context, channel nexus.PagedChannel, limit int, lease time.Duration) (taken []nexus.OutPage, _ error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.pages {
		if len(taken) < limit && p.Channel == channel && p.state == "" && !p.due.After(time.Now()) {
			p.due = time.Now().Add(lease)
			p.Attempts++
			taken = append(taken, p.OutPage)
		}
	}
	return taken, nil
}

func (q *queue) PageSent(_ context.Context, id string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pages[id].state = "sent"
	return nil
}

func (q *queue) PageFailed(_ context.Context, id, _ string, again time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if again == 0 {
		q.pages[id].state = "failed"
	}
	q.pages[id].due = time.Now().Add(again)
	return nil
}

func (q *queue) ForgetPush(_ context.Context, sub nexus.PushSubscription) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.forgot = append(q.forgot, sub)
	return q.fails
}

func (q *queue) state(id string) (string, int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pages[id].state, q.pages[id].Attempts
}

// way is a Channel that does what a test says.
type way struct {
	name nexus.PagedChannel
	send func(context.Context, nexus.OutPage) error
}

func (w way) Name() nexus.PagedChannel                        { return w.name }
func (w way) Send(ctx context.Context, p nexus.OutPage) error { return w.send(ctx, p) }

// paging runs channels over a queue of one page for each of them.
func paging(t *testing.T, run func(q *queue), ways ...way) {
	synctest.Test(t, func(t *testing.T) {
		var pages []nexus.OutPage
		var channels []Channel
		for _, w := range ways {
			pages, channels = append(pages, nexus.OutPage{ID: string(w.name), Channel: w.name}), append(channels, w)
		}
		q := newQueue(pages...)
		p, err := Start(q, channels, slog.New(slog.NewTextHandler(io.Discard, nil)), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		run(q)
	})
}

func hang(ctx context.Context, _ nexus.OutPage) error {
	<-ctx.Done()
	return ctx.Err()
}

func want(t *testing.T, q *queue, id, state string, attempts int) {
	t.Helper()
	synctest.Wait()
	if s, n := q.state(id); s != state || n != attempts {
		t.Errorf("%s is %q after %d attempts, want %q after %d", id, s, n, state, attempts)
	}
}

func TestAChannelThatHangsDelaysNoOther(t *testing.T) {
	paging(t, func(q *queue) {
		time.Sleep(time.Second)
		want(t, q, "push", "sent", 1)
		want(t, q, "email", "", 1)
	}, way{"email", hang}, way{"push", func(context.Context, nexus.OutPage) error { return nil }})
}

func TestAPageIsTriedUntilItLeaves(t *testing.T) {
	tries := 0
	paging(t, func(q *queue) {
		time.Sleep(time.Minute)
		want(t, q, "email", "sent", 4)
	}, way{"email", func(context.Context, nexus.OutPage) error {
		if tries++; tries < 4 {
			return errors.New("busy")
		}
		return nil
	}})
}

func TestAPageIsGivenUpInTheEnd(t *testing.T) {
	paging(t, func(q *queue) {
		time.Sleep(10 * time.Minute)
		if s, _ := q.state("email"); s != "" {
			t.Errorf("given up within ten minutes")
		}
		time.Sleep(time.Hour)
		want(t, q, "email", "failed", maxAttempts)
	}, way{"email", hang})
}

func TestARefusedAddressIsNotTriedAgain(t *testing.T) {
	paging(t, func(q *queue) {
		time.Sleep(time.Minute)
		want(t, q, "sms", "failed", 1)
	}, way{"sms", func(context.Context, nexus.OutPage) error { return fmt.Errorf("%w: no such number", ErrRefused) }})
}

func TestCloseCutsShortAndAnotherTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(nexus.OutPage{ID: "email", Channel: nexus.ChannelEmail})
		log := slog.New(slog.NewTextHandler(io.Discard, nil))
		first, err := Start(q, []Channel{way{"email", hang}}, log, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		first.Close()
		second, err := Start(q, []Channel{way{"email", func(context.Context, nexus.OutPage) error { return nil }}}, log, prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		time.Sleep(lease + 2*look)
		want(t, q, "email", "sent", 2)
	})
}
