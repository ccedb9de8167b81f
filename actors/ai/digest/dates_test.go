package digest

import (
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestDates: what a mail says, written on Wednesday 25 November 2026 at 10:00 in India.
func TestDates(t *testing.T) {
	base := time.Date(2026, 11, 25, 10, 0, 0, 0, zone(t, "Asia/Kolkata"))
	for text, want := range map[string]string{
		"Submit by 30th November 2026":       "2026-11-30 23:59",
		"Submit by 30 Nov":                   "2026-11-30 23:59",
		"Submit by 30-Nov-2026":              "2026-11-30 23:59",
		"Submit by November 30, 2026, 5 PM":  "2026-11-30 17:00",
		"Submit by Nov 30":                   "2026-11-30 23:59",
		"Nov. 30 is the last date":           "2026-11-30 23:59",
		"on or before 30/11/2026":            "2026-11-30 23:59",
		"on or before 30/11/26":              "2026-11-30 23:59",
		"on or before 30-11-26 at 17:00 hrs": "2026-11-30 17:00",
		"on or before 30.11.2026":            "2026-11-30 23:59",
		"by 30/11 please":                    "2026-11-30 23:59",
		"by 05/12/2026":                      "2026-12-05 23:59",
		"by 2026-11-30":                      "2026-11-30 23:59",
		"by 2026-11-30 at 9:30 am":           "2026-11-30 09:30",
		"by 5 pm on Friday":                  "2026-11-27 17:00",
		"Friday, 5:30 p.m.":                  "2026-11-27 17:30",
		"on Friday":                          "2026-11-27 23:59",
		"this Friday":                        "2026-11-27 23:59",
		"next Friday":                        "2026-12-04 23:59",
		"next Monday":                        "2026-11-30 23:59",
		"coming Monday":                      "2026-11-30 23:59",
		"on Wednesday":                       "2026-12-02 23:59",
		"this Wednesday at 4 pm":             "2026-11-25 16:00",
		"by tomorrow":                        "2026-11-26 23:59",
		"tomorrow at 10 am":                  "2026-11-26 10:00",
		"10 am tomorrow":                     "2026-11-26 10:00",
		"day after tomorrow":                 "2026-11-27 23:59",
		"today":                              "2026-11-25 23:59",
		"today by EOD":                       "2026-11-25 23:59",
		"by EOD":                             "2026-11-25 23:59",
		"by end of the day":                  "2026-11-25 23:59",
		"tonight at 9 pm":                    "2026-11-25 21:00",
		"today, before 6 PM":                 "2026-11-25 18:00",
		"before 11:59 PM":                    "2026-11-25 23:59",
		"by 4 pm":                            "2026-11-25 16:00",
		"by 9 am":                            "2026-11-26 09:00",
		"by 12 noon tomorrow":                "2026-11-26 12:00",
		"by noon":                            "2026-11-25 12:00",
		"by 12 pm":                           "2026-11-25 12:00",
		"by 12 am":                           "2026-11-26 00:00",
		"within 3 days":                      "2026-11-28 23:59",
		"within three days":                  "2026-11-28 23:59",
		"within two weeks":                   "2026-12-09 23:59",
		"in the next 48 hours":               "2026-11-27 10:00",
		"within 6 hours":                     "2026-11-25 16:00",
		"28-30 November":                     "2026-11-30 23:59",
		"from 28th to 30th November 2026":    "2026-11-30 23:59",
		"November 28-30":                     "2026-11-30 23:59",
		"on 28 November from 10 am to 5 pm":  "2026-11-28 17:00",
		"by 10 January":                      "2027-01-10 23:59",
		"by 24 November":                     "2027-11-24 23:59",
		"by the end of the month":            "2026-11-30 23:59",
		"by the end of this week":            "2026-11-28 23:59",
		"kal tak form bhar do":               "2026-11-26 23:59",
		"aaj 5 pm tak":                       "2026-11-25 17:00",
		"30 Nov '26":                         "2026-11-30 23:59",
		"the 3rd of December":                "2026-12-03 23:59",
		"at 1700 hrs on 1 December":          "2026-12-01 17:00",
		"Issued on 20 November 2026; the last date is 2 Dec":          "2026-12-02 23:59",
		"The talk on 27 November needs registration by 26 Nov, 6 pm.": "2026-11-26 18:00",
		"Deadline: 1 December 2026, 18:00":                            "2026-12-01 18:00",
		"by 31 February":                                              "",
		"by 45/12/2026":                                               "",
		"by 30/13/2026":                                               "",
		"Room 12, Block 3":                                            "",
		"call 98765-43210":                                            "",
		"version 2.10.4 of the app":                                   "",
		"I may march on":                                              "",
		"":                                                            "",
	} {
		got := ""
		if d := due(text, base); d != nil {
			got = d.In(base.Location()).Format("2006-01-02 15:04")
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestADayEndsByItsOwnClock, also when it is the one on which clocks change.
func TestADayEndsByItsOwnClock(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	for _, base := range []time.Time{time.Date(2026, 3, 27, 10, 0, 0, 0, berlin), time.Date(2026, 10, 23, 10, 0, 0, 0, berlin)} {
		d := due("by Sunday", base)
		if d == nil || d.In(berlin).Format("Mon 15:04") != "Sun 23:59" {
			t.Errorf("%v", d)
		}
	}
}
