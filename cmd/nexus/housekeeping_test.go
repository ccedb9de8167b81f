package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestChoresAreDoneEveryHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // written by the one goroutine that ends before it is read
		var times []time.Duration
		start, failed := time.Now(), 0
		end := keepHouse(slog.New(slog.NewTextHandler(&log, nil)),
			chore{"failing", func(context.Context) (int64, error) { failed++; return 0, errors.New("the database is away") }},
			chore{"working", func(context.Context) (int64, error) { times = append(times, time.Since(start)); return 7, nil }},
		)
		time.Sleep(24 * time.Hour)
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(times) < 20 || len(times) > 24 || failed != len(times) || times[0] > choreSpread {
			t.Errorf("done at %v, and failed %d times", times, failed)
		}
		for i := range len(times) - 1 {
			if gap := times[i+1] - times[i]; gap < choreEvery || gap > choreEvery+choreSpread {
				t.Errorf("%v passed between two", gap)
			}
		}
		if text := log.String(); !strings.Contains(text, `chore=failing err="the database is away"`) || !strings.Contains(text, "chore=working dropped=7") {
			t.Errorf("the log says %s", text)
		}
	})
}

func TestChoresEndWithTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		began := make(chan struct{})
		end := keepHouse(slog.New(slog.NewTextHandler(&log, nil)), chore{"long", func(ctx context.Context) (int64, error) {
			close(began)
			<-ctx.Done()
			return 0, ctx.Err()
		}})
		<-began
		if err := end(t.Context()); err != nil || log.Len() > 0 {
			t.Errorf("%v, log %s", err, log.String())
		}
	})
}

func TestAChoreIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		start := time.Now()
		chore{"stuck", func(ctx context.Context) (int64, error) { <-ctx.Done(); return 0, ctx.Err() }}.
			run(t.Context(), slog.New(slog.NewTextHandler(&log, nil)))
		if took := time.Since(start); took != choreTime || !strings.Contains(log.String(), "chore=stuck") {
			t.Errorf("took %v, log %s", took, log.String())
		}
	})
}
