package wire

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

func TestHandshakeIsARequestForAWebSocket(t *testing.T) {
	q, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(Handshake("campus:4000", "/socket.io/"))))
	if err != nil {
		t.Fatal(err)
	}
	if q.Host != "campus:4000" || q.URL.String() != "/socket.io/?EIO=4&transport=websocket" || q.Header.Get("Upgrade") != "websocket" || q.Header.Get("Sec-WebSocket-Version") != "13" {
		t.Errorf("%s %s %v", q.Host, q.URL, q.Header)
	}
	sum := sha1.Sum([]byte(q.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if got := base64.StdEncoding.EncodeToString(sum[:]); got != Accept {
		t.Errorf("the key is accepted with %s, not %s", got, Accept)
	}
}

func TestUpgraded(t *testing.T) {
	const good = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: " + Accept + "\r\n\r\n"
	for _, c := range []struct {
		name, in string
		n        int
		err      string
	}{
		{"nothing", "", 0, ""},
		{"on its way", good[:40], 0, ""},
		{"good", good, len(good), ""},
		{"with a frame behind it", good + "\x81\x00", len(good), ""},
		{"refused", "HTTP/1.1 429 Too Many Requests\r\n\r\n{}", 0, "the handshake is answered 429 Too Many Requests"},
		{"to another key", "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n", 0, "the handshake's answer is to another key"},
		{"not HTTP", "SSH-2.0\r\n\r\n", 0, "the handshake's answer is not HTTP/1.1"},
		{"endless", strings.Repeat("x", maxHead+1), 0, "the handshake's answer has no end"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, err := Upgraded([]byte(c.in))
			if n != c.n || (err == nil) != (c.err == "") || err != nil && err.Error() != c.err {
				t.Errorf("%d, %v, want %d, %q", n, err, c.n, c.err)
			}
		})
	}
}
