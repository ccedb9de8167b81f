package engineio

import (
	"context"
	"encoding/json"
	"net/http"
)

// Request is what the server needs to know of an HTTP request. Strings and Body must not change while the call lasts; the
// server keeps copies of nothing but Origin and RemoteAddr, which must stay valid.
type Request struct {
	Method          string
	EIO             string // query value
	Transport       string // query value
	SID             string // query value, "" for a handshake
	Origin          string // header, "" if absent
	ContentType     string // header
	ContentEncoding string // header
	RemoteAddr      string
	Body            []byte // raw, as it came
}

// Response is the answer to write.
type Response struct {
	Status      int
	ContentType string
	Body        []byte
	AllowOrigin string // if set: the CORS origin to allow, with credentials
	RetryAfter  int    // seconds, if set
}

// The error codes and texts of the protocol's reference server.
const (
	codeUnknownTransport = iota
	codeUnknownSession
	codeHandshakeMethod
	codeBadRequest
	codeForbidden
	codeProtocolVersion
)

var errorTexts = [...]string{
	codeUnknownTransport: "Transport unknown",
	codeUnknownSession:   "Session ID unknown",
	codeHandshakeMethod:  "Bad handshake method",
	codeBadRequest:       "Bad request",
	codeForbidden:        "Forbidden",
	codeProtocolVersion:  "Unsupported protocol version",
}

// refusal is an error answer with the reference's body.
func refusal(code int) Response {
	status := http.StatusBadRequest
	if code == codeForbidden {
		status = http.StatusForbidden
	}
	return errorResponse(status, code, errorTexts[code])
}

func errorResponse(status, code int, message string) Response {
	body, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{code, message})
	if err != nil {
		panic(err) // a struct of an int and a string always encodes
	}
	return Response{Status: status, ContentType: "application/json", Body: body}
}

// overloaded turns a handshake away for now.
func overloaded() Response {
	r := errorResponse(http.StatusServiceUnavailable, codeBadRequest, "Too many sessions")
	r.RetryAfter = 5
	return r
}

func text(body []byte) Response {
	return Response{Status: http.StatusOK, ContentType: "text/plain; charset=UTF-8", Body: body}
}

// ServePoll answers everything but a WebSocket upgrade: handshake, poll (it waits for output, or until ctx ends because the client
// went away), data, CORS preflight.
func (s *Server) ServePoll(ctx context.Context, r Request) Response {
	if !s.originAllowed(r.Origin) {
		return s.refused(refusal(codeForbidden))
	}
	var answer Response
	if r.Method == http.MethodOptions {
		answer = Response{Status: http.StatusNoContent}
	} else {
		answer = s.servePoll(ctx, r)
	}
	answer.AllowOrigin = r.Origin
	return s.refused(answer)
}

func (s *Server) servePoll(ctx context.Context, r Request) Response {
	if r.Transport != string(Polling) && r.Transport != string(WebSocket) {
		return refusal(codeUnknownTransport)
	}
	if r.SID == "" {
		return s.handshake(r)
	}
	session := s.lookup(r.SID)
	switch {
	case session == nil:
		return refusal(codeUnknownSession)
	case r.Transport != string(Polling) || r.EIO != "4":
		return refusal(codeBadRequest)
	case r.Method == http.MethodGet:
		return session.servePoll(ctx)
	case r.Method == http.MethodPost:
		return session.servePost(r)
	}
	return refusal(codeBadRequest)
}

// handshake opens a polling session and answers with its open packet.
func (s *Server) handshake(r Request) Response {
	switch {
	case r.Method != http.MethodGet:
		return refusal(codeHandshakeMethod)
	case r.Transport == string(WebSocket): // without an Upgrade header
		return refusal(codeBadRequest)
	case r.EIO != "4":
		return refusal(codeProtocolVersion)
	}
	session := s.newSession(r, Polling)
	if !session.open() {
		return overloaded()
	}
	return text(session.openPacket("websocket"))
}

func (s *Server) originAllowed(origin string) bool {
	return origin == "" || s.cfg.AllowOrigin != nil && s.cfg.AllowOrigin(origin)
}

// refused tells the hook about error answers.
func (s *Server) refused(r Response) Response {
	if r.Status >= 400 && s.cfg.Hooks.Refused != nil {
		s.cfg.Hooks.Refused(r.Status)
	}
	return r
}
