package forecast

import "time"

// Calendar says which days are unlike others: a day of the place's clock, as YYYY-MM-DD, and its kind. Days of one kind are alike, whatever weekday they
// fall on. It may know days to come; what they were like is learnt when they are over.
type Calendar map[string]string

// Holiday is the kind of days on which nobody works: like a Sunday, until one was seen.
const Holiday = "holiday"

// keepSpecial is how much of the mean of a kind of days is kept when another one is over.
const keepSpecial = 0.5

// kind is that of a time's day; "" for one like others.
func (a *Adaptive) kind(at time.Time) string {
	if len(a.calendar) == 0 {
		return ""
	}
	if a.zone != nil {
		at = at.In(a.zone)
	}
	return a.calendar[at.Format(time.DateOnly)]
}

// special is what days of a kind were like, by slot, and what would have been usual on them.
type special struct {
	came, usual    []mean
	people, others float64 // all that came, and that were usual
}

// learnSpecial takes what was on a day of a kind. Days on which nothing was usual yet teach nothing.
func (a *Adaptive) learnSpecial(kind string, at time.Time, people float64) {
	week, day := a.slots(at)
	usual, ok := a.ordinary(week, day)
	if !ok {
		return
	}
	s := a.special[kind]
	if s == nil {
		s = &special{came: make([]mean, perDay), usual: make([]mean, perDay)}
		a.special[kind] = s
	}
	slot := week % perDay
	s.came[slot].add(people, keepSpecial)
	s.usual[slot].add(usual.mean(), keepSpecial)
	s.people, s.others = s.people+people, s.others+usual.mean()
}

// of is what a day of the kind makes one expect: what came on those before, and more or less by how much more or less is usual on this one; false if
// none was seen at this time of the day.
func (s *special) of(usual float64, slot int) (profile, bool) {
	if s == nil || s.came[slot].weight == 0 {
		return profile{}, false
	}
	ratio := min(s.people/max(s.others, 1), 3)
	v := max(0, smooth(s.came, slot)+ratio*(usual-smooth(s.usual, slot)))
	return profile{fast: v, slow: v, day: v}, true
}
