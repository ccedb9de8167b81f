package rest_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"nexus"
	"nexus/transport/rest"
	"nexus/transport/rest/resttest"
)

// credentials returns headers that every operation takes: an administrator's, those of the first role it wants, or a mail gateway's.
func credentials(h *resttest.House) func(string, string, *resttest.Operation) http.Header {
	byRole, key := map[nexus.Role]http.Header{}, h.Key(nexus.ScopeMail)
	for _, r := range nexus.Roles() {
		byRole[r] = http.Header{"Authorization": {h.As(r)[1]}}
	}
	return func(_, _ string, op *resttest.Operation) http.Header {
		for _, s := range op.Security {
			for _, r := range s["bearer"] {
				return byRole[nexus.Role(r)]
			}
		}
		if len(op.Security) == 1 && op.Security[0]["apiKey"] != nil {
			return http.Header{rest.KeyHeader: {key}}
		}
		return byRole[nexus.Admin]
	}
}

func TestWrongInputIsRefusedByName(t *testing.T) {
	h := resttest.New(t)
	n := resttest.Hostile(t, resttest.Target{URL: "http://nexus", Do: h.Do, Headers: credentials(h)})
	t.Logf("%d wrong inputs", n)
	if n < 200 {
		t.Errorf("only %d wrong inputs", n)
	}
}

func TestEveryInputIsBounded(t *testing.T) {
	h := resttest.New(t)
	var doc resttest.Document
	if err := json.Unmarshal(h.Call("GET", "/openapi.json", nil).Body, &doc); err != nil {
		t.Fatal(err)
	}
	for _, where := range doc.Unbounded() {
		t.Error(where)
	}
}
