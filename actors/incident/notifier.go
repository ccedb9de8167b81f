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
	// maxNotices bounds what waits to be told. What overflows is dropped and counted: the keeper
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
	queue   chan func()
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	workers sync.WaitGroup
}

func startNotifier(dir grain.Directory, o Options) *notifier {
	n := &notifier{dir: dir, log: o.Log, metrics: o.Metrics, queue: make(chan func(), maxNotices)}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for range notifiers {
		n.workers.Go(n.work)
	}
	return n
}

// notify tells the grain of an incident up to which event it has changed. It never waits.
func (n *notifier) notify(id nexus.IncidentID, seq int64) {
	n.do(func() { n.tell(id, seq) })
}

// do has something told apart from whoever calls. It never waits.
func (n *notifier) do(tell func()) {
	select {
	case n.queue <- tell:
	default:
		n.metrics.dropped("full")
	}
}

func (n *notifier) work() {
	for {
		select {
		case tell := <-n.queue:
			tell()
		case <-n.ctx.Done():
			return
		}
	}
}

func (n *notifier) tell(id nexus.IncidentID, seq int64) {
	ctx, cancel := context.WithTimeout(n.ctx, noticeWait)
	defer cancel()
	if _, err := grain.Ask[*grain.Done](ctx, n.dir, grain.Ref{Kind: KindName, ID: string(id)}, &Changed{Seq: seq}); err != nil {
		n.log.Debug("grain not told of a change", "incident", id, "err", err)
		n.metrics.dropped("failed")
	}
}

func (n *notifier) close() {
	n.cancel()
	n.workers.Wait()
}
