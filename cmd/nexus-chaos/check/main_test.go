package check

import (
	"testing"

	"nexus/persistence/pg/pgfix"
)

func TestMain(m *testing.M) { pgfix.Main(m) }
