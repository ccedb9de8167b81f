package transport_test

import (
	"testing"

	"nexus/transport/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
