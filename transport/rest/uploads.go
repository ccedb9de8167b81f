package rest

import (
	"github.com/gofiber/fiber/v2"

	"nexus"
	"nexus/transport/rest/problem"
)

// uploads serves pictures. A name is never used twice, so caches may keep them for ever.
func (a *API) uploads(app *fiber.App) {
	app.Get(AvatarPath+":name", a.sendAvatar)
}

func (a *API) sendAvatar(c *fiber.Ctx) error {
	name := c.Params("name")
	if !avatarName.MatchString(name) {
		return a.noPicture(c)
	}
	data, err := a.Profiles.Avatar(c.UserContext(), AvatarPath+name)
	if nexus.CodeOf(err) == nexus.NotFound {
		return a.noPicture(c)
	}
	if err != nil {
		return err
	}
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; sandbox")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderContentType, "image/jpeg")
	return c.Send(data)
}

func (a *API) noPicture(c *fiber.Ctx) error {
	return problem.From(nexus.Errorf(nexus.NotFound, "no such picture")).Send(c, OriginOf(c.UserContext()).RequestID)
}
