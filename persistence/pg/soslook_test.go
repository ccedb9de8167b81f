package pg_test

import "testing"

// TestWhoRaisedItIsKnownThoughTheHistoryDoesNotFold: whoever cries out for help with it must not cry to them.
func TestWhoRaisedItIsKnownThoughTheHistoryDoesNotFold(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	id := story(s)
	if _, err := s.owner().Exec(t.Context(), `update sos_event set data = '{}' where seq = 1`); err != nil {
		t.Fatal(err)
	}
	if state, _, err := s.sos.Look(t.Context(), id); err == nil || state.User != s.asha.ID {
		t.Errorf("%s, %v", state.User, err)
	}
}
