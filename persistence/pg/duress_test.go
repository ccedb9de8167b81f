package pg_test

import (
	"fmt"
	"testing"
	"time"

	"nexus/actors/incident/alike"
)

// TestDuressTakesAsLongAsACancel: the transaction that takes an alarm back, and the one that only seems to.
func TestDuressTakesAsLongAsACancel(t *testing.T) {
	s, n := newSafe(t), 0
	s.onDuty(s.ravi)
	alike.Timing(t, 200, func(duress bool) time.Duration {
		n++
		raised, _ := s.press(s.asha, fmt.Sprint(n))
		began := time.Now()
		s.cancel(raised.Incident, duress)
		return time.Since(began)
	})
}
