package main

import (
	"bytes"
	"testing"
)

// TestShort puts a campus through a kill, a drain, a freeze and a split, and shows that without fences the split is noticed.
func TestShort(t *testing.T) {
	var page bytes.Buffer
	status, err := run(t.Context(), options{out: t.TempDir(), short: true}, &page)
	t.Logf("\n%s", &page)
	if err != nil {
		t.Fatal(err)
	}
	if status != 0 {
		t.Error("a goal was missed")
	}
}
