package freeport

import (
	"net"
	"testing"
)

func TestRowsAreFree(t *testing.T) {
	const rows = 20
	taken := 0 // by somebody who has found them too
	for range rows {
		first, err := Row(3)
		if err != nil {
			t.Fatal(err)
		}
		if first < lowest || first+3 > highest {
			t.Errorf("%d is not ours to take", first)
		}
		if !free(first, 3) {
			taken++
		}
	}
	if taken > rows/2 {
		t.Errorf("%d of %d rows are taken", taken, rows)
	}
}

func TestATakenPortIsNotFree(t *testing.T) {
	for _, listen := range []func() (interface{ Close() error }, int, error){
		func() (interface{ Close() error }, int, error) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return nil, 0, err
			}
			return l, l.Addr().(*net.TCPAddr).Port, nil
		},
		func() (interface{ Close() error }, int, error) {
			u, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				return nil, 0, err
			}
			return u, u.LocalAddr().(*net.UDPAddr).Port, nil
		},
	} {
		l, port, err := listen()
		if err != nil {
			t.Fatal(err)
		}
		if free(port, 1) {
			t.Errorf("%d is called free", port)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
