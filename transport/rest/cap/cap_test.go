package cap

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"nexus"
)

// validate holds a document to the standard's rules.
func validate(t *testing.T, doc []byte) error {
	t.Helper()
	lint := exec.CommandContext(t.Context(), "xmllint", "--noout", "--nonet", "--schema", "testdata/cap-1.2.xsd", "-")
	lint.Stdin = bytes.NewReader(doc)
	var said bytes.Buffer
	lint.Stderr = &said
	err := lint.Run()
	if lint.ProcessState == nil {
		t.Fatalf("xmllint: %v", err)
	}
	if err != nil {
		t.Logf("%s\n%s", said.String(), doc)
	}
	return err
}

func TestIncidentsAreValid(t *testing.T) {
	at := time.Date(2026, 11, 24, 23, 59, 59, 999e6, time.FixedZone("IST", 19800))
	accuracy := 35.0
	for _, state := range []nexus.SOSState{
		nexus.SOSArmed, nexus.SOSRaised, nexus.SOSAcknowledged, nexus.SOSEnRoute, nexus.SOSOnScene, nexus.SOSResolved, nexus.SOSCancelled, nexus.SOSFalseAlarm,
	} {
		for _, last := range []*nexus.Fix{nil, {At: at, Position: nexus.Position{Lat: -12.5, Lng: 0.000001}}, {At: at, Position: nexus.Position{Lat: 90, Lng: -180, Accuracy: &accuracy}}} {
			i := nexus.Incident{ID: nexus.IncidentID(nexus.NewID()), Seq: 7, State: state, Category: "fire", Drill: last == nil, RaisedAt: at, Last: last}
			if state == nexus.SOSOnScene {
				i.OnSceneAt = &at
			}
			doc, err := Incident(i)
			if err != nil {
				t.Fatal(err)
			}
			if err := validate(t, doc); err != nil {
				t.Errorf("%s: %v", state, err)
			}
		}
	}
}

func TestMassAlertsAreValid(t *testing.T) {
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	a := nexus.MassAlert{
		Identifier: "nexus-1", Sender: "nexus", Sent: at, Status: "Actual", MsgType: "Alert", Category: "Fire", Event: "Fire <& smoke>", Urgency: "Immediate",
		Severity: "Severe", Certainty: "Observed", Headline: "Fire in block C", Instruction: "Leave by the north stairs\nकृपया बाहर निकलें", Area: "Block C", Expires: at.Add(time.Hour),
	}
	doc, err := Mass(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(t, doc); err != nil {
		t.Error(err)
	}
	update := a
	update.Identifier, update.MsgType, update.References = "nexus-2", "Update", a.Identifier
	if doc, err = Mass(update, &a); err != nil {
		t.Fatal(err)
	}
	if err := validate(t, doc); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(doc), "<references>nexus,nexus-1,2026-11-24T12:00:00-00:00</references>") {
		t.Errorf("%s", doc)
	}
}

// TestTheSchemaRefuses sees to it that the schema can say no.
func TestTheSchemaRefuses(t *testing.T) {
	doc, err := Incident(nexus.Incident{ID: "0190", Seq: 1, State: nexus.SOSRaised, Category: "panic", RaisedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{"cap:1.2", "cap:1.1"},
		{"-00:00", "Z"},
		{"<status>Actual</status>", "<status>Real</status>"},
		{"<status>Actual</status>", ""},
		{"nexus-sos-0190-1", "nexus sos"},
		{"<scope>Restricted</scope>", "<scope>Restricted</scope><colour>red</colour>"},
		{"<urgency>Immediate</urgency>", "<urgency>Soon</urgency>"},
	} {
		spoilt := strings.Replace(string(doc), change[0], change[1], 1)
		if spoilt == string(doc) {
			t.Fatalf("%q is not in the document", change[0])
		}
		if validate(t, []byte(spoilt)) == nil {
			t.Errorf("valid with %q for %q", change[1], change[0])
		}
	}
}
