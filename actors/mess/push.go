package mess

import (
	"encoding/json"
	"time"

	"nexus"
	"nexus/actors/grain"
)

// The events of the /mess namespace.
const (
	Namespace      = "/mess"
	CrowdUpdate    = "CROWD_UPDATE"
	MenuUpdate     = "MENU_UPDATE"
	ForecastUpdate = "FORECAST_UPDATE"
)

// Topic is what sockets listen to for one hall.
func Topic(id nexus.HallID) string { return "mess/" + string(id) }

// seqBits leaves one activation 2^30 ticks, which is 34 years, and a hall 2^23 activations, before a seq is more than
// what a client's double holds exactly.
const seqBits = 30

// crowdUpdate is the payload of CROWD_UPDATE. Seq grows by one with each tick of an activation and starts
// above every seq of the activation before.
type crowdUpdate struct {
	nexus.Crowd
	AsOf      *string `json:"asOf"` // null: nobody has ever counted here
	Hall      string  `json:"hall"`
	Seq       int64   `json:"seq"`
	Timestamp string  `json:"timestamp"`
}

// broadcast encodes a tick, once for every socket of the campus.
func broadcast(crowd nexus.Crowd, hall string, seq int64, now time.Time) *grain.Broadcast {
	u := crowdUpdate{Crowd: crowd, Hall: hall, Seq: seq, Timestamp: now.UTC().Format(nexus.TimeLayout)}
	if !crowd.AsOf.IsZero() {
		asOf := crowd.AsOf.UTC().Format(nexus.TimeLayout)
		u.AsOf = &asOf
	}
	payload, err := json.Marshal(u)
	if err != nil {
		panic(err) // plain numbers and strings always marshal
	}
	topic := Topic(crowd.HallID)
	return &grain.Broadcast{Topic: topic, Namespace: Namespace, Event: CrowdUpdate, Slot: topic, Payload: payload, Seq: seq}
}
