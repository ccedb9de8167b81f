package ai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genai"

	"nexus"
)

const (
	// maxAnswer bounds the body of an answer, whatever its length claims to be.
	maxAnswer = 1 << 20
	// maxPause bounds what a model may ask for: an hour that somebody mistyped must not silence it for a day.
	maxPause = 10 * time.Minute
)

// Gemini is Google's models.
type Gemini struct{ client *genai.Client }

var _ Model = (*Gemini)(nil)

// NewGemini returns the models behind an API key. baseURL is for another place than Google's; empty: Google's.
func NewGemini(ctx context.Context, key, baseURL string) (*Gemini, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// A grant of the budget is for now: a request that cannot leave soon is not to leave at all.
	transport.DialContext = (&net.Dialer{Timeout: time.Second}).DialContext
	transport.TLSHandshakeTimeout, transport.ResponseHeaderTimeout, transport.MaxIdleConnsPerHost = 2*time.Second, callTimeout, 8
	transport.MaxResponseHeaderBytes = 64 << 10
	client, err := genai.NewClient(ctx, &genai.ClientConfig{
		APIKey: key, Backend: genai.BackendGeminiAPI,
		HTTPClient: &http.Client{Transport: bounded{transport}, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the key goes nowhere else
		}},
		HTTPOptions: genai.HTTPOptions{BaseURL: baseURL},
	})
	if err != nil {
		return nil, fmt.Errorf("set up Gemini: %w", err)
	}
	return &Gemini{client}, nil
}

// Generate implements Model.
func (g *Gemini) Generate(ctx context.Context, c Call) (a Answer, err error) {
	defer func() { // the client takes for granted that what it is sent is of the interface's types
		if r := recover(); r != nil {
			a, err = Answer{}, &Unusable{Reason: "it is no answer of the interface"}
		}
	}()
	var schema any
	if err := json.Unmarshal(c.Schema, &schema); err != nil {
		return Answer{}, nexus.Wrap(nexus.Internal, err, "decode a schema")
	}
	head := &header{}
	r, err := g.client.Models.GenerateContent(context.WithValue(ctx, headerKey{}, head), c.Model, genai.Text(c.Prompt), &genai.GenerateContentConfig{
		SystemInstruction:  genai.NewContentFromText(c.System, genai.RoleUser),
		ResponseMIMEType:   "application/json",
		ResponseJsonSchema: schema,
		MaxOutputTokens:    int32(c.MaxTokens), //nolint:gosec // a few thousand
		Temperature:        genai.Ptr[float32](0),
		CandidateCount:     1,
	})
	if err != nil {
		return Answer{}, trouble(err, head)
	}
	return answerOf(r)
}

// answerOf takes an answer that came with no error, which means little.
func answerOf(r *genai.GenerateContentResponse) (Answer, error) {
	var a Answer
	if u := r.UsageMetadata; u != nil {
		a.TokensIn = int(u.PromptTokenCount)
		a.TokensOut = max(0, int(u.TotalTokenCount-u.PromptTokenCount), int(u.CandidatesTokenCount+u.ThoughtsTokenCount))
	}
	unusable := func(format string, args ...any) (Answer, error) {
		return Answer{}, &Unusable{Reason: fmt.Sprintf(format, args...), Cost: a}
	}
	switch {
	case r.PromptFeedback != nil && r.PromptFeedback.BlockReason != "":
		return unusable("the prompt was blocked: %.40s", r.PromptFeedback.BlockReason)
	case len(r.Candidates) == 0 || r.Candidates[0].Content == nil:
		return unusable("it is empty")
	case r.Candidates[0].FinishReason != genai.FinishReasonStop:
		return unusable("it ended with %.40q", r.Candidates[0].FinishReason)
	}
	var text strings.Builder
	for _, p := range r.Candidates[0].Content.Parts {
		if !p.Thought {
			text.WriteString(p.Text)
		}
	}
	if a.JSON = json.RawMessage(strings.TrimSpace(text.String())); !json.Valid(a.JSON) {
		return unusable("it is no JSON")
	}
	return a, nil
}

// trouble says what an error of the client means. Texts of the provider, which may repeat what it was sent, are not kept.
func trouble(err error, head *header) error {
	var api genai.APIError
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, errTooLong):
		return &Unusable{Reason: errTooLong.Error()}
	case errors.As(err, &api):
	case head.status >= 400:
		api.Code = head.status
	case head.status >= 200 && head.status < 300 && (errors.As(err, &syntax) || errors.As(err, &kind) || strings.Contains(err.Error(), "unmarshal")):
		return &Unusable{Reason: "it is no answer of the interface"}
	default:
		return nexus.Wrap(nexus.Unavailable, errors.New("no answer from the model"), "the model was not reached")
	}
	switch {
	case api.Code == http.StatusTooManyRequests:
		e := nexus.Errorf(nexus.RateLimited, "the model has had enough for now")
		e.RetryAfter = min(max(head.retryAfter, retryDelay(api)), maxPause)
		return e
	case api.Code >= 500 || api.Code == http.StatusRequestTimeout:
		e := nexus.Errorf(nexus.Unavailable, "the model failed with status %d", api.Code)
		e.RetryAfter = min(head.retryAfter, maxPause)
		return e
	default:
		return nexus.Errorf(nexus.Forbidden, "the model refuses with status %d", api.Code)
	}
}

// retryDelay is what a google.rpc.RetryInfo among the details of an error asks for.
func retryDelay(e genai.APIError) time.Duration {
	for _, d := range e.Details {
		if text, ok := d["retryDelay"].(string); ok {
			if wait, err := time.ParseDuration(text); err == nil && wait > 0 {
				return wait
			}
		}
	}
	return 0
}

// header is what the client does not tell of an answer's.
type header struct {
	status     int
	retryAfter time.Duration
}

type headerKey struct{}

var errTooLong = errors.New("it is longer than any answer may be")

// bounded notes the header, and ends a body that is too long.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if h, ok := r.Context().Value(headerKey{}).(*header); ok {
		h.status, h.retryAfter = response.StatusCode, retryAfter(response.Header.Get("Retry-After"), time.Now())
	}
	response.Body = &capped{response.Body, maxAnswer}
	return response, nil
}

// retryAfter reads the header of that name: seconds, or a date (RFC 9110, section 10.2.3); 0 for neither.
func retryAfter(text string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(text); err == nil {
		return min(max(0, time.Duration(n)), maxPause/time.Second) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// capped is a body that fails once it has given too much.
type capped struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (c *capped) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
