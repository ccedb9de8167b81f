// Package aitest is a Gemini that answers as a test wants: well, or as badly as the real one has been seen to.
package aitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Reply is how one request is answered.
type Reply func(w http.ResponseWriter, r *http.Request, prompt string)

// Gemini is a server of the interface. It answers by its script, request by request, and then by Otherwise.
type Gemini struct {
	*httptest.Server

	mu        sync.Mutex
	script    []Reply
	otherwise Reply
	seen      []Request
}

// Request is one that came.
type Request struct {
	At     time.Time
	Model  string
	Prompt string
	Tokens int // what it was answered to have used; of one that failed nothing
}

// tokensOf is what a prompt is said to have used.
func tokensOf(prompt string) int { return len(prompt)/4 + 20 }

// New starts one that ends with the test.
func New(t testing.TB, otherwise Reply) *Gemini {
	g := &Gemini{otherwise: otherwise}
	g.Server = httptest.NewServer(g)
	t.Cleanup(func() {
		g.CloseClientConnections()
		g.Close()
	})
	return g
}

// Script has the next requests answered so.
func (g *Gemini) Script(replies ...Reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.script = append(g.script, replies...)
}

// Otherwise has all requests without a script answered so from now on.
func (g *Gemini) Otherwise(r Reply) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.otherwise = r
}

// Seen are the requests that came, in order.
func (g *Gemini) Seen() []Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.seen)
}

// Most are the most requests, and the most tokens, that any minute has seen.
func (g *Gemini) Most() (requests, tokens int) {
	seen := g.Seen()
	for _, first := range seen {
		n, sum := 0, 0
		for _, r := range seen {
			if d := r.At.Sub(first.At); d >= 0 && d < time.Minute {
				n++
				sum += r.Tokens
			}
		}
		requests, tokens = max(requests, n), max(tokens, sum)
	}
	return requests, tokens
}

// ServeHTTP implements http.Handler.
func (g *Gemini) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Contents []struct{ Parts []struct{ Text string } }
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, 8<<20))
	if err != nil || json.Unmarshal(text, &body) != nil || len(body.Contents) == 0 || len(body.Contents[0].Parts) == 0 {
		http.Error(w, "no such request", http.StatusBadRequest)
		return
	}
	prompt := body.Contents[0].Parts[0].Text
	model, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1beta/models/"), ":")
	g.mu.Lock()
	g.seen = append(g.seen, Request{At: time.Now(), Model: model, Prompt: prompt, Tokens: tokensOf(prompt)})
	reply := g.otherwise
	if len(g.script) > 0 {
		reply, g.script = g.script[0], g.script[1:]
	}
	g.mu.Unlock()
	reply(w, r, prompt)
}

func answer(w http.ResponseWriter, prompt string, candidate map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	in := len(prompt) / 4
	_ = json.NewEncoder(w).Encode(map[string]any{
		"candidates":    []any{candidate},
		"usageMetadata": map[string]any{"promptTokenCount": in, "candidatesTokenCount": 20, "totalTokenCount": in + 20},
	})
}

// JSON answers well, with what of makes of the prompt.
func JSON(of func(prompt string) any) Reply {
	return func(w http.ResponseWriter, _ *http.Request, prompt string) {
		text, err := json.Marshal(of(prompt))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, prompt, candidate(string(text), "STOP"))
	}
}

func candidate(text, finish string) map[string]any {
	return map[string]any{"content": map[string]any{"role": "model", "parts": []any{map[string]any{"text": text}}}, "finishReason": finish}
}

// Limited answers 429, with a Retry-After in seconds, or with a RetryInfo if that is 0.
func Limited(seconds int) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		if seconds > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(seconds))
		}
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"}]}}`)
	}
}

// Failing answers with a status, and with a page that no machine reads.
func Failing(status int) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ string) { http.Error(w, "<html>sorry</html>", status) }
}

// Slow answers with another reply after a while, unless the client has gone by then.
func Slow(wait time.Duration, then Reply) Reply {
	return func(w http.ResponseWriter, r *http.Request, prompt string) {
		select {
		case <-time.After(wait):
			then(w, r, prompt)
		case <-r.Context().Done():
		}
	}
}

// Raw answers 200 with a body.
func Raw(body string) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// Truncated answers with half of what it had to say.
func Truncated() Reply {
	return func(w http.ResponseWriter, _ *http.Request, prompt string) {
		answer(w, prompt, candidate(`{"summary":"half of`, "MAX_TOKENS"))
	}
}

// Blocked answers that the prompt is not to be spoken of.
func Blocked() Reply {
	return Raw(`{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7}}`)
}

// Cut closes the connection in the middle of an answer.
func Cut() Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"candidates":`)
	}
}

// Endless answers with so many bytes, of which not one ends a value.
func Endless(size int) Reply {
	return func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Type", "application/json")
		chunk := bytes.Repeat([]byte(`"a",`), 16<<10)
		_, _ = io.WriteString(w, `{"candidates":[`)
		for sent := 0; sent < size; sent += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
}
