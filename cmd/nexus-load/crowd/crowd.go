// Package crowd is many Socket.IO clients that listen, on few threads: one epoll loop each, raw sockets, no goroutine and next to no memory
// per client. What the server sends is timed as it is read.
//
//	dial --connected--> upgrade --101--> open --0{}--> join --40--> subscribe --43--> served
//	  ^                                                                                 |
//	  +------------------- a while later <--- closed, reset, refused <------------------+
//
// A client whose connection ends comes back, as the official one does, and counts as resumed once it is served again.
package crowd

import (
	"errors"
	"net/netip"
	"runtime"
	"time"

	"nexus/cmd/nexus-load/hist"
)

// Options describe a crowd. Zero fields take the default beside them.
type Options struct {
	Addrs     []netip.AddrPort // of the server's nodes, used in turn
	Host      string           // as the Host header says it; the first address
	Path      string           // /socket.io/
	Namespace string           // /mess
	Subscribe []string         // halls, "*" for all; nil hears what the server gives unasked
	Tokens    []string         // of the clients, used in turn; strangers without
	Sockets   int
	Sources   int  // loopback addresses to come from, 127.0.0.2 and on; 0 lets the system choose
	Ramp      int  // sockets a second; 0 is as fast as they are taken
	Pending   int  // 256: sockets on their way while ramping
	Stalled   int  // of the sockets, those that read nothing once they are served
	Loops     int  // GOMAXPROCS: threads
	NoReturn  bool // clients whose connection ends stay away
}

// Limits of Options.
const (
	MaxSockets = 1_000_000
	MaxSources = 250
)

func (o Options) withDefaults() (Options, error) {
	if len(o.Addrs) == 0 {
		return o, errors.New("no address to connect to")
	}
	if o.Sockets < 1 || o.Sockets > MaxSockets {
		return o, errors.New("between 1 and 1,000,000 sockets")
	}
	if o.Sources < 0 || o.Sources > MaxSources {
		return o, errors.New("between 0 and 250 source addresses")
	}
	if o.Stalled < 0 || o.Stalled > o.Sockets {
		return o, errors.New("more stalled readers than sockets")
	}
	if o.Host == "" {
		o.Host = o.Addrs[0].String()
	}
	if o.Path == "" {
		o.Path = "/socket.io/"
	}
	if o.Namespace == "" {
		o.Namespace = "/mess"
	}
	if o.Pending == 0 {
		o.Pending = 256
	}
	if o.Loops == 0 {
		o.Loops = runtime.GOMAXPROCS(0)
	}
	o.Loops = min(o.Loops, o.Sockets)
	return o, nil
}

// Topic is what was heard of one hall while it was measured.
type Topic struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Messages   uint64         `json:"messages"`
	Gaps       uint64         `json:"gaps"`       // numbers left out, over all sockets
	Duplicates uint64         `json:"duplicates"` // numbers heard before, or older ones
	Latency    hist.Histogram `json:"latency"`    // from the payload's timestamp
	Edge       hist.Histogram `json:"edge"`       // from the edge of the second that the timestamp is nearest to
}

// Heard is what was heard while it was measured.
type Heard struct {
	Messages uint64         `json:"messages"` // ticks, over all sockets that read
	Bytes    uint64         `json:"bytes"`    // read, of any kind
	Topics   []*Topic       `json:"topics"`
	Latency  hist.Histogram `json:"latency"` // over all topics
	Edge     hist.Histogram `json:"edge"`
}

// merge adds what another loop, or process, has heard.
func (h *Heard) merge(o *Heard) {
	h.Messages += o.Messages
	h.Bytes += o.Bytes
	h.Latency.Merge(&o.Latency)
	h.Edge.Merge(&o.Edge)
	for _, t := range o.Topics {
		into := h.topic(t.ID)
		into.Name = t.Name
		into.Messages += t.Messages
		into.Gaps += t.Gaps
		into.Duplicates += t.Duplicates
		into.Latency.Merge(&t.Latency)
		into.Edge.Merge(&t.Edge)
	}
}

func (h *Heard) topic(id string) *Topic {
	for _, t := range h.Topics {
		if t.ID == id {
			return t
		}
	}
	t := &Topic{ID: id}
	h.Topics = append(h.Topics, t)
	return t
}

// Gaps is how many numbers were left out, over all topics.
func (h *Heard) Gaps() (n uint64) {
	for _, t := range h.Topics {
		n += t.Gaps
	}
	return n
}

// Duplicates is how many numbers were heard again, over all topics.
func (h *Heard) Duplicates() (n uint64) {
	for _, t := range h.Topics {
		n += t.Duplicates
	}
	return n
}

// Merge sums up what several processes have heard.
func Merge(all ...*Heard) *Heard {
	sum := new(Heard)
	for _, h := range all {
		sum.merge(h)
	}
	return sum
}

// Links is what became of connections.
type Links struct {
	Connect  hist.Histogram    `json:"connect"` // from the first packet to being served
	Failures map[string]uint64 `json:"failures"`
	Ends     map[string]uint64 `json:"ends"`     // of sockets that were served, by how they ended
	Resumes  uint64            `json:"resumes"`  // sockets that were served again after that
	Unlikely map[string]uint64 `json:"unlikely"` // what no server should send, by what it was
}

func newLinks() Links {
	return Links{Failures: make(map[string]uint64), Ends: make(map[string]uint64), Unlikely: make(map[string]uint64)}
}

// MergeLinks sums up what became of the connections of several loops, or processes.
func MergeLinks(all ...*Links) *Links {
	sum := newLinks()
	for _, l := range all {
		sum.Connect.Merge(&l.Connect)
		sum.Resumes += l.Resumes
		for _, m := range []struct{ into, of map[string]uint64 }{{sum.Failures, l.Failures}, {sum.Ends, l.Ends}, {sum.Unlikely, l.Unlikely}} {
			for what, n := range m.of {
				m.into[what] += n
			}
		}
	}
	return &sum
}

// newActivation is a jump of a hall's numbers that says that it lives anew: nothing was left out. Its numbers then begin above all of
// the life before.
const newActivation = 1 << 29

// comeBackAfter is when a client whose connection has ended connects again; half of it at random is added.
const comeBackAfter = time.Second
