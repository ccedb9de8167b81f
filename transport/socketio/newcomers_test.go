package socketio_test

import (
	"testing"
	"testing/synctest"
	"time"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
	"nexus/transport/socketio"
)

// TestEveryNewcomerHasItsOwnTime, whoever came before and is gone or connected by then.
func TestEveryNewcomerHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, err := socketio.NewServer(socketio.Config{ConnectTimeout: 10 * time.Second}, engineio.Config{PingInterval: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		srv.Handle("/", new(app))
		var all []*enginetest.Client
		for range 4 { // one each second
			c := enginetest.Dial(t, srv.Engine(), "", enginetest.Goroutine)
			c.NextText()
			all = append(all, c)
			time.Sleep(time.Second)
		}
		all[0].Hangup()
		all[2].Send("40")
		all[2].NextText()
		start := time.Now()
		for i, want := range map[int]time.Duration{1: 7 * time.Second, 3: 9 * time.Second} {
			go func() {
				all[i].ExpectClose(socketio.ConnectTimeout)
				if took := time.Since(start); took != want {
					t.Errorf("the client %d was closed after %v", i, took)
				}
			}()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := srv.Engine().Len(); n != 1 {
			t.Errorf("%d connections are left", n)
		}
		late := enginetest.Dial(t, srv.Engine(), "", enginetest.Goroutine) // with none before it
		late.NextText()
		start = time.Now()
		late.ExpectClose(socketio.ConnectTimeout)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("closed after %v", took)
		}
		if _, err := srv.Engine().Shutdown(t.Context(), engineio.ShuttingDown); err != nil {
			t.Error(err)
		}
	})
}
