// Package auth knows who somebody is: passwords, logins, access tokens and the keys
// of devices. It speaks no HTTP.
//
// A login is a family of refresh tokens; each is good for one exchange, and one that comes
// twice ends its family:
//
//	Login ── access token (15 min) + refresh token ──> Refresh ── next pair ──> ...
//	                                                      │
//	                       a used token comes again ──> family revoked, sockets closed
//
// An access token is a JWT signed with HS256. Its signature alone proves who it was given to;
// that the login still stands is looked up, and remembered for five seconds. While the
// database is away a token that was valid by signature stays valid for its owner's own affairs: live sockets go on, and somebody
// must be able to raise an SOS exactly then; a stolen token gains minutes at most. What takes a role is refused until
// the database answers.
package auth
