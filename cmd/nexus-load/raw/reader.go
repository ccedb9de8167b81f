package raw

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
)

// reader reads what clients send, which is little.
type reader struct {
	conn net.Conn
	in   []byte
}

var errLong = errors.New("a client that says much")

const most = 16 << 10

func (r *reader) fill() error {
	if len(r.in) > most {
		return errLong
	}
	var buffer [1024]byte
	n, err := r.conn.Read(buffer[:])
	r.in = append(r.in, buffer[:n]...)
	if n > 0 {
		return nil
	}
	return err
}

// head reads the request.
func (r *reader) head() error {
	for {
		if i := bytes.Index(r.in, []byte("\r\n\r\n")); i >= 0 {
			r.in = r.in[i+4:]
			return nil
		}
		if err := r.fill(); err != nil {
			return err
		}
	}
}

// next reads one frame of a client, masked as it must be.
func (r *reader) next() (string, error) {
	for {
		m, n := frame(r.in)
		if n > 0 {
			r.in = r.in[n:]
			return m, nil
		}
		if err := r.fill(); err != nil {
			return "", err
		}
	}
}

// frame cuts the first frame off; 0 while it is not all there.
func frame(b []byte) (string, int) {
	if len(b) < 2 {
		return "", 0
	}
	size, head := int(b[1]&0x7f), 2
	if size == 126 {
		if len(b) < 4 {
			return "", 0
		}
		size, head = int(binary.BigEndian.Uint16(b[2:])), 4
	}
	if b[1]&0x7f == 127 || len(b) < head+4+size {
		return "", 0 // the first of which no client of ours sends
	}
	key := b[head : head+4]
	text := bytes.Clone(b[head+4 : head+4+size])
	for i := range text {
		text[i] ^= key[i&3]
	}
	return string(text), head + 4 + size
}
