package engineio_test

import (
	"testing"
	"testing/synctest"

	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

// TestShutdownMeetsTheLastGoodbye: a session that ends in the very moment is waited for no longer.
func TestShutdownMeetsTheLastGoodbye(t *testing.T) {
	for range 500 {
		synctest.Test(t, func(t *testing.T) {
			srv, err := engineio.NewServer(engineio.Config{}, new(upper).accept)
			if err != nil {
				t.Fatal(err)
			}
			c := enginetest.Dial(t, srv, "", enginetest.Linked)
			c.NextText()
			c.Hangup() // its end is told on a goroutine of its own
			if _, err := srv.Shutdown(t.Context(), engineio.ShuttingDown); err != nil {
				t.Fatal(err)
			}
		})
	}
}
