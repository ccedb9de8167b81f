package bench

import (
	"math"
	"strconv"
)

// The names of figures.
const (
	bytesEach     = "bytes/socket"
	residentMB    = "resident MB"
	cpuConnection = "µs/connection"
	cpuMessage    = "µs/message"
	cpuIdle       = "idle ms/s"
	connectP99    = "connect p99 ms"
	tickP50       = "tick p50 ms"
	tickP99       = "tick p99 ms"
	tickMax       = "tick max ms"
	perSecond     = "messages/s"
	leftOut       = "left out %"
	alertP50      = "alert p50 ms"
	alertP99      = "alert p99 ms"
	ackP99        = "answer p99 ms"
	pressed       = "presses"
	unheard       = "not heard"
	backSeconds   = "all back s"
	failures      = "failures"
	generator     = "generator ms/s"
)

// columns is the order of figures in a table.
var columns = []string{
	bytesEach, residentMB, cpuConnection, cpuMessage, cpuIdle, perSecond, tickP50, tickP99, tickMax, leftOut,
	pressed, ackP99, alertP50, alertP99, unheard, backSeconds, connectP99, failures, generator,
}

// round writes a figure with as many digits as mean something.
func round(v float64) string {
	switch size := math.Abs(v); {
	case size >= 100 || size == 0:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case size >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}
