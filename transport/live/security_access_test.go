package live

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"nexus"
	"nexus/actors/incident"
	"nexus/transport/limit"
	"nexus/transport/rest/resttest"
)

// ruled runs a test of an edge over an office that goes by the true rules: ravi, of the faculty, is called to asha's alarm.
func ruled(t *testing.T, raiser []nexus.Role, test func(s *safe, office *resttest.Safety, id nexus.IncidentID)) {
	t.Helper()
	office := resttest.NewSafety()
	office.Staff = incident.Roster{{ID: guardID, Roles: []nexus.Role{nexus.Security}}, {ID: ravi, Roles: []nexus.Role{nexus.Faculty}}}
	safely(t, func(s *safe) {
		_, err := office.PutPolicy(t.Context(), nexus.Caller{}, 0, nexus.Policy{
			Steps: []nexus.Step{{Targets: []nexus.Target{{Role: nexus.Security}, {User: ravi}}}}, EverySeconds: 60, MoveSeconds: 300,
		})
		if err != nil {
			s.Fatal(err)
		}
		raised, err := office.Raise(t.Context(), nexus.Caller{User: asha, Roles: raiser}, nexus.Press{User: asha, ClientKey: "first", Category: "panic"})
		if err != nil {
			s.Fatal(err)
		}
		test(s, office, raised.Incident)
	}, func(cfg *Config) {
		cfg.Safety = &Safety{Desk: office, Pins: &desk{}, Incidents: office, Streams: newStreams(), Limiter: limit.NewMemory(1000)}
	})
}

// TestNobodyElseTouchesAnIncidentBySocket sends every event of /security as everybody there is: whoever neither raised the incident nor was
// called to it, nor is of SECURITY or ADMIN, is answered as if there were none, and nothing changes; nor does it by whom an event
// refuses. An event that this table does not know fails the test.
func TestNobodyElseTouchesAnIncidentBySocket(t *testing.T) {
	const (
		yes    = nexus.Code("")
		no     = nexus.Forbidden
		absent = nexus.NotFound
	)
	type party struct {
		name, user string
		roles      []nexus.Role
	}
	other := nexus.NewID()
	parties := []party{
		{"its raiser", asha, nil},
		{"its raiser, of SECURITY", asha, []nexus.Role{nexus.Security, nexus.Admin}},
		{"a responder", ravi, []nexus.Role{nexus.Faculty}},
		{"SECURITY", guardID, []nexus.Role{nexus.Security}},
		{"ADMIN", other, []nexus.Role{nexus.Admin}},
		{"a student", other, []nexus.Role{nexus.Student}},
		{"a member of the faculty", other, []nexus.Role{nexus.Faculty, nexus.MessStaff}},
	}
	table := map[string]struct {
		args string
		want []nexus.Code // for each party
	}{
		sosRaise:    {`{"clientKey":"k","id":"%[1]s","incidentId":"%[1]s"}`, []nexus.Code{yes, yes, yes, yes, yes, yes, yes}}, // an alarm of their own
		sosCancel:   {`{"incidentId":"%s"}`, []nexus.Code{yes, yes, no, no, no, absent, absent}},
		sosLocation: {`{"incidentId":"%s","clientSeq":1,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}`, []nexus.Code{yes, yes, no, no, no, absent, absent}},
		sosMessage:  {`{"incidentId":"%s","clientMsgId":"m","body":"hold on"}`, []nexus.Code{yes, yes, yes, yes, yes, absent, absent}},
		sosState:    {`{"incidentId":"%s","to":"ACKNOWLEDGED"}`, []nexus.Code{no, no, no, yes, no, no, no}},
		syncEvents:  {`{"incidents":{"%s":0}}`, []nexus.Code{yes, yes, yes, yes, yes, yes, yes}},
	}
	for event := range securityOf(&Safety{}, nil).events {
		c, known := table[event]
		if !known {
			t.Errorf("say in the table who may %s", event)
			continue
		}
		for i, who := range parties {
			t.Run(event+" by "+who.name, func(t *testing.T) {
				ruled(t, who.roles, func(s *safe, office *resttest.Safety, id nexus.IncidentID) {
					before := whole(s, office, id)
					got := s.phone(who.user, "l1", "", who.roles...).ask(`["` + event + `",` + fmt.Sprintf(c.args, id) + `]`)
					var answer []struct {
						Error  nexus.Failure
						Events []any
					}
					if err := json.Unmarshal([]byte(got), &answer); err != nil || answer[0].Error.Code != c.want[i] {
						s.Errorf("answered %s, want %q; %v", got, c.want[i], err)
					}
					outsider := who.user == other && who.roles[0] != nexus.Admin
					if after := whole(s, office, id); after != before && (outsider || c.want[i] != yes) {
						s.Errorf("changed\n%s\ninto\n%s", before, after)
					}
					if shows := strings.Contains(got, string(id)) || len(answer[0].Events) > 0; shows && outsider {
						s.Errorf("an outsider is told %s", got)
					} else if !shows && event == syncEvents && !outsider {
						s.Errorf("told %s", got)
					}
				})
			})
		}
	}
}

// whole is all that is known of an incident.
func whole(s *safe, office *resttest.Safety, id nexus.IncidentID) string {
	s.Helper()
	by, ctx := nexus.Caller{User: "x", Roles: []nexus.Role{nexus.Admin}}, context.Background()
	i, err := office.Incident(ctx, by, id)
	if err != nil {
		s.Fatal(err)
	}
	events, err := office.Events(ctx, by, id, 0, 1000)
	if err != nil {
		s.Fatal(err)
	}
	fixes, err := office.Locations(ctx, by, id)
	if err != nil {
		s.Fatal(err)
	}
	text, err := json.Marshal([]any{i, events, fixes})
	if err != nil {
		s.Fatal(err)
	}
	return string(text)
}

// TestDuressLooksLikeACancelBySocket, in every answer that the one who was forced can get.
func TestDuressLooksLikeACancelBySocket(t *testing.T) {
	ids := regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	for _, roles := range [][]nexus.Role{nil, {nexus.Security, nexus.Admin}} {
		var seen [2]string
		for i, pin := range []string{"1234", "4321"} {
			ruled(t, roles, func(s *safe, office *resttest.Safety, id nexus.IncidentID) {
				p, guard := s.phone(asha, "l1", "", roles...), s.phone(guardID, "l2", "", nexus.Security)
				var all []string
				ask := func(event, args string) {
					all = append(all, event+" "+p.ask(`["`+event+`",`+fmt.Sprintf(args, id)+`]`))
				}
				ask(sosLocation, `{"incidentId":"%s","clientSeq":1,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}`)
				ask(sosCancel, `{"incidentId":"%s","pin":"`+pin+`"}`)
				goes := guard.ask(fmt.Sprintf(`["SOS_STATE",{"incidentId":"%s","to":"ON_SCENE"}]`, id))
				guard.ask(fmt.Sprintf(`["SOS_MESSAGE",{"incidentId":"%s","clientMsgId":"g","body":"we are at the door"}]`, id))
				if strings.Contains(goes, "state_conflict") != (i == 0) {
					s.Errorf("the officer is told %s", goes)
				}
				ask(syncEvents, `{"incidents":{"%s":0}}`)
				for _, again := range []string{"1234", "4321"} {
					ask(sosCancel, `{"incidentId":"%s","pin":"`+again+`"}`)
				}
				ask(sosLocation, `{"incidentId":"%s","clientSeq":2,"lat":1,"lng":2,"at":"2026-01-02T03:04:05Z"}`)
				ask(sosMessage, `{"incidentId":"%s","clientMsgId":"m","body":"are you there?"}`)
				ask(sosState, `{"incidentId":"%s","to":"EN_ROUTE"}`)
				ask(syncEvents, `{"incidents":{"%s":2}}`)
				ask(sosRaise, `{"clientKey":"next","category":"panic"}%.0s`)
				if next := all[len(all)-1]; strings.Contains(next, string(id)) || !strings.Contains(next, `"RAISED"`) {
					s.Errorf("the next alarm: %s", next)
				}
				seen[i] = ids.ReplaceAllString(strings.Join(all, "\n"), "{id}")
			})
		}
		if seen[0] != seen[1] || !strings.Contains(seen[0], "CANCELLED") {
			t.Errorf("%v: a cancel looks like\n%s\nand under duress like\n%s", roles, seen[0], seen[1])
		}
	}
}
