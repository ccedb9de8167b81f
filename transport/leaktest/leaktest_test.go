package leaktest

import (
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

func TestWhoEndsLateIsWaitedForAndWhoStaysIsFound(t *testing.T) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		<-end
	}()
	if left(time.Time{}) == nil {
		t.Error("a goroutine that stays is not found")
	}
	time.AfterFunc(time.Second, func() { close(end) }) // goleak alone would not wait for so long
	if err := left(time.Now().Add(time.Minute)); err != nil {
		t.Error(err)
	}
	<-ended
}
