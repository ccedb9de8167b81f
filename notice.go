package nexus

import (
	"encoding/json"
	"time"
)

// The channels of the outbox: each user has a stream of class A in each.
const (
	AcademicChannel = "academic"      // SCHEDULE_UPDATE, on /academic
	NoticeChannel   = "notifications" // notification, on /
)

// OutboxStream is the name of a user's stream in a channel of the outbox.
func OutboxStream(channel string, user UserID) string { return channel + "/" + string(user) }

// Priority says how much a notice matters.
type Priority string

// The priorities of the contract.
const (
	PriorityLow      Priority = "low"
	PriorityNormal   Priority = "normal"
	PriorityHigh     Priority = "high"
	PriorityCritical Priority = "critical"
)

// Notice is something that a person is told, and finds in their list afterwards.
type Notice struct {
	ID        string          `json:"id"`
	User      UserID          `json:"-"`
	Seq       int64           `json:"seq"` // in the person's stream; grows by one
	Kind      string          `json:"kind"`
	Priority  Priority        `json:"priority"`
	Title     string          `json:"title"`
	Body      string          `json:"body"`
	Data      json.RawMessage `json:"data"`
	CreatedAt time.Time       `json:"createdAt"`
	ReadAt    *time.Time      `json:"readAt"`
	Dedupe    string          `json:"-"` // of several with one key the person is told the first alone; empty: each is told
}
