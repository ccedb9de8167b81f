// Package engineio is the server side of Engine.IO, protocol 4: sessions that live on HTTP long-polling, on a WebSocket, or start
// on the first and move to the second, and that carry whole messages, text or binary, in order and at most once.
//
// It knows no HTTP library. An adapter (see onfiber) turns requests into Request values and hands the bare connection over
// once the WebSocket handshake is answered; the framing of RFC 6455 is done here.
//
// The life of a session:
//
//	        GET without sid                       claim + 101
//	              |                                    |
//	              v             2probe 3probe 5        v
//	          polling  ------------------------->  websocket
//	              |  client or server closes, a limit, no pong  |
//	              v                                             v
//	closing: one last poll gets the rest      closing: the rest, then a close frame
//	              |                                             |
//	              +-------------------> closed <----------------+
//
// Receiver.Closed is called once, when the session leaves its open state and after the message in hand was handled.
//
// Output waits in three lanes per session. Urgent messages overtake everything but the rest of a message whose first bytes are
// already on the wire. Reliable messages leave in order; too many waiting bytes close the session with SlowClient. Lossy
// messages wait in named slots of one message each, where the newest wins. What waits together leaves in one write. Sessions own no
// writer: a few shared workers write without ever blocking on one socket, and give way while something urgent is under way (Hurry).
//
// A WebSocket is read by a goroutine of its own, or, where its connection is a Detacher, over a Link: then it costs none while
// nothing happens, neither to be read nor, when it takes no more, to be written to. Over a connection, a goroutine of its own waits for one
// that takes no more, and ends when the backlog does. Package epoll makes Links.
package engineio
