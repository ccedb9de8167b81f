package mess

import (
	"slices"
	"time"

	"nexus"
)

// reference counts the people one by one, as the documentation of State says it.
func reference(rs []Recorded, now time.Time) int {
	type person struct {
		came time.Time
		left bool
	}
	var count *nexus.CrowdEvent
	for _, r := range rs {
		if e := r.Event; e.Absolute != nil && (count == nil || e.At.After(count.At) ||
			e.At.Equal(count.At) && e.Source+"/"+e.EventID >= count.Source+"/"+count.EventID) {
			count = &e
		}
	}
	var people []*person
	if count != nil {
		for range *count.Absolute {
			people = append(people, &person{came: count.At})
		}
	}
	var ins, outs []time.Time
	for _, r := range rs {
		e := r.Event
		if e.Absolute != nil || count != nil && e.At.Before(count.At) {
			continue
		}
		for range max(*e.Delta, 0) {
			ins = append(ins, e.At)
		}
		for range max(-*e.Delta, 0) {
			outs = append(outs, e.At)
		}
	}
	slices.SortFunc(ins, time.Time.Compare)
	slices.SortFunc(outs, time.Time.Compare)
	for _, at := range ins {
		people = append(people, &person{came: at})
	}
	keep := dwell
	for _, at := range outs {
		if !at.Before(now.Add(-4 * dwell)) {
			keep = longest
		}
		for _, p := range people { // whoever came first comes first
			if !p.left && !p.came.After(at) && at.Sub(p.came) <= longest {
				p.left = true
				break
			}
		}
	}
	inside := 0
	for _, p := range people {
		if !p.left && now.Sub(p.came) <= keep {
			inside++
		}
	}
	return inside
}
