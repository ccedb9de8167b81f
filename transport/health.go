package transport

import (
	"context"

	"github.com/gofiber/fiber/v2"

	"nexus/transport/rest/wire"
)

// Readiness says whether the node takes traffic, and why not.
type Readiness struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"` // by name: "ok" or what is wrong, fit for a stranger's eyes
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
