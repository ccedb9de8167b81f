package rest

import (
	"embed"
	"encoding/json"
	"sync"

	"github.com/gofiber/fiber/v2"
)

//go:embed docs/index.html docs/docs.js docs/docs.css
var page embed.FS

// documents serves the OpenAPI document and a page that shows it. The page needs nothing
// from any other server: it works on a campus that is cut off.
func (a *API) documents(app *fiber.App) {
	// Huma registers its own error shape, which no answer has.
	delete(a.huma.OpenAPI().Components.Schemas.Map(), "ErrorModel")
	document := sync.OnceValues(func() ([]byte, error) { return json.Marshal(a.huma.OpenAPI()) })
	app.Get("/openapi.json", func(c *fiber.Ctx) error {
		data, err := document()
		if err != nil {
			return err
		}
		c.Set(fiber.HeaderContentType, "application/vnd.oai.openapi+json;version=3.1")
		return c.Send(data)
	})
	serve := func(path, file, kind string) {
		app.Get(path, func(c *fiber.Ctx) error {
			data, err := page.ReadFile("docs/" + file)
			if err != nil {
				return err
			}
			c.Set(fiber.HeaderContentSecurityPolicy,
				"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
			c.Set(fiber.HeaderContentType, kind)
			return c.Send(data)
		})
	}
	app.Get("/", func(c *fiber.Ctx) error { return c.Redirect("/docs", fiber.StatusSeeOther) })
	serve("/docs", "index.html", "text/html; charset=utf-8")
	serve("/docs/docs.js", "docs.js", "text/javascript; charset=utf-8")
	serve("/docs/docs.css", "docs.css", "text/css; charset=utf-8")
}
