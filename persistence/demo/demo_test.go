package demo

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/argon2id"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"nexus/persistence/pg"
	"nexus/persistence/pg/pgfix"
)

func TestMain(m *testing.M) { pgfix.Main(m) }

// noon is when the tests' campus wakes up: half of the fortnight is past, and breakfast, but not lunch.
var noon = time.Date(2026, 3, 18, 12, 0, 0, 0, time.FixedZone("IST", 19_800))

func seed(t *testing.T, db *pgxpool.Pool, now time.Time) {
	t.Helper()
	if err := Seed(t.Context(), db, now, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
}

// contents counts and fingerprints every table, so that any change shows.
func contents(t *testing.T, db *pgxpool.Pool) map[string]string {
	t.Helper()
	out := map[string]string{}
	rows, err := db.Query(t.Context(), `select table_name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		q := fmt.Sprintf(`select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from %s t`, pgx.Identifier{table}.Sanitize())
		out[table] = one[string](t, db, q)
	}
	return out
}

func one[T any](t *testing.T, db *pgxpool.Pool, q string, args ...any) (v T) {
	t.Helper()
	if err := db.QueryRow(t.Context(), q, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return v
}

func TestSeedMakesTheCampus(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	began := time.Now()
	seed(t, db, noon)
	t.Logf("seeded in %s", time.Since(began))

	for _, c := range []struct {
		what, query string
		want        int
	}{
		{"accounts", `select count(*) from app_user`, 49},
		{"students", `select count(*) from app_user u join user_role r on r.user_id = u.id where role = 'STUDENT' and email ~ '^student([1-9]|[1-3][0-9]|40)@demo.nexus$' and reg_no = 'DEMO' || lpad(substring(email from '\d+'), 3, '0')`, 40},
		{"faculty", `select count(*) from user_role where role = 'FACULTY'`, 4},
		{"mess staff", `select count(*) from user_role r join app_user u on u.id = r.user_id where role = 'MESS_STAFF' and email = 'mess1@demo.nexus'`, 1},
		{"officers", `select count(*) from user_role where role = 'SECURITY'`, 3},
		{"administrators", `select count(*) from user_role r join app_user u on u.id = r.user_id where role = 'ADMIN' and email = 'admin@demo.nexus'`, 1},
		{"profiles without a name, phone, department or birthday", `select count(*) from profile where full_name = '' or phone = '' or department = '' or dob is null`, 0},
		{"students without hostel, room, warden, course or semester", `select count(*) from profile join user_role using (user_id) where role = 'STUDENT' and (hostel = '' or room = '' or warden = '' or course = '' or semester = 0)`, 0},
		{"names that two people have", `select count(*) - count(distinct full_name) from profile`, 0},
		{"rooms that two students of one hostel have", `select count(*) - count(distinct (hostel, room)) from profile where hostel <> ''`, 0},
		{"halls", `select count(*) from mess_hall where name in ('North', 'South', 'Central')`, 3},
		{"the default hall", `select count(*) from mess_hall where is_default and name = 'Central'`, 1},
		{"menus", `select count(*) from mess_menu`, 14 * 3 * 4},
		{"days", `select count(distinct serve_date) from mess_menu where serve_date between '2026-03-11' and '2026-03-24'`, 14},
		{"menus with fewer than three dishes", `select count(*) from mess_menu m where (select count(*) from mess_menu_item i where i.menu_id = m.id) < 3`, 0},
		{"dishes that are never served", `select count(*) from dish d where not exists (select from mess_menu_item i where i.dish_id = d.id)`, 0},
		{"dishes that lack a figure", `select count(*) from dish where num_nulls(serving_g, kcal, protein_g, carbs_g, fat_g, sodium_mg) > 0`, 0},
		{"past menus without a rating", `select count(*) from mess_menu m where closes_at <= '2026-03-18T06:30:00Z' and not exists (select from mess_rating r where r.menu_id = m.id)`, 0},
		{"ratings of menus that are not over", `select count(*) from mess_rating r join mess_menu m on m.id = r.menu_id where closes_at > '2026-03-18T06:30:00Z'`, 0},
		{"ratings from the future", `select count(*) from mess_rating where created_at > '2026-03-18T06:30:00Z'`, 0},
		{"ratings from before the meal", `select count(*) from mess_rating r join mess_menu m on m.id = r.menu_id where r.created_at < m.opens_at`, 0},
		{"comments with a gap", `select count(*) from mess_rating where comment ~ '[{}]'`, 0},
		{"how many stars there are", `select count(distinct stars) from mess_rating`, 5},
	} {
		if got := one[int](t, db, c.query); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
	if n := one[int](t, db, `select count(*) from dish`); n < 40 {
		t.Errorf("%d dishes, want 40 at least", n)
	}
	if n := one[int](t, db, `select count(*) from mess_rating where comment <> ''`); n < 200 {
		t.Errorf("%d comments, want 200 at least", n)
	}
	if got := one[string](t, db, `select to_char(opens_at at time zone 'Asia/Kolkata', 'YYYY-MM-DD HH24:MI') from mess_menu where serve_date = '2026-03-18' and meal = 'LUNCH' limit 1`); got != "2026-03-18 12:00" {
		t.Errorf("lunch opens at %s", got)
	}
	for _, email := range []string{"student7@demo.nexus", "admin@demo.nexus"} {
		hash := one[string](t, db, `select password_hash from app_user where email = $1`, email)
		if ok, err := argon2id.ComparePasswordAndHash(Password, hash); !ok || err != nil {
			t.Errorf("%s does not open with the password: %v", email, err)
		}
	}
}

func TestTheStoresReadTheCampus(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t)
	seed(t, db.Pool(), noon)
	mess := pg.NewMess(db)
	halls, err := mess.Halls(t.Context())
	if err != nil || len(halls) != 3 {
		t.Fatalf("halls %v, %v", halls, err)
	}
	for _, h := range halls {
		menus, err := mess.Menus(t.Context(), h.ID, "2026-03-11", "2026-03-24")
		if err != nil || len(menus) != 14*4 {
			t.Fatalf("%s: %d menus, %v", h.Name, len(menus), err)
		}
		for _, m := range menus {
			if m.Totals.KCal == nil || *m.Totals.KCal < 200 || m.Totals.SodiumMg == nil || m.Diet == "" {
				t.Errorf("%s %s %s: totals %+v, diet %q", h.Name, m.Date, m.Meal, m.Totals, m.Diet)
			}
		}
		first, err := mess.Ratings(t.Context(), menus[0].ID)
		if err != nil || first.Count < 3 || first.Average < 1 {
			t.Errorf("%s: ratings of the first menu %+v, %v", h.Name, first, err)
		}
	}
}

func TestSeedingTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	seed(t, db, noon)
	first := contents(t, db)
	seed(t, db, noon)
	if d := cmp.Diff(first, contents(t, db)); d != "" {
		t.Error(d)
	}
}

func TestSeedingLaterAddsTheMissingDays(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	seed(t, db, noon)
	const fixed = `select string_agg(m::text, '|' order by m.id) from mess_menu m where serve_date <= '2026-03-24'`
	before := one[string](t, db, fixed)
	rated := one[int](t, db, `select count(*) from mess_rating where created_at <= '2026-03-18T06:30:00Z'`)

	seed(t, db, noon.AddDate(0, 0, 3))

	if n := one[int](t, db, `select count(*) from mess_menu`); n != 17*3*4 {
		t.Errorf("%d menus, want three days more", n)
	}
	if one[string](t, db, fixed) != before {
		t.Error("a menu that was there has changed")
	}
	if n := one[int](t, db, `select count(*) from mess_rating where created_at <= '2026-03-18T06:30:00Z'`); n != rated {
		t.Errorf("%d old ratings, want %d", n, rated)
	}
	if n := one[int](t, db, `select count(*) from mess_menu m where closes_at <= '2026-03-21T06:30:00Z' and not exists (select from mess_rating r where r.menu_id = m.id)`); n != 0 {
		t.Errorf("%d past menus without a rating", n)
	}
	if n := one[int](t, db, `select count(*) from app_user`); n != 49 {
		t.Errorf("%d accounts", n)
	}
}

func TestSeedLeavesWhatPeopleChanged(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	seed(t, db, noon)
	for _, change := range []string{
		`update app_user set password_hash = 'other' where email = 'student1@demo.nexus'`,
		`update mess_hall set is_default = false where name = 'Central'`,
		`update mess_hall set is_default = true, capacity = 5 where name = 'South'`,
		`update dish set kcal = 1 where name = 'Idli'`,
		`delete from mess_hall where name = 'nowhere'`,
	} {
		if _, err := db.Exec(t.Context(), change); err != nil {
			t.Fatal(err)
		}
	}
	changed := contents(t, db)
	seed(t, db, noon)
	if d := cmp.Diff(changed, contents(t, db)); d != "" {
		t.Error(d)
	}
}

func TestSeedersTakeTurns(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := Seed(t.Context(), db, noon, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := one[int](t, db, `select count(*) from mess_menu`); n != 14*3*4 {
		t.Errorf("%d menus", n)
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	want := func(want bool) {
		t.Helper()
		if got, err := Wanted(t.Context(), db); got != want || err != nil {
			t.Errorf("Wanted = %v, %v, want %v", got, err, want)
		}
	}
	want(true)
	if _, err := db.Exec(t.Context(), `insert into app_user (id, email) values (gen_random_uuid(), 'someone@campus.example')`); err != nil {
		t.Fatal(err)
	}
	want(false)
}

func TestSeedIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db := pgfix.DB(t).Pool()
	if _, err := db.Exec(t.Context(), `drop table mess_rating cascade`); err != nil {
		t.Fatal(err)
	}
	err := Seed(t.Context(), db, noon, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "ratings") {
		t.Fatalf("Seed = %v, want the failing step named", err)
	}
	if n := one[int](t, db, `select count(*) from app_user`); n != 0 {
		t.Errorf("%d accounts are left of a failed seed", n)
	}
}
