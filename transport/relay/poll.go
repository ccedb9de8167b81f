package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"nexus/transport/engineio/onfiber"
)

// flushTime is what net/http is left for the way from its buffer to the socket: it says that a request is written before that.
const flushTime = 50 * time.Millisecond

// poll passes a polling request on and its answer back. A poll whose client hangs up ends at once, also at the home.
func (r *Relay) poll(c *fiber.Ctx, p *passage, q *http.Request) error {
	watched, stop := context.Background(), func() {}
	if q.Method == http.MethodGet {
		watched, stop = onfiber.Watch(c.Context().Conn())
	}
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.PollTimeout)
	defer cancel()
	// The home hears of the hang-up by that of its own connection, so the request goes out first.
	sent := make(chan struct{})
	var once sync.Once
	defer context.AfterFunc(watched, func() {
		select {
		case <-sent:
		case <-ctx.Done():
		}
		select {
		case <-time.After(flushTime):
		case <-ctx.Done():
		}
		cancel()
	})()
	if err := r.begin(p, cancel); err != nil {
		return r.failed(c, "poll", err)
	}
	defer r.end(p)
	body := c.Request().Body() // raw, and within the server's bound
	q.ContentLength = int64(len(body))
	// A body that cannot be had again keeps net/http from repeating the request: what the home took out of its queue for
	// an answer that was lost would be passed over in silence. An error ends the transport instead.
	q.Body = io.NopCloser(bytes.NewReader(body))
	answer, err := r.polls.RoundTrip(q.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { once.Do(func() { close(sent) }) },
	})))
	if err != nil {
		return r.failed(c, "poll", err)
	}
	r.metrics.requests.WithLabelValues("poll", "ok").Inc()
	return r.write(c, answer)
}

var errLong = errors.New("the answer is too long")

// write gives the home's answer to the client, and closes it.
func (r *Relay) write(c *fiber.Ctx, answer *http.Response) error {
	defer answer.Body.Close() //nolint:errcheck // it was read to its end, or is of no more use
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errLong
	}
	if err != nil {
		return r.failed(c, "answer", err)
	}
	for name, values := range answer.Header {
		switch {
		case name == fiber.HeaderContentType, name == fiber.HeaderCacheControl, name == fiber.HeaderRetryAfter,
			strings.HasPrefix(name, "Access-Control-Allow-"), name == fiber.HeaderAccessControlMaxAge:
			c.Set(name, values[0])
		case name == fiber.HeaderVary:
			c.Vary(values...)
		}
	}
	return c.Status(answer.StatusCode).Send(body)
}
