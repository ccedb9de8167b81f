package bench

// reading is a figure of a scenario on a target.
type reading struct{ scenario, target, figure string }

// goal is a bound on a figure, or on how it compares with another.
type goal struct {
	text string
	of   reading
	by   reading // zero: the figure itself is bounded
	most float64
}

// goals are what the edge was built to reach.
func goals() []goal {
	n := func(scenario, figure string) reading { return reading{scenario, nexusTarget, figure} }
	node := func(scenario, figure string) reading { return reading{scenario, nodeTarget, figure} }
	bare := func(scenario, figure string) reading { return reading{scenario, rawTarget, figure} }
	return []goal{
		{text: "Memory of an idle socket, bytes", of: n("idle", bytesEach), most: 4096},
		{text: "Memory of an idle socket with its session's grain, bytes", of: n("logged-in", bytesEach), most: 8192},
		{text: "CPU per connection, to Node", of: n("idle", cpuConnection), by: node("idle", cpuConnection), most: 0.5},
		{text: "CPU of idle sockets, to Node", of: n("idle", cpuIdle), by: node("idle", cpuIdle), most: 1},
		{text: "CPU per message, one hall, to the floor", of: n("one-hall", cpuMessage), by: bare("one-hall", cpuMessage), most: 1.3},
		{text: "CPU per message, one hall, to Node", of: n("one-hall", cpuMessage), by: node("one-hall", cpuMessage), most: 0.5},
		{text: "CPU per message, eight halls, to Node", of: n("eight-halls", cpuMessage), by: node("eight-halls", cpuMessage), most: 0.2},
		{text: "Tick p99, eight halls, to Node", of: n("eight-halls", tickP99), by: node("eight-halls", tickP99), most: 0.7},
		{text: "Tick p99, eight halls, to the floor", of: n("eight-halls", tickP99), by: bare("eight-halls", tickP99), most: 1.25},
		{text: "SOS p99 under the ticks of eight halls, to Node", of: n("sos-eight", alertP99), by: node("sos-eight", alertP99), most: 0.12},
		{text: "SOS p99 under the ticks of one hall, to a quiet campus", of: n("sos-ticks", alertP99), by: n("sos-quiet", alertP99), most: 2},
		{text: "Alerts not heard", of: n("sos-eight", unheard), most: 0},
		{text: "Tick p99 beside stalled readers, to without", of: n("stalled", tickP99), by: n("eight-halls", tickP99), most: 1.1},
		{text: "Memory beside stalled readers, to without", of: n("stalled", residentMB), by: n("eight-halls", residentMB), most: 1.25},
		{text: "Everybody back at once, s", of: n("reconnect", backSeconds), most: 10},
		{text: "Errors of coming back", of: n("reconnect", failures), most: 0},
		{text: "One full node: tick max, ms", of: n("many", tickMax), most: 1000},
		{text: "Three nodes: tick max, ms", of: n("three-nodes", tickMax), most: 1000},
	}
}

// judge returns what a goal's figure, or ratio, is; false if it was not measured.
func (g goal) judge(medians map[string]map[string]figures) (v float64, ok bool) {
	v, ok = medians[g.of.scenario][g.of.target][g.of.figure]
	if !ok || g.by == (reading{}) {
		return v, ok
	}
	by, ok := medians[g.by.scenario][g.by.target][g.by.figure]
	return v / by, ok && by > 0
}
