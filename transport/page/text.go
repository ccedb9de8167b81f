package page

import (
	"cmp"
	"fmt"

	"nexus"
)

// text is a page in words.
type text struct{ headline, body string }

func textOf(p nexus.OutPage) text {
	i := p.Incident
	t := text{headline: fmt.Sprintf("SOS: %s needs help", cmp.Or(p.Name, "somebody"))}
	if i.Duress {
		t.body = "The alarm was cancelled under duress: help is still needed. "
	}
	t.body += fmt.Sprintf("Raised at %s UTC, category %s, now %s.", i.RaisedAt.UTC().Format("2006-01-02 15:04:05"), i.Category, i.State)
	if l := i.Last; l != nil {
		t.body += fmt.Sprintf(" Last position %.6f, %.6f (geo:%.6f,%.6f) at %s UTC.", l.Lat, l.Lng, l.Lat, l.Lng, l.At.UTC().Format("15:04:05"))
	}
	return t
}
