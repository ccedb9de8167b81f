package socketio

import (
	"fmt"
	"time"
)

// Config holds the limits of a Server. Zero fields take the default beside them; negative ones are refused.
type Config struct {
	ConnectTimeout  time.Duration // 45 s: for the first namespace to be connected
	PacketTimeout   time.Duration // 10 s: for all attachments of a packet to come
	MaxNamespaces   int           // 16: connected at once on one connection
	MaxAttachments  int           // 10: of one packet, as the reference
	MaxEventBytes   int           // 4 MiB: a packet with its attachments
	MaxDepth        int           // 64: nested arrays and objects
	MaxPendingAcks  int           // 256: calls of one socket that the client has not answered
	EventsPerSecond int           // 200: packets of one connection, of whatever type
	EventBurst      int           // twice EventsPerSecond

	// Apart are events with a bucket of their own, as large: whatever else a client sent too much of, they still come through. Their
	// acknowledgements are urgent.
	Apart []string

	// Ahead are events that wait for no other packet of their connection, once their socket is connected: whatever a client asked for
	// before, and however long it takes. They must bear being handled before what was sent before them.
	Ahead []string
}

// limits are those of Decode.
func (c *Config) limits() Limits {
	return Limits{MaxAttachments: c.MaxAttachments, MaxDepth: c.MaxDepth}
}

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		name string
		at   *time.Duration
		def  time.Duration
	}{
		{"ConnectTimeout", &c.ConnectTimeout, 45 * time.Second},
		{"PacketTimeout", &c.PacketTimeout, 10 * time.Second},
	} {
		if *d.at == 0 {
			*d.at = d.def
		}
		if *d.at < 0 {
			return c, fmt.Errorf("socketio: %s is %v", d.name, *d.at)
		}
	}
	if c.EventBurst == 0 {
		c.EventBurst = 2 * c.EventsPerSecond
	}
	for _, n := range []struct {
		name string
		at   *int
		def  int
	}{
		{"MaxNamespaces", &c.MaxNamespaces, 16},
		{"MaxAttachments", &c.MaxAttachments, 10},
		{"MaxEventBytes", &c.MaxEventBytes, 4 << 20},
		{"MaxDepth", &c.MaxDepth, 64},
		{"MaxPendingAcks", &c.MaxPendingAcks, 256},
		{"EventsPerSecond", &c.EventsPerSecond, 200},
		{"EventBurst", &c.EventBurst, 400},
	} {
		if *n.at == 0 {
			*n.at = n.def
		}
		if *n.at < 0 {
			return c, fmt.Errorf("socketio: %s is %d", n.name, *n.at)
		}
	}
	return c, nil
}
