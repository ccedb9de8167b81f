package engineio

// Reason says why a session ended. Code is the WebSocket close code that the client sees (4000 and up are ours), Name the text
// beside it and the label for logs and metrics. Reasons are compared by value; an upper layer may add its own.
type Reason struct {
	Code uint16
	Name string
}

// String is the reason's name.
func (r Reason) String() string { return r.Name }

// Why sessions end. The names of the first five are the reference server's.
var (
	TransportClosed = Reason{1000, "transport close"}
	TransportError  = Reason{1002, "transport error"}
	PingTimeout     = Reason{4000, "ping timeout"}
	ParseError      = Reason{4001, "parse error"}
	Forced          = Reason{4002, "forced close"}
	ShuttingDown    = Reason{1001, "server shutting down"}
	SlowClient      = Reason{4003, "slow client"}
	PayloadTooLarge = Reason{1009, "payload too large"}
	InvalidText     = Reason{1007, "invalid utf-8"}
	TooManySessions = Reason{1013, "too many sessions"}
	InternalError   = Reason{1011, "internal error"}

	UnfinishedMessage = Reason{4007, "unfinished message"}
)

// abrupt reports whether what still waits is thrown away: there is nobody to read it, or nobody who would in time.
func (r Reason) abrupt() bool {
	switch r {
	case TransportClosed, TransportError, PingTimeout, ParseError, SlowClient, PayloadTooLarge, InvalidText, InternalError:
		return true
	}
	return false
}
