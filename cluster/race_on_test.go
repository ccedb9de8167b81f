//go:build race

package cluster

// simDefault is how many scenarios the simulation runs: the race detector makes each take many times as long.
const simDefault = 12
