package pg_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"nexus"
	"nexus/actors/incident"
	"nexus/persistence/pg"
	"nexus/persistence/pg/sqlcgen"
)

// The exact bytes of the chain, worked out by hand from the description beside the code, so that nobody changes them unawares.
func TestEventEncoding(t *testing.T) {
	t.Parallel()
	prev := strings.Repeat("\x01", 32)
	e := sqlcgen.SosEvent{IncidentID: "i", Seq: 2, At: time.UnixMicro(258).UTC(), Actor: ptr("u"), Kind: "MESSAGE", Data: []byte(`{}`), PrevHash: []byte(prev)}
	fields := func(actor string) string {
		return "\x00\x00\x00\x11nexus sos event 1" + "\x00\x00\x00\x01i" + "\x00\x00\x00\x20" + prev +
			"\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x02" + "\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x01\x02" +
			actor + "\x00\x00\x00\x07MESSAGE" + "\x00\x00\x00\x02{}"
	}
	if got, want := pg.EventHash(e), hash(fields("\x00\x00\x00\x01u")); string(got) != string(want) {
		t.Errorf("by somebody: %x, want %x", got, want)
	}
	e.Actor = nil
	if got, want := pg.EventHash(e), hash(fields("\x00\x00\x00\x00")); string(got) != string(want) {
		t.Errorf("by the clock: %x, want %x", got, want)
	}
}

// story is an incident with five events, and one after it in the walk.
func story(s *safe) nexus.IncidentID {
	s.Helper()
	raised, _ := s.press(s.asha, "k") // RAISED PAGED
	_, err := s.act(s.ravi, raised.Incident, nexus.SOSAcknowledged)
	ok(s.T, err)
	_, _, err = s.sos.Say(s.Context(), raised.Incident, s.asha.ID, incident.Words{ClientMsgID: "m", Body: "by the lake"}, func(incident.State) error { return nil })
	ok(s.T, err)
	_, err = s.act(s.ravi, raised.Incident, nexus.SOSOnScene)
	ok(s.T, err)
	return raised.Incident
}

// owner lends a connection of somebody who can switch triggers and foreign keys off.
func (s *safe) owner() *pgx.Conn {
	s.Helper()
	conn, err := s.db.Pool().Acquire(context.Background())
	ok(s.T, err)
	s.Cleanup(conn.Release)
	_, err = conn.Exec(context.Background(), `set session_replication_role = replica`)
	ok(s.T, err)
	return conn.Conn()
}

func TestVerifyFindsWhatAnIncidentWasTamperedWith(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tamper string
		events int64
		bad    int64
	}{
		"nothing":                {``, 5, 0},
		"positions":              {`delete from sos_location`, 5, 0},
		"time":                   {`update sos_event set at = at + interval '1 microsecond' where seq = 2`, 5, 2},
		"actor":                  {`update sos_event set actor = (select id from app_user where email like 'meera%') where seq = 3`, 5, 3},
		"no actor":               {`update sos_event set actor = null where seq = 4`, 5, 4},
		"kind":                   {`update sos_event set kind = 'RESOLVED' where seq = 5`, 5, 5},
		"data":                   {`update sos_event set data = '{"clientMsgId":"m","body":"by the cake"}' where seq = 4`, 5, 4},
		"form of data":           {`update sos_event set data = data::jsonb::json where seq = 1`, 5, 1},
		"hash":                   {`update sos_event set hash = sha256('x') where seq = 3`, 5, 3},
		"hash before":            {`update sos_event set prev_hash = sha256('x') where seq = 3`, 5, 3},
		"swapped":                {`update sos_event set seq = 9 where seq = 2; update sos_event set seq = 2 where seq = 3; update sos_event set seq = 3 where seq = 9`, 5, 2},
		"missing":                {`delete from sos_event where seq = 2`, 4, 2},
		"missing first":          {`delete from sos_event where seq = 1`, 4, 1},
		"all missing":            {`delete from sos_event`, 0, 1},
		"cut off":                {`delete from sos_event where seq = 5`, 4, 5},
		"cut off two":            {`delete from sos_event where seq > 3`, 3, 4},
		"cut off with the count": {`delete from sos_event where seq = 5; update sos_incident set last_seq = 4`, 4, 4},
		"cut off with the head": {`update sos_incident set last_seq = 4, head_hash = (select hash from sos_event where seq = 4);
			delete from sos_event where seq = 5`, 4, 4},
		"of another":    {`update sos_event set incident_id = gen_random_uuid() where seq = 5`, 4, 5},
		"head":          {`update sos_incident set head_hash = sha256('x')`, 5, 5},
		"state":         {`update sos_incident set state = 'EN_ROUTE'`, 5, 5},
		"closed":        {`update sos_incident set state = 'RESOLVED', closed_at = now(), next_at = null`, 5, 5},
		"raised at":     {`update sos_incident set raised_at = raised_at - interval '1 microsecond'`, 5, 5},
		"answered at":   {`update sos_incident set acked_at = null`, 5, 5},
		"on scene at":   {`update sos_incident set on_scene_at = null`, 5, 5},
		"cancel until":  {`update sos_incident set cancel_until = now()`, 5, 5},
		"next at":       {`update sos_incident set next_at = next_at + interval '1 year'`, 5, 5},
		"category":      {`update sos_incident set category = 'fire'`, 5, 5},
		"silent":        {`update sos_incident set silent = true`, 5, 5},
		"drill":         {`update sos_incident set drill = true`, 5, 5},
		"duress":        {`update sos_incident set duress = true`, 5, 5},
		"whose":         {`update sos_incident set user_id = (select id from app_user where email like 'meera%')`, 5, 5},
		"responder":     {`update sos_responder set state = 'PAGED' where state = 'ON_SCENE'`, 5, 5},
		"one less":      {`delete from sos_responder where state = 'ON_SCENE'`, 5, 5},
		"no incident":   {`delete from sos_incident`, 5, 1},
		"when she came": {`update sos_responder set since = since - interval '1 microsecond'`, 5, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSafe(t)
			id := story(s)
			_, err := s.owner().PgConn().Exec(t.Context(), tc.tamper).ReadAll()
			ok(t, err)
			n, bad, err := s.incidents.VerifyIncident(t.Context(), id)
			ok(t, err)
			if n != tc.events || bad != tc.bad {
				t.Fatalf("%d events, first bad %d; want %d, %d", n, bad, tc.events, tc.bad)
			}
			_, _, found, first, err := s.incidents.VerifyAll(t.Context())
			ok(t, err)
			if tc.bad == 0 && found != "" || tc.bad != 0 && (found == "" || found == id && first != tc.bad) {
				t.Fatalf("the walk finds %q, %d", found, first)
			}
		})
	}
}

// Whatever byte of whatever column of whatever event is changed, the walk finds it, and names the event.
func TestVerifyFindsAnyChangedByte(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	id := story(s)
	var rows []sqlcgen.SosEvent
	var row sqlcgen.SosView
	ok(t, s.db.Tx(t.Context(), func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		if rows, err = q.SOSEvents(ctx, string(id)); err == nil {
			row, err = q.IncidentView(ctx, string(id))
		}
		return err
	}))
	columns := []string{"data", "kind", "hash", "prev_hash", "at", "actor"}
	rapid.Check(t, func(r *rapid.T) {
		seq := rapid.IntRange(1, 5).Draw(r, "seq")
		column := rapid.SampledFrom(columns).Draw(r, "column")
		changed := slices.Clone(rows)
		flip(r, &changed[seq-1], column)
		n, bad, err := pg.VerifyRows(row, changed)
		if n != 5 || bad != int64(seq) || err != nil {
			r.Fatalf("%s of event %d: %d events, first bad %d, %v", column, seq, n, bad, err)
		}
	})
	s.verified(id, 5)
}

// flip changes one byte of a column, or makes another value of it.
func flip(r *rapid.T, e *sqlcgen.SosEvent, column string) {
	other := func(b []byte) []byte {
		b = append([]byte{}, b...)
		i := rapid.IntRange(0, len(b)-1).Draw(r, "byte")
		b[i] ^= byte(rapid.IntRange(1, 255).Draw(r, "xor"))
		return b
	}
	switch column {
	case "data":
		e.Data = other(e.Data)
	case "kind":
		e.Kind = string(other([]byte(e.Kind)))
	case "hash":
		e.Hash = other(e.Hash)
	case "prev_hash":
		e.PrevHash = other(e.PrevHash)
	case "at":
		e.At = e.At.Add(time.Duration(rapid.Int64Range(1, 1e12).Draw(r, "later")) * time.Microsecond)
	case "actor":
		if e.Actor == nil {
			e.Actor = ptr(nexus.NewID())
		} else {
			e.Actor = ptr(string(other([]byte(*e.Actor))))
		}
	}
}

func TestEventsAreAppendOnly(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	id := story(s)
	for _, query := range []string{`update sos_event set kind = 'x'`, `delete from sos_event`, `truncate sos_event cascade`} {
		if _, err := s.db.Pool().Exec(context.Background(), query); err == nil {
			t.Errorf("%s: was not refused", query)
		}
	}
	s.verified(id, 5)
}

// Help goes on in an incident that was tampered with, and that it was stays to be seen.
func TestATamperedIncidentIsStillAnswered(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	raised, _ := s.press(s.asha, "k")
	conn := s.owner()
	_, err := conn.Exec(t.Context(), `update sos_event set data = '{"step":0,"users":[]}' where seq = 2`)
	ok(t, err)
	_, err = s.act(s.ravi, raised.Incident, nexus.SOSAcknowledged)
	ok(t, err)
	if n, bad, err := s.incidents.VerifyIncident(t.Context(), raised.Incident); n != 3 || bad != 2 || err != nil {
		t.Fatal(n, bad, err)
	}
	_, _, err = s.incidents.VerifyIncident(t.Context(), nexus.IncidentID(nexus.NewID()))
	code(t, err, nexus.NotFound)
}

func TestVerifyAllCounts(t *testing.T) {
	t.Parallel()
	s := newSafe(t)
	story(s)
	s.press(s.meera, "k")
	n, events, bad, first, err := s.incidents.VerifyAll(t.Context())
	if n != 2 || events != 7 || bad != "" || first != 0 || err != nil {
		t.Fatal(n, events, bad, first, err)
	}
}
