package live

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"nexus"
	"nexus/actors/grain"
	"nexus/transport/socketio"
)

func TestWhatPeopleSendIsAnsweredAsTheContractSays(t *testing.T) {
	for name, c := range map[string]struct {
		event, answer, asked string
	}{
		"a press": {
			`["SOS_RAISE",{"clientKey":"k"}]`, `[{"incidentId":"` + fire + `","state":"RAISED","seq":2,"durable":true}]`, "raise " + asha,
		},
		"a press of few words": {`["SOS_RAISE",{}]`, `[{"incidentId":"` + fire + `","state":"RAISED","seq":2,"durable":true}]`, "raise " + asha},
		"a cancel":             {`["SOS_CANCEL",{"incidentId":"` + fire + `","pin":"1234"}]`, `[{"state":"CANCELLED"}]`, "cancel " + asha + " " + fire + " false"},
		"a cancel under duress": {
			`["SOS_CANCEL",{"incidentId":"` + fire + `","pin":"4321"}]`, `[{"state":"CANCELLED"}]`, "cancel " + asha + " " + fire + " true",
		},
		"a cancel without a PIN": {`["SOS_CANCEL",{"incidentId":"` + strings.ToUpper(fire) + `"}]`, `[{"state":"CANCELLED"}]`, "cancel " + asha + " " + fire + " false"},
		"a cancel with a wrong PIN": {
			`["SOS_CANCEL",{"incidentId":"` + fire + `","pin":"1"}]`, `[{"error":{"code":"forbidden","message":"the PIN is wrong"}}]`, "",
		},
		"a fix": {
			`["SOS_LOCATION",{"incidentId":"` + fire + `","clientSeq":1,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}]`, `[{"stored":true}]`, "locate " + asha + " " + fire + " 1",
		},
		"fixes of an offline time": {
			`["SOS_LOCATION",[` + fix(fire, 1) + `,` + fix(flood, 1) + `,` + fix(fire, 2) + `]]`, `[{"stored":true}]`,
			"locate " + asha + " " + fire + " 2|locate " + asha + " " + flood + " 1",
		},
		"a message": {
			`["SOS_MESSAGE",{"incidentId":"` + fire + `","clientMsgId":"m","body":"help\nme"}]`, `[{"seq":8}]`, "say " + asha + " " + fire + " m help\nme",
		},
		"a state": {
			`["SOS_STATE",{"incidentId":"` + fire + `","to":"EN_ROUTE"}]`, `[{"error":{"code":"forbidden","message":"for security alone"}}]`, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				p := s.phone(asha, "l1", "", nexus.Student, nexus.Admin)
				if got := p.ask(c.event); got != c.answer {
					s.Errorf("answered %s, want %s", got, c.answer)
				}
				if got := s.desk.heard(); got != c.asked {
					s.Errorf("the desk was asked %q, want %q", got, c.asked)
				}
			})
		})
	}
}

// fix is a fix as phones send it.
func fix(incident string, seq int) string {
	return fmt.Sprintf(`{"incidentId":%q,"clientSeq":%d,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}`, incident, seq)
}

func TestAPressArrivesWhole(t *testing.T) {
	safely(t, func(s *safe) {
		p := s.phone(asha, "l1", "")
		p.ask(`["SOS_RAISE",{"clientKey":"k","category":"fire","silent":true,"drill":true,"lat":12.5,"lng":-7,"accuracy":9,"at":"2026-01-02T03:04:05+01:00","countdownSeconds":10,"user":"x"}]`)
		got := s.desk.press
		if got.User != asha || got.ClientKey != "k" || got.Category != "fire" || !got.Silent || !got.Drill || got.Countdown != 10*time.Second ||
			!got.At.Equal(time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC)) || got.Position == nil || got.Position.Lat != 12.5 || got.Position.Lng != -7 || *got.Position.Accuracy != 9 {
			s.Errorf("%+v", got)
		}
		p.ask(`["SOS_RAISE",{"lat":null,"lng":null,"Silent":true}]`)
		if got := s.desk.press; got.ClientKey == "" || got.Category != "panic" || got.Position != nil || !got.At.IsZero() || got.Silent {
			s.Errorf("%+v", got)
		}
		p.ask(`["SOS_LOCATION",{"incidentId":"` + fire + `","clientSeq":3,"lat":1.5,"lng":2,"accuracy":4.5,"battery":80,"at":"2026-01-02T03:04:05Z"}]`)
		f := s.desk.fixes[0]
		if f.ClientSeq != 3 || f.Lat != 1.5 || f.Lng != 2 || *f.Accuracy != 4.5 || *f.Battery != 80 || f.At.Year() != 2026 {
			s.Errorf("%+v", f)
		}
	})
}

func TestWrongFieldsAreNamed(t *testing.T) {
	long := strings.Repeat("x", 2001)
	for event, fields := range map[string]string{
		`["SOS_RAISE",{"lat":91,"lng":0}]`:                             "lat",
		`["SOS_RAISE",{"lat":1}]`:                                      "lng",
		`["SOS_RAISE",{"lng":"1","silent":1,"at":"noon"}]`:             "silent lng at",
		`["SOS_RAISE",{"category":"Big Fire"}]`:                        "category",
		`["SOS_RAISE",{"clientKey":7}]`:                                "clientKey",
		`["SOS_RAISE",{"clientKey":"` + long + `"}]`:                   "clientKey",
		`["SOS_RAISE",{"clientKey":"a\u0000"}]`:                        "clientKey",
		`["SOS_RAISE",{"countdownSeconds":61}]`:                        "countdownSeconds",
		`["SOS_RAISE",{"countdownSeconds":1.5}]`:                       "countdownSeconds",
		`["SOS_RAISE","now"]`:                                          "0",
		`["SOS_RAISE",null]`:                                           "0",
		`["SOS_RAISE"]`:                                                "",
		`["SOS_CANCEL",{}]`:                                            "incidentId",
		`["SOS_CANCEL",{"incidentId":"it"}]`:                           "incidentId",
		`["SOS_CANCEL",{"INCIDENTID":"` + fire + `"}]`:                 "incidentId",
		`["SOS_CANCEL",{"incidentId":"` + fire + `","pin":1234}]`:      "pin",
		`["SOS_LOCATION",{"incidentId":"` + fire + `"}]`:               "lat lng clientSeq at",
		`["SOS_LOCATION",[` + fix(fire, 1) + `,` + fix(fire, 0) + `]]`: "[1].clientSeq",
		`["SOS_LOCATION",[` + fix(fire, 1) + `,7]]`:                    "[1]",
		`["SOS_LOCATION",[]]`:                                          "",
		`["SOS_LOCATION",[` + strings.Repeat(fix(fire, 1)+",", maxFixes) + fix(fire, 1) + `]]`:                "",
		`["SOS_LOCATION",{"incidentId":"` + fire + `","clientSeq":1,"lat":1,"lng":1,"at":"x","battery":101}]`: "battery at",
		`["SOS_MESSAGE",{"incidentId":"` + fire + `"}]`:                                                       "clientMsgId body",
		`["SOS_MESSAGE",{"incidentId":"` + fire + `","clientMsgId":"1","body":"` + long + `"}]`:               "body",
		`["SOS_STATE",{"incidentId":"` + fire + `","to":"RAISED"}]`:                                           "to",
		`["SOS_STATE",{"incidentId":"` + fire + `","to":"on_scene"}]`:                                         "to",
		`["SYNC",{}]`:                                         "incidents",
		`["SYNC",{"incidents":[]}]`:                           "incidents",
		`["SYNC",{"incidents":{"x":1}}]`:                      "incidents",
		`["SYNC",{"incidents":{"` + fire + `":-1}}]`:          "incidents." + fire,
		`["SYNC",{"incidents":{` + idsOf(maxSynced+1) + `}}]`: "incidents",
	} {
		t.Run(event[:min(len(event), 60)], func(t *testing.T) {
			safely(t, func(s *safe) {
				p := s.phone(guardID, "l1", "", nexus.Security)
				var answer []struct{ Error nexus.Failure }
				got := p.ask(event)
				if err := json.Unmarshal([]byte(got), &answer); err != nil {
					s.Fatal(got, err)
				}
				var named []string
				for _, e := range answer[0].Error.Errors {
					named = append(named, e.Field)
				}
				if answer[0].Error.Code != nexus.Invalid && answer[0].Error.Code != nexus.TooLarge || strings.Join(named, " ") != fields {
					s.Errorf("answered %s, want the fields %q", got, fields)
				}
				if got := s.desk.heard(); got != "" {
					s.Errorf("the desk was asked %s", got)
				}
			})
		})
	}
}

// idsOf is so many incidents to sync.
func idsOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"01890a5d-ac96-774b-bcce-b30209%06d":0`, i)
	}
	return b.String()[1:]
}

func TestOnlySecurityTellsAState(t *testing.T) {
	safely(t, func(s *safe) {
		event := `["SOS_STATE",{"incidentId":"` + fire + `","to":"ACKNOWLEDGED","note":"going"}]`
		guard := s.phone(guardID, "l1", "", nexus.Security)
		if got := guard.ask(event); got != `[{"seq":7}]` {
			s.Error(got)
		}
		if got := s.desk.heard(); got != "act "+guardID+" "+fire+" ACKNOWLEDGED going" {
			s.Error(got)
		}
		s.desk.err = &nexus.Error{Code: nexus.StateConflict, Message: "somebody has it", State: "EN_ROUTE"}
		if got := guard.ask(event); got != `[{"error":{"code":"state_conflict","message":"somebody has it","state":"EN_ROUTE"}}]` {
			s.Error(got)
		}
		for _, roles := range [][]nexus.Role{nil, {nexus.Admin}, {nexus.Student, nexus.Faculty, nexus.MessStaff}} {
			p := s.phone(asha, "l2", "", roles...)
			if got := p.ask(event); !strings.Contains(got, `"forbidden"`) {
				s.Errorf("%v: %s", roles, got)
			}
		}
	})
}

// TestAPressComesThroughWhateverElseWasSent: other events have used up what a connection may send, and other people's presses do
// not count; the press itself has a bound of its own.
func TestAPressComesThroughWhateverElseWasSent(t *testing.T) {
	safely(t, func(s *safe) {
		p, other := s.phone(asha, "l1", ""), s.phone(ravi, "l2", "")
		for range 9 {
			p.Send(`42/security,["nothing"]`)
		}
		for i := range 11 {
			want := `"durable":true`
			if i == 10 {
				want = `"rate_limited"`
			}
			p.Send(`42/security,5["SOS_RAISE",{"clientKey":"k"}]`)
			if got := p.NextText(); !strings.Contains(got, want) {
				s.Errorf("press %d: %s", i+1, got)
			}
		}
		p.Send(`42/security,5["SOS_CANCEL",{"incidentId":"` + fire + `"}]`)
		if got := p.NextText(); !strings.Contains(got, "CANCELLED") {
			s.Errorf("a cancel is held to the bucket of presses: %s", got)
		}
		if got := other.ask(`["SOS_RAISE",{}]`); !strings.Contains(got, `"durable":true`) {
			s.Error(got)
		}
		p.Send(`42/security,["nothing"]`)
		p.ExpectClose(socketio.TooManyEvents)
	}, func(cfg *Config) { cfg.Limits = socketio.Config{EventsPerSecond: 1, EventBurst: 20} })
}

func TestSync(t *testing.T) {
	for name, c := range map[string]struct {
		user   string
		roles  []nexus.Role
		since  string
		events int    // of each incident
		want   string // incidents' last digits and the seqs
		more   bool
	}{
		"the raiser":             {asha, nil, `"` + fire + `":1`, 3, "f1:2 f1:3", false},
		"a responder":            {ravi, nil, `"` + fire + `":0`, 2, "f1:1 f1:2", false},
		"an officer, two":        {guardID, []nexus.Role{nexus.Security}, `"` + flood + `":1,"` + fire + `":1`, 2, "f1:2 f2:2", false},
		"what one may not see":   {ravi, nil, `"` + flood + `":0,"` + fire + `":1`, 2, "f1:2", false},
		"what is not there":      {guardID, []nexus.Role{nexus.Security}, `"` + asha + `":0`, 2, "", false},
		"nothing new":            {asha, nil, `"` + fire + `":3`, 3, "", false},
		"nothing":                {asha, nil, ``, 3, "", false},
		"more than one answer":   {guardID, []nexus.Role{nexus.Admin}, `"` + fire + `":0,"` + flood + `":0`, 600, "", true},
		"exactly what one holds": {guardID, []nexus.Role{nexus.Admin}, `"` + fire + `":100,"` + flood + `":100`, 600, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				s.incidents.events = c.events
				s.incidents.open[fire] = nexus.Incident{ID: fire, User: asha, State: nexus.SOSRaised, Responders: []nexus.Responder{{User: ravi}}}
				s.incidents.open[flood] = nexus.Incident{ID: flood, User: asha, State: nexus.SOSRaised}
				p := s.phone(c.user, "l1", "", c.roles...)
				var answer []struct {
					Events []eventShown
					More   bool
				}
				got := p.ask(`["SYNC",{"incidents":{` + c.since + `}}]`)
				if err := json.Unmarshal([]byte(got), &answer); err != nil || answer[0].Events == nil {
					s.Fatal(got, err)
				}
				var seqs []string
				for _, e := range answer[0].Events {
					seqs = append(seqs, fmt.Sprintf("%s:%d", e.IncidentID[len(fire)-2:], e.Seq))
				}
				if c.events < 100 && strings.Join(seqs, " ") != c.want || c.events > 100 && len(seqs) != maxSyncedEvents || answer[0].More != c.more {
					s.Errorf("answered %v, more: %v", seqs, answer[0].More)
				}
			})
		})
	}
}

// TestWhoHearsWherePeopleAre: officers of every incident; a responder of the one that they follow; the raiser and others never.
func TestWhoHearsWherePeopleAre(t *testing.T) {
	safely(t, func(s *safe) {
		s.incidents.open[fire] = nexus.Incident{ID: fire, User: asha, State: nexus.SOSRaised, Responders: []nexus.Responder{{User: ravi}}}
		s.incidents.open[flood] = nexus.Incident{ID: flood, User: ravi, State: nexus.SOSRaised}
		officers := []*phone{s.phone(guardID, "l1", "", nexus.Security), s.phone(guardID, "l2", "", nexus.Admin)}
		raiser, responder, stranger := s.phone(asha, "l3", ""), s.phone(ravi, "l4", ""), s.phone(nexus.NewID(), "l5", "", nexus.Faculty)
		locate := func(incident string, n int) string {
			topic := incidentTopics + incident
			payload := fmt.Sprintf(`{"incidentId":%q,"lat":%d}`, incident, n)
			s.Broadcast(&grain.Broadcast{Topic: topic, Namespace: securityNamespace, Event: "LOCATION", Slot: topic, Payload: []byte(payload)})
			synctest.Wait()
			return `42/security,["LOCATION",` + payload + `]`
		}
		first := locate(fire, 1)
		for _, o := range officers {
			o.Expect(first)
		}
		for _, p := range []*phone{raiser, responder, stranger} {
			p.quiet()
			p.ask(`["SYNC",{"incidents":{"` + fire + `":0,"` + flood + `":0}}]`)
		}
		for _, c := range []struct {
			incident string
			hears    []*phone
		}{{fire, append(officers, responder)}, {flood, officers}} {
			text := locate(c.incident, 2)
			for _, p := range c.hears {
				p.Expect(text)
			}
			for _, p := range []*phone{raiser, responder, stranger, officers[0], officers[1]} {
				p.quiet()
			}
		}
	})
}

// TestAnOfficerInNeedHearsNothingOfTheOwnAlarm, also not by a socket that comes right after: whoever holds that phone must not learn that an
// alarm goes on that was cancelled.
func TestAnOfficerInNeedHearsNothingOfTheOwnAlarm(t *testing.T) {
	safely(t, func(s *safe) {
		raiser, colleague := s.phone(asha, "l1", "", nexus.Security), s.phone(guardID, "l2", "", nexus.Security)
		topic := incidentTopics + fire
		for _, b := range []*grain.Broadcast{
			{Topic: "safety/alerts", Event: "SAFETY_ALARM", Payload: []byte(`1`), Urgent: true},
			{Topic: topic, Event: "LOCATION", Slot: topic, Payload: []byte(`2`)},
		} {
			b.Namespace, b.Except = securityNamespace, asha
			s.Broadcast(b)
			synctest.Wait()
		}
		last := `42/security,["LOCATION",2]`
		colleague.Expect(`42/security,["SAFETY_ALARM",1]`, last)
		raiser.quiet()
		s.phone(asha, "l1", "", nexus.Security).quiet()
		s.phone(guardID, "l2", "", nexus.Security).Expect(last)
		s.Broadcast(&grain.Broadcast{Topic: "safety/alerts", Namespace: securityNamespace, Event: "SAFETY_ALARM", Payload: []byte(`3`), Except: guardID})
		raiser.Expect(`42/security,["SAFETY_ALARM",3]`) // of somebody else's
	})
}

// TestAResponderStopsListeningWhenItIsOver: by the line that says so, by the answer to a SYNC that it came before, or by the next SYNC.
func TestAResponderStopsListeningWhenItIsOver(t *testing.T) {
	over := func(s *safe) {
		i := s.incidents.open[fire]
		i.State = nexus.SOSResolved
		s.incidents.open[fire] = i
	}
	for name, end := range map[string]func(s *safe, sync func()){
		"by a line": func(s *safe, sync func()) {
			sync()
			s.store.commit(ravi, 1)
			s.store.lines[ravi][0].Event.Kind = "RESOLVED"
			s.publish(ravi, 0)
		},
		"while it syncs": func(s *safe, sync func()) {
			s.incidents.last = "FALSE_ALARM"
			sync()
		},
		"by the next sync": func(s *safe, sync func()) {
			sync()
			over(s)
			sync()
		},
	} {
		t.Run(name, func(t *testing.T) {
			safely(t, func(s *safe) {
				s.incidents.events = 2
				for _, id := range []nexus.IncidentID{fire, flood} {
					s.incidents.open[id] = nexus.Incident{ID: id, User: asha, State: nexus.SOSRaised, Responders: []nexus.Responder{{User: ravi}}}
				}
				p := s.phone(ravi, "l1", "")
				p.ask(`["SYNC",{"incidents":{"` + flood + `":0}}]`)
				end(s, func() { p.ask(`["SYNC",{"incidents":{"` + fire + `":0}}]`) })
				synctest.Wait()
				s.hub.mu.RLock()
				defer s.hub.mu.RUnlock()
				if _, still := s.hub.topics[incidentTopics+fire]; still || len(s.hub.topics) != 1 {
					s.Errorf("topics: %v", slices.Collect(maps.Keys(s.hub.topics)))
				}
			})
		})
	}
}

// TestAnAlarmThatIsNotStoredReachesOfficersOnce, past what waits, though it is of two topics that they hear.
func TestAnAlarmThatIsNotStoredReachesOfficersOnce(t *testing.T) {
	safely(t, func(s *safe) {
		officer, student := s.phone(guardID, "l1", "", nexus.Security), s.phone(asha, "l2", "")
		for range 3 { // nobody reads: one is under way, the others wait
			s.Broadcast(&grain.Broadcast{Topic: "safety/x", Namespace: securityNamespace, Event: "news", Payload: []byte(`1`)})
			synctest.Wait()
		}
		s.Broadcast(&grain.Broadcast{Topic: "safety/alerts", Namespace: securityNamespace, Event: "CRITICAL_ALERT", Payload: []byte(`{"durable":false}`), Urgent: true})
		synctest.Wait()
		officer.Expect(`42/security,["news",1]`, `42/security,["CRITICAL_ALERT",{"durable":false}]`, `42/security,["news",1]`, `42/security,["news",1]`)
		officer.quiet()
		student.quiet()
	})
}

// TestPositionsAreNotKept: what was last said of an incident is forgotten with it.
func TestPositionsAreNotKept(t *testing.T) {
	safely(t, func(s *safe) {
		for i := range 100 {
			topic := fmt.Sprint(incidentTopics, i)
			s.Broadcast(&grain.Broadcast{Topic: topic, Namespace: securityNamespace, Event: "LOCATION", Slot: topic, Payload: []byte(`1`)})
			s.pass(time.Second)
		}
		s.hub.mu.RLock()
		defer s.hub.mu.RUnlock()
		if n := len(s.hub.latest); n > 12 {
			s.Errorf("%d positions are kept", n)
		}
	})
}

func TestWhatLinesSay(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6789000, time.FixedZone("x", 3600))
	event := &nexus.SOSEvent{Incident: fire, Seq: 3, Kind: "PAGED", Data: json.RawMessage(`{"step":0}`), At: at, Hash: []byte{0xab, 0xcd}}
	near := 4.5
	incident := nexus.Incident{ID: fire, User: asha, Category: "panic", State: nexus.SOSRaised}
	placed := incident
	placed.Last, placed.Drill, placed.Silent = &nexus.Fix{Position: nexus.Position{Lat: 1, Lng: 2, Accuracy: &near}}, true, true
	for name, c := range map[string]struct {
		line nexus.Delivery
		want string
	}{
		"an alert": {
			nexus.Delivery{Kind: nexus.DeliverAlert, Event: event, Incident: &incident},
			`CRITICAL_ALERT {"incidentId":"` + fire + `","userId":"` + asha + `","location":null,"timestamp":"2026-01-02T02:04:05.006Z","seq":3,"state":"RAISED",` +
				`"category":"panic","silent":false,"drill":false,"durable":true,"deliveryId":"` + ravi + `:9","offset":9}`,
		},
		"an alert with a place": {
			nexus.Delivery{Kind: nexus.DeliverAlert, Event: event, Incident: &placed},
			`CRITICAL_ALERT {"incidentId":"` + fire + `","userId":"` + asha + `","location":{"lat":1,"lng":2,"accuracy":4.5},"timestamp":"2026-01-02T02:04:05.006Z","seq":3,"state":"RAISED",` +
				`"category":"panic","silent":true,"drill":true,"durable":true,"deliveryId":"` + ravi + `:9","offset":9}`,
		},
		"an event": {
			nexus.Delivery{Kind: nexus.DeliverEvent, Event: event},
			`INCIDENT_EVENT {"incidentId":"` + fire + `","seq":3,"kind":"PAGED","actor":null,"data":{"step":0},"at":"2026-01-02T02:04:05.006Z","hash":"abcd","deliveryId":"` + ravi + `:9","offset":9}`,
		},
		"a mass alert": {
			nexus.Delivery{Kind: nexus.DeliverMass, Mass: &nexus.MassAlert{Identifier: "i", Sender: "s", Sent: at, Status: "Test", MsgType: "Alert", Headline: "h", Instruction: "in", Severity: "Minor", Expires: at}},
			`MASS_ALERT {"identifier":"i","sender":"s","sent":"2026-01-02T02:04:05.006Z","status":"Test","msgType":"Alert","category":"","event":"","urgency":"","severity":"Minor","certainty":"",` +
				`"headline":"h","instruction":"in","area":"","expires":"2026-01-02T02:04:05.006Z","deliveryId":"` + ravi + `:9","offset":9}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c.line.Stream, c.line.Seq = ravi, 9
			l := &line{Delivery: c.line}
			got, err := l.encode()
			if text := l.event() + " " + string(got); err != nil || text != c.want {
				t.Errorf("%s\n%v, want\n%s", text, err, c.want)
			}
		})
	}
	for _, kind := range []string{nexus.DeliverAlert, nexus.DeliverEvent, nexus.DeliverMass, ""} {
		if got, err := (&line{Delivery: nexus.Delivery{Kind: kind}}).encode(); err == nil {
			t.Errorf("%q without anything is %s", kind, got)
		}
	}
}
