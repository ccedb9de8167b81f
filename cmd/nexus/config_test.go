package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

var longSecret = strings.Repeat("0123456789abcdef", 4)

// production is a configuration that production takes, and further variables.
func inProduction(more ...string) []string {
	return append([]string{
		"NEXUS_ENV=production", "NEXUS_JWT_SECRET=" + longSecret, "NEXUS_DATABASE_URL=postgres://nexus:pw@127.0.0.1:1/nexus",
	}, more...)
}

// TestWrongValues runs the process: a wrong value ends it with status 2, the variable's name, and what it takes.
func TestWrongValues(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		variables []string
		takes     string
	}{
		{[]string{"NEXUS_ENV=prod"}, `must be one of "development","production"`},
		{[]string{"NEXUS_ADDR=4000"}, "takes host:port"},
		{[]string{"NEXUS_ADDR=127.0.0.1:66000"}, "takes host:port"},
		{[]string{"NEXUS_ADDR=localhost:http"}, "takes host:port"},
		{[]string{"NEXUS_DATA_DIR="}, "takes a folder"},
		{[]string{"NEXUS_DATABASE_URL=mysql://u:hushhush@h/d"}, "takes postgres://"},
		{[]string{"NEXUS_DATABASE_URL=host=h password=hushhush"}, "takes postgres://"},
		{[]string{"NEXUS_DATABASE_URL=postgres://u:12/hushhush@h/d"}, "special characters of the password as %XX"},
		{[]string{"NEXUS_DATABASE_URL=postgres://u:12?hushhush@h/d"}, "special characters"},
		{[]string{"NEXUS_DATABASE_URL=postgres://u:12#hushhush@h/d"}, "special characters"},
		{[]string{"NEXUS_REDIS_URL=localhost:6379"}, "takes redis://"},
		{[]string{"NEXUS_REDIS_URL=http://u:hushhush@h"}, "takes redis://"},
		{[]string{"NEXUS_REDIS_URL=redis://u:12/hushhush@h"}, "special characters of the password as %XX"},
		{[]string{"NEXUS_IMPORT_MAX=100MB"}, "takes bytes from 1KiB to 10GiB"},
		{[]string{"NEXUS_IMPORT_MAX=0"}, "takes bytes from 1KiB to 10GiB"},
		{[]string{"NEXUS_PAGE_FROM=security"}, "takes an e-mail address"},
		{[]string{"NEXUS_PAGE_SMTP=smtp://host:25"}, "NEXUS_PAGE_FROM"},
		{[]string{"NEXUS_PAGE_FROM=a@b.example", "NEXUS_PAGE_SMTP=mail.example"}, "takes smtp://"},
		{[]string{"NEXUS_PAGE_FROM=a@b.example", "NEXUS_PAGE_SMTP=smtp://u:hush/hushhush@h:25"}, "special characters of the password as %XX"},
		{[]string{"NEXUS_PAGE_SECRET=hushhush"}, "32 bytes at least"},
		{[]string{"NEXUS_PAGE_WEBHOOK=https://hooks.example/hushhush"}, "NEXUS_PAGE_SECRET"},
		{[]string{"NEXUS_PAGE_SECRET=" + longSecret, "NEXUS_PAGE_SMS=ftp://hooks.example/hushhush"}, "takes a URL"},
		{[]string{"NEXUS_PAGE_SMS=https://hooks.example/hushhush"}, "NEXUS_PAGE_SECRET"},
		{[]string{"NEXUS_PUSH_KEY=hushhush"}, "VAPID key pair"},
		{[]string{"NEXUS_SMTP_ADDR=25"}, "takes host:port"},
		{[]string{"NEXUS_SMTP_DOMAIN=mail campus"}, "takes a host's name"},
		{[]string{"NEXUS_SMTP_LMTP=perhaps"}, "must be true"},
		{[]string{"NEXUS_SMTP_TLS_CERT=/no/such/file"}, "no such file"},
		{[]string{"NEXUS_SMTP_TLS_KEY=/no/such/file"}, "no such file"},
		{[]string{"NEXUS_SMTP_TLS_KEY=" + empty}, "are needed both"},
		{[]string{"NEXUS_SMTP_ADDR=:0", "NEXUS_SMTP_TLS_KEY=" + empty, "NEXUS_SMTP_TLS_CERT=" + empty}, "cannot be used"},
		{[]string{"NEXUS_MAIL_HOOK_KEY=hush"}, "16 bytes"},
		{[]string{"NEXUS_GEMINI_API_KEY=hush hushhush"}, "without spaces"},
		{[]string{"NEXUS_GEMINI_BASE_URL=ftp://models.example"}, "takes a URL"},
		{[]string{"NEXUS_GEMINI_FLASH=../admin"}, "takes a model's name"},
		{[]string{"NEXUS_GEMINI_FLASH_LIMITS=ten"}, "takes requests:tokens"},
		{[]string{"NEXUS_GEMINI_FLASH_LIMITS=1.5:3"}, "takes requests:tokens"},
		{[]string{"NEXUS_GEMINI_FLASH_PRICE=-1:2"}, "a million tokens cost"},
		{[]string{"NEXUS_GEMINI_PRO="}, "takes a model's name"},
		{[]string{"NEXUS_GEMINI_PRO_LIMITS=5"}, "takes requests:tokens"},
		{[]string{"NEXUS_GEMINI_PRO_PRICE=NaN:1"}, "a million tokens cost"},
		{[]string{"NEXUS_DATABASE_CONNS=3"}, "from 4 to 200"},
		{[]string{"NEXUS_DATABASE_CONNS=201"}, "from 4 to 200"},
		{[]string{"NEXUS_DATABASE_CONNS=many"}, "int"},
		{[]string{"NEXUS_JWT_SECRET=hushhush"}, "32 bytes at least"},
		{[]string{"NEXUS_JWT_SECRET=" + longSecret + ",hushhush"}, "32 bytes at least"},
		{[]string{"NEXUS_CORS_ORIGINS=*"}, "without wildcards"},
		{[]string{"NEXUS_CORS_ORIGINS=https://*.campus.example"}, "without wildcards"},
		{[]string{"NEXUS_CORS_ORIGINS=campus.example"}, "takes origins such as"},
		{[]string{"NEXUS_CORS_ORIGINS=null"}, "takes origins such as"},
		{[]string{"NEXUS_CORS_ORIGINS=https://campus.example/path"}, "takes origins such as"},
		{[]string{"NEXUS_TRUSTED_PROXIES=10.0.0.0/33"}, "takes addresses or CIDRs"},
		{[]string{"NEXUS_TRUSTED_PROXIES=balancer"}, "takes addresses or CIDRs"},
		{[]string{"NEXUS_FLOOD_RATE=0"}, "from 1 to 1000000"},
		{[]string{"NEXUS_FLOOD_RATE=NaN"}, "from 1 to 1000000"},
		{[]string{"NEXUS_FLOOD_RATE=Inf"}, "from 1 to 1000000"},
		{[]string{"NEXUS_FLOOD_RATE=fast"}, "float"},
		{[]string{"NEXUS_MAX_CONNECTIONS=0"}, "from 1 to 10000000"},
		{[]string{"NEXUS_MAX_PER_ADDRESS=-1"}, "from 1 to 10000000"},
		{[]string{"NEXUS_MAX_MEMORY=900MB"}, "such as 900MiB"},
		{[]string{"NEXUS_DEMO=perhaps"}, "must be true"},
		{[]string{"NEXUS_CLUSTER_BIND=7946"}, "takes host:port"},
		{[]string{"NEXUS_CLUSTER_BIND=10.0.0.7:65535"}, "from 0 to 65534"}, // the next port is needed too
		{[]string{"NEXUS_CLUSTER_BIND=0.0.0.0:7946", "NEXUS_CLUSTER_ADVERTISE="}, "is needed when NEXUS_CLUSTER_BIND is every address"},
		{[]string{"NEXUS_CLUSTER_ADVERTISE=node-7"}, "takes an IP address"},
		{[]string{"NEXUS_CLUSTER_SEEDS=10.0.0.8"}, "takes host:port separated by commas"},
		{[]string{"NEXUS_CLUSTER_KEY=hushhush"}, "16, 24 or 32 bytes in hex"},
		{[]string{"NEXUS_CLUSTER_KEY=abcdef"}, "16, 24 or 32 bytes in hex"},
		{[]string{"NEXUS_CLUSTER_TLS_CERT=/no/such/file"}, "no such file"},
		{[]string{"NEXUS_CLUSTER_TLS_KEY=/no/such/file"}, "no such file"},
		{[]string{"NEXUS_CLUSTER_TLS_CA=/no/such/file"}, "no such file"},
		{[]string{"NEXUS_CLUSTER_TLS_CERT=" + empty}, "set all three or none"},
		{[]string{"NEXUS_CLUSTER_TLS_CA=" + empty, "NEXUS_CLUSTER_TLS_KEY=" + empty, "NEXUS_CLUSTER_TLS_CERT=" + empty}, "failed to find any PEM data"},
		{[]string{"NEXUS_DRAIN_DELAY=soon"}, "duration"},
		{[]string{"NEXUS_DRAIN_DELAY=-1s"}, "takes a time from 0s to 20s"},
		{[]string{"NEXUS_DRAIN_SPREAD=1h"}, "takes a time from 0s to 20s"},
		{[]string{"NEXUS_LOG_LEVEL=loud"}, `must be one of "debug","info","warn","error"`},
		{[]string{"NEXUS_LOG_FORMAT=xml"}, `must be one of "auto","text","json"`},
		{[]string{"NEXUS_JWT_SECRET_FILE=/no/such/file"}, "takes the path of a file"},
		{[]string{"NEXUS_JWT_SECRET_FILE=" + empty}, "is empty"},
		{[]string{"NEXUS_JWT_SECRET_FILE=" + empty, "NEXUS_JWT_SECRET=" + longSecret}, "NEXUS_JWT_SECRET is set too"},
		{[]string{"NEXUS_DATABASE_URL_FILE=" + empty, "NEXUS_DATABASE_URL=postgres://h/d"}, "NEXUS_DATABASE_URL is set too"},
		// What production alone refuses. Where a variable comes twice the last one counts, and is the one to be named.
		{inProduction("NEXUS_JWT_SECRET="), "is needed in production"},
		{inProduction("NEXUS_JWT_SECRET=" + strings.Repeat("x", 40)), "is one repeated character"},
		{inProduction("NEXUS_DATABASE_URL="), "is needed in production"},
		{inProduction("NEXUS_DEMO=true"), "is refused in production"},
		{inProduction("NEXUS_CORS_ORIGINS=https://a.example,http://b.example"), "takes https origins in production"},
		{inProduction("NEXUS_CLUSTER_SEEDS=10.0.0.8:7946", "NEXUS_CLUSTER_KEY="), "is needed in production when there are seeds"},
		{inProduction("NEXUS_CORS_ORIGINS=*"), "without wildcards"},
	} {
		name, _, _ := strings.Cut(c.variables[len(c.variables)-1], "=")
		if strings.HasPrefix(c.takes, name) { // both forms are set: the file's is named
			name, _, _ = strings.Cut(c.variables[0], "=")
		}
		status, said := ended(t, c.variables)
		if status != 2 || !strings.Contains(said, name) || !strings.Contains(said, c.takes) {
			t.Errorf("%v: status %d, said %q; want 2, %s and %q", c.variables, status, said, name, c.takes)
		}
		if strings.Contains(said, "hushhush") || strings.Contains(said, longSecret) {
			t.Errorf("%v: a secret was printed: %s", c.variables, said)
		}
	}
}

// TestEveryVariableIsTried sees to it that the table above keeps up with Config.
func TestEveryVariableIsTried(t *testing.T) {
	source, err := os.ReadFile("config_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if name := f.Tag.Get("env"); name != "" && !bytes.Contains(source, []byte(`{[]string{"`+name+`=`)) {
			t.Errorf("no wrong value of %s is tried", name)
		}
	}
}

func TestPrivateAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		has  []string
		want string
		says string
	}{
		{"a container", []string{"127.0.0.1/8", "::1/128", "10.1.2.3/16", "fe80::1/64"}, "10.1.2.3", ""},
		{"with an address for the cloud's own questions", []string{"169.254.172.2/22", "172.31.4.5/20"}, "172.31.4.5", ""},
		{"a public one beside it", []string{"203.0.113.7/24", "192.168.1.9/24"}, "192.168.1.9", ""},
		{"none", []string{"127.0.0.1/8", "203.0.113.7/24", "fd00::7/64"}, "", "here are 0"},
		{"two", []string{"10.1.2.3/16", "192.168.1.9/24"}, "", "10.1.2.3 192.168.1.9"},
	} {
		var addrs []net.Addr
		for _, text := range c.has {
			ip, network, err := net.ParseCIDR(text)
			if err != nil {
				t.Fatal(err)
			}
			network.IP = ip
			addrs = append(addrs, network)
		}
		got, err := privateAddress(addrs)
		if got != c.want || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, got, err, c.want, c.says)
		}
	}
}

// configured reads a configuration as serve does.
func configured(t *testing.T, variables map[string]string, args ...string) (*Config, error) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "NEXUS_") {
			unset(t, name)
		}
	}
	for _, name := range secretVariables {
		unset(t, name)
	}
	for name, value := range variables {
		t.Setenv(name, value)
	}
	var c cli
	if _, err := parse(context.Background(), &c, args); err != nil {
		return nil, err
	}
	return &c.Serve.Config, c.Serve.check()
}

// unset removes a variable until the test ends.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "")
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

func TestDefaults(t *testing.T) {
	dev, err := configured(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if dev.Env != development || dev.Addr != "127.0.0.1:4000" || !*dev.Demo || dev.DatabaseURL != "" {
		t.Errorf("development: %+v", dev)
	}
	prod, err := configured(t, map[string]string{
		"NEXUS_ENV": production, "NEXUS_JWT_SECRET": longSecret, "NEXUS_DATABASE_URL": "postgres://nexus@db/nexus",
	})
	if err != nil {
		t.Fatal(err)
	}
	if prod.Addr != ":4000" || *prod.Demo {
		t.Errorf("production: %+v", prod)
	}
}

func TestFlagsBeatVariables(t *testing.T) {
	c, err := configured(t, map[string]string{"NEXUS_ADDR": "127.0.0.1:1", "NEXUS_LOG_LEVEL": "warn", "NEXUS_DEMO": "true"},
		"--addr=127.0.0.1:2", "--no-demo")
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != "127.0.0.1:2" || *c.Demo || c.LogLevel != "warn" {
		t.Errorf("%+v, want the flags' address and demo, and the variable's log level", c)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c, err := configured(t, map[string]string{
		"NEXUS_JWT_SECRET_FILE":   file("jwt", longSecret+","+longSecret+"!\n"),
		"NEXUS_DATABASE_URL_FILE": file("url", "  postgres://nexus:pw@db/nexus\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]byte{[]byte(longSecret), []byte(longSecret + "!")}
	if !reflect.DeepEqual(c.secrets, want) || c.DatabaseURL != "postgres://nexus:pw@db/nexus" {
		t.Errorf("secrets %q, database %q", c.secrets, c.DatabaseURL)
	}
}

// TestSecretsAreNotPrinted fills every field that is a secret and looks for it in the log, and in the error of a
// configuration that is refused.
func TestSecretsAreNotPrinted(t *testing.T) {
	text := rapid.StringMatching(`[!-~]{8,40}`)
	rapid.Check(t, func(t *rapid.T) {
		var secrets []string
		draw := func(name string) string {
			s := text.Draw(t, name)
			secrets = append(secrets, s, url.QueryEscape(s), url.PathEscape(s))
			return s
		}
		c := Config{
			Env:     rapid.SampledFrom([]string{development, production}).Draw(t, "env"),
			DataDir: "data", DatabaseConns: 16, FloodRate: 100, MaxConnections: 1, MaxPerAddress: 1, ClusterBind: "127.0.0.1:0",
		}
		u := url.URL{Scheme: "postgres", User: url.UserPassword(draw("user"), draw("password")), Host: "db:5432", Path: "/nexus"}
		switch rapid.IntRange(0, 2).Draw(t, "form") {
		case 1:
			u.RawQuery = url.Values{"password": {draw("query")}, "sslpassword": {draw("key")}}.Encode()
			c.DatabaseURL = u.String()
		case 2: // not escaped, as people write it
			c.DatabaseURL = "postgres://nexus:" + draw("raw") + "@db/nexus"
		default:
			c.DatabaseURL = u.String()
		}
		switch rapid.IntRange(0, 2).Draw(t, "redis") {
		case 1:
			r := url.URL{Scheme: "rediss", User: url.UserPassword(draw("redis user"), draw("redis password")), Host: "redis:6379", Path: "/1"}
			c.RedisURL = r.String()
		case 2:
			c.RedisURL = "redis://:" + draw("redis raw") + "@redis"
		}
		if rapid.Bool().Draw(t, "cluster key") {
			c.ClusterKey = hex.EncodeToString([]byte(rapid.StringMatching(`[0-9a-f]{16}`).Draw(t, "key")))
			secrets = append(secrets, c.ClusterKey)
		}
		for range rapid.IntRange(0, 2).Draw(t, "secrets") {
			c.JWTSecret = append(c.JWTSecret, strings.Repeat(draw("jwt"), rapid.IntRange(1, 5).Draw(t, "times")))
		}
		var out bytes.Buffer
		if err := c.check(); err != nil {
			out.WriteString(err.Error())
		} else {
			slog.New(slog.NewTextHandler(&out, nil)).Info("starting", "config", &c)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("starting", "config", &c)
		}
		for _, s := range secrets {
			if strings.Contains(out.String(), s) {
				t.Fatalf("%q was printed: %s", s, out.String())
			}
		}
	})
}

func TestUnknownVariables(t *testing.T) {
	for _, name := range []string{"NEXUS_ADR", "NEXUS_ADDR_FILE", "NEXUS_ADDR", "NEXUS_JWT_SECRET_FILE", "NEXUS_SIMULATE_URL", "NOT_NEXUS"} {
		t.Setenv(name, "x")
	}
	known := []string{"NEXUS_ADDR", "NEXUS_JWT_SECRET", "NEXUS_SIMULATE_URL"}
	got := slices.DeleteFunc(unknownVariables(known), func(name string) bool { return !strings.HasPrefix(name, "NEXUS_AD") && os.Getenv(name) != "x" })
	if want := []string{"NEXUS_ADDR_FILE", "NEXUS_ADR"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestDevelopmentSecret has many nodes start at once on one new folder.
func TestDevelopmentSecret(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	secrets := make([][]byte, 8)
	var nodes sync.WaitGroup
	for i := range secrets {
		nodes.Go(func() {
			var err error
			if secrets[i], err = developmentSecret(dir); err != nil {
				t.Error(err)
			}
		})
	}
	nodes.Wait()
	for _, s := range secrets {
		if len(s) < minSecret || !bytes.Equal(s, secrets[0]) {
			t.Fatalf("secrets differ or are short: %q and %q", s, secrets[0])
		}
	}
	path := filepath.Join(dir, "jwt-secret")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v, want a file for its owner alone", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := os.Truncate(path, 3); err != nil {
		t.Fatal(err)
	}
	if _, err := developmentSecret(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a cut secret: %v", err)
	}
}
