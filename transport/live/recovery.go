package live

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"nexus"
)

// Recovery, as the official client knows it: CONNECT is answered with a pid, the client names it when it comes back, and takes itself for
// recovered when the answer names it again. Here that means that it goes on exactly behind the last line that it acknowledged, on whichever
// node, in its own stream and that of the campus; for each connection has cursors of its own, kept with those of its login, which several
// tabs share.
//
// The client also returns an offset: the last argument of the last event, if it is a string. None is sent. A line is acknowledged by callback,
// which the client puts behind all arguments, so that it would never see one; and a handler of the form (alert, got) would take the string for
// its callback. No other event may end with a string either, or the client would send it as auth.offset.
//
// The other namespaces give no pid, since none of them keeps what was missed: their clients are never recovered, hear what is newest, and
// subscribe when they connect. A subscription could come back by nothing but the offset, which no event of theirs can carry either.

// recoverWait bounds what a client that comes back waits for the store; past it the client is a new one.
const recoverWait = time.Second

// pids makes and reads the names that clients come back by. Such a name is a connection's id and a signature that binds it to its login, so
// that any node can tell, and what is stolen is of no use without the login's token.
type pids struct{ key []byte }

const tabSize = 16 // of a UUID

func (k pids) sign(tab []byte, user nexus.UserID, login nexus.SessionID) []byte {
	mac := hmac.New(sha256.New, k.key)
	_, _ = fmt.Fprintf(mac, "nexus pid 1\n%s\n%s\n%x", user, login, tab) // a hash takes everything
	return mac.Sum(nil)[:tabSize]
}

// name is the pid of a connection.
func (k pids) name(tab nexus.SessionID, user nexus.UserID, login nexus.SessionID) string {
	id, err := hex.DecodeString(noDashes(string(tab)))
	if err != nil {
		panic(err) // a UUID of ours
	}
	return base64.RawURLEncoding.EncodeToString(append(id, k.sign(id, user, login)...))
}

// read is the connection that a pid names; false if it is none of this login.
func (k pids) read(pid string, user nexus.UserID, login nexus.SessionID) (tab nexus.SessionID, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(pid)
	if err != nil || len(raw) != 2*tabSize || !hmac.Equal(raw[tabSize:], k.sign(raw[:tabSize], user, login)) {
		return "", false
	}
	x := hex.EncodeToString(raw[:tabSize])
	return nexus.SessionID(x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]), true
}

func noDashes(id string) string { return id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:] }

// recover finds out where a client that comes back goes on, and names it again; or gives it a new name, if it is new, too old to be known,
// of another login, or ahead of a history that was set back. What the client itself says of how far it has come counts more.
func (s *security) recover(ctx context.Context, p *peer) {
	if len(s.RecoveryKey) == 0 {
		return
	}
	who, from, keys := p.who(), p.member.begin, pids{s.RecoveryKey}
	tab, ok := keys.read(from.pid, who.User, who.Session)
	if ok {
		ctx, cancel := context.WithTimeout(ctx, recoverWait)
		defer cancel()
		var own, campus nexus.Standing
		own, campus, ok = s.hub.courier.find(ctx, nexus.Reader{Stream: string(who.User), Device: tab}, nexus.Reader{Stream: nexus.CampusStream, Device: tab})
		if ok && from.own == nil {
			from.own = &own.Cursor
		}
		if ok && from.campus == nil {
			from.campus = &campus.Cursor
		}
	}
	if !ok {
		tab = nexus.SessionID(nexus.NewID())
	}
	from.tab = tab
	p.socket.SetPID(keys.name(tab, who.User, who.Session))
	s.hub.metrics.recovery(from.pid != "", ok)
}
