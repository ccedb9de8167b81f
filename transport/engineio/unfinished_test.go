package engineio_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

// TestNothingWaitsOnceAllHasLeft: the engine's own packets are counted in and out like the rest.
func TestNothingWaitsOnceAllHasLeft(t *testing.T) {
	world(t, engineio.Config{}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, s := dialed(t, srv, u)
		c.Expect("2") // a ping
		c.Send("3")
		s.Push(engineio.NewMessage([]byte("a")))
		s.PushUrgent(engineio.NewMessage([]byte("b")))
		c.NextText()
		c.NextText()
		synctest.Wait()
		if n := s.Waiting(); n != 0 {
			t.Errorf("%d bytes wait", n)
		}
	})
}

// TestHalfAMessageIsNotHeldForEver, however it was cut, and whatever comes in its middle.
func TestHalfAMessageIsNotHeldForEver(t *testing.T) {
	const limit = 20 * time.Second
	whole := enginetest.AppendFrame(nil, enginetest.Text, []byte("4"+strings.Repeat("x", 100)))
	fragment := enginetest.AppendPart(nil, enginetest.Text, false, []byte("4he"))
	for name, in := range map[string][]byte{
		"a byte of a header":        whole[:1],
		"a header":                  whole[:6],
		"half a frame":              whole[:50],
		"a fragment":                fragment,
		"one and a half":            append(append([]byte{}, whole...), whole[:50]...),
		"half a ping":               enginetest.AppendFrame(nil, enginetest.Ping, []byte("abc"))[:7],
		"a ping behind a fragment":  enginetest.AppendFrame(fragment[:len(fragment):len(fragment)], enginetest.Ping, []byte("abc")),
		"a frame behind a fragment": enginetest.AppendPart(fragment[:len(fragment):len(fragment)], 0, false, []byte("llo")),
	} {
		t.Run(name, func(t *testing.T) {
			world(t, engineio.Config{PingInterval: time.Hour}, func(t *testing.T, srv *engineio.Server, u *upper) {
				c, _ := dialed(t, srv, u)
				c.Write(in)
				start := time.Now()
				c.ExpectClose(engineio.UnfinishedMessage)
				if took := time.Since(start); took != limit {
					t.Errorf("closed after %v", took)
				}
			})
		})
	}
}

// TestASlowMessageHasItsTime: each has its own, also when one begins where another ends, and silence between two is no half of one.
func TestASlowMessageHasItsTime(t *testing.T) {
	world(t, engineio.Config{PingInterval: time.Hour}, func(t *testing.T, srv *engineio.Server, u *upper) {
		c, _ := dialed(t, srv, u)
		frame := enginetest.AppendFrame(nil, enginetest.Text, []byte("4hello"))
		c.Write(frame[:5])
		for range 9 {
			time.Sleep(19 * time.Second)
			c.Write(append(append([]byte{}, frame[5:]...), frame[:5]...))
		}
		time.Sleep(19 * time.Second)
		c.Write(frame[5:])
		time.Sleep(time.Minute)
		c.Send("4last")
		if got := u.heard(); got != "["+strings.Repeat("hello ", 10)+"last] []" {
			t.Error(got)
		}
	})
}
