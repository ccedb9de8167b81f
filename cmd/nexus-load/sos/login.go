package sos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Login logs users of a NEXUS in, one after the other, and returns their tokens.
func Login(ctx context.Context, url string, names []string, password string) ([]string, error) {
	tokens := make([]string, len(names))
	for i, name := range names {
		token, err := login(ctx, url, name, password)
		if err != nil {
			return nil, fmt.Errorf("log %s in: %w", name, err)
		}
		tokens[i] = token
	}
	return tokens, nil
}

func login(ctx context.Context, url, name, password string) (_ string, err error) {
	body, err := json.Marshal(map[string]string{"identifier": name, "password": password})
	if err != nil {
		return "", err
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/api/v1/auth/login", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	q.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(q)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return "", err
	}
	var answer struct{ Token string }
	if err := json.Unmarshal(text, &answer); err != nil || res.StatusCode != http.StatusOK || answer.Token == "" {
		return "", fmt.Errorf("answered %s: %.200s", res.Status, text)
	}
	return answer.Token, nil
}
