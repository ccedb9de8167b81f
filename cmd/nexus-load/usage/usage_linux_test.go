package usage

import (
	"os"
	"testing"
	"time"
)

func TestWhatWeTakeIsSeen(t *testing.T) {
	self := Processes{os.Getpid()}
	before, err := self.Read()
	if err != nil {
		t.Fatal(err)
	}
	const work = 50 * time.Millisecond
	for began := time.Now(); ; {
		now, err := self.Read()
		if err != nil {
			t.Fatal(err)
		}
		if now.CPU-before.CPU >= work {
			if took := time.Since(began); now.CPU-before.CPU > 64*took {
				t.Errorf("%v of CPU within %v", now.CPU-before.CPU, took)
			}
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("%v of CPU after a minute of work", now.CPU-before.CPU)
		}
	}
	if before.Resident < 1<<20 {
		t.Errorf("%d bytes resident", before.Resident)
	}
	twice, err := Processes{os.Getpid(), os.Getpid()}.Read()
	if err != nil || twice.Resident < before.Resident*3/2 {
		t.Errorf("two processes have %d bytes, one %d: %v", twice.Resident, before.Resident, err)
	}
}

func TestNoSuchProcess(t *testing.T) {
	for _, pid := range []int{0, -1, 1 << 22} {
		if _, err := (Processes{pid}).Read(); err == nil {
			t.Errorf("process %d takes something", pid)
		}
	}
	if u, err := (Processes{}).Read(); err != nil || u != (Use{}) {
		t.Errorf("nobody takes %+v: %v", u, err)
	}
}
