package live

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/transport/engineio/enginetest"
)

// TestAPressWaitsForNothing that its connection has asked for before, however long that takes.
func TestAPressWaitsForNothing(t *testing.T) {
	hang := func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() }
	for name, before := range map[string]func(*safe, *enginetest.Client){
		"a PIN that is being checked": func(_ *safe, c *enginetest.Client) {
			c.Send(`42/security,1["SOS_CANCEL",{"incidentId":"` + fire + `","pin":"1234"}]`)
		},
		"places that are not stored": func(_ *safe, c *enginetest.Client) {
			for range 20 {
				c.Send(`42/security,1["SOS_LOCATION",{"incidentId":"` + fire + `","clientSeq":1,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}]`)
			}
		},
		"another namespace": func(s *safe, c *enginetest.Client) {
			s.halls.set(nil, true)
			c.Send("40/mess,")
		},
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				s.desk.slow = hang
				p := s.phone(asha, "l1", "")
				start := time.Now()
				before(s, p.Client)
				synctest.Wait()
				p.Send(`42/security,2["SOS_RAISE",{"clientKey":"k"}]`)
				got := p.NextText()
				for strings.HasPrefix(got, "43/security,1[") { // a cancel that it has overtaken
					got = p.NextText()
				}
				if !strings.HasPrefix(got, "43/security,2[") || !strings.Contains(got, `"durable":true`) || time.Since(start) != 0 {
					s.Errorf("answered %s after %v", got, time.Since(start))
				}
			})
		})
	}
}

// TestACancelThatAPressHasOvertakenCountsNoMore, whether it was begun or not: the press may have joined what it would end.
func TestACancelThatAPressHasOvertakenCountsNoMore(t *testing.T) {
	cancel := `42/security,1["SOS_CANCEL",{"incidentId":"` + fire + `","pin":"1234"}]`
	for name, c := range map[string]struct {
		slow  string // what hangs for a second
		first string // what is sent first
	}{
		"while its PIN is checked":  {"pin", cancel},
		"while it is stored":        {"cancel", cancel},
		"before anything was begun": {"locate", `42/security,["SOS_LOCATION",{"incidentId":"` + fire + `","clientSeq":1,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				s.desk.slow = func(ctx context.Context, what string) error {
					if what == c.slow && !nexus.Pause(ctx, time.Second) {
						return ctx.Err()
					}
					return nil
				}
				p := s.phone(asha, "l1", "")
				if p.Send(c.first); c.first != cancel {
					p.Send(cancel)
				}
				s.pass(100 * time.Millisecond)
				p.Send(`42/security,2["SOS_RAISE",{"clientKey":"k"}]`)
				answers := []string{p.NextText(), p.NextText()}
				slices.Sort(answers)
				if !strings.HasPrefix(answers[0], "43/security,1") || codeOf(t, answers[0]) != string(nexus.Conflict) {
					s.Errorf("the cancel is answered %s", answers[0])
				}
				if got := s.desk.heard(); strings.Contains(got, "cancel") {
					s.Errorf("the desk was asked %s", got)
				}
				s.pass(time.Millisecond)
				p.Send(cancel) // and one that is sent after it counts
				if got := p.NextText(); !strings.Contains(got, "CANCELLED") {
					s.Errorf("the next cancel is answered %s", got)
				}
			})
		})
	}
}

// TestAPressCountsThoughItsConnectionEnds with what waits behind another.
func TestAPressCountsThoughItsConnectionEnds(t *testing.T) {
	safely(t, func(s *safe) {
		s.desk.slow = func(ctx context.Context, _ string) error { nexus.Pause(ctx, 100*time.Millisecond); return nil }
		p := s.phone(asha, "l1", "")
		p.Send(`42/security,["SOS_LOCATION",{"incidentId":"` + fire + `","clientSeq":1,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}]`)
		p.Send(`42/security,["SOS_LOCATION",{"incidentId":"` + fire + `","clientSeq":2,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}]`)
		p.Send(`42/security,["SOS_RAISE",{"clientKey":"k"}]`)
		p.Hangup()
		s.pass(time.Second)
		if got, want := s.desk.heard(), "raise "+asha+"|locate "+asha+" "+fire+" 1|locate "+asha+" "+fire+" 1"; got != want {
			s.Errorf("the desk was asked %s, want %s", got, want)
		}
		s.empty()
	})
}
