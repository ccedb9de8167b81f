package main

import (
	"runtime"
	"testing"
	"testing/fstest"
)

func TestGroupLimit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no control groups":     {nil, 0},
		"a container":           {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000000\n"}, 1_000_000},
		"a container without":   {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 0},
		"a service":             {map[string]string{"proc/self/cgroup": "0::/system.slice/nexus.service\n", "sys/fs/cgroup/system.slice/nexus.service/memory.max": "7000\n"}, 7000},
		"the slice has less":    {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "7000", "sys/fs/cgroup/a/memory.max": "5000"}, 5000},
		"the slice has no less": {map[string]string{"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/b/memory.max": "7000", "sys/fs/cgroup/a/memory.max": "max"}, 7000},
		"beside version 1":      {map[string]string{"proc/self/cgroup": "3:cpu:/x\n0::/a\n", "sys/fs/cgroup/a/memory.max": "7000"}, 7000},
	} {
		root := fstest.MapFS{}
		for path, text := range c.files {
			root[path] = &fstest.MapFile{Data: []byte(text)}
		}
		if got := groupLimit(root); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "1048576": 1 << 20, "3KiB": 3 << 10, "900MiB": 900 << 20, "2GiB": 2 << 30} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5GiB", "900MB", "9000000000GiB", "a lot"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%s is %d", text, got)
		}
	}
}

// TestTakenIsWhatIsNeeded: what is held counts, and garbage does not, though it was not given back.
func TestTakenIsWhatIsNeeded(t *testing.T) {
	const size = 64 << 20
	runtime.GC() // what other tests have left
	before := taken()
	held := make([]byte, size)
	runtime.GC()
	with := taken()
	runtime.KeepAlive(held)
	runtime.GC()
	after := taken()
	if with < before+size/2 || after > with-size/2 {
		t.Errorf("%d MiB, with 64 more %d MiB, and without them %d MiB", before>>20, with>>20, after>>20)
	}
	if none := (&memory{}); none.short() {
		t.Error("without a limit memory is short")
	}
	if (&memory{limit: int64(after) * 2}).short() || !(&memory{limit: int64(after)}).short() {
		t.Errorf("%d MiB are taken", after>>20)
	}
}
