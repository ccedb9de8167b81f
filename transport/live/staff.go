package live

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"nexus"
	"nexus/actors/course"
)

// Who is taken off a course hears no more of it, and who is put on it does, without coming back: within a second or two by the word that its staff
// has changed, and within staffLate when that word is lost or nobody gives it, as after an import, as long as the database answers.
const (
	// staffEvery is when a node looks anyway, up to half as much again later.
	staffEvery = 20 * time.Second
	// staffRest is what lies between two looks, however many courses are changed.
	staffRest = time.Second
	// staffAgain is when a look that failed is made up for.
	staffAgain = 3 * time.Second
	// staffWait bounds one query, and staffAtOnce the people in it.
	staffWait   = 2 * time.Second
	staffAtOnce = 200
	// staffLate leaves room for a look that began before the change, the rest and the wait after it, and the next one.
	staffLate = 45 * time.Second
)

// staffTopics is what the topics of all courses' staffs begin with.
var staffTopics = course.StaffTopic("")

// Teachers knows who teaches what.
type Teachers interface {
	// Taught returns the courses of whose staff people are, of each person no more than they may listen to. Who may not teach has none.
	Taught(ctx context.Context, users []nexus.UserID) (map[nexus.UserID][]nexus.CourseID, error)
}

// staff keeps true who hears the topics of courses' staffs. It looks at all of the node's teachers at once, not at each of their sockets.
type staff struct {
	teachers Teachers
	hub      *Hub
	log      *slog.Logger
	heard    atomic.Int64  // how often some staff has changed
	wake     chan struct{} // one place: somebody is to be looked at
	cancel   context.CancelFunc
	done     chan struct{}
}

func newStaff(t Teachers, hub *Hub) *staff {
	ctx, cancel := context.WithCancel(context.Background())
	s := &staff{teachers: t, hub: hub, log: hub.log, wake: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	go s.run(ctx)
	return s
}

// close ends the looks and waits for the one under way.
func (s *staff) close() {
	s.cancel()
	<-s.done
}

// hear takes the word that streams or topics have something new. It never blocks.
func (s *staff) hear(news []string) {
	if slices.ContainsFunc(news, func(n string) bool { return strings.HasPrefix(n, staffTopics) }) {
		s.heard.Add(1)
		s.look()
	}
}

// look has all be looked at soon.
func (s *staff) look() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *staff) run(ctx context.Context) {
	defer close(s.done)
	for next := spread(staffEvery); ; next = spread(staffEvery) {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-time.After(next):
		}
		for !s.settle(ctx) {
			if !nexus.Pause(ctx, staffAgain) {
				return
			}
		}
		if !nexus.Pause(ctx, staffRest) {
			return
		}
	}
}

// settle has each of the node's teachers listen to the courses that they teach now. It reports false if that is not known of all.
func (s *staff) settle(ctx context.Context) (all bool) {
	peers := make(map[nexus.UserID][]*peer)
	for _, p := range s.hub.membersOf(academicNamespace) {
		if mayTeach(p.who()) {
			peers[p.user()] = append(peers[p.user()], p)
		}
	}
	all = true
	for users := range slices.Chunk(slices.Collect(maps.Keys(peers)), staffAtOnce) {
		taught, err := s.topics(ctx, users...)
		if err != nil {
			if ctx.Err() == nil {
				s.log.Warn("list who teaches what", "err", err)
			}
			all = false
			continue
		}
		for _, u := range users {
			for _, p := range peers[u] {
				s.hub.listenAmong(p, staffTopics, taught[u])
			}
		}
	}
	return all
}

// topics returns those of the courses that people teach.
func (s *staff) topics(ctx context.Context, users ...nexus.UserID) (map[nexus.UserID][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, staffWait)
	defer cancel()
	taught, err := s.teachers.Taught(ctx, users)
	topics := make(map[nexus.UserID][]string, len(taught))
	for u, courses := range taught {
		for _, id := range courses {
			topics[u] = append(topics[u], course.StaffTopic(id))
		}
	}
	return topics, err
}

// admit has a peer listen to the courses that it teaches, and to others besides.
func (s *staff) admit(ctx context.Context, p *peer, others []string) error {
	if !mayTeach(p.who()) {
		return s.hub.subscribeFromNow(p, others)
	}
	heard := s.heard.Load()
	taught, err := s.topics(ctx, p.user())
	if err != nil {
		return err
	}
	err = s.hub.subscribeFromNow(p, append(others, taught[p.user()]...))
	if s.heard.Load() != heard { // what was read may be of before, and the look that followed too early for this peer
		s.look()
	}
	return err
}

// mayTeach reports whether a caller can be of a course's staff.
func mayTeach(c nexus.Caller) bool { return c.Has(nexus.Faculty, nexus.Admin) }

// membersOf returns the members in a namespace.
func (h *Hub) membersOf(namespace string) (peers []*peer) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, p := range h.members {
		if p.socket.Namespace() == namespace {
			peers = append(peers, p)
		}
	}
	return peers
}

// listenAmong replaces those of the topics that a peer listens to which begin with a prefix.
func (h *Hub) listenAmong(p *peer, prefix string, topics []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !p.here {
		return
	}
	for i := len(p.topics) - 1; i >= 0; i-- {
		if name := p.topics[i].to.name; strings.HasPrefix(name, prefix) && !slices.Contains(topics, name) {
			h.leave(p, i)
		}
	}
	for _, name := range topics {
		if !slices.ContainsFunc(p.topics, func(l listening) bool { return l.to.name == name }) {
			h.enter(p, name)
		}
	}
}
