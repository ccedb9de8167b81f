package live

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/session"
	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

var (
	logout = engineio.Reason{Code: reasonCode, Name: "logout"}
	ended  = engineio.Reason{Code: reasonCode, Name: reasonEnded}
)

func TestALoginsEndClosesItsSocketsAlone(t *testing.T) {
	live(t, func(e *edge) {
		phone := e.join("/mess", e.tokens.issue("asha", "phone", time.Hour))
		laptop := e.join("/", e.tokens.issue("asha", "laptop", time.Hour))
		other := e.join("/mess", e.tokens.issue("ravi", "r", time.Hour))
		e.disconnect("asha", "phone", "logout")
		phone.ExpectClose(logout)
		laptop.Send(`421["join-user"]`)
		laptop.Expect("431[{}]")
		e.disconnect("asha", "", "password changed")
		laptop.ExpectClose(engineio.Reason{Code: reasonCode, Name: "password changed"})
		e.quiet(other)
		if n := e.metric("nexus_sockets_ended_total", "/mess", "logout"); n != 1 {
			e.Errorf("%v sockets of /mess ended by it", n)
		}
	})
}

// TestTheOldestSocketMakesRoom: nobody opens sockets without end.
func TestTheOldestSocketMakesRoom(t *testing.T) {
	live(t, func(e *edge) {
		token := e.tokens.issue("asha", "l1", time.Hour)
		var all []*enginetest.Client
		for range 65 {
			all = append(all, e.join("/mess", token))
		}
		all[0].ExpectClose(engineio.Reason{Code: reasonCode, Name: session.ReasonTooMany})
		e.quiet(all[1])
	})
}

// TestALostSessionIsAttachedToAgain: the activation ends, as with its node, and a new one must know the socket.
func TestALostSessionIsAttachedToAgain(t *testing.T) {
	for name, failures := range map[string]int{"at once": 0, "after some failures": 5} {
		t.Run(name, func(t *testing.T) {
			live(t, func(e *edge) {
				c := e.join("/mess", e.tokens.issue("asha", "l1", time.Hour))
				first, _ := e.sessions.attached()
				left := failures
				e.sessions.set(func(context.Context, session.Socket) error {
					if left--; left >= 0 {
						return nexus.Errorf(nexus.Unavailable, "no node hosts it")
					}
					return nil
				})
				e.node.Forget(grain.Ref{Kind: session.KindName, ID: "asha"}, first)
				e.node.System().Root.Stop(first)
				e.pass(5 * time.Second) // sooner than any look of its own
				second, _ := e.sessions.attached()
				if second.Equal(first) {
					e.Fatal("attached to nothing new")
				}
				e.disconnect("asha", "l1", "logout")
				c.ExpectClose(logout)
				e.empty()
			})
		})
	}
}

// TestASocketIsOfUseWithoutItsSession, and gets it as soon as there is one.
func TestASocketIsOfUseWithoutItsSession(t *testing.T) {
	for name, before := range map[string]func(context.Context, session.Socket) error{
		"refused": func(context.Context, session.Socket) error {
			return nexus.Errorf(nexus.Unavailable, "no node hosts it")
		},
		"silent": func(ctx context.Context, _ session.Socket) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(e *edge) {
				e.sessions.set(before)
				start := time.Now()
				c := e.join("/mess", e.tokens.issue("asha", "l1", time.Hour))
				if took := time.Since(start); took > attachWait {
					e.Errorf("it waited %v", took)
				}
				e.publish(north, 1)
				c.Expect(crowd(1))
				e.pass(time.Minute)
				e.sessions.set(nil)
				e.pass(keepWait + 2*keepAgain)
				e.disconnect("asha", "l1", "logout")
				c.ExpectClose(logout)
			})
		})
	}
}

// TestALoginThatEndedUnseenIsNoticed: in the moment between token and session nobody tells the socket.
func TestALoginThatEndedUnseenIsNoticed(t *testing.T) {
	for name, c := range map[string]struct{ after, within time.Duration }{
		"while it connects": {0, checkSoon * 3 / 2},
		"later":             {20 * time.Minute, checkEvery * 3 / 2},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(e *edge) {
				client := e.join("/mess", e.tokens.issue("asha", "l1", time.Hour))
				bystander := e.join("/mess", e.tokens.issue("asha", "l2", time.Hour))
				e.pass(c.after)
				start := time.Now()
				e.tokens.end("l1")
				client.ExpectClose(ended)
				if took := time.Since(start); took > c.within {
					e.Errorf("noticed after %v", took)
				}
				e.quiet(bystander)
			})
		})
	}
}

// TestALoginThatEndedWhileItsSessionMovedIsNoticed: the word of its end reached an activation that did not know the socket
// yet, and what this node remembers of the login may be five seconds old.
func TestALoginThatEndedWhileItsSessionMovedIsNoticed(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", e.tokens.issue("asha", "l1", time.Hour))
		e.pass(20*time.Minute + checkEvery/2)
		first, _ := e.sessions.attached()
		e.node.Forget(grain.Ref{Kind: session.KindName, ID: "asha"}, first)
		e.node.System().Root.Stop(first)
		synctest.Wait() // attached again, on the word of an old answer
		start := time.Now()
		e.tokens.end("l1")
		c.ExpectClose(ended)
		if took := time.Since(start); took > checkSoon*3/2 {
			e.Errorf("noticed after %v", took)
		}
	})
}

// TestAVerifierThatCannotTellEndsNobody: while the database is away sockets live until their tokens run out.
func TestAVerifierThatCannotTellEndsNobody(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", e.tokens.issue("asha", "l1", 15*time.Minute))
		start := time.Now()
		for i, err := range []error{nexus.Errorf(nexus.Unavailable, "away"), errors.New("broken"), context.DeadlineExceeded} {
			e.tokens.fail(err)
			e.pass(time.Duration(i+1) * 2 * time.Minute)
		}
		e.quiet(c)
		e.expiring(c, "/mess")
		c.ExpectClose(expired)
		if took := time.Since(start); took != 15*time.Minute {
			e.Errorf("closed after %v", took)
		}
	})
}

// TestTheNewestLoginHasTheLastWord, however attempts of an old one are delayed.
func TestTheNewestLoginHasTheLastWord(t *testing.T) {
	live(t, func(e *edge) {
		late := make(chan struct{})
		var once sync.Once
		e.sessions.set(func(_ context.Context, s session.Socket) error {
			if s.Login != "l1" {
				return nil
			}
			err := nexus.Errorf(nexus.Unavailable, "at first")
			once.Do(func() { err = nil })
			if err == nil {
				return errors.New("refused, so that it is tried in the background")
			}
			<-late
			return nil
		})
		c := e.join("/mess", e.tokens.issue("asha", "l1", time.Hour))
		e.pass(time.Second) // the attempt in the background is under way
		c.Send(`42/mess,1["auth:refresh",{"token":"` + e.tokens.issue("asha", "l2", time.Hour) + `"}]`)
		c.NextText()
		close(late) // and comes to the session behind the newer one
		synctest.Wait()
		e.disconnect("asha", "l1", "logout")
		e.quiet(c)
		e.disconnect("asha", "l2", "logout")
		c.ExpectClose(logout)
	})
}

// TestAClientThatLeavesWhileItIsAttached is not attached for ever.
func TestAClientThatLeavesWhileItIsAttached(t *testing.T) {
	live(t, func(e *edge) {
		held := make(chan struct{})
		n := 0
		e.sessions.set(func(context.Context, session.Socket) error {
			if n++; n == 1 {
				return errors.New("try again")
			}
			<-held
			return nil
		})
		e.join("/mess", e.tokens.issue("asha", "l1", time.Hour)).Hangup()
		e.sessions.set(nil)
		c := e.join("/mess", e.tokens.issue("ravi", "r", time.Hour))
		e.pass(time.Second)
		close(held)
		synctest.Wait()
		answer, err := grain.Ask[*session.Disconnected](e.Context(), e.node, grain.Ref{Kind: session.KindName, ID: "asha"}, &session.Disconnect{})
		if err != nil || answer.GetSockets() != 0 {
			e.Errorf("%v sockets are attached: %v", answer.GetSockets(), err)
		}
		e.quiet(c)
	})
}

// TestTheKeeperIsBoundedAndSparesNobody: so many at once, each again until it works, none twice at once for nothing.
func TestTheKeeperIsBoundedAndSparesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		now, most := 0, 0
		tries := map[*peer]int{}
		var later *clock
		k := newKeeper(func(_ context.Context, p *peer) bool {
			mu.Lock()
			now++
			most = max(most, now)
			tries[p]++
			done := tries[p] > len(tries)%3
			mu.Unlock()
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			now--
			return done
		}, func(p *peer) { later.lookIn(p, keepAgain) })
		later = newClock(k.add)
		for range 1000 {
			p := &peer{member: &member{token: tokenOver}}
			k.add(p)
			k.add(p)
		}
		time.Sleep(time.Minute)
		later.close()
		k.close()
		if most > keepAtOnce || most < keepAtOnce/2 || len(tries) != 1000 {
			t.Errorf("%d at once, %d of 1000 tended", most, len(tries))
		}
		k.add(&peer{}) // comes too late, and harms nobody
	})
}

// TestAHubNameThatIsTaken is an error of New, which leaves nothing running.
func TestAHubNameThatIsTaken(t *testing.T) {
	live(t, func(e *edge) {
		m, err := newMetrics(prometheus.NewRegistry())
		if err != nil {
			e.Fatal(err)
		}
		if _, err := newHub(Config{System: e.node.System()}, m, nil); !errors.Is(err, actor.ErrNameExists) {
			e.Error(err)
		}
	})
}
