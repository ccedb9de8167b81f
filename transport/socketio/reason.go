package socketio

import "nexus/transport/engineio"

// Reason says why a socket or a connection ended; it is the engine's type, so that its reasons pass through.
type Reason = engineio.Reason

// Why sockets end, beside the reasons of the engine. The last two concern a socket alone; its connection goes on.
var (
	ConnectTimeout     = Reason{Code: 4010, Name: "connect timeout"}
	InvalidPacket      = Reason{Code: 4011, Name: "invalid packet"}
	InvalidState       = Reason{Code: 4012, Name: "packet for a namespace that is not connected"}
	TooManyAttachments = Reason{Code: 4013, Name: "too many attachments"}
	TooManyNamespaces  = Reason{Code: 4014, Name: "too many namespaces"}
	TooManyEvents      = Reason{Code: 4015, Name: "too many events"}
	TooManyAcks        = Reason{Code: 4016, Name: "too many pending acks"}
	EventTooLarge      = Reason{Code: 4017, Name: "event too large"}
	UnfinishedPacket   = Reason{Code: 4018, Name: "unfinished packet"}

	ClientDisconnect = Reason{Code: 4020, Name: "client namespace disconnect"}
	ServerDisconnect = Reason{Code: 4021, Name: "server namespace disconnect"}
)
