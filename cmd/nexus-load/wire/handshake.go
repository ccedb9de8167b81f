package wire

import (
	"bytes"
	"errors"
	"fmt"
)

// Key is what our handshakes ask with, Accept what answers it: the pair of RFC 6455's own example.
const (
	Key    = "dGhlIHNhbXBsZSBub25jZQ=="
	Accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// maxHead bounds the head of a handshake's answer.
const maxHead = 16 << 10

var (
	headEnd = []byte("\r\n\r\n")
	accept  = []byte(Accept)
)

// Handshake is the request that opens a WebSocket to a Socket.IO server.
func Handshake(host, path string) []byte {
	return fmt.Appendf(nil, "GET %s?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", path, host, Key)
}

// Upgraded reads the answer to a handshake, and says how many bytes it took: none while it is not all there. An answer that is no upgrade is
// an error, in the server's words as far as they are there.
func Upgraded(b []byte) (n int, err error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		if len(b) > maxHead {
			return 0, errors.New("the handshake's answer has no end")
		}
		return 0, nil
	}
	line, _, _ := bytes.Cut(b[:end], []byte("\r\n"))
	_, status, found := bytes.Cut(line, []byte(" "))
	switch {
	case !found || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")):
		return 0, errors.New("the handshake's answer is not HTTP/1.1")
	case !bytes.HasPrefix(status, []byte("101 ")):
		return 0, fmt.Errorf("the handshake is answered %s", status)
	case !bytes.Contains(b[:end], accept):
		return 0, errors.New("the handshake's answer is to another key")
	}
	return end + len(headEnd), nil
}
