package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Tick is what is read of a CROWD_UPDATE. Its parts are parts of the message.
type Tick struct {
	Hall  []byte // its id
	Seq   int64
	Stamp []byte // its timestamp
}

// stampLayout is how timestamps are written; all are as long as this.
const stampLayout = "2006-01-02T15:04:05.000Z"

var (
	tickHead = []byte(`["CROWD_UPDATE",{`)
	hallKey  = []byte(`"hallId":"`)
	seqKey   = []byte(`"seq":`)
	stampKey = []byte(`"timestamp":"`)
)

// IsTick reports whether an event's array is a CROWD_UPDATE.
func IsTick(data []byte) bool { return bytes.HasPrefix(data, tickHead) }

// ReadTick finds three fields by their names. A string within the JSON cannot pass for one: its quotation marks are escaped.
func ReadTick(data []byte) (t Tick, ok bool) {
	rest := data
	for _, f := range []struct {
		key []byte
		to  *[]byte
	}{{hallKey, &t.Hall}, {stampKey, &t.Stamp}} {
		i := bytes.Index(rest, f.key)
		if i < 0 {
			return Tick{}, false
		}
		value := rest[i+len(f.key):]
		end := bytes.IndexByte(value, '"')
		if end < 0 {
			return Tick{}, false
		}
		*f.to = value[:end]
	}
	i := bytes.Index(data, seqKey)
	if i < 0 {
		return Tick{}, false
	}
	digits := 0
	for _, d := range data[i+len(seqKey):] {
		if d < '0' || d > '9' || digits > 18 {
			break
		}
		t.Seq = t.Seq*10 + int64(d-'0')
		digits++
	}
	return t, digits > 0
}

// Check parses a CROWD_UPDATE in full, holds it against what ReadTick found, and returns the hall's name.
func Check(data []byte) (name string, err error) {
	var event []json.RawMessage
	if err := json.Unmarshal(data, &event); err != nil {
		return "", fmt.Errorf("parse an event: %w", err)
	}
	var u struct {
		HallID    string `json:"hallId"`
		Hall      string `json:"hall"`
		Level     *int   `json:"level"`
		Status    string `json:"status"`
		Seq       int64  `json:"seq"`
		Timestamp string `json:"timestamp"`
	}
	if len(event) != 2 {
		return "", fmt.Errorf("an event with %d arguments", len(event)-1)
	}
	if err := json.Unmarshal(event[1], &u); err != nil {
		return "", fmt.Errorf("parse a CROWD_UPDATE: %w", err)
	}
	t, ok := ReadTick(data)
	switch _, stamped := Stamp([]byte(u.Timestamp)); {
	case !ok, string(t.Hall) != u.HallID, t.Seq != u.Seq, string(t.Stamp) != u.Timestamp:
		return "", errors.New("a CROWD_UPDATE that is read otherwise by its bytes than as JSON")
	case !stamped, u.Level == nil, u.Status == "":
		return "", errors.New("a CROWD_UPDATE that lacks fields of the contract")
	}
	return u.Hall, nil
}

// Stamp reads a timestamp, such as 2026-11-25T21:50:28.000Z, as nanoseconds since 1970. time.Parse would take as long as all
// else that is done with a tick.
func Stamp(s []byte) (ns int64, ok bool) {
	if len(s) != len(stampLayout) {
		return 0, false
	}
	var field [7]int64 // year, month, day, hour, minute, second, ms
	n, ok := 0, true
	for i, c := range s {
		switch layout := stampLayout[i]; {
		case layout >= '0' && layout <= '9':
			ok = ok && c >= '0' && c <= '9'
			field[n] = field[n]*10 + int64(c-'0')
		case c != layout:
			return 0, false
		default:
			n = min(n+1, len(field)-1)
		}
	}
	year, month, day := field[0], field[1], field[2]
	if !ok || month < 1 || month > 12 || day < 1 || day > 31 || field[3] > 23 || field[4] > 59 || field[5] > 59 {
		return 0, false
	}
	// Days of the proleptic Gregorian calendar, in years that begin in March: http://howardhinnant.github.io/date_algorithms.html
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	yoe := year - era*400
	doy := (153*(month-3)+2)/5 + day - 1
	days := era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
	seconds := days*86400 + field[3]*3600 + field[4]*60 + field[5]
	return seconds*int64(time.Second) + field[6]*int64(time.Millisecond), true
}
