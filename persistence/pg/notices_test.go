package pg_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"nexus"
	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
	"nexus/persistence/pg/sqlcgen"
)

// tell notifies people in a transaction of its own.
func tell(t testing.TB, db *pg.DB, notices ...nexus.Notice) (streams []string, err error) {
	t.Helper()
	err = db.Tx(t.Context(), func(ctx context.Context, q *sqlcgen.Queries) (err error) {
		streams, err = pg.Tell(ctx, q, notices)
		return err
	})
	return streams, err
}

func notice(to nexus.UserID, title, dedupe string) nexus.Notice {
	return nexus.Notice{User: to, Kind: "test", Priority: nexus.PriorityNormal, Title: title, Dedupe: dedupe}
}

// TestANoticeIsToldOnce, whoever tells it at the same time, and its seqs leave no gap.
func TestANoticeIsToldOnce(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	people := pgfix.Users(t, db, "s", nexus.Student, 2)
	for _, err := range race(8, func(i int) error {
		_, err := tell(t, db, notice(people[1], "b", "once"), notice(people[0], "a", "once"), notice(people[0], fmt.Sprint(i), fmt.Sprint(i)))
		return err
	}) {
		ok(t, err)
	}
	s := pg.NewNotices(db)
	for i, want := range []int{9, 1} {
		list, err := s.Notices(t.Context(), people[i], false, nexus.Page{})
		ok(t, err)
		if len(list.Items) != want || list.Next != "" {
			t.Fatalf("person %d was told %+v", i, list)
		}
		for j, n := range list.Items {
			if n.Seq != int64(j+1) {
				t.Errorf("person %d: seq %d in place %d", i, n.Seq, j+1)
			}
		}
	}
	if streams, err := tell(t, db, notice(people[1], "b", "once")); err != nil || len(streams) != 0 {
		t.Errorf("news of what was told before: %v %v", streams, err)
	}
	if streams, err := tell(t, db, notice(people[1], "again", "")); err != nil || len(streams) != 1 || streams[0] != nexus.OutboxStream(nexus.NoticeChannel, people[1]) {
		t.Errorf("%v %v", streams, err)
	}
}

// TestWhatIsNotCommittedIsNotTold.
func TestWhatIsNotCommittedIsNotTold(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	user := pgfix.Users(t, db, "s", nexus.Student, 1)[0]
	changed := errors.New("changed my mind")
	err := db.Tx(t.Context(), func(ctx context.Context, q *sqlcgen.Queries) error {
		if _, err := pg.Tell(ctx, q, []nexus.Notice{notice(user, "x", "k")}); err != nil {
			return err
		}
		return changed
	})
	if err == nil {
		t.Fatal("it was committed")
	}
	_, err = tell(t, db, notice(user, "x", "k"))
	ok(t, err)
	list, err := pg.NewNotices(db).Notices(t.Context(), user, false, nexus.Page{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Seq != 1 {
		t.Fatalf("%+v %v", list, err)
	}
}

func TestNoticesAreReadOnce(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	s, people := pg.NewNotices(db), pgfix.Users(t, db, "s", nexus.Student, 2)
	_, err := tell(t, db, notice(people[0], "1", ""), notice(people[0], "2", ""), notice(people[0], "3", ""))
	ok(t, err)
	page, err := s.Notices(t.Context(), people[0], false, nexus.Page{Limit: 2})
	if err != nil || len(page.Items) != 2 || page.Next != "2" {
		t.Fatalf("%+v %v", page, err)
	}
	first := page.Items[0]
	_, err = s.Read(t.Context(), people[1], first.ID)
	code(t, err, nexus.NotFound)
	read, err := s.Read(t.Context(), people[0], first.ID)
	if err != nil || read.ReadAt == nil {
		t.Fatalf("%+v %v", read, err)
	}
	again, err := s.Read(t.Context(), people[0], first.ID)
	if err != nil || !again.ReadAt.Equal(*read.ReadAt) {
		t.Fatalf("%+v %v", again, err)
	}
	if n, err := s.ReadAll(t.Context(), people[0], 2); err != nil || n != 1 {
		t.Errorf("%d %v", n, err)
	}
	unread, err := s.Notices(t.Context(), people[0], true, nexus.Page{})
	if err != nil || len(unread.Items) != 1 || unread.Items[0].Seq != 3 {
		t.Errorf("%+v %v", unread, err)
	}
	_, err = s.Notices(t.Context(), people[0], false, nexus.Page{After: "x"})
	code(t, err, nexus.Invalid)
}
