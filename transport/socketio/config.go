package socketio

import (
	"fmt"
	"time"
)

// Config holds the limits of a Server. Zero fields take the default beside them; negative ones are refused.
type Config struct {
	ConnectTimeout  time.Duration // 45 s: for the first namespace to be connected
	MaxNamespaces   int           // 16: connected at once on one connection
	MaxAttachments  int           // 10: of one packet, as the reference
	MaxEventBytes   int           // 4 MiB: a packet with its attachments
	MaxDepth        int           // 64: nested arrays and objects
	MaxPendingAcks  int           // 256: calls of one socket that the client has not answered
	EventsPerSecond int           // 200: CONNECT, DISCONNECT and EVENT packets of one connection
	EventBurst      int           // twice EventsPerSecond
}

func (c Config) withDefaults() (Config, error) {
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 45 * time.Second
	}
	if c.ConnectTimeout < 0 {
		return c, fmt.Errorf("socketio: ConnectTimeout is %v", c.ConnectTimeout)
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
