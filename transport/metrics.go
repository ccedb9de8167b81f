package transport

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
)

// scrapers is how many may read the metrics at once, from whatever addresses.
const scrapers = 32

// metrics counts requests by route template, so that ids never become labels.
type metrics struct {
	requests *prometheus.HistogramVec
	handler  fiber.Handler
}

func newMetrics(r *prometheus.Registry) metrics {
	m := metrics{requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "nexus_http_request_seconds", Help: "Time to answer a request, by route, method and class of status.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 15},
	}, []string{"method", "route", "status"})}
	r.MustRegister(m.requests)
	serve := fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: scrapers}))
	m.handler = func(c *fiber.Ctx) error {
		serve(c.Context())
		return nil
	}
	return m
}

func (m metrics) observe(method, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(method, route, strconv.Itoa(status/100)+"xx").Observe(took.Seconds())
}

// unmatched is the route of requests that no route took.
const unmatched = "unmatched"

// routeOf is the template of the route that a request took. The middleware's own
// route, which answers for all that matches nothing, is told by its path.
func routeOf(c *fiber.Ctx) string {
	if path := c.Route().Path; path != "/" {
		return path
	}
	return unmatched
}
