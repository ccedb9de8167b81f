package bench

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"nexus"
	"nexus/persistence/pgdev"
)

// secret signs the tokens of this campus, which nobody else has a use for.
const secret = "of-a-comparison-alone-and-known-to-everybody"

// demoHalls is how many halls the demo campus has.
const demoHalls = 3

// data is a private PostgreSQL with a campus for each number of halls, the accounts of who takes part, and files of their tokens.
type data struct {
	server             *pgdev.Server
	dir                string
	students, officers string // files of tokens
}

// openData fills a new PostgreSQL. The user that it runs as must reach the folder.
func openData(ctx context.Context, binary, work string, z size) (_ *data, err error) {
	d := &data{students: filepath.Join(work, "students"), officers: filepath.Join(work, "officers")}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("prepare the data: %w", err), d.close())
		}
	}()
	if d.dir, err = os.MkdirTemp("/tmp", "nexus-bench-"); err != nil {
		return nil, err
	}
	if err := os.Chmod(d.dir, 0o755); err != nil {
		return nil, err
	}
	if d.server, err = pgdev.Start(ctx, pgdev.Config{Dir: filepath.Join(d.dir, "postgres"), Durable: true, Unwatched: true}); err != nil {
		return nil, err
	}
	for _, command := range []string{"migrate", "seed"} {
		cmd := exec.CommandContext(ctx, binary, command)
		cmd.Env = append(environment(), "NEXUS_DATABASE_URL="+d.server.URL(), "NEXUS_DATA_DIR="+filepath.Join(d.dir, command))
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", command, err, out)
		}
	}
	if err := d.people(ctx, z); err != nil {
		return nil, err
	}
	for _, halls := range []int{someHalls, manyHalls} {
		if err := d.campus(ctx, halls); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// url is the campus with that many halls, or the demo campus for no more than it has.
func (d *data) url(halls int) (string, error) {
	if halls <= demoHalls {
		return d.server.URL(), nil
	}
	return d.database(campusName(halls))
}

func campusName(halls int) string { return fmt.Sprintf("nexus%d", halls) }

func (d *data) database(name string) (string, error) {
	u, err := url.Parse(d.server.URL())
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}

// with does something on a connection.
func (d *data) with(ctx context.Context, url string, do func(*pgx.Conn) error) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	return do(conn)
}

// campus copies the demo campus and adds halls.
func (d *data) campus(ctx context.Context, halls int) error {
	other, err := d.database("postgres") // nobody may be on what is copied
	if err != nil {
		return err
	}
	if err := d.with(ctx, other, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "create database "+campusName(halls)+" template nexus")
		return err
	}); err != nil {
		return err
	}
	copied, err := d.url(halls)
	if err != nil {
		return err
	}
	return d.with(ctx, copied, func(c *pgx.Conn) error {
		for i := demoHalls; i < halls; i++ {
			if _, err := c.Exec(ctx, `insert into mess_hall (id, name, capacity, service_rate_per_min, dwell_min, tz) values ($1, $2, 400, 10, 30, 'UTC')`,
				nexus.NewID(), fmt.Sprintf("Hall %d", i+1)); err != nil {
				return err
			}
		}
		return nil
	})
}

// people makes accounts, logs them and the officers in, and has all of security called at once.
func (d *data) people(ctx context.Context, z size) error {
	return d.with(ctx, d.server.URL(), func(c *pgx.Conn) error {
		if _, err := c.Exec(ctx, `with made as (
			insert into app_user (id, email) select gen_random_uuid(), 'pupil' || n || '@demo.nexus' from generate_series(1, $1::int) n returning id, email
		), role as (
			insert into user_role (user_id, role) select id, 'STUDENT' from made
		) insert into profile (user_id, full_name) select id, email from made`, z.sockets); err != nil {
			return err
		}
		if _, err := c.Exec(ctx, `update escalation_policy set steps = '[{"afterSeconds":0,"targets":[{"role":"SECURITY"}]}]' where is_default`); err != nil {
			return err
		}
		for _, who := range []struct {
			file, pattern string
			role          nexus.Role
		}{{d.students, "pupil%", nexus.Student}, {d.officers, "officer%", nexus.Security}} {
			if err := d.logIn(ctx, c, who.file, who.pattern, who.role); err != nil {
				return err
			}
		}
		return nil
	})
}

// logIn makes a login of everybody whose address is like the pattern, and writes their tokens to a file. To send ten thousand passwords would
// take the server minutes.
func (d *data) logIn(ctx context.Context, c *pgx.Conn, file, pattern string, role nexus.Role) error {
	rows, err := c.Query(ctx, `insert into auth_session (id, user_id, device, expires_at)
		select gen_random_uuid(), id, 'nexus-load', now() + interval '1 day' from app_user where email like $1 returning id::text, user_id::text`, pattern)
	if err != nil {
		return err
	}
	type login struct {
		ID   nexus.SessionID
		User nexus.UserID
	}
	logins, err := pgx.CollectRows(rows, pgx.RowToStructByPos[login])
	if err != nil {
		return err
	}
	var text strings.Builder
	now := time.Now()
	for _, l := range logins {
		token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
			"iss": "nexus", "aud": "nexus:access", "sub": l.User, "sid": l.ID, "roles": []nexus.Role{role}, "epoch": 0,
			"iat": jwt.NewNumericDate(now), "exp": jwt.NewNumericDate(now.Add(24 * time.Hour)),
		}).SignedString([]byte(secret))
		if err != nil {
			return err
		}
		fmt.Fprintln(&text, token)
	}
	return os.WriteFile(file, []byte(text.String()), 0o600)
}

func (d *data) close() (err error) {
	if d.server != nil {
		err = d.server.Close()
	}
	if d.dir != "" {
		err = errors.Join(err, os.RemoveAll(d.dir))
	}
	return err
}
