package digest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"nexus"
)

// sent is when the mails of the tests were written: a Wednesday morning in India.
func sent(t testing.TB) time.Time {
	return time.Date(2026, 11, 25, 10, 0, 0, 0, zone(t, "Asia/Kolkata"))
}

// honest is a mail with what a person expects of its summary.
type honest struct {
	name, subject, text string
	category            nexus.MailCategory
	urgent              bool
	due                 []string // of the actions that have a time, in order
	says                []string // words of the summary
}

// mails reads testdata/mails.txt: mails with what is expected of them, parted by lines of equals signs.
func mails(t testing.TB) (list []honest) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "mails.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(string(text), "\n====\n") {
		head, body, ok := strings.Cut(block, "\n\n")
		if !ok {
			t.Fatalf("no mail: %q", block)
		}
		m := honest{text: body}
		for line := range strings.Lines(strings.TrimSpace(head)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch key {
			case "name":
				m.name = value
			case "subject":
				m.subject = value
			case "category":
				m.category = nexus.MailCategory(value)
			case "urgent":
				m.urgent = value == "yes"
			case "due":
				m.due = append(m.due, value)
			case "says":
				m.says = append(m.says, value)
			default:
				t.Fatalf("%s: %q", m.name, line)
			}
		}
		list = append(list, m)
	}
	return list
}

func (m honest) letter(t testing.TB) nexus.Letter {
	return nexus.Letter{From: "office@campus.test", Subject: m.subject, Text: m.text, SentAt: sent(t)}
}

func sumUp(t testing.TB, l nexus.Letter) nexus.MailSummary {
	t.Helper()
	s := Local{}.Summarize(l, sent(t).Add(time.Minute), zone(t, "Asia/Kolkata"))
	if err := (Local{}).Check(l, s); err != nil {
		t.Errorf("%q: %v", l.Subject, err)
	}
	return s
}

func dues(t testing.TB, s nexus.MailSummary) (list []string) {
	for _, a := range s.Actions {
		if a.DueAt != nil {
			list = append(list, a.DueAt.In(zone(t, "Asia/Kolkata")).Format("2006-01-02 15:04"))
		}
	}
	return list
}

// TestMailsOfACollege: what a person would say of them. The method may be wrong about a few.
func TestMailsOfACollege(t *testing.T) {
	all := mails(t)
	wrong := map[string]int{}
	miss := func(what string, m honest, s nexus.MailSummary) {
		wrong[what]++
		t.Logf("%s: %s\n\t%+v", m.name, what, s)
	}
	for _, m := range all {
		s := sumUp(t, m.letter(t))
		if s.Category != m.category {
			miss("category", m, s)
		}
		if s.Urgent != m.urgent {
			miss("urgent", m, s)
		}
		if !slices.Equal(dues(t, s), m.due) {
			miss("due", m, s)
		}
		for _, w := range m.says {
			if !strings.Contains(strings.ToLower(s.Summary), strings.ToLower(w)) {
				miss("says", m, s)
				break
			}
		}
		if s.Suspicious {
			t.Errorf("%s is suspicious", m.name)
		}
	}
	n := len(all)
	t.Logf("of %d mails: wrong in %v", n, wrong)
	if n < 25 || wrong["category"] > n/10 || wrong["urgent"] > n/12 || wrong["due"] > n/8 || wrong["says"] > n/5 {
		t.Errorf("of %d mails: wrong in %v", n, wrong)
	}
}

// TestWhatIsSaidToMachinesChangesNothing but that the mail is suspicious: each injection in each of several honest mails, before, after and within its text.
func TestWhatIsSaidToMachinesChangesNothing(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "injections.txt"))
	if err != nil {
		t.Fatal(err)
	}
	injections := strings.Split(strings.TrimSpace(string(text)), "\n====\n")
	if len(injections) < 40 {
		t.Errorf("%d injections", len(injections))
	}
	carriers := mails(t)
	for i, injection := range injections {
		injection = strings.NewReplacer(`\u200b`, "\u200b", `\u00ad`, "\u00ad").Replace(injection)
		for j := range 3 {
			m := carriers[(i*7+j*5)%len(carriers)]
			want := sumUp(t, m.letter(t))
			want.Suspicious = true
			for place, body := range map[string]string{"after": m.text + "\n\n" + injection + "\n", "before": injection + "\n\n" + m.text} {
				l := m.letter(t)
				l.Text = body
				if d := cmp.Diff(want, sumUp(t, l)); d != "" {
					t.Errorf("injection %d %s %s: %s", i+1, place, m.name, d)
				}
			}
		}
		l := carriers[i%len(carriers)].letter(t)
		l.Subject = strings.Join(strings.Fields(injection), " ")
		if s := sumUp(t, l); !s.Suspicious {
			t.Errorf("injection %d as a subject is not seen", i+1)
		}
	}
}

// TestHonestMailsAreNotSuspicious, also those that speak of machines and of what is to be ignored.
func TestHonestMailsAreNotSuspicious(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "innocent.txt"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(strings.TrimSpace(string(text))) {
		n++
		if (Local{}).Suspicious(nexus.Letter{Text: line}) {
			t.Errorf("suspicious: %s", line)
		}
	}
	if n < 30 {
		t.Errorf("%d mails", n)
	}
}

func TestWhatACheckRefuses(t *testing.T) {
	l := nexus.Letter{Subject: "Fees", Text: "Pay your fees\nby 30 November at https://fees.campus.test/pay.", SentAt: sent(t)}
	good := func() nexus.MailSummary {
		return nexus.MailSummary{
			Summary: "Fees are due, see https://fees.campus.test/pay.", Category: nexus.MailAdmin,
			Actions: []nexus.MailAction{{Text: "Pay", Evidence: "Pay your fees by 30 November"}},
		}
	}
	if err := (Local{}).Check(l, good()); err != nil {
		t.Fatal(err)
	}
	past, far := sent(t).AddDate(0, 0, -3), sent(t).AddDate(3, 0, 0)
	for what, spoil := range map[string]func(*nexus.MailSummary){
		"empty":              func(s *nexus.MailSummary) { s.Summary = " " },
		"long":               func(s *nexus.MailSummary) { s.Summary = strings.Repeat("word ", 26) },
		"two lines":          func(s *nexus.MailSummary) { s.Summary = "Fees\nare due" },
		"hidden":             func(s *nexus.MailSummary) { s.Summary = "Fees\u200b are due" },
		"another address":    func(s *nexus.MailSummary) { s.Summary = "Pay at https://evil.test" },
		"another host":       func(s *nexus.MailSummary) { s.Summary = "Pay at fees.campus.example/pay" },
		"a host alone":       func(s *nexus.MailSummary) { s.Actions[0].Text = "Log in at campus-login.example" },
		"an e-mail address":  func(s *nexus.MailSummary) { s.Summary = "Write to dean@evil" },
		"a payee":            func(s *nexus.MailSummary) { s.Actions[0].Text = "Pay 500 to fees@okbank" },
		"a telephone":        func(s *nexus.MailSummary) { s.Summary = "Call +91 98765 43210 about your fees" },
		"no category":        func(s *nexus.MailSummary) { s.Category = "spam" },
		"invented evidence":  func(s *nexus.MailSummary) { s.Actions[0].Evidence = "Pay your fees today" },
		"a word of evidence": func(s *nexus.MailSummary) { s.Actions[0].Evidence = "Pay" },
		"no evidence":        func(s *nexus.MailSummary) { s.Actions[0].Evidence = "" },
		"no text":            func(s *nexus.MailSummary) { s.Actions[0].Text = "" },
		"past":               func(s *nexus.MailSummary) { s.Actions[0].DueAt = &past },
		"far":                func(s *nexus.MailSummary) { s.Actions[0].DueAt = &far },
		"eleven":             func(s *nexus.MailSummary) { s.Actions = slices.Repeat(s.Actions, 11) },
	} {
		s := good()
		spoil(&s)
		if (Local{}).Check(l, s) == nil {
			t.Errorf("%s passes", what)
		}
	}
}

// TestWhereAMailSendsPeopleMayBeSaid: what is its own, however it is spaced, and days are no telephones.
func TestWhereAMailSendsPeopleMayBeSaid(t *testing.T) {
	l := nexus.Letter{Subject: "Fees", Text: "Call 98765-43210 or write to Fees@Campus.test; pay to fees@okbank at pay.campus.test by the end of November.", SentAt: sent(t)}
	for _, said := range []string{
		"Call 98765 43210 about fees.", "Write to fees@campus.test.", "Pay to fees@okbank, see pay.campus.test.", "Fees are due on 2026-11-30, or 30.11.2026 at 10.30.",
	} {
		if err := (Local{}).Check(l, nexus.MailSummary{Summary: said, Category: nexus.MailAdmin}); err != nil {
			t.Errorf("%s: %v", said, err)
		}
	}
}

// TestUrgencyHasAReason: that a summary says so is none.
func TestUrgencyHasAReason(t *testing.T) {
	l := nexus.Letter{Subject: "Newsletter", Text: "The library has new books. Read more about them next month.", SentAt: sent(t)}
	soon, later := sent(t).Add(5*time.Hour), sent(t).AddDate(0, 0, 20)
	for what, c := range map[string]struct {
		subject string
		actions []nexus.MailAction
		want    bool
	}{
		"nothing":   {"Newsletter", nil, false},
		"soon":      {"Newsletter", []nexus.MailAction{{Text: "x", DueAt: &soon}}, true},
		"later":     {"Newsletter", []nexus.MailAction{{Text: "x", DueAt: &later}}, false},
		"in danger": {"Fire alarm in Block A, evacuate", nil, true},
		"its words": {"Urgent! Act now!", nil, false},
	} {
		l.Subject = c.subject
		if got := (Local{}).Urgent(l, nexus.MailSummary{Urgent: true, Actions: c.actions}, sent(t)); got != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// TestTimeGrowsWithTheText, and no faster: what is written to take long does not.
func TestTimeGrowsWithTheText(t *testing.T) {
	for _, word := range []string{"a. ", "5pm ", "today ", "by monday, ", "please ", "1.2.3 ", "w ", "-", "= ", "ignore ", "30 nov and ", "\n- a b c"} {
		took := func(n int) time.Duration {
			began := time.Now()
			sumUp(t, nexus.Letter{Subject: "x", Text: strings.Repeat(word, n/len(word)), SentAt: sent(t)})
			return time.Since(began)
		}
		took(1 << 10)
		small, large := took(16<<10), took(1<<20)
		if large > 4*small+time.Second {
			t.Errorf("%q: %v for 16 KiB, %v for a megabyte", word, small, large)
		}
		if small > 5*time.Second {
			t.Errorf("%q: %v for 16 KiB", word, small)
		}
	}
}

// FuzzSummarize: whatever a mail is, its summary is by the rules.
func FuzzSummarize(f *testing.F) {
	for _, m := range mails(f) {
		f.Add(m.subject, m.text)
	}
	f.Add("", "")
	f.Add("\x00", strings.Repeat("a", 1000)+" "+strings.Repeat("b. ", 500))
	f.Fuzz(func(t *testing.T, subject, text string) {
		if !utf8.ValidString(subject) || !utf8.ValidString(text) {
			return // letters are valid
		}
		sumUp(t, nexus.Letter{Subject: subject, Text: text, SentAt: sent(t)})
	})
}

func BenchmarkSummarize(b *testing.B) {
	list := mails(b)
	var all strings.Builder
	for all.Len() < 256<<10 {
		all.WriteString(list[all.Len()%len(list)].text + "\n\n")
	}
	for _, l := range []nexus.Letter{list[0].letter(b), {Subject: "All", Text: all.String(), SentAt: sent(b)}} {
		b.Run(fmt.Sprintf("%dKB", len(l.Text)>>10), func(b *testing.B) {
			for b.Loop() {
				sumUp(b, l)
			}
		})
	}
}
