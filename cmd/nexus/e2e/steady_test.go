package e2e_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
)

// steadyTries is how often a test is tried that a machine which stands still for a moment can spoil.
const steadyTries = 3

// steady runs a test that needs nodes which are on time: one that stands still for 1.5 s ends itself, for others replace it, and so it
// should. A test that fails is tried again, from the beginning: a fault of the house is there each time, and a data race counts at once.
func steady(t *testing.T, test func(t testing.TB)) {
	t.Helper()
	for try := 1; ; try++ {
		a := &attempt{TB: t}
		a.run(test)
		if !a.Failed() {
			return
		}
		if try == steadyTries {
			t.Fatalf("failed %d times", try)
		}
		t.Logf("attempt %d failed, which may be the machine's fault", try)
	}
}

// attempt is a test whose failure fails nothing else yet.
type attempt struct {
	testing.TB // the test that it is an attempt of

	mu       sync.Mutex
	failed   bool
	cleanups []func()
}

// run runs the test and its cleanups, and returns when all is over.
func (a *attempt) run(test func(testing.TB)) {
	a.inside(func() { test(a) })
	for n := len(a.cleanups); n > 0; n = len(a.cleanups) {
		last := a.cleanups[n-1]
		a.cleanups = a.cleanups[:n-1]
		a.inside(last)
	}
}

// inside runs what may end its goroutine.
func (*attempt) inside(f func()) {
	var over sync.WaitGroup
	over.Go(f)
	over.Wait()
}

// Cleanup is part of testing.TB, as all below.
func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

func (a *attempt) Fail() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = true
}

func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *attempt) FailNow() { a.Fail(); runtime.Goexit() }

func (a *attempt) Error(args ...any) { a.TB.Helper(); a.TB.Log(args...); a.Fail() }

func (a *attempt) Errorf(format string, args ...any) {
	a.TB.Helper()
	a.TB.Logf(format, args...)
	a.Fail()
}

func (a *attempt) Fatal(args ...any) { a.TB.Helper(); a.TB.Log(args...); a.FailNow() }

func (a *attempt) Fatalf(format string, args ...any) {
	a.TB.Helper()
	a.TB.Logf(format, args...)
	a.FailNow()
}

// forGood is the test itself, whose failure no further attempt takes back.
func forGood(t testing.TB) testing.TB {
	if a, ok := t.(*attempt); ok {
		return a.TB
	}
	return t
}

func TestSteadyTriesAgainAndCleansUpEachTime(t *testing.T) {
	var order []string
	steady(t, func(a testing.TB) {
		tries := len(order)/3 + 1
		a.Cleanup(func() { order = append(order, "first") })
		a.Cleanup(func() { order = append(order, "second") })
		order = append(order, "test")
		if tries < steadyTries {
			a.Fatal("the machine stood still")
		}
	})
	if got := fmt.Sprint(order); got != "[test second first test second first test second first]" {
		t.Errorf("ran %v", got)
	}
}
