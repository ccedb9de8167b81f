package live

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// A socket hears of its login's end from its user's session. It looks for itself, too, because that word can be lost: the
// login may end before the socket is attached, while an activation moves, or on a node whose news has not come yet.
const (
	// checkSoon is when a socket looks after it was attached: later than any answer of a Verifier that is still old.
	checkSoon = 6 * time.Second
	// checkEvery is when it looks after that: 10,000 sockets cost the database some 150 small queries a second. Its session
	// forgets a socket that it has not heard of for some three times as long.
	checkEvery = time.Minute
)

const (
	// attachWait is how long a client that connects waits for its session; its node may have died a moment ago.
	attachWait = time.Second
	// keepWait bounds one attempt in the background.
	keepWait = 2 * time.Second
	// keepAtOnce bounds how many sockets attach side by side: a lost node gives thousands to attach at once.
	keepAtOnce = 64
	// keepAgain is how long an attempt that failed rests.
	keepAgain = 500 * time.Millisecond
)

// spread adds up to half as much again at random, so that sockets and nodes do not come in step.
func spread(d time.Duration) time.Duration { return d + rand.N(d/2) }

// keeper tends peers in the background, as many at once as are allowed, each again until it works. It holds each waiting
// peer once, so it is bounded by the number of sockets.
type keeper struct {
	tend   func(context.Context, *peer) bool
	again  func(*peer) // has one come back after a rest
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // one place: somebody waits

	mu      sync.Mutex
	waiting map[*peer]struct{}
}

func newKeeper(tend func(context.Context, *peer) bool, again func(*peer)) *keeper {
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{tend: tend, again: again, cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1), waiting: make(map[*peer]struct{})}
	go k.run(ctx)
	return k
}

// close ends the keeper and waits for what is under way.
func (k *keeper) close() {
	k.cancel()
	<-k.done
}

// add has a peer tended soon.
func (k *keeper) add(p *peer) {
	k.mu.Lock()
	k.waiting[p] = struct{}{}
	k.mu.Unlock()
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// next takes out any waiting peer, nil if there is none.
func (k *keeper) next() *peer {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := range k.waiting {
		delete(k.waiting, p)
		return p
	}
	return nil
}

func (k *keeper) run(ctx context.Context) {
	defer close(k.done)
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, keepAtOnce)
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		}
		for p := k.next(); p != nil; p = k.next() {
			select {
			case <-ctx.Done():
				return
			case slots <- struct{}{}:
			}
			under.Go(func() {
				defer func() { <-slots }()
				k.attempt(ctx, p)
			})
		}
	}
}

func (k *keeper) attempt(ctx context.Context, p *peer) {
	limited, cancel := context.WithTimeout(ctx, keepWait)
	defer cancel()
	if !k.tend(limited, p) && ctx.Err() == nil {
		k.again(p)
	}
}
