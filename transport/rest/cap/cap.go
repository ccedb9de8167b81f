// Package cap writes alerts and incidents in the Common Alerting Protocol, version 1.2 (OASIS Standard CAP-V1.2, 1 July 2010), the
// language in which authorities tell each other of emergencies.
package cap

import (
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"nexus"
)

// sender is who signs for the campus towards others.
const sender = "nexus"

// layout is a time in UTC as the standard (3.3.2) writes it: neither Z nor +00:00.
const layout = "2006-01-02T15:04:05-00:00"

// minRadius is the smallest circle drawn around a position, in kilometres: phones err by more than they say.
const minRadius = 0.01

// alert is the document. The order of elements is that of the schema.
type alert struct {
	XMLName     xml.Name `xml:"urn:oasis:names:tc:emergency:cap:1.2 alert"`
	Identifier  string   `xml:"identifier"`
	Sender      string   `xml:"sender"`
	Sent        string   `xml:"sent"`
	Status      string   `xml:"status"`
	MsgType     string   `xml:"msgType"`
	Scope       string   `xml:"scope"`
	Restriction string   `xml:"restriction,omitempty"`
	References  string   `xml:"references,omitempty"`
	Info        info     `xml:"info"`
}

type info struct {
	Category    string `xml:"category"`
	Event       string `xml:"event"`
	Urgency     string `xml:"urgency"`
	Severity    string `xml:"severity"`
	Certainty   string `xml:"certainty"`
	Onset       string `xml:"onset,omitempty"`
	Expires     string `xml:"expires,omitempty"`
	Headline    string `xml:"headline,omitempty"`
	Description string `xml:"description,omitempty"`
	Instruction string `xml:"instruction,omitempty"`
	Area        *area  `xml:"area"`
}

type area struct {
	Desc   string `xml:"areaDesc"`
	Circle string `xml:"circle,omitempty"` // "lat,lng radius", in kilometres
}

// Mass returns a mass alert. follows is the alert that it updates or cancels, nil if there is none.
func Mass(a nexus.MassAlert, follows *nexus.MassAlert) ([]byte, error) {
	doc := alert{
		Identifier: a.Identifier, Sender: a.Sender, Sent: stamp(a.Sent), Status: a.Status, MsgType: a.MsgType, Scope: "Public",
		Info: info{
			Category: a.Category, Event: a.Event, Urgency: a.Urgency, Severity: a.Severity, Certainty: a.Certainty, Expires: stamp(a.Expires),
			Headline: a.Headline, Description: a.Description, Instruction: a.Instruction, Area: &area{Desc: a.Area},
		},
	}
	if follows != nil {
		doc.References = strings.Join([]string{follows.Sender, follows.Identifier, stamp(follows.Sent)}, ",")
	}
	return write(doc)
}

// Incident returns an SOS as it stands. It is restricted to those who respond: it says where somebody in need is.
func Incident(i nexus.Incident) ([]byte, error) {
	doc := alert{
		Identifier: fmt.Sprintf("nexus-sos-%s-%d", i.ID, i.Seq), Sender: sender, Sent: stamp(i.RaisedAt), Status: "Actual", MsgType: "Alert",
		Scope: "Restricted", Restriction: "For authorised responders only",
		Info: info{
			Category: "Rescue", Event: "SOS: " + i.Category, Urgency: "Immediate", Severity: "Severe", Certainty: "Likely",
			Onset: stamp(i.RaisedAt), Headline: "A person on campus asks for help", Description: "State: " + string(i.State), Area: &area{Desc: "On or near the campus"},
		},
	}
	if i.Drill {
		doc.Status = "Exercise"
	}
	if i.OnSceneAt != nil {
		doc.Info.Certainty = "Observed"
	}
	switch {
	case i.State == nexus.SOSFalseAlarm || i.State == nexus.SOSCancelled:
		doc.Info.Urgency, doc.Info.Certainty = "Past", "Unlikely"
	case i.State.Closed():
		doc.Info.Urgency = "Past"
	}
	if p := i.Last; p != nil {
		radius := minRadius
		if p.Accuracy != nil {
			radius = max(radius, *p.Accuracy/1000)
		}
		doc.Info.Area = &area{Desc: "Last known position, " + stamp(p.At), Circle: fmt.Sprintf("%.6f,%.6f %.3f", p.Lat, p.Lng, radius)}
	}
	return write(doc)
}

func stamp(t time.Time) string { return t.UTC().Format(layout) }

func write(doc alert) ([]byte, error) {
	text, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write a CAP document: %w", err)
	}
	return append([]byte(xml.Header), append(text, '\n')...), nil
}
