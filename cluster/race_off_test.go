//go:build !race

package cluster

// simDefault is how many scenarios the simulation runs.
const simDefault = 100
