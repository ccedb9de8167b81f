package pg_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// sqlc drops an assignment or comparison without a word when there is no space before the "@" of its parameter.
func TestParametersStandApart(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("queries/*.sql")
	ok(t, err)
	if len(files) == 0 {
		t.Fatal("no queries")
	}
	tight := regexp.MustCompile(`.*[^\s(\[,]@\w+.*`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		ok(t, err)
		for _, line := range tight.FindAllString(string(text), -1) {
			t.Errorf("%s: %s", f, line)
		}
	}
}
