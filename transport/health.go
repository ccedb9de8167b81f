package transport

import (
	"context"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus/transport/rest/wire"
)

// Readiness says whether the node takes traffic, and why not.
type Readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // by name: "ok" or what is wrong, fit for a stranger's eyes
}

// seldom is how long the answer of a check made by Seldom counts. A balancer does not look more often.
const seldom = time.Second

// Seldom makes of a check of something that costs one for Ready, which strangers may call as often as they like: it is made at most
// once a second and once at a time, and whoever asks meanwhile gets its answer.
func Seldom(check func(context.Context) error) func(context.Context) error {
	var (
		turn  = make(chan struct{}, 1)
		err   error
		until time.Time
	)
	return func(ctx context.Context) error {
		turn <- struct{}{} // for readTimeout at the longest
		defer func() { <-turn }()
		if time.Now().Before(until) {
			return err
		}
		// It must not end with the request of whoever happens to be the first to ask.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		err = check(ctx)
		until = time.Now().Add(seldom)
		return err
	}
}

// healthz says that the process lives, and asks nobody: a dead database is no reason to kill a node.
func (s *Server) healthz(c *fiber.Ctx) error {
	return s.json(c, fiber.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether the node takes traffic.
func (s *Server) readyz(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(c.UserContext(), readTimeout)
	defer cancel()
	r := s.Ready(ctx)
	status := fiber.StatusOK
	if !r.Ready {
		status = fiber.StatusServiceUnavailable
	}
	return s.json(c, status, r)
}

func (s *Server) json(c *fiber.Ctx, status int, v any) error {
	body, err := wire.Marshal(v)
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "no-store")
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Status(status).Send(body)
}
