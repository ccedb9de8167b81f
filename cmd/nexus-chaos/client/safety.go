package client

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"nexus"
	"nexus/cmd/nexus-chaos/history"
)

const (
	officers   = 3                      // of the demo campus
	hedge      = 600 * time.Millisecond // a press that is not answered by then is sent to another node as well
	repeat     = 2 * time.Second        // between repetitions of what is not durable yet
	pressLimit = 4 * time.Second        // of one attempt of a press
	lookEvery  = time.Second            // how often a student asks for the own incident
	waitLimit  = 10 * time.Second       // after which a student who nobody helps presses again
	handled    = 1 << 14                // bounds the incidents that wait for an officer
	pace       = 100 * time.Millisecond // between two words of an officer
)

// addSafety adds students who press the button, every other one with a device on /security, and the officers who answer.
func (c *Crowd) addSafety(ctx context.Context, cast Cast, size Size) error {
	if size.Students == 0 {
		return nil
	}
	if err := c.web.closeIncidents(ctx); err != nil {
		return err
	}
	radio := func(user string, i int) (*Radio, error) {
		header, err := c.web.Login(ctx, user)
		r := &Radio{Web: c.web, Name: cast.Tag + "-" + user, User: user, Header: header, From: cast.Heads[user], Scattered: !size.Balanced && i%2 == 1, Forgetful: i%3 == 2}
		return r, err
	}
	for i := range officers {
		r, err := radio(fmt.Sprintf("officer%d", i+1), i)
		if err != nil {
			return err
		}
		o := &Officer{Radio: r, number: uint32(i), alerts: make(chan string, handled)}
		r.hear = o.hear
		c.Radios, c.runners = append(c.Radios, r), append(c.runners, o)
	}
	for i := range size.Students {
		r, err := radio(fmt.Sprintf("student%d", 40-i), i)
		if err != nil {
			return err
		}
		s := &Student{Web: c.web, Name: r.User, Tag: cast.Tag, Header: r.Header, Scattered: r.Scattered, Once: i%4 >= 2, Every: size.PressEvery}
		if i%2 == 0 {
			s.Radio = r
			c.Radios = append(c.Radios, r)
		}
		c.runners = append(c.runners, s)
	}
	return nil
}

// closeIncidents ends what an earlier trial has left open.
func (w *Web) closeIncidents(ctx context.Context) error {
	admin, err := w.Login(ctx, "admin")
	if err != nil {
		return err
	}
	for {
		var open struct{ Items []struct{ ID string } }
		if err := w.must(ctx, w.first(), request{method: "GET", path: "/safety/incidents?state=open", header: admin}, &open); err != nil || len(open.Items) == 0 {
			return err
		}
		for _, i := range open.Items {
			var done struct{}
			if err := w.must(ctx, w.first(), request{method: "POST", path: "/safety/incidents/" + i.ID + "/resolve", header: admin, body: struct{}{}}, &done); err != nil {
				return err
			}
		}
	}
}

// Student presses the button, and then cancels or waits for an officer.
type Student struct {
	Web       *Web
	Name      string // such as student40
	Tag       string
	Header    http.Header
	Radio     *Radio // nil: HTTP alone
	Scattered bool
	Once      bool // is content with an answer that is not durable; others repeat until one is
	Every     time.Duration

	presses int
}

// Run presses until ctx ends; the last press is still insisted on until giveUp ends.
func (s *Student) Run(ctx, giveUp context.Context) {
	for sleep(ctx, s.Every/2+rand.N(s.Every)) {
		op := s.Press(giveUp)
		if !op.Durable {
			continue
		}
		if rand.IntN(4) == 0 {
			s.Press(giveUp) // which joins the first, as a rule
		}
		if rand.IntN(4) == 0 {
			s.cancel(giveUp, op.Key)
		} else {
			s.wait(ctx, op.Key)
		}
	}
}

// pressed is what came of one attempt of a press.
type pressed struct {
	nexus.Raised
	via     string
	trouble string // empty: it was answered
	refused bool   // for good
}

// Press presses the button once and insists until it is answered or ctx ends. What is not answered soon is sent to another node
// as well: the press is one and the same by its clientKey.
func (s *Student) Press(ctx context.Context) history.Op {
	s.presses++
	op := history.Op{Client: s.Name, Kind: history.Raise, Event: fmt.Sprintf("%s-%s-%d", s.Tag, s.Name, s.presses), Scattered: s.Scattered, Once: s.Once, Outcome: history.Unknown}
	op.At = time.Now().UTC().Truncate(time.Millisecond)
	press := map[string]any{"clientKey": op.Event, "category": "panic", "at": op.At.Format(nexus.TimeLayout)}
	if rand.IntN(2) == 0 {
		press["lat"], press["lng"] = 12.5+rand.Float64(), 77.5+rand.Float64()
	}
	attempts, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	answers := make(chan pressed)
	defer func() { s.Web.Log.Add(op) }()
	defer running.Wait()
	defer cancel()
	op.Call = s.Web.Log.Now()
	first, pause := rand.IntN(1<<16), hedge
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			n := first + op.Attempts
			op.Attempts++
			running.Go(func() {
				select {
				case answers <- s.try(attempts, n, press):
				case <-attempts.Done():
				}
			})
			next.Reset(pause)
		case a := <-answers:
			switch {
			case a.refused:
				op.Outcome, op.Return = history.Failed, s.Web.Log.Now()
				op.Troubles = append(op.Troubles, a.trouble)
				return op
			case a.trouble != "":
				op.Troubles = append(op.Troubles, a.trouble)
				next.Reset(min(pause, pauseLeast+rand.N(5*pauseLeast)))
				continue
			}
			if op.Outcome != history.OK { // what is repeated has been answered before
				op.Outcome, op.Return, op.Alarmed = history.OK, s.Web.Log.Now(), !a.Durable
			}
			op.Via, op.Key, op.Value, op.Durable = a.via, string(a.Incident), int(a.Seq), a.Durable
			if op.Durable || s.Once {
				return op
			}
			pause = repeat
			next.Reset(pause)
		case <-ctx.Done():
			if op.Outcome != history.OK {
				op.Return = s.Web.Log.Now()
			}
			return op
		}
	}
}

// try makes one attempt, by the radio first if there is one.
func (s *Student) try(ctx context.Context, n int, press any) (p pressed) {
	if s.Radio != nil && n%2 == 0 {
		p.via = "socket"
		a, err := s.Radio.Call(ctx, "SOS_RAISE", press)
		if err != nil {
			p.trouble = "socket: " + err.Error()
			return p
		}
		p.trouble, p.refused = failure(a)
		if p.trouble == "" {
			p.trouble = said(json.Unmarshal(a, &p.Raised))
		}
		return p
	}
	targets := s.Web.targets(s.Scattered)
	to := targets[n%len(targets)]
	p.via = to.Name
	a, err := s.Web.send(ctx, to, request{method: "POST", path: "/safety/sos", header: s.Header, body: press, limit: pressLimit})
	if err != nil || a.status >= 300 {
		p.trouble, p.refused = trouble(to, a, err), err == nil && !a.uncertain()
		return p
	}
	p.trouble = said(a.decode(&p.Raised))
	return p
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// failure reads what a call was answered with in place of success, and whether that is for good.
func failure(answer json.RawMessage) (text string, forGood bool) {
	var a struct {
		Error *struct{ Code, Message, State string }
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return err.Error(), true
	}
	if a.Error == nil {
		return "", false
	}
	switch nexus.Code(a.Error.Code) {
	case nexus.Unavailable, nexus.Internal, nexus.RateLimited, nexus.Fenced:
	default:
		forGood = true
	}
	return fmt.Sprintf("socket: %s %s %s", a.Error.Code, a.Error.Message, a.Error.State), forGood
}

// cancel takes it back. It may be too late for that, which is an answer.
func (s *Student) cancel(ctx context.Context, incident string) {
	op := history.Op{Client: s.Name, Kind: history.Cancel, Key: incident, Scattered: s.Scattered}
	a := s.Web.insist(ctx, &op, request{method: "POST", path: "/safety/incidents/" + incident + "/cancel", header: s.Header, body: struct{}{}})
	if op.Outcome == history.OK {
		var answer struct{ State string }
		if err := a.decode(&answer); err != nil {
			op.Troubles = append(op.Troubles, err.Error())
		}
		op.Event = answer.State
	}
	s.Web.Log.Add(op)
}

// wait looks at the incident until it is over, for a while. A look is made once: a later one would be another.
func (s *Student) wait(ctx context.Context, incident string) {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for sleep(ctx, lookEvery) {
		targets := s.Web.targets(s.Scattered)
		to := targets[rand.IntN(len(targets))]
		op := history.Op{Client: s.Name, Kind: history.See, Key: incident, Via: to.Name, Scattered: s.Scattered, Attempts: 1, Call: s.Web.Log.Now()}
		a, err := s.Web.send(ctx, to, request{method: "GET", path: "/safety/incidents/" + incident, header: s.Header})
		var i nexus.Incident
		if err == nil && a.status == http.StatusOK {
			err = a.decode(&i)
			op.Outcome, op.Event, op.Value = history.OK, string(i.State), int(i.Seq)
		}
		op.Return = s.Web.Log.Now()
		if err != nil || op.Outcome != history.OK {
			if ctx.Err() != nil {
				return
			}
			op.Outcome, op.Troubles = history.Failed, []string{trouble(to, a, err)}
		}
		s.Web.Log.Add(op)
		if i.State.Closed() {
			return
		}
	}
}

// Officer takes incidents that the radio calls to, and sees them through.
type Officer struct {
	Radio *Radio

	number uint32
	alerts chan string
}

// hear is called with each new line.
func (o *Officer) hear(d history.Delivery) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(d.Incident)) // never fails
	// Two of the three reach for each, so that one of them must hear that it has been taken.
	if d.Name != "CRITICAL_ALERT" || h.Sum32()%officers == o.number {
		return
	}
	select {
	case o.alerts <- d.Incident:
	default: // it pages again
	}
}

// Run takes incidents until ctx ends.
func (o *Officer) Run(ctx, giveUp context.Context) {
	for {
		select {
		case incident := <-o.alerts:
			for _, to := range []nexus.SOSState{nexus.SOSAcknowledged, nexus.SOSEnRoute, nexus.SOSOnScene, nexus.SOSResolved} {
				if o.act(giveUp, incident, to).Outcome != history.OK || !sleep(ctx, pace) {
					break
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// act says something of an incident and insists until it is answered or ctx ends.
func (o *Officer) act(ctx context.Context, incident string, to nexus.SOSState) history.Op {
	log := o.Radio.Web.Log
	op := history.Op{Client: o.Radio.User, Kind: history.Act, Key: incident, Event: string(to), Via: "socket", Outcome: history.Unknown, Call: log.Now()}
	defer func() { log.Add(op) }()
	for {
		op.Attempts++
		answer, err := o.Radio.Call(ctx, "SOS_STATE", map[string]any{"incidentId": incident, "to": to})
		text, forGood := "", false
		if err != nil {
			text = "socket: " + err.Error()
		} else {
			text, forGood = failure(answer)
		}
		op.Return = log.Now()
		if text == "" {
			var done struct{ Seq int }
			if err := json.Unmarshal(answer, &done); err != nil {
				op.Troubles = append(op.Troubles, err.Error())
			}
			op.Outcome, op.Value = history.OK, done.Seq
			return op
		}
		op.Troubles = append(op.Troubles, text)
		if forGood {
			op.Outcome = history.Failed
			return op
		}
		if !sleep(ctx, 2*pauseLeast+rand.N(4*pauseLeast)) {
			return op
		}
	}
}
