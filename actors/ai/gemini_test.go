package ai

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"nexus"
	"nexus/actors/ai/aitest"
)

var (
	wellFormed = aitest.JSON(func(string) any { return map[string]any{"ok": true} })
	question   = Call{Model: "flash", System: "Say ok.", Prompt: "Is it?", Schema: json.RawMessage(`{"type":"object","properties":{"ok":{"type":"boolean"}}}`), MaxTokens: 50}
)

func gemini(t *testing.T, g *aitest.Gemini) *Gemini {
	t.Helper()
	m, err := NewGemini(t.Context(), "a secret key", g.URL)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWhatGeminiAnswers: whatever it is, it is an answer by the schema or an error of the right kind, without a word of what the provider wrote.
func TestWhatGeminiAnswers(t *testing.T) {
	g := aitest.New(t, wellFormed)
	m := gemini(t, g)
	unusable := nexus.Code("unusable")
	for _, c := range []struct {
		what  string
		reply aitest.Reply
		code  nexus.Code
		after time.Duration
	}{
		{"well", wellFormed, "", 0},
		{"429 with a header", aitest.Limited(7), nexus.RateLimited, 7 * time.Second},
		{"429 with a detail", aitest.Limited(0), nexus.RateLimited, 2 * time.Second},
		{"429 for a day", aitest.Limited(86_400), nexus.RateLimited, maxPause},
		{"500", aitest.Failing(500), nexus.Unavailable, 0},
		{"503", aitest.Failing(503), nexus.Unavailable, 0},
		{"403", aitest.Failing(403), nexus.Forbidden, 0},
		{"400", aitest.Failing(400), nexus.Forbidden, 0},
		{"an empty body", aitest.Raw(""), unusable, 0},
		{"{}", aitest.Raw("{}"), unusable, 0},
		{"no JSON", aitest.Raw("<html>"), unusable, 0},
		{"other JSON", aitest.Raw(`[1]`), unusable, 0},
		{"wrong types", aitest.Raw(`{"candidates":"x"}`), unusable, 0},
		{"wrong types below", aitest.Raw(`{"candidates":[{"content":{"parts":[7]}}],"usageMetadata":{"totalTokenCount":"x"}}`), unusable, 0},
		{"no content", aitest.Raw(`{"candidates":[{"finishReason":"STOP"}]}`), unusable, 0},
		{"no parts", aitest.Raw(`{"candidates":[{"content":{"role":"model"},"finishReason":"STOP"}]}`), unusable, 0},
		{"text that is no JSON", aitest.Raw(`{"candidates":[{"content":{"parts":[{"text":"Sure! Here it is"}]},"finishReason":"STOP"}]}`), unusable, 0},
		{"blocked", aitest.Blocked(), unusable, 0},
		{"blocked half way", aitest.Raw(`{"candidates":[{"content":{"parts":[{"text":"{}"}]},"finishReason":"SAFETY"}]}`), unusable, 0},
		{"cut short", aitest.Truncated(), unusable, 0},
		{"200 MB", aitest.Endless(200 << 20), unusable, 0},
		{"a lost connection", aitest.Cut(), nexus.Unavailable, 0},
	} {
		g.Script(c.reply)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a, err := m.Generate(t.Context(), question)
		runtime.ReadMemStats(&after)
		code := nexus.CodeOf(err)
		if errors.Is(err, ErrUnusable) {
			code = unusable
		}
		if code != c.code {
			t.Errorf("%s: %q %v, want %q", c.what, code, err, c.code)
		}
		var e *nexus.Error
		if errors.As(err, &e) && e.RetryAfter != c.after {
			t.Errorf("%s: again after %v, want %v", c.what, e.RetryAfter, c.after)
		}
		if err == nil && string(a.JSON) != `{"ok":true}` {
			t.Errorf("%s: %s", c.what, a.JSON)
		}
		if err != nil && (a.JSON != nil || strings.Contains(err.Error(), "sorry") || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "Quota")) {
			t.Errorf("%s: %v", c.what, err)
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
			t.Errorf("%s: %d MB of memory", c.what, used>>20)
		}
	}
	var u *Unusable
	g.Script(aitest.Truncated())
	if _, err := m.Generate(t.Context(), question); !errors.As(err, &u) || u.Cost.TokensOut != 20 {
		t.Errorf("what was cut short cost nothing: %+v", u)
	}
}

func TestASlowGeminiIsGivenUp(t *testing.T) {
	g := aitest.New(t, aitest.Slow(time.Minute, wellFormed))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := gemini(t, g).Generate(ctx, question); nexus.CodeOf(err) != nexus.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "x": 0, "-3": 0, "0": 0, "5": 5 * time.Second, "99999999999": maxPause, now.Add(time.Minute).Format(http.TimeFormat): time.Minute, now.Add(-time.Minute).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
