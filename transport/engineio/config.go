package engineio

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"
)

// Config holds the limits of a Server. Zero fields take the default beside them; Check refuses the rest.
type Config struct {
	PingInterval   time.Duration // 25 s: between two pings of the server
	PingTimeout    time.Duration // 20 s: for the pong
	UpgradeTimeout time.Duration // 10 s: from the claim to the upgrade packet
	MessageTimeout time.Duration // 20 s: for a message that has begun to come in, on a WebSocket, to be whole
	WriteTimeout   time.Duration // 10 s: for a socket to take another byte
	CloseTimeout   time.Duration // 2 s: for the rest and the close frame to leave, and for the last poll to come
	MaxPayload     int           // 1,000,000 bytes: one polling body, or one WebSocket message
	MaxSessions    int           // 100,000: past it handshakes are refused
	MaxPerAddress  int           // MaxSessions: of one client address, or one IPv6 network of 64 bits; a campus often shares one
	MaxQueueBytes  int           // 1 MiB: urgent and reliable bytes that may wait; past it the session is closed (SlowClient)
	MaxSlots       int           // 64: lossy slots per session; past it offers under new names are dropped
	ChunkBytes     int           // 64 KiB: of one write; the urgent lane is looked at between two
	Workers        int           // GOMAXPROCS-1, at least 1: flushing goroutines; keep a core free for what is urgent

	// SessionPrefix begins the id of every session of this server, so that whoever meets the id elsewhere knows whose it is: at most
	// 32 characters that need no escaping in a URL, "" for none.
	SessionPrefix string

	// Pressed reports whether memory runs short: new sessions are refused then, and those that are there go on. It is asked at every
	// handshake, and must be quick. Without it memory is no reason.
	Pressed func() bool

	// AllowOrigin decides on requests that carry an Origin header, polling and upgrade alike. Without it they are all refused.
	// Requests without the header come from native clients and pass.
	AllowOrigin func(origin string) bool

	// Hooks hears what happens, for metrics.
	Hooks Hooks
}

// Hooks are called as things happen, if set. They must not block and must not call back into the session.
type Hooks struct {
	Opened   func(Transport)         // a session was made
	Upgraded func()                  // a session moved from polling to WebSocket
	Closed   func(Transport, Reason) // a session left its open state, and where
	Received func(bytes int)         // a message came in
	Queued   func(bytes int)         // a message was accepted for one session
	Dropped  func()                  // a lossy message gave way to a newer one, or found no slot
	Refused  func(status int)        // a request was answered with an error
	Full     func(why Why)           // a handshake was refused that would have been fine at another time
}

// LogPanic logs a panic of the upper layer, which has ended its session, with the stack that it left.
func LogPanic(cause any) {
	slog.Error("websocket handler panicked", "cause", cause, "stack", string(debug.Stack()))
}

// Why says why there is no room for a new session.
type Why string

// The reasons. A refused handshake is answered with 503 and Retry-After, before any upgrade; a WebSocket whose place another one took while
// it was being answered is closed with TooManySessions.
const (
	FullClosing  Why = "closing"
	FullSessions Why = "sessions"
	FullAddress  Why = "address"
	FullMemory   Why = "memory"
)

// Check reports the first field that is out of its range.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

func (c Config) withDefaults() (Config, error) {
	for _, d := range []struct {
		name string
		at   *time.Duration
		def  time.Duration
	}{
		{"PingInterval", &c.PingInterval, 25 * time.Second},
		{"PingTimeout", &c.PingTimeout, 20 * time.Second},
		{"UpgradeTimeout", &c.UpgradeTimeout, 10 * time.Second},
		{"MessageTimeout", &c.MessageTimeout, 20 * time.Second},
		{"WriteTimeout", &c.WriteTimeout, 10 * time.Second},
		{"CloseTimeout", &c.CloseTimeout, 2 * time.Second},
	} {
		if *d.at == 0 {
			*d.at = d.def
		}
		if *d.at < time.Millisecond {
			return c, fmt.Errorf("engineio: %s is %v: at least 1ms", d.name, *d.at)
		}
	}
	if c.MaxSessions == 0 {
		c.MaxSessions = 100_000
	}
	for _, n := range []struct {
		name     string
		at       *int
		def, min int
	}{
		{"MaxPayload", &c.MaxPayload, 1_000_000, 128},
		{"MaxSessions", &c.MaxSessions, c.MaxSessions, 1},
		{"MaxPerAddress", &c.MaxPerAddress, c.MaxSessions, 1},
		{"MaxQueueBytes", &c.MaxQueueBytes, 1 << 20, 1024},
		{"MaxSlots", &c.MaxSlots, 64, 1},
		{"ChunkBytes", &c.ChunkBytes, 64 << 10, 1024},
		{"Workers", &c.Workers, defaultWorkers(), 1},
	} {
		if *n.at == 0 {
			*n.at = n.def
		}
		if *n.at < n.min {
			return c, fmt.Errorf("engineio: %s is %d: at least %d", n.name, *n.at, n.min)
		}
	}
	if len(c.SessionPrefix) > 32 || strings.ContainsFunc(c.SessionPrefix, special) {
		return c, fmt.Errorf("engineio: SessionPrefix is %q: at most 32 of A-Z a-z 0-9 . _ -", c.SessionPrefix)
	}
	return c, nil
}

// special reports whether a character would be escaped in a URL's query.
func special(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	return !letter && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
}
