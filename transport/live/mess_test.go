package live

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/actors/mess"
	"nexus/transport/engineio"
	"nexus/transport/engineio/enginetest"
)

func TestAStrangerHearsTheDefaultHall(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", "")
		e.publish(south, 1)
		e.publish(north, 2)
		c.Expect(crowd(2))
	})
}

func TestWithoutADefaultHallNothingIsHeard(t *testing.T) {
	live(t, func(e *edge) {
		e.halls.list = []nexus.Hall{{ID: south}, {ID: north}}
		c := e.join("/mess", "")
		e.publish(north, 1)
		synctest.Wait()
		c.Send(`42/mess,1["subscribe",{"halls":["` + north + `"]}]`)
		c.Expect(`43/mess,1[{"snapshots":[{"n":1}]}]`)
		e.publish(north, 2)
		c.Expect(crowd(2))
	})
}

func TestSubscribe(t *testing.T) {
	many := strings.Repeat(`"`+north+`",`, maxTopics) + `"` + north + `"`
	for name, c := range map[string]struct {
		args  string
		want  string // of the answer: snapshots, or the code of its error
		hears []int  // of north 1 and south 2
	}{
		"one":                {`{"halls":["` + south + `"]}`, `[{"n":20}]`, []int{2}},
		"two":                {`{"halls":["` + south + `","` + north + `"]}`, `[{"n":10},{"n":20}]`, []int{1, 2}},
		"all":                {`{"halls":["*"]}`, `[{"n":10},{"n":20}]`, []int{1, 2}},
		"all and one":        {`{"halls":["` + south + `","*"]}`, `[{"n":10},{"n":20}]`, []int{1, 2}},
		"none":               {`{"halls":[]}`, `[]`, nil},
		"one twice":          {`{"halls":["` + south + `","` + south + `"]}`, `[{"n":20}]`, []int{2}},
		"as HTTP takes it":   {`{"halls":[" ` + strings.ToUpper(south) + `"]}`, `[{"n":20}]`, []int{2}},
		"unknown":            {`{"halls":["` + south + `","` + nexus.NewID() + `"]}`, "invalid", []int{1}},
		"no id":              {`{"halls":["north"]}`, "invalid", []int{1}},
		"too many":           {`{"halls":[` + many + `]}`, "invalid", []int{1}},
		"numbers":            {`{"halls":[1]}`, "invalid", []int{1}},
		"no list":            {`{"halls":"` + south + `"}`, "invalid", []int{1}},
		"nothing in it":      {`{}`, "invalid", []int{1}},
		"null":               {`null`, "invalid", []int{1}},
		"no object":          {`"` + south + `"`, "invalid", []int{1}},
		"something besides":  {`{"halls":["` + south + `"],"room":"security"},"more"`, `[{"n":20}]`, []int{2}},
		"a topic of another": {`{"halls":["../security"]}`, "invalid", []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(e *edge) {
				e.publish(north, 10)
				e.publish(south, 20)
				synctest.Wait()
				client := e.join("/mess", "")
				client.Expect(crowd(10)) // of the default hall
				client.Send(`42/mess,7["subscribe",` + c.args + `]`)
				got := client.NextText()
				var answer []struct{ Snapshots json.RawMessage }
				if err := json.Unmarshal([]byte(strings.TrimPrefix(got, "43/mess,7")), &answer); err != nil {
					e.Fatal(got, err)
				}
				if c.want[0] == '[' && string(answer[0].Snapshots) != c.want || c.want[0] != '[' && codeOf(e.T, got) != c.want {
					e.Errorf("answered %s, want %s", got, c.want)
				}
				e.publish(north, 1)
				e.publish(south, 2)
				for _, n := range c.hears {
					client.Expect(crowd(n))
				}
				e.quiet(client)
			})
		})
	}
}

// quiet fails the test if anything waits for a client of /mess.
func (e *edge) quiet(c *enginetest.Client) {
	e.Helper()
	synctest.Wait()
	c.Send(`42/mess,99["nothing"]`)
	if got := c.NextText(); !strings.HasPrefix(got, "43/mess,99") {
		e.Errorf("heard %s", got)
	}
}

func TestSubscribeWithoutACallback(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", "")
		c.Send(`42/mess,["subscribe",{"halls":["` + south + `"]}]`)
		c.Send(`42/mess,["subscribe",7]`)
		e.quiet(c)
		e.publish(south, 1)
		c.Expect(crowd(1))
	})
}

// TestASlowClientGetsTheNewestLevelAndEveryMenu: the one takes the place of the other, menus wait their turn.
func TestASlowClientGetsTheNewestLevelAndEveryMenu(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", "")
		for n := range 100 {
			e.publish(north, n)
			if n%10 == 0 {
				topic := mess.Topic(north)
				e.Broadcast(&grain.Broadcast{Topic: topic, Namespace: mess.Namespace, Event: mess.MenuUpdate, Payload: fmt.Appendf(nil, `{"menu":%d}`, n)})
			}
			synctest.Wait()
		}
		var levels, menus []string
		for len(levels) == 0 || levels[len(levels)-1] != crowd(99) {
			switch got := c.NextText(); {
			case strings.Contains(got, mess.MenuUpdate):
				menus = append(menus, got)
			default:
				levels = append(levels, got)
			}
		}
		if len(levels) > 3 || len(menus) != 10 || menus[9] != `42/mess,["MENU_UPDATE",{"menu":90}]` {
			e.Errorf("%d levels, menus %v", len(levels), menus)
		}
	})
}

// TestABroadcastIsEncodedOnce: what it takes of the heap does not grow with the sockets that it goes to.
func TestABroadcastIsEncodedOnce(t *testing.T) {
	live(t, func(e *edge) {
		payload := []byte(`{"text":"` + strings.Repeat("x", 10_000) + `"}`)
		cost := func() float64 {
			b := &grain.Broadcast{Topic: mess.Topic(north), Namespace: mess.Namespace, Event: "TEST", Slot: "s", Payload: payload}
			return testing.AllocsPerRun(20, func() { e.hub.fanOut(b) })
		}
		alone := cost()
		for range 200 { // on polling, none of them polls: what is offered waits and nothing else runs
			var open struct{ SID string }
			_, body := enginetest.Poll(e.Engine(), "GET", "", "")
			if err := json.Unmarshal([]byte(body[1:]), &open); err != nil {
				e.Fatal(err)
			}
			enginetest.Poll(e.Engine(), "POST", open.SID, "40/mess,")
		}
		synctest.Wait()
		if all := cost(); all > alone+10 { // a pool that was emptied meanwhile costs a few
			e.Errorf("%v allocations for nobody, %v for 200 sockets", alone, all)
		}
		if n := e.metric("nexus_broadcast_deliveries_total", "TEST"); n != 200*21 {
			e.Errorf("%v deliveries", n)
		}
	})
}

func TestABroadcastThatIsNoJSONHarmsNobody(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", "")
		e.Broadcast(&grain.Broadcast{Topic: mess.Topic(north), Namespace: mess.Namespace, Event: mess.CrowdUpdate, Payload: []byte("{")})
		e.publish(north, 1)
		c.Expect(crowd(1))
		if !strings.Contains(e.log.String(), "encode broadcast") {
			e.Error("nobody is told")
		}
	})
}

// TestAFloodOfBroadcastsIsBounded: past the bound the bus's end drops and never blocks.
func TestAFloodOfBroadcastsIsBounded(t *testing.T) {
	live(t, func(e *edge) {
		c := e.join("/mess", "")
		e.hub.mu.Lock() // the hub stands still in the first of them
		for n := range maxPending + 100 {
			e.publish(north, n)
		}
		e.hub.mu.Unlock()
		synctest.Wait()
		if n := e.metric("nexus_broadcasts_dropped_total"); n != 99 && n != 100 {
			e.Errorf("%v were dropped", n)
		}
		e.publish(north, -1)
		for got := ""; got != crowd(-1); {
			got = c.NextText()
		}
	})
}

// TestTheCatalogWhileTheDatabaseIsAway: a hall that is known stays known.
func TestTheCatalogWhileTheDatabaseIsAway(t *testing.T) {
	live(t, func(e *edge) {
		e.join("/mess", "").Hangup()
		e.halls.set(nexus.Errorf(nexus.Unavailable, "the database is away"), false)
		for _, hangs := range []bool{false, true} {
			e.pass(catalogAge)
			e.halls.set(nexus.Errorf(nexus.Unavailable, "the database is away"), hangs)
			start := time.Now()
			c := e.join("/mess", "")
			if took := time.Since(start); took > catalogWait {
				e.Errorf("a client waited %v", took)
			}
			e.publish(north, 1)
			c.Expect(crowd(1))
			c.Send(`42/mess,1["subscribe",{"halls":["` + south + `"]}]`)
			c.Expect(`43/mess,1[{"snapshots":[]}]`)
			c.Hangup()
		}
	})
}

// TestWithoutAnyCatalogClientsAreSentAway in a way that brings them back: an official client gives up after a refusal.
func TestWithoutAnyCatalogClientsAreSentAway(t *testing.T) {
	live(t, func(e *edge) {
		e.halls.set(nil, true)
		var all sync.WaitGroup
		start := time.Now()
		for range 20 {
			c := e.dial()
			all.Go(func() {
				c.Send("40/mess,")
				c.ExpectClose(engineio.Reason{Code: reasonCode, Name: reasonUnavailable})
			})
		}
		all.Wait()
		if took := time.Since(start); took > catalogWait || e.halls.asked != 1 {
			e.Errorf("they waited %v for %d questions", took, e.halls.asked)
		}
		e.empty()
		e.halls.set(nil, false)
		e.pass(catalogWait)
		e.publish(north, 1)
		synctest.Wait()
		c := e.join("/mess", "")
		c.Expect(crowd(1))
		e.publish(north, 2)
		c.Expect(crowd(2))
	})
}
