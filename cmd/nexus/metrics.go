package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolCollector shows the database pool's state.
type poolCollector struct{ pool *pgxpool.Pool }

var (
	poolConns   = prometheus.NewDesc("nexus_db_connections", "Connections of the pool by state.", []string{"state"}, nil)
	poolMax     = prometheus.NewDesc("nexus_db_connections_max", "Connections that the pool may have.", nil, nil)
	poolWaited  = prometheus.NewDesc("nexus_db_acquire_wait_seconds_total", "Time spent waiting for a free connection.", nil, nil)
	poolWaits   = prometheus.NewDesc("nexus_db_acquire_waits_total", "Times that a call waited for a free connection.", nil, nil)
	poolRefused = prometheus.NewDesc("nexus_db_acquire_canceled_total", "Times that a call gave up waiting for a connection.", nil, nil)
)

// Describe implements prometheus.Collector.
func (poolCollector) Describe(d chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{poolConns, poolMax, poolWaited, poolWaits, poolRefused} {
		d <- desc
	}
}

// Collect implements prometheus.Collector.
func (c poolCollector) Collect(m chan<- prometheus.Metric) {
	s := c.pool.Stat()
	m <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(s.AcquiredConns()), "acquired")
	m <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(s.IdleConns()), "idle")
	m <- prometheus.MustNewConstMetric(poolMax, prometheus.GaugeValue, float64(s.MaxConns()))
	m <- prometheus.MustNewConstMetric(poolWaited, prometheus.CounterValue, s.EmptyAcquireWaitTime().Seconds())
	m <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(s.EmptyAcquireCount()))
	m <- prometheus.MustNewConstMetric(poolRefused, prometheus.CounterValue, float64(s.CanceledAcquireCount()))
}
