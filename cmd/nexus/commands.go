package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"nexus"
	"nexus/cmd/nexus/simulate"
	"nexus/persistence/demo"
	"nexus/persistence/pg"
	"nexus/transport/auth"
	"nexus/transport/limit"
)

// store is the part of the configuration that commands on the database share.
type store struct {
	DataDir     string `env:"NEXUS_DATA_DIR" default:"./data" help:"Where the private PostgreSQL lives."`
	DatabaseURL string `env:"NEXUS_DATABASE_URL" help:"PostgreSQL to use; without it the private one."`
}

// with runs f over the migrated database.
func (s store) with(ctx context.Context, f func(*pg.DB, *slog.Logger) error) (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	cfg := &Config{DataDir: s.DataDir, DatabaseURL: s.DatabaseURL}
	if err := cfg.checkDatabaseURL(); err != nil {
		return err
	}
	url, stop, err := database(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := pg.Migrate(ctx, url, log); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	db, err := pg.Open(ctx, url, pg.Options{MaxConns: 4, ApplicationName: "nexus-cli"})
	if err != nil {
		return fmt.Errorf("open the database: %w", err)
	}
	defer db.Close()
	return f(db, log)
}

type migrateCmd struct {
	store `embed:""`
}

// Run migrates; with has done it already when it calls back.
func (c *migrateCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(*pg.DB, *slog.Logger) error { return nil })
}

type seedCmd struct {
	store `embed:""`
	Env   string `env:"NEXUS_ENV" enum:"development,production" default:"development" help:"Refused in production."`
}

// Run seeds the demo campus. Seeding twice changes nothing.
func (c *seedCmd) Run(ctx context.Context) error {
	if c.Env == production {
		return wrong("NEXUS_ENV", "is production: everybody knows the demo's passwords")
	}
	return c.with(ctx, func(db *pg.DB, log *slog.Logger) error {
		return demo.Seed(ctx, db.Pool(), time.Now(), log)
	})
}

type auditCmd struct {
	Verify auditVerifyCmd `cmd:"" help:"Walk the hash chains of the audit log and of every incident, and name the first entry that does not fit."`
}

type auditVerifyCmd struct {
	store `embed:""`
}

// Run fails, naming the place, if any chain is broken.
func (c *auditVerifyCmd) Run(ctx context.Context) error {
	return c.with(ctx, func(db *pg.DB, _ *slog.Logger) error {
		entries, bad, err := pg.NewAuditLog(db).Verify(ctx)
		if err != nil {
			return err
		}
		if bad > 0 {
			return fmt.Errorf("the audit log does not fit from seq %d on", bad)
		}
		incidents, events, broken, bad, err := pg.NewIncidents(db).VerifyAll(ctx)
		if err != nil {
			return err
		}
		if broken != "" {
			return fmt.Errorf("incident %s does not fit from seq %d on", broken, bad)
		}
		fmt.Printf("audit log: %d entries, all fit\nincidents: %d with %d events, all fit\n", entries, incidents, events)
		return nil
	})
}

type userCmd struct {
	Add userAddCmd `cmd:"" help:"Make an account: the first administrator, for one. The password is read from standard input."`
}

type userAddCmd struct {
	store `embed:""`
	Email string       `arg:"" help:"E-mail address to log in with."`
	Name  string       `required:"" help:"Full name."`
	RegNo string       `help:"Registration number."`
	Role  []nexus.Role `default:"STUDENT" help:"STUDENT, FACULTY, MESS_STAFF, SECURITY or ADMIN; several separated by commas."`
}

// Run makes the account. The audit log names the system as the actor.
func (c *userAddCmd) Run(ctx context.Context) error {
	password, err := readPassword(os.Stdin)
	if err != nil {
		return err
	}
	for _, r := range c.Role {
		if !slices.Contains(nexus.Roles(), r) {
			return wrong("--role", "takes %v, not %q", nexus.Roles(), r)
		}
	}
	return c.with(ctx, func(db *pg.DB, log *slog.Logger) error {
		identity := pg.NewIdentity(db)
		service, err := auth.New(auth.Options{
			Accounts: identity, Logins: identity, Keys: identity, Pins: pg.NewSafetyOffice(db, campusSender), Limiter: limit.NewMemory(1), Log: log,
			Secrets: [][]byte{make([]byte, minSecret)}, // this process signs no token
		})
		if err != nil {
			return err
		}
		u, err := service.Add(ctx, nexus.Caller{}, auth.Registration{Email: c.Email, RegNo: c.RegNo, Name: c.Name, Password: password}, c.Role)
		if err != nil {
			return err
		}
		fmt.Printf("%s %s %v\n", u.ID, u.Email, u.Roles)
		return nil
	})
}

// readPassword asks at a terminal, without showing what is typed, and otherwise reads the first line.
func readPassword(in *os.File) (string, error) {
	if term.IsTerminal(int(in.Fd())) {
		fmt.Fprint(os.Stderr, "Password: ")
		b, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(os.Stderr)
		return string(b), err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password from standard input: %w", err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}

type simulateCmd struct {
	URL      string  `env:"NEXUS_SIMULATE_URL" default:"http://127.0.0.1:4000" help:"The running server."`
	Speed    float64 `default:"60" help:"Simulated seconds in a real one: at 60 a day takes 24 minutes."`
	Seed     uint64  `default:"1" help:"The same seed makes the same day."`
	From     string  `help:"Where the day begins: HH:MM, or now, in each hall's zone."`
	File     string  `type:"existingfile" help:"Replay a CSV file of counts (at,people) in place of a day."`
	Hall     string  `help:"The hall to replay into, by name or id; the default hall if empty."`
	APIKey   string  `name:"api-key" env:"NEXUS_SIMULATE_API_KEY" help:"Key with the scope mess:checkins; without one a short-lived one is made by --admin."`
	Admin    string  `default:"admin@demo.nexus" help:"Administrator who makes the key."`
	Password string  `env:"NEXUS_SIMULATE_PASSWORD" default:"campus-demo" help:"The administrator's password."`
}

// Run plays until the day or the file ends, or ctx does.
func (c *simulateCmd) Run(ctx context.Context) error {
	return simulate.Run(ctx, simulate.Options{
		URL: c.URL, APIKey: c.APIKey, Admin: c.Admin, Password: c.Password,
		Speed: c.Speed, Seed: c.Seed, From: c.From, File: c.File, Hall: c.Hall, Out: os.Stdout,
	})
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	fmt.Println("nexus", version())
	return nil
}

// released is set at link time, by -ldflags "-X main.released=v1.2.3".
var released string

// version is the release, or the revision that the binary was built from.
func version() string {
	if released != "" {
		return released
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
