package redisbus

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Options reads a redis:// or rediss:// URL into options under which no call takes long. Errors never repeat the URL, which holds
// a password.
func Options(url string) (*redis.Options, error) {
	if !strings.HasPrefix(url, "redis://") && !strings.HasPrefix(url, "rediss://") {
		return nil, fmt.Errorf("not redis://user:password@host:port/number, nor rediss://")
	}
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("not redis://user:password@host:port/number, special characters of the password as %%XX")
	}
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = timeout, timeout, timeout, timeout
	o.MaxRetries, o.DialerRetries = -1, 1
	o.ContextTimeoutEnabled = true
	o.PoolSize = max(o.PoolSize, 64) // requests at once, on few cores
	o.Protocol = 2
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o, nil
}

// Open returns a client for the URL. It connects when it is first used.
func Open(url string, log *slog.Logger) (*redis.Client, error) {
	o, err := Options(url)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(quiet{log})
	return redis.NewClient(o), nil
}

// quiet takes what the client says of itself: who uses it counts and tells its failures.
type quiet struct{ log *slog.Logger }

// Printf implements the client's logger.
func (q quiet) Printf(ctx context.Context, format string, args ...any) {
	q.log.DebugContext(ctx, "redis client", "says", fmt.Sprintf(format, args...))
}
