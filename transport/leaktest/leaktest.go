// Package leaktest looks for goroutines that outlive the tests of a package which uses real sockets.
package leaktest

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to their end: a connection's does not end in the moment that it is closed, and goleak alone waits
// for less than half a second.
const patience = 30 * time.Second

// Main runs the tests and ends the process, with an error if goroutines are left that do not end.
func Main(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := left(time.Now().Add(patience)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func left(deadline time.Time) error {
	for {
		err := goleak.Find(
			// fasthttp keeps the Date header fresh from one goroutine for the life of the process.
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
			// And a stopped worker pool's cleaner sees so when its ten seconds of sleep are over.
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
