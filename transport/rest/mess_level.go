package rest

import (
	"cmp"
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Level is how full a hall looks: a number from 0 to 100, or one of the words Low, Moderate, Medium
// and High in any case, which stand for the middle of what they name.
type Level struct{ percent int }

var levels = map[string]int{"low": 20, "moderate": 55, "medium": 55, "high": 90}

// Schema tells clients of both forms.
func (Level) Schema(huma.Registry) *huma.Schema {
	return eitherOf(100, `^\s*(?i:low|moderate|medium|high)\s*$`, "a number from 0 to 100, or Low, Moderate or High")
}

// UnmarshalJSON reads either form.
func (l *Level) UnmarshalJSON(b []byte) error {
	n, word, err := either(b)
	if err != nil || word == "" {
		l.percent = n
		return err
	}
	percent, ok := levels[strings.ToLower(strings.TrimSpace(word))]
	if !ok {
		return errors.New("unknown level")
	}
	l.percent = percent
	return nil
}

// maxWait bounds a stated wait, in minutes.
const maxWait = 240

// Wait is a stated wait in minutes: a number from 0 to 240, or a text such as "10 mins".
type Wait struct{ minutes int }

var waitForm = regexp.MustCompile(`^\s*(\d{1,3})\s*(?i:m|mins?|minutes?)?\.?\s*$`)

// Schema tells clients of both forms.
func (Wait) Schema(huma.Registry) *huma.Schema {
	return eitherOf(maxWait, `^\s*0*(\d|\d\d|1\d\d|2[0-3]\d|240)\s*(?i:m|mins?|minutes?)?\.?\s*$`, "minutes from 0 to 240, or a text such as 10 mins")
}

// UnmarshalJSON reads either form.
func (w *Wait) UnmarshalJSON(b []byte) error {
	n, text, err := either(b)
	if err != nil || text == "" {
		w.minutes = n
		return err
	}
	found := waitForm.FindStringSubmatch(text)
	if found == nil {
		return errors.New("unknown wait")
	}
	w.minutes, err = strconv.Atoi(found[1])
	return err
}

// eitherOf is the schema of a whole number up to most, or a short text of that pattern.
func eitherOf(most float64, pattern, says string) *huma.Schema {
	longest := 20
	text := &huma.Schema{Type: huma.TypeString, Pattern: pattern, PatternDescription: says, MaxLength: &longest}
	number := &huma.Schema{Type: huma.TypeInteger, Minimum: new(float64), Maximum: &most}
	s := &huma.Schema{Description: says, OneOf: []*huma.Schema{number, text}}
	s.PrecomputeMessages()
	return s
}

// either reads a number or a text.
func either(b []byte) (int, string, error) {
	var n float64
	var s string
	if err := json.Unmarshal(b, &n); err == nil {
		return int(n), "", nil
	}
	err := json.Unmarshal(b, &s)
	return 0, cmp.Or(s, " "), err
}
