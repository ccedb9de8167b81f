package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"nexus/cluster"
	"nexus/cluster/redisbus"
	"nexus/transport/page"
)

// Environments.
const (
	development = "development"
	production  = "production"
)

// maxFlood is more requests a second than a node can answer.
const maxFlood = 1_000_000

// mostConnections is more than the ports of a campus's addresses.
const mostConnections = 10_000_000

// minSecret is how many bytes a secret has at least: as many as the SHA-256 that it keys.
const minSecret = 32

// Config is the configuration of a node: defaults, overridden by NEXUS_* variables, overridden by flags.
type Config struct {
	Env               string         `env:"NEXUS_ENV" enum:"development,production" default:"development" help:"development, or production, which demands real secrets and refuses unsafe settings."`
	Addr              string         `env:"NEXUS_ADDR" help:"Where HTTP and sockets are served; 127.0.0.1:4000, in production :4000."`
	DataDir           string         `env:"NEXUS_DATA_DIR" default:"./data" help:"Private PostgreSQL and the development secret."`
	DatabaseURL       string         `env:"NEXUS_DATABASE_URL" help:"PostgreSQL to use; without it the node runs a private one (development only)."`
	DatabaseConns     int            `env:"NEXUS_DATABASE_CONNS" default:"16" help:"Connections in the pool, 4 to 200."`
	RedisURL          string         `env:"NEXUS_REDIS_URL" help:"Redis for broadcasts between nodes and limits that hold across them; without it, or while it is away, nodes do both by themselves."`
	JWTSecret         []string       `env:"NEXUS_JWT_SECRET" help:"Signs access tokens, 32 bytes at least; several, separated by commas, to rotate: the first signs."`
	CORSOrigins       []string       `name:"cors-origins" env:"NEXUS_CORS_ORIGINS" help:"Origins of web clients, separated by commas. In development any localhost port too."`
	TrustedProxies    []string       `env:"NEXUS_TRUSTED_PROXIES" help:"Addresses or CIDRs of proxies whose X-Forwarded-For is believed."`
	FloodRate         float64        `env:"NEXUS_FLOOD_RATE" default:"2000" help:"Requests a second that one client address may make; a campus often shares one."`
	MaxConnections    int            `env:"NEXUS_MAX_CONNECTIONS" default:"100000" help:"Connections of sockets that the node takes; past it, as past the next two, new ones are answered 503 with Retry-After and the others go on."`
	MaxPerAddress     int            `env:"NEXUS_MAX_PER_ADDRESS" default:"50000" help:"Of these, how many one client address may have; a campus often shares one."`
	MaxMemory         string         `env:"NEXUS_MAX_MEMORY" help:"What the process may use, such as 900MiB, of which new connections leave a tenth; 0 is no bound. GOMEMLIMIT, or what its control group may use."`
	Demo              *bool          `env:"NEXUS_DEMO" negatable:"" help:"Seed the demo campus into an empty database; on in development."`
	ClusterBind       string         `env:"NEXUS_CLUSTER_BIND" default:"127.0.0.1:0" help:"Where nodes find each other (host:port, UDP and TCP) and, at the next port, send each other messages; port 0 takes two free ones."`
	ClusterAdvertise  string         `env:"NEXUS_CLUSTER_ADVERTISE" help:"Address at which other nodes reach this one, if it is not that of NEXUS_CLUSTER_BIND; private is the one private IPv4 address of this machine or container."`
	ClusterSeeds      []string       `env:"NEXUS_CLUSTER_SEEDS" help:"host:port of some members, separated by commas; a DNS name with several addresses stands for all of them."`
	ClusterKey        string         `env:"NEXUS_CLUSTER_KEY" help:"Encrypts what nodes gossip: 16, 24 or 32 bytes in hex."`
	ClusterTLSCert    string         `env:"NEXUS_CLUSTER_TLS_CERT" type:"existingfile" help:"Certificate (PEM) that this node shows to the others; needs key and CA."`
	ClusterTLSKey     string         `env:"NEXUS_CLUSTER_TLS_KEY" type:"existingfile" help:"Its private key (PEM)."`
	ClusterTLSCA      string         `env:"NEXUS_CLUSTER_TLS_CA" type:"existingfile" help:"Authorities (PEM) whose nodes are let in; others, and plain connections, are refused."`
	DrainDelay        *time.Duration `env:"NEXUS_DRAIN_DELAY" help:"How long an ending node still serves after /readyz says no, for the balancer to notice: two of its checks; 5s, in development 0s."`
	DrainSpread       *time.Duration `env:"NEXUS_DRAIN_SPREAD" help:"Over how long an ending node closes its sockets, so that clients do not all come back at once; 10s, in development 0s."`
	PageSMTP          string         `env:"NEXUS_PAGE_SMTP" help:"SMTP server that mails an SOS to those it concerns: smtp://user:password@host:587, which demands TLS, or smtp+plain://host:25 for one on this machine."`
	PageFrom          string         `env:"NEXUS_PAGE_FROM" help:"E-mail address that such mails come from, and the contact that push services are told."`
	PageWebhook       string         `env:"NEXUS_PAGE_WEBHOOK" help:"URL that every SOS is posted to, signed with NEXUS_PAGE_SECRET."`
	PageSMS           string         `name:"page-sms" env:"NEXUS_PAGE_SMS" help:"URL of a provider of text messages, posted to likewise."`
	PageSecret        string         `env:"NEXUS_PAGE_SECRET" help:"Signs what is posted, 32 bytes at least."`
	PushKey           string         `env:"NEXUS_PUSH_KEY" help:"VAPID key pair for web push, public:private in base64url."`
	SMTPAddr          string         `env:"NEXUS_SMTP_ADDR" help:"Where mails for the campus's people are taken over SMTP, such as :25; without it they come by POST /mail/inbound alone."`
	SMTPDomain        string         `env:"NEXUS_SMTP_DOMAIN" default:"localhost" help:"What that server is called."`
	SMTPLocal         bool           `name:"smtp-lmtp" env:"NEXUS_SMTP_LMTP" help:"Speak LMTP there, for a mail server of the campus's own."`
	SMTPCert          string         `name:"smtp-tls-cert" env:"NEXUS_SMTP_TLS_CERT" type:"existingfile" help:"Certificate (PEM) for STARTTLS; needs its key."`
	SMTPKey           string         `name:"smtp-tls-key" env:"NEXUS_SMTP_TLS_KEY" type:"existingfile" help:"Its private key (PEM)."`
	MailHookKey       string         `env:"NEXUS_MAIL_HOOK_KEY" help:"What Mailgun signs the mails with that it posts to /api/v1/mail/inbound; without it, no form is taken there."`
	GeminiKey         string         `name:"gemini-api-key" env:"NEXUS_GEMINI_API_KEY" help:"Key of Gemini's API; without it local methods do all."`
	GeminiURL         string         `name:"gemini-base-url" env:"NEXUS_GEMINI_BASE_URL" help:"Where the API is, if not at Google's."`
	GeminiFlash       string         `env:"NEXUS_GEMINI_FLASH" default:"gemini-2.5-flash" help:"The model for what is short and frequent."`
	GeminiFlashLimits string         `env:"NEXUS_GEMINI_FLASH_LIMITS" default:"10:250000" help:"What the whole campus may ask of it in a minute, requests:tokens; 0 is no limit."`
	GeminiFlashPrice  string         `env:"NEXUS_GEMINI_FLASH_PRICE" default:"0:0" help:"What a million of its tokens cost, in:out, for the figures of /admin/ai."`
	GeminiPro         string         `env:"NEXUS_GEMINI_PRO" default:"gemini-2.5-pro" help:"The model for what is hard and rare."`
	GeminiProLimits   string         `env:"NEXUS_GEMINI_PRO_LIMITS" default:"5:250000" help:"Likewise."`
	GeminiProPrice    string         `env:"NEXUS_GEMINI_PRO_PRICE" default:"0:0" help:"Likewise."`
	ImportMax         string         `env:"NEXUS_IMPORT_MAX" default:"100MiB" help:"How large a file may be that the office imports. It waits in the system's directory for temporary files."`
	LogLevel          string         `env:"NEXUS_LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
	LogFormat         string         `env:"NEXUS_LOG_FORMAT" enum:"auto,text,json" default:"auto" help:"text, json, or auto: json in production."`

	origins []string // checked
	proxies []netip.Prefix
	secrets [][]byte
	gossip  cluster.Gossip
	links   cluster.Links
	pages   []page.Channel
	memory  int64 // bytes; 0: no bound
	imports int64 // bytes
	models  map[string]aiModel
	smtpTLS *tls.Config // nil: none
}

// configError is a value that the process cannot work with. It names the variable and what it takes.
type configError struct{ Variable, Problem string }

// Error implements error.
func (e *configError) Error() string { return e.Variable + ": " + e.Problem }

func wrong(variable, format string, args ...any) error {
	return &configError{variable, fmt.Sprintf(format, args...)}
}

// secretVariables may each come as a file: NAME_FILE holds its path.
var secretVariables = []string{"NEXUS_JWT_SECRET", "NEXUS_DATABASE_URL", "NEXUS_REDIS_URL", "NEXUS_CLUSTER_KEY", "NEXUS_PAGE_SMTP", "NEXUS_PAGE_WEBHOOK", "NEXUS_PAGE_SMS", "NEXUS_PAGE_SECRET", "NEXUS_PUSH_KEY", "NEXUS_GEMINI_API_KEY", "NEXUS_MAIL_HOOK_KEY", "NEXUS_SIMULATE_API_KEY", "NEXUS_SIMULATE_PASSWORD"}

// readSecretFiles puts the contents of the files named by NAME_FILE variables in place of NAME.
func readSecretFiles() error {
	for _, name := range secretVariables {
		path, ok := os.LookupEnv(name + "_FILE")
		if !ok {
			continue
		}
		if os.Getenv(name) != "" {
			return wrong(name+"_FILE", "%s is set too; set one of them", name)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return wrong(name+"_FILE", "takes the path of a file that can be read; %v", err)
		}
		secret := strings.TrimSpace(string(content))
		if secret == "" {
			return wrong(name+"_FILE", "%s is empty", path)
		}
		if err := os.Setenv(name, secret); err != nil {
			return wrong(name+"_FILE", "%v", err)
		}
	}
	return nil
}

// check fills in what depends on the environment and refuses what cannot work or is not safe. Its errors are *configError.
func (c *Config) check() error {
	if c.Addr == "" {
		c.Addr = "127.0.0.1:4000"
		if c.Env == production {
			c.Addr = ":4000"
		}
	}
	_, port, err := net.SplitHostPort(c.Addr)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return wrong("NEXUS_ADDR", "takes host:port, such as 127.0.0.1:4000 or :4000; %v", err)
	}
	if c.DataDir == "" {
		return wrong("NEXUS_DATA_DIR", "takes a folder, such as ./data")
	}
	if c.DatabaseConns < 4 || c.DatabaseConns > 200 {
		return wrong("NEXUS_DATABASE_CONNS", "takes a number from 4 to 200, not %d", c.DatabaseConns)
	}
	if !(c.FloodRate >= 1 && c.FloodRate <= maxFlood) { // so that NaN is refused
		return wrong("NEXUS_FLOOD_RATE", "takes a number of requests a second from 1 to %d, not %v", maxFlood, c.FloodRate)
	}
	if c.MaxConnections < 1 || c.MaxConnections > mostConnections {
		return wrong("NEXUS_MAX_CONNECTIONS", "takes a number from 1 to %d, not %d", mostConnections, c.MaxConnections)
	}
	if c.MaxPerAddress < 1 || c.MaxPerAddress > mostConnections {
		return wrong("NEXUS_MAX_PER_ADDRESS", "takes a number from 1 to %d, not %d", mostConnections, c.MaxPerAddress)
	}
	for _, step := range []func() error{c.checkMemory, c.checkImports, c.checkDatabaseURL, c.checkRedisURL, c.checkOrigins, c.checkProxies, c.checkSecrets, c.checkCluster, c.checkPages, c.checkAI, c.checkInbound, c.checkProduction} {
		if err := step(); err != nil {
			return err
		}
	}
	if err := c.checkDrain(); err != nil {
		return err
	}
	if c.Demo == nil {
		on := c.Env == development
		c.Demo = &on
	}
	return nil
}

// checkDatabaseURL never repeats the value, which holds a password. An @ behind the host is that of a password with
// a bare /, ? or # in it, whose rest would be taken for the database's name.
func (c *Config) checkDatabaseURL() error {
	if c.DatabaseURL == "" {
		return nil
	}
	u, err := url.Parse(c.DatabaseURL)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || strings.Contains(u.Path+u.RawQuery+u.Fragment, "@") {
		return wrong("NEXUS_DATABASE_URL", "takes postgres://user:password@host:port/database, special characters of the password as %%XX")
	}
	return nil
}

// checkMemory finds the limit out if nobody says.
func (c *Config) checkMemory() (err error) {
	if c.MaxMemory == "" {
		c.memory = memoryLimit(os.DirFS("/"))
		return nil
	}
	if c.memory, err = parseSize(c.MaxMemory); err != nil {
		return wrong("NEXUS_MAX_MEMORY", "takes bytes, such as 900MiB or 2GiB, or 0 for no bound, not %q", c.MaxMemory)
	}
	return nil
}

// checkImports takes what a disk has room for.
func (c *Config) checkImports() (err error) {
	if c.imports, err = parseSize(c.ImportMax); err != nil || c.imports < 1<<10 || c.imports > 10<<30 {
		return wrong("NEXUS_IMPORT_MAX", "takes bytes from 1KiB to 10GiB, such as 100MiB, not %q", c.ImportMax)
	}
	return nil
}

// checkRedisURL never repeats the value either.
func (c *Config) checkRedisURL() error {
	if c.RedisURL == "" {
		return nil
	}
	if _, err := redisbus.Options(c.RedisURL); err != nil {
		return wrong("NEXUS_REDIS_URL", "takes redis://user:password@host:port/number or rediss://, special characters of the password as %%XX")
	}
	return nil
}

func (c *Config) checkOrigins() error {
	for _, o := range c.CORSOrigins {
		o = strings.TrimSuffix(strings.TrimSpace(o), "/")
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || strings.Contains(u.Host, "*") {
			return wrong("NEXUS_CORS_ORIGINS", "takes origins such as https://campus.example, separated by commas and without wildcards, not %q", o)
		}
		c.origins = append(c.origins, o)
	}
	return nil
}

func (c *Config) checkProxies() error {
	for _, p := range c.TrustedProxies {
		p = strings.TrimSpace(p)
		prefix, err := netip.ParsePrefix(p)
		if addr, e := netip.ParseAddr(p); e == nil {
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return wrong("NEXUS_TRUSTED_PROXIES", "takes addresses or CIDRs separated by commas, not %q", p)
		}
		c.proxies = append(c.proxies, prefix)
	}
	return nil
}

func (c *Config) checkSecrets() error {
	for _, s := range c.JWTSecret {
		if len(s) < minSecret {
			return wrong("NEXUS_JWT_SECRET", "takes secrets of %d bytes at least; make one with: openssl rand -hex 32", minSecret)
		}
		if c.Env == production && strings.Count(s, s[:1]) == len(s) {
			return wrong("NEXUS_JWT_SECRET", "is one repeated character; make one with: openssl rand -hex 32")
		}
		c.secrets = append(c.secrets, []byte(s))
	}
	return nil
}

// checkDrain fills in the times of a drain; both must fit well into the grace that an orderly end has.
func (c *Config) checkDrain() error {
	for _, d := range []struct {
		name  string
		value **time.Duration
		usual time.Duration
	}{{"NEXUS_DRAIN_DELAY", &c.DrainDelay, 5 * time.Second}, {"NEXUS_DRAIN_SPREAD", &c.DrainSpread, 10 * time.Second}} {
		if *d.value == nil {
			if c.Env == development {
				d.usual = 0
			}
			*d.value = &d.usual
		}
		if v := **d.value; v < 0 || v > grace/3 {
			return wrong(d.name, "takes a time from 0s to %v, such as 5s, not %v", grace/3, v)
		}
	}
	return nil
}

func (c *Config) checkProduction() error {
	if c.Env != production {
		return nil
	}
	switch {
	case len(c.secrets) == 0:
		return wrong("NEXUS_JWT_SECRET", "is needed in production; make one with: openssl rand -hex 32")
	case c.DatabaseURL == "":
		return wrong("NEXUS_DATABASE_URL", "is needed in production: a private PostgreSQL is for development")
	case c.Demo != nil && *c.Demo:
		return wrong("NEXUS_DEMO", "is refused in production: everybody knows the demo's passwords")
	}
	for _, o := range c.origins {
		if !strings.HasPrefix(o, "https://") {
			return wrong("NEXUS_CORS_ORIGINS", "takes https origins in production, not %q", o)
		}
	}
	return nil
}

// developmentSecret returns the secret kept in the data directory, made at the first start, so that logins survive a restart.
func developmentSecret(dataDir string) ([]byte, error) {
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	path := filepath.Join(dataDir, "jwt-secret")
	// Written beside and linked into place: of nodes that start together one makes the secret and all read it whole.
	for {
		secret, err := os.ReadFile(path)
		if err == nil && len(secret) >= minSecret {
			return secret, nil
		}
		if err == nil {
			return nil, fmt.Errorf("%s is damaged; remove it to have a new secret made", path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the development secret: %w", err)
		}
		if err := makeSecret(dataDir, path); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make the development secret: %w", err)
		}
	}
}

func makeSecret(dir, path string) (err error) {
	raw := make([]byte, minSecret)
	if _, err := rand.Read(raw); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "jwt-secret-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	if _, err := f.WriteString(hex.EncodeToString(raw)); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// LogValue implements slog.LogValuer: the configuration without its secrets.
func (c *Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("env", c.Env), slog.String("addr", c.Addr), slog.String("dataDir", c.DataDir),
		slog.String("databaseURL", redactURL(c.DatabaseURL, "private")), slog.String("redisURL", redactURL(c.RedisURL, "none")), slog.Int("databaseConns", c.DatabaseConns),
		slog.String("jwtSecret", fmt.Sprintf("%d set", len(c.secrets))),
		slog.Any("corsOrigins", c.origins), slog.Any("trustedProxies", c.proxies),
		slog.String("clusterBind", c.ClusterBind), slog.String("clusterAdvertise", c.ClusterAdvertise), slog.Any("clusterSeeds", c.ClusterSeeds),
		slog.Bool("clusterKey", c.ClusterKey != ""), slog.Bool("clusterTLS", c.ClusterTLSCert != ""),
		slog.Any("pages", c.channels()), slog.String("smtp", c.SMTPAddr), slog.Any("models", slices.Sorted(maps.Keys(c.models))),
		slog.Duration("drainDelay", *c.DrainDelay), slog.Duration("drainSpread", *c.DrainSpread),
		slog.Float64("floodRate", c.FloodRate), slog.Int("maxConnections", c.MaxConnections), slog.Int("maxPerAddress", c.MaxPerAddress),
		slog.Int64("memory", c.memory), slog.Int64("importMax", c.imports), slog.Bool("demo", *c.Demo),
		slog.String("logLevel", c.LogLevel), slog.String("logFormat", c.LogFormat),
	)
}

// redactURL hides everything of a connection string but where it leads; empty stands for none.
func redactURL(s, empty string) string {
	if s == "" {
		return empty
	}
	u, err := url.Parse(s)
	if err != nil {
		return "set"
	}
	return u.Scheme + "://" + u.Host + u.Path
}

// logger writes to standard error.
func (c *Config) logger() *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		panic(err) // kong has checked it
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" || c.LogFormat == "auto" && c.Env == production {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// unknownVariables returns the NEXUS_* variables that nothing reads: a typo should not pass in silence.
func unknownVariables(known []string) (unknown []string) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "NEXUS_") && !slices.Contains(known, name) && !slices.Contains(secretVariables, strings.TrimSuffix(name, "_FILE")) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}
