package digest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// found is a time that a text speaks of, and where.
type found struct {
	at         time.Time
	start, end int // of the words, in bytes
	deadline   bool
}

const (
	monthWords = `jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?`
	dayWords   = `monday|tuesday|wednesday|thursday|friday|saturday|sunday|mon|tues?|wed|thurs?|thu|fri|sat|sun`
	numberWord = `one|two|three|four|five|six|seven|ten|fourteen|fifteen|\d{1,3}`
)

// The forms of days. Where a day is written in numbers, it comes first, as in India and most of the world.
var dayForms = []struct {
	form *regexp.Regexp
	day  func(m []string, base time.Time) (time.Time, bool)
}{
	{regexp.MustCompile(`\b(\d{4})-(\d{1,2})-(\d{1,2})\b`), func(m []string, base time.Time) (time.Time, bool) {
		return ymd(m[1], m[2], m[3], base)
	}},
	{regexp.MustCompile(`\b(\d{1,2})\s?[/.-]\s?(\d{1,2})\s?[/.-]\s?(\d{4}|\d{2})\b`), func(m []string, base time.Time) (time.Time, bool) {
		return ymd(m[3], m[2], m[1], base)
	}},
	{ // 28-30 November, 28 to 30 November 2026: the last of them
		regexp.MustCompile(`\b\d{1,2}(?:st|nd|rd|th)?\s*(?:-|–|to|till|and|&)\s*(\d{1,2})(?:st|nd|rd|th)?\s*(?:of\s+)?(` + monthWords + `)\b\.?,?\s*(?:(\d{4})\b|'(\d{2})\b)?`),
		func(m []string, base time.Time) (time.Time, bool) { return ymd(m[3]+m[4], m[2], m[1], base) },
	},
	{
		regexp.MustCompile(`\b(\d{1,2})(?:st|nd|rd|th)?[\s-]*(?:of\s+)?(` + monthWords + `)\b\.?[,-]?\s*(?:(\d{4})\b|'(\d{2})\b)?`),
		func(m []string, base time.Time) (time.Time, bool) { return ymd(m[3]+m[4], m[2], m[1], base) },
	},
	{
		regexp.MustCompile(`\b(` + monthWords + `)\b\.?\s+(?:\d{1,2}(?:st|nd|rd|th)?\s*(?:-|–|to)\s*)?(\d{1,2})(?:st|nd|rd|th)?\b(?:,?\s*(\d{4})\b|\s*'(\d{2})\b)?`),
		func(m []string, base time.Time) (time.Time, bool) { return ymd(m[3]+m[4], m[1], m[2], base) },
	},
	{
		regexp.MustCompile(`\b(?:by|before|on|till|until|tak|date:?)\s+(\d{1,2})/(\d{1,2})\b`),
		func(m []string, base time.Time) (time.Time, bool) { return ymd("", m[2], m[1], base) },
	},
	{regexp.MustCompile(`\bday after tomorrow\b|\bparso(?:n)?\b`), inDays(2)},
	{regexp.MustCompile(`\btomorrow\b|\btmrw\b|\bkal tak\b|\bkal subah\b`), inDays(1)},
	{regexp.MustCompile(`\btoday\b|\btonight\b|\baaj\b|\bthis (?:morning|afternoon|evening)\b|\b(?:by|before) (?:eod|cob|end of (?:the )?day)\b`), inDays(0)},
	{
		regexp.MustCompile(`\b(?:(next|this|coming)\s+)?(` + dayWords + `)\b\.?`),
		func(m []string, base time.Time) (time.Time, bool) { return weekday(m[1], m[2], base), true },
	},
	{
		regexp.MustCompile(`\b(?:within|in|next)\s+(?:the\s+next\s+)?(` + numberWord + `)\s+(?:working\s+)?(day|week)s?\b`),
		func(m []string, base time.Time) (time.Time, bool) {
			n := number(m[1])
			if m[2] == "week" {
				n *= 7
			}
			return base.AddDate(0, 0, n), n > 0 && n <= 366
		},
	},
	{regexp.MustCompile(`\b(?:end of (?:the|this) month|month[- ]end)\b`), func(_ []string, base time.Time) (time.Time, bool) {
		return time.Date(base.Year(), base.Month()+1, 0, 0, 0, 0, 0, base.Location()), true
	}},
	{regexp.MustCompile(`\b(?:end of (?:the|this) week|this week)\b`), func(_ []string, base time.Time) (time.Time, bool) {
		return weekday("", "saturday", base), true
	}},
}

func inDays(n int) func([]string, time.Time) (time.Time, bool) {
	return func(_ []string, base time.Time) (time.Time, bool) { return base.AddDate(0, 0, n), true }
}

// ymd is a day in numbers or with a month's name; without a year the next such day. Days that there are not are none.
func ymd(year, month, day string, base time.Time) (time.Time, bool) {
	d, _ := strconv.Atoi(day)
	m, err := strconv.Atoi(month)
	if err != nil {
		m = strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", month[:3])/3 + 1
	}
	y, _ := strconv.Atoi(year)
	if y > 0 && y < 100 {
		y += 2000
	}
	of := func(y int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, base.Location()) }
	at := of(y)
	if y == 0 {
		y = base.Year()
		if at = of(y); at.Before(midnight(base)) {
			at = of(y + 1)
		}
	}
	return at, m >= 1 && m <= 12 && at.Day() == d && at.Month() == time.Month(m)
}

// weekday is the next such day; "next" of one that is still to come this week is that of the week after.
func weekday(which, name string, base time.Time) time.Time {
	want := time.Weekday(slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, name[:3]))
	ahead := int(want-base.Weekday()+7) % 7
	if ahead == 0 && which != "this" {
		ahead = 7
	}
	monday := func(t time.Time) time.Time { return midnight(t).AddDate(0, 0, -(int(t.Weekday())+6)%7) }
	if at := base.AddDate(0, 0, ahead); which == "next" && monday(at).Equal(monday(base)) {
		ahead += 7
	}
	return base.AddDate(0, 0, ahead)
}

func number(word string) int {
	if n, err := strconv.Atoi(word); err == nil {
		return n
	}
	return map[string]int{"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "ten": 10, "fourteen": 14, "fifteen": 15}[word]
}

func midnight(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location())
}

// The forms of times of day: of a span the end counts.
var (
	clockTwelve = regexp.MustCompile(`\b(\d{1,2})(?:[:.](\d{2}))?\s*([ap])\.?\s?m\b\.?`)
	clockFull   = regexp.MustCompile(`\b([01]?\d|2[0-3])[:.]?([0-5]\d)\s*(?:hrs|hours|h)\b|\b([01]?\d|2[0-3]):([0-5]\d)\b`)
	clockWord   = regexp.MustCompile(`\b(noon|midnight|eod|cob|end of (?:the )?day)\b`)
	inHours     = regexp.MustCompile(`\b(?:within|in)\s+(?:the\s+next\s+)?(` + numberWord + `)\s+(?:hours?|hrs)\b`)
)

// clock is a time of day, in minutes, and where it is said.
type clock struct{ minute, start, end int }

func clocks(text string) (list []clock) {
	for _, m := range clockTwelve.FindAllStringSubmatchIndex(text, maxDates) {
		hour, minute := atoi(text, m, 1), atoi(text, m, 2)
		if hour < 1 || hour > 12 || minute > 59 {
			continue
		}
		hour %= 12
		if text[m[6]] == 'p' {
			hour += 12
		}
		list = append(list, clock{hour*60 + minute, m[0], m[1]})
	}
	for _, m := range clockFull.FindAllStringSubmatchIndex(text, maxDates) {
		at := clock{atoi(text, m, 1)*60 + atoi(text, m, 2) + atoi(text, m, 3)*60 + atoi(text, m, 4), m[0], m[1]}
		if !slices.ContainsFunc(list, func(o clock) bool { return at.start < o.end && o.start < at.end }) {
			list = append(list, at)
		}
	}
	for _, m := range clockWord.FindAllStringSubmatchIndex(text, maxDates) {
		minute := lastMinute
		if text[m[2]:m[3]] == "noon" {
			minute = 12 * 60
		}
		list = append(list, clock{minute, m[0], m[1]})
	}
	slices.SortFunc(list, func(a, b clock) int { return a.start - b.start })
	return list
}

// lastMinute is when a day ends of which no time is said.
const lastMinute = 23*60 + 59

func atoi(text string, m []int, group int) int {
	if m[2*group] < 0 {
		return 0
	}
	n, _ := strconv.Atoi(text[m[2*group]:m[2*group+1]])
	return n
}

const (
	// nearBy is how many bytes may be between a day and its time, and lookBefore how many are looked at for what makes it a deadline.
	nearBy     = 30
	lookBefore = 60
	// maxDates bounds the days, and the times, of a sentence.
	maxDates = 20
)

// beforeDeadline says that a time is the last one at which something can be done.
var beforeDeadline = regexp.MustCompile(`(?:\b(?:by|before|till|until|within|latest|deadline|last date|due|due date|closes?|ends?|not later than|no later than|on or before|upto|up to)\b[^.]{0,25}|:\s*)$`)

// dates finds the days and times that a text speaks of, by the clock of base, from which relative ones are counted. They come in the order of the text.
func dates(text string, base time.Time) []found {
	text = strings.ToLower(text)
	var list []found
	taken := func(start, end int) bool {
		return slices.ContainsFunc(list, func(f found) bool { return start < f.end && f.start < end })
	}
	for _, form := range dayForms {
		for _, m := range form.form.FindAllStringSubmatchIndex(text, maxDates) {
			if taken(m[0], m[1]) {
				continue
			}
			groups := make([]string, len(m)/2)
			for i := range groups {
				if m[2*i] >= 0 {
					groups[i] = text[m[2*i]:m[2*i+1]]
				}
			}
			if day, ok := form.day(groups, base); ok {
				list = append(list, found{at: midnight(day), start: m[0], end: m[1]})
			}
		}
	}
	slices.SortFunc(list, func(a, b found) int { return a.start - b.start })
	list = withTimes(list, clocks(text), base)
	for _, m := range inHours.FindAllStringSubmatchIndex(text, maxDates) {
		if n := number(text[m[2]:m[3]]); n > 0 && n <= 240 {
			list = append(list, found{at: base.Add(time.Duration(n) * time.Hour), start: m[0], end: m[1], deadline: true})
		}
	}
	for i, f := range list {
		list[i].deadline = f.deadline || beforeDeadline.MatchString(text[max(0, f.start-lookBefore):f.start]) || strings.HasPrefix(text[f.start:], "by ") || strings.HasPrefix(text[f.start:], "before ") ||
			strings.HasPrefix(text[f.start:], "within ") || strings.Contains(text[f.start:f.end], " tak")
	}
	return list
}

// withTimes gives each day the time that is said next to it, the last one if there are several, or the end of the day. A time alone is the next one by the
// clock.
func withTimes(days []found, times []clock, base time.Time) []found {
	minutes := make([]int, len(days))
	for i := range minutes {
		minutes[i] = -1
	}
	var alone []clock
	for _, t := range times {
		best, distance := -1, nearBy
		for i, d := range days {
			gap := max(t.start-d.end, d.start-t.end)
			if gap < distance {
				best, distance = i, gap
			}
		}
		if best < 0 {
			alone = append(alone, t)
			continue
		}
		minutes[best] = t.minute
		days[best].start, days[best].end = min(days[best].start, t.start), max(days[best].end, t.end)
	}
	for i := range days {
		if minutes[i] < 0 {
			minutes[i] = lastMinute
		}
		days[i].at = at(days[i].at, minutes[i])
	}
	for _, t := range alone {
		when := at(midnight(base), t.minute)
		if when.Before(base) {
			when = at(midnight(base).AddDate(0, 0, 1), t.minute)
		}
		days = append(days, found{at: when, start: t.start, end: t.end})
	}
	slices.SortFunc(days, func(a, b found) int { return a.start - b.start })
	return days
}

// at is a minute of a day by the clock on the wall, also on days that are longer or shorter than others.
func at(day time.Time, minute int) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), minute/60, minute%60, 0, 0, day.Location())
}

// due is the time by which what a sentence asks for is to be done: the first that is said to be a deadline, or else the first at all; nil for none.
func due(sentence string, base time.Time) *time.Time {
	list := dates(sentence, base)
	if len(list) == 0 {
		return nil
	}
	first := list[0]
	if i := slices.IndexFunc(list, func(f found) bool { return f.deadline }); i >= 0 {
		first = list[i]
	}
	when := first.at.UTC()
	return &when
}
