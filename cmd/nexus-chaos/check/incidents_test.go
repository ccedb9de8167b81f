package check

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"nexus/persistence/pg/pgfix"
)

// wholeIncident is one that a student raised, for which an officer was paged, who took it and ended it.
const wholeIncident = `
drop trigger sos_event_append_only on sos_event;
insert into app_user (id, email, reg_no) values
	('01890a5d-ac96-774b-bcce-b302099a8001', 'student1@campus.test', 'R1'), ('01890a5d-ac96-774b-bcce-b302099a8002', 'officer1@campus.test', 'R2');
insert into sos_incident (id, user_id, category, silent, drill, state, raised_at, cancel_until, closed_at, last_seq, head_hash) values
	('01890a5d-ac96-774b-bcce-b302099a80f1', '01890a5d-ac96-774b-bcce-b302099a8001', 'panic', false, false, 'RESOLVED', '2026-01-01 10:00Z', '2026-01-01 10:05Z', '2026-01-01 10:03Z', 4, sha256('x'));
insert into sos_event (incident_id, seq, at, actor, kind, data, prev_hash, hash)
	select '01890a5d-ac96-774b-bcce-b302099a80f1', seq, '2026-01-01 10:00Z', null, kind, data::json, sha256('x'), sha256('x') from (values
		(1, 'RAISED', '{}'), (2, 'PAGED', '{"users":["01890a5d-ac96-774b-bcce-b302099a8002"]}'), (3, 'ACKNOWLEDGED', '{}'), (4, 'RESOLVED', '{}')) e (seq, kind, data);
insert into safety_stream (stream, last_seq) values ('01890a5d-ac96-774b-bcce-b302099a8002', 3);
insert into safety_delivery (stream, seq, kind, incident_id, event_seq)
	select '01890a5d-ac96-774b-bcce-b302099a8002', seq, kind, '01890a5d-ac96-774b-bcce-b302099a80f1', seq + 1 from (values (1, 'ALERT'), (2, 'EVENT'), (3, 'EVENT')) d (seq, kind);`

// TestSpoiltIncidentsAreNoticed breaks each rule in the tables of a real database.
func TestSpoiltIncidentsAreNoticed(t *testing.T) {
	db, err := pgxpool.New(t.Context(), pgfix.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(t.Context(), wholeIncident); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, spoil, wrong string }{
		{"whole", `select`, ""},
		{
			"an event is gone", `delete from safety_delivery where event_seq = 3; delete from sos_event where seq = 3; update safety_delivery set seq = 2 where seq = 3; update safety_stream set last_seq = 2 where last_seq = 3`,
			"incidents with a gap in their events",
		},
		{
			"an event too many", `insert into sos_event select incident_id, 5, at, actor, 'MESSAGE', data, prev_hash, hash from sos_event where seq = 4`,
			"incidents with a gap in their events",
		},
		{
			"another one meanwhile", `insert into sos_incident (id, user_id, category, silent, drill, state, raised_at, cancel_until, next_at, head_hash)
			select '01890a5d-ac96-774b-bcce-b302099a80f2', user_id, category, silent, drill, 'RAISED', '2026-01-01 10:02Z', cancel_until, cancel_until, head_hash from sos_incident;
			insert into sos_event select '01890a5d-ac96-774b-bcce-b302099a80f2', seq, at, actor, 'MESSAGE', data, prev_hash, hash from sos_event where seq = 1;
			update sos_incident set last_seq = 1 where state = 'RAISED'`,
			"incidents open beside another of the same person",
		},
		{"taken twice", `update sos_event set kind = 'ACKNOWLEDGED' where seq = 4`, "incidents that two people took"},
		{"taken again after it was let go", `update sos_event set kind = 'ACKNOWLEDGED' where seq = 4;
			insert into sos_event select incident_id, 5, at, actor, 'UNACKNOWLEDGED', data, prev_hash, hash from sos_event where seq = 4;
			insert into sos_event select incident_id, 6, at, actor, 'ACKNOWLEDGED', data, prev_hash, hash from sos_event where seq = 5;
			update sos_event set kind = 'MESSAGE' where seq = 3; update sos_incident set last_seq = 6`, ""},
		{"goes on after its end", `insert into sos_event select incident_id, 5, at, actor, 'MESSAGE', data, prev_hash, hash from sos_event where seq = 4;
			update sos_incident set last_seq = 5`, "incidents that went on after their end"},
		{"pages nobody", `update sos_event set data = '{"users":[]}' where seq = 2`, "alarms that paged nobody"},
		{"pages by an event alone", `update safety_delivery set kind = 'EVENT' where seq = 1`, "people paged without a line in their stream"},
		{"a line is gone", `delete from safety_delivery where seq = 2`, "streams with a gap"},
		{"the last line is gone", `delete from safety_delivery where seq = 3`, "streams with a gap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tx, err := db.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := tx.Rollback(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			if _, err := tx.Exec(t.Context(), c.spoil); err != nil {
				t.Fatal(err)
			}
			rs, err := Incidents(t.Context(), tx)
			if err != nil {
				t.Fatal(err)
			}
			if got := missed(rs); got != c.wrong {
				t.Errorf("missed %q, want %q", got, c.wrong)
			}
		})
	}
}
