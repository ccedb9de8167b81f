package socketio

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"nexus/transport/engineio"
)

// Namespace is what the upper layer does for one namespace. Calls for the sockets of one connection never overlap and their order is the
// client's; while a call runs, the connection's next packet waits. Calls for different connections do overlap. The events in
// Config.Ahead are apart: they wait for each other, but for nothing else, and overlap with any call.
type Namespace interface {
	// Connect admits a socket, or refuses it: a *ConnectError is shown to the client, any other error only as "internal
	// error". auth is a JSON object, {} when the client sent none. Messages pushed meanwhile follow the answer.
	Connect(s *Socket, auth json.RawMessage) error
	// Event handles one event.
	Event(s *Socket, e Event)
	// Disconnect is called once for every socket that Connect admitted, after its last Event but for those in Config.Ahead.
	Disconnect(s *Socket, reason Reason)
}

// Event is one event of a client.
type Event struct {
	Name string
	Args Args
	At   time.Time // when it came
	// Ack answers the event, nil if the client wants no answer. It may be called later and from any goroutine; only the first call
	// counts.
	Ack func(args ...any) error
}

// ConnectError is a refusal that the client gets to see, as the message and data of its connect_error.
type ConnectError struct {
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

// Error is the message.
func (e *ConnectError) Error() string { return e.Message }

// Server routes connections to namespaces. Its methods are safe for concurrent use.
type Server struct {
	cfg       Config
	engine    *engineio.Server
	start     time.Time // instants are counted from here, on the monotonic clock
	newcomers newcomers

	mu         sync.RWMutex
	namespaces map[string]*home
}

// home is a namespace by its name.
type home struct {
	name string
	Namespace
}

// instant is a time as connections keep it.
func (s *Server) instant(t time.Time) time.Duration { return t.Sub(s.start) }

// NewServer makes a server with its own engine, for an adapter to mount.
func NewServer(cfg Config, engine engineio.Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, start: time.Now(), newcomers: newcomers{patience: cfg.ConnectTimeout}, namespaces: make(map[string]*home)}
	if s.engine, err = engineio.NewServer(engine, s.accept); err != nil {
		return nil, err
	}
	return s, nil
}

// Engine is the server's lower half: what is mounted, counted and shut down.
func (s *Server) Engine() *engineio.Server { return s.engine }

// Handle gives a namespace to clients. Its name begins with '/' and has no comma; a wrong name, or one that is taken, panics.
func (s *Server) Handle(name string, ns Namespace) {
	if !strings.HasPrefix(name, "/") || strings.Contains(name, ",") || ns == nil {
		panic(fmt.Sprintf("socketio: namespace %q cannot be handled", name))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.namespaces[name]; taken {
		panic(fmt.Sprintf("socketio: namespace %q is handled already", name))
	}
	grown := maps.Clone(s.namespaces)
	grown[name] = &home{name, ns}
	s.namespaces = grown
}

func (s *Server) namespace(name string) *home {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.namespaces[name]
}
