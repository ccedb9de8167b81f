// Package simnet is a network in memory for nodes of a cluster that live in one test: links and gossip run over it, and
// the test breaks it. Under testing/synctest minutes of a cluster's life pass in milliseconds.
//
//	n := simnet.New(seed)
//	a := n.Host("10.0.0.1")   // a.Dial and a.Listen for links, a.Gossip() for memberlist
//	n.Cut("10.0.0.1", "10.0.0.2")
//
// Streams behave as TCP does: what is sent into a cut waits, for ever or until it is healed, and a sender whose buffer
// is full blocks. Packets behave as UDP does, and are lost.
package simnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// window is how much a stream holds that the other end has not read.
const window = 256 << 10

// Net is a network of hosts. Its methods may be called at any time.
type Net struct {
	mu      sync.Mutex
	rand    *rand.Rand
	hosts   map[string]*Host
	cut     map[way]struct{}
	loss    float64 // of packets
	delay   time.Duration
	jitter  time.Duration
	changed chan struct{} // closed, and made anew, when something that was held up may go on
}

// way is one direction between two hosts.
type way struct{ from, to string }

// New returns a network on which everything takes a millisecond. The seed draws what is lost and how late the rest is.
func New(seed uint64) *Net {
	return &Net{
		rand: rand.New(rand.NewPCG(seed, 1)), hosts: make(map[string]*Host), cut: make(map[way]struct{}),
		delay: time.Millisecond, changed: make(chan struct{}),
	}
}

// Host adds a host by its IP address. One that was there before, and has crashed, is replaced.
func (n *Net) Host(ip string) *Host {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := &Host{net: n, ip: ip, listeners: make(map[string]*listener), ends: make(map[*end]struct{}), port: 20000}
	n.hosts[ip] = h
	return h
}

// Cut drops what goes from one host to another, in that direction alone.
func (n *Net) Cut(from, to string) { n.edit(func() { n.cut[way{from, to}] = struct{}{} }) }

// Part cuts the hosts of one side off from all others, in both directions.
func (n *Net) Part(side ...string) {
	n.edit(func() {
		in := make(map[string]bool)
		for _, ip := range side {
			in[ip] = true
		}
		for a := range n.hosts {
			for b := range n.hosts {
				if in[a] != in[b] {
					n.cut[way{a, b}] = struct{}{}
				}
			}
		}
	})
}

// Weather sets which part of the packets is lost, and how long everything takes: delay, and up to jitter more.
func (n *Net) Weather(loss float64, delay, jitter time.Duration) {
	n.edit(func() { n.loss, n.delay, n.jitter = loss, delay, jitter })
}

// Heal ends every cut and bad weather. Hosts that are frozen or have crashed stay so.
func (n *Net) Heal() {
	n.edit(func() {
		clear(n.cut)
		n.loss, n.delay, n.jitter = 0, time.Millisecond, 0
	})
}

// Freeze holds up all that a host sends and receives, as when its process is stopped: others can still connect to it.
func (n *Net) Freeze(ip string) { n.edit(func() { n.hosts[ip].frozen = true }) }

// Thaw lets go on what was held up.
func (n *Net) Thaw(ip string) { n.edit(func() { n.hosts[ip].frozen = false }) }

// Crash ends a host: what it sends from now on is lost. Its connections are reset as when a process is killed, or, if
// silent, say nothing more, as when its machine loses power.
func (n *Net) Crash(ip string, silent bool) {
	var ends []*end
	n.edit(func() {
		h := n.hosts[ip]
		h.crashed, h.silent, h.frozen = true, silent, false
		for e := range h.ends {
			ends = append(ends, e)
		}
	})
	for _, e := range ends {
		e.fail(errReset)
		if !silent {
			e.other.fail(errReset)
		}
	}
}

func (n *Net) edit(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	close(n.changed)
	n.changed = make(chan struct{})
}

// verdict says what becomes of something on its way: passed on, held up until the channel closes, or lost.
func (n *Net) verdict(from, to *Host) (pass bool, held <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if from.frozen || to.frozen {
		return false, n.changed
	}
	_, cut := n.cut[way{from.ip, to.ip}]
	if cut || from.crashed || to.crashed {
		return false, nil
	}
	return true, nil
}

// again is closed when something has changed.
func (n *Net) again() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

// takes draws how long something takes from host to host.
func (n *Net) takes() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.jitter == 0 {
		return n.delay
	}
	return n.delay + time.Duration(n.rand.Int64N(int64(n.jitter)))
}

func (n *Net) drops() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.loss > 0 && n.rand.Float64() < n.loss
}

func (n *Net) host(address string) (*Host, error) {
	ip, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	h, ok := n.hosts[ip]
	if !ok {
		return nil, fmt.Errorf("no route to %s", address)
	}
	return h, nil
}
