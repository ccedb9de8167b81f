package incident

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"nexus"
	"nexus/actors/grain"
)

const (
	// maxNotices bounds the changes that wait to be told to grains. What overflows is dropped and counted: the keeper
	// wakes the grain within two seconds, and the watch finds what it missed.
	maxNotices = 1024
	notifiers  = 8
	noticeWait = 2 * time.Second
)

// notifier tells grains that their incidents have changed, apart from those who wait for an answer.
type notifier struct {
	dir     grain.Directory
	log     *slog.Logger
	metrics *Metrics
	queue   chan notice
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	workers sync.WaitGroup
}

type notice struct {
	id  nexus.IncidentID
	seq int64
}

func startNotifier(dir grain.Directory, o Options) *notifier {
	n := &notifier{dir: dir, log: o.Log, metrics: o.Metrics, queue: make(chan notice, maxNotices)}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for range notifiers {
		n.workers.Go(n.work)
	}
	return n
}

// notify never waits.
func (n *notifier) notify(id nexus.IncidentID, seq int64) {
	select {
	case n.queue <- notice{id, seq}:
	default:
		n.metrics.dropped("full")
	}
}

func (n *notifier) work() {
	for {
		select {
		case m := <-n.queue:
			n.tell(m)
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *notifier) tell(m notice) {
	ctx, cancel := context.WithTimeout(n.ctx, noticeWait)
	defer cancel()
	if _, err := grain.Ask[*grain.Done](ctx, n.dir, grain.Ref{Kind: KindName, ID: string(m.id)}, &Changed{Seq: m.seq}); err != nil {
		n.log.Debug("grain not told of a change", "incident", m.id, "err", err)
		n.metrics.dropped("failed")
	}
}

func (n *notifier) close() {
	n.cancel()
	n.workers.Wait()
}
