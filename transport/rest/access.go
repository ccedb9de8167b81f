package rest

import (
	"slices"

	"nexus"
)

// Access says who may call an operation. Every operation declares one; the test
// of roles against routes is generated from these declarations.
type Access struct {
	Public bool         // anybody, with or without credentials
	User   bool         // any account that is logged in
	Roles  []nexus.Role // accounts with any of these roles
	Scope  nexus.Scope  // devices with this scope

	Hook func(media string) bool // and whoever sends a body of such a type, which the route finds the signature in and checks

	Bucket bucket // what calls of an account count against; "": the general one
}

// bucket is a rate of its own for some operations: what else a caller does neither uses it up, nor does it use up the rest.
type bucket string

// The declarations: access is what any of them grants.
func public() Access                     { return Access{Public: true} }
func anyUser() Access                    { return Access{User: true} }
func roles(rs ...nexus.Role) Access      { return Access{Roles: rs} }
func (a Access) or(s nexus.Scope) Access { a.Scope = s; return a }
func (a Access) at(b bucket) Access      { a.Bucket = b; return a }

// Check returns nil if the caller may, Unauthenticated for a stranger and
// Forbidden for anybody else.
func (a Access) Check(c nexus.Caller) error {
	switch {
	case a.Public,
		a.User && c.User != "",
		c.Has(a.Roles...),
		a.Scope != "" && c.May(a.Scope):
		return nil
	case c.User == "" && c.Key == "":
		return nexus.Errorf(nexus.Unauthenticated, "please log in")
	default:
		return nexus.Errorf(nexus.Forbidden, "you may not do this")
	}
}

// security is the access in OpenAPI's words.
func (a Access) security() []map[string][]string {
	var s []map[string][]string
	if a.User || len(a.Roles) > 0 {
		names := make([]string, 0, len(a.Roles))
		for _, r := range a.Roles {
			names = append(names, string(r))
		}
		slices.Sort(names)
		s = append(s, map[string][]string{"bearer": names})
	}
	if a.Scope != "" {
		s = append(s, map[string][]string{"apiKey": {string(a.Scope)}})
	}
	return s
}
