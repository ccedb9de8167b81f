package digest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"nexus"
)

const (
	// maxClauses bounds where a sentence is cut.
	maxClauses = 30
	// maxActions is how many things a mail asks for at most, in its summary.
	maxActions = 10
	// urgentWithin is how soon something is to be done that is urgent.
	urgentWithin = 48 * time.Hour
)

// Local makes summaries without a model. It implements ai.Digest.
type Local struct{}

// Summarize makes a summary for a reader in a zone at a time. It passes Check.
func (Local) Summarize(l nexus.Letter, now time.Time, zone *time.Location) nexus.MailSummary {
	base := l.SentAt
	if base.IsZero() || base.After(now.Add(24*time.Hour)) {
		base = now
	}
	base = base.In(zone)
	subject := ""
	if s := strings.Join(strings.Fields(l.Subject), " "); !instructs(s) {
		subject = replied.ReplaceAllString(s, "")
	}
	said := sentences(l.Text)
	s := nexus.MailSummary{
		Summary: gist(subject, said, base), Category: category(subject, said), Suspicious: Local{}.Suspicious(l), Engine: nexus.EngineLocal, Actions: actions(said, base),
	}
	s.Urgent = urgent(subject, said, s, now)
	return s
}

var replied = regexp.MustCompile(`(?i)^(?:(?:re|fwd?|aw|wg)\s*:\s*)+`)

// Suspicious reports whether a mail tries to instruct the machine that reads it.
func (Local) Suspicious(l nexus.Letter) bool {
	text := l.Text
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	return instructs(l.Subject) || instructs(text) || instructs(l.FromName)
}

// gist is the sentence that says most, cut to MaxSummaryWords; the subject if there is none.
//
// Sentences are weighed as in H. P. Edmundson, New Methods in Automatic Extracting (1969): by the words that the mail uses often (H. P. Luhn, 1958), those of
// its title, its place, and cues, which are here a time and what a reader is asked for.
func gist(subject string, said []sentence, base time.Time) string {
	often := map[string]int{}
	for _, s := range said {
		for _, w := range keywords(s.text) {
			often[w]++
		}
	}
	title := slices.DeleteFunc(keywords(subject), loud.MatchString)
	best, named, most := "", false, -1.0
	for _, s := range said {
		words := keywords(s.text)
		if len(words) == 0 {
			continue
		}
		weight, names := 0.0, 0.0
		for _, w := range words {
			weight += float64(min(often[w], 5))
			if slices.Contains(title, w) {
				names++
			}
		}
		score := weight/float64(len(words)) + 1.5*min(names, 3) + 2/float64(1+s.place)
		if len(dates(s.text, base)) > 0 {
			score += 2.5
		}
		if asks(s.text) {
			score += 1.5
		}
		if pleasantry.MatchString(s.text) {
			score -= 4
		}
		if len(words) < 3 {
			score -= 2
		}
		if score > most {
			best, named, most = s.text, names > 0, score
		}
	}
	if best == "" {
		best, named = subject, true
	}
	about := shorten(subject, nexus.MaxSummaryWords/3, base)
	if room := nexus.MaxSummaryWords - len(strings.Fields(about)); !named && len(title) > 0 { // what it is about, and then what it says
		best = strings.TrimRight(about, " .:!") + ": " + shorten(best, room, base)
	} else {
		best = shorten(best, nexus.MaxSummaryWords, base)
	}
	if best == "" {
		return "A mail without text."
	}
	return best
}

// loud are words of subjects that say nothing about the mail.
var loud = regexp.MustCompile(`^(?:urgent|important|reminder|attention|notice|announcement|information|regarding|update|amazing|free|final|last|gentle)$`)

// clauseEnd is where a sentence may be cut.
var clauseEnd = regexp.MustCompile(`[,;:]\s+|\s[-–—]\s|\s\(|\)\s|\s(?:and|but|so|which|who|because|as|while|failing which|otherwise)\s`)

// shorten cuts a sentence to so many words: to the clauses around the time that it speaks of, or its beginning.
func shorten(text string, most int, base time.Time) string {
	text = tidy(text)
	if len(strings.Fields(text)) <= most {
		return text
	}
	cuts := []int{0}
	for _, m := range clauseEnd.FindAllStringIndex(text, maxClauses) {
		cuts = append(cuts, m[0])
	}
	cuts = append(cuts, len(text))
	when := dates(text, base)
	best, value := "", -1
	for i := range cuts {
		for _, end := range cuts[i+1:] {
			part := strings.TrimSpace(strings.Trim(strings.TrimSpace(text[cuts[i]:end]), ",;:()-–—"))
			part = leading.ReplaceAllString(part, "")
			words := len(strings.Fields(part))
			if words > most {
				break
			}
			worth := words
			if i == 0 {
				worth += 8
			}
			for _, w := range when {
				if w.start >= cuts[i] && w.end <= end {
					worth += 12
					break
				}
			}
			if asks(part) {
				worth += 5
			}
			if words >= 4 && worth > value {
				best, value = part, worth
			}
		}
	}
	if best == "" {
		best = strings.Join(strings.Fields(text)[:most-1], " ") + " …"
	}
	return best
}

var leading = regexp.MustCompile(`^(?:and|but|so|which|who|because|as|while|otherwise)\s+`)

// address is a place of the web, which a summary does not repeat.
var address = regexp.MustCompile(`(?i)\b(?:https?://|www\.)\S+`)

// trailing is what led to an address that is left out.
var trailing = regexp.MustCompile(`(?i)\s+(?:(?:at|on|via|from|to|see|visit|here|link|using|through|this|the)\s*[:.]?\s*)+$`)

// tidy is a text on one line, without addresses of the web and what cannot be seen.
func tidy(text string) string {
	text = trailing.ReplaceAllString(address.ReplaceAllString(text, ""), "")
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
	words := strings.Fields(text)
	for i, w := range words { // what is no word is a hundred bytes at most
		if len(w) > 60 {
			words[i] = strings.ToValidUTF8(w[:60], "")
		}
	}
	return strings.Join(words, " ")
}

// asking is what a reader is asked in.
var asking = regexp.MustCompile(`(?i)\b(?:please|kindly|must|are (?:required|requested|advised|instructed|asked|expected|directed) to|is (?:required|mandatory|compulsory)|need(?:s)? to|have to|has to|ensure|make sure|don'?t forget|last date|deadline|due (?:by|on|date)|on or before|not later than|no later than|mandatory|compulsory|should|bhar do|bharo|jama kar\w*|zaroor|karna (?:hai|hoga)|kar dein?|kar do|bhej (?:do|dein?)|le aana|aana hai)\b|` +
	`(?i)^(?:submit|register|pay|report|attend|bring|collect|fill|complete|upload|apply|confirm|reply|send|sign|return|download|check|visit|book|vote|enrol|enroll|verify|renew|update|clear|deposit|join|assemble|carry|remember|rsvp|evacuate|vacate|stay|avoid|contact|meet|log ?in|click|share|read|review|prepare|note)\b`)

// asksNothing is what looks like it and is none.
var asksNothing = regexp.MustCompile(`(?i)\b(?:please (?:find|note that|ignore)|no action|need not|not required|not mandatory|not necessary|optional)\b`)

func asks(text string) bool { return asking.MatchString(text) && !asksNothing.MatchString(text) }

// actions are the sentences that ask the reader for something, the most pressing of ten first, in the order of the mail.
func actions(said []sentence, base time.Time) []nexus.MailAction {
	list := []nexus.MailAction{}
	for _, s := range said {
		if !asks(s.text) || pleasantry.MatchString(s.text) || len(list) == maxActions {
			continue
		}
		evidence := s.text
		if len(evidence) > maxEvidence {
			evidence = strings.TrimSpace(strings.ToValidUTF8(evidence[:maxEvidence], ""))
		}
		a := nexus.MailAction{Text: shorten(s.text, nexus.MaxSummaryWords, base), Evidence: evidence}
		if a.DueAt = due(s.text, base); a.DueAt != nil && !plausible(*a.DueAt, base) {
			a.DueAt = nil
		}
		if a.Text != "" {
			list = append(list, a)
		}
	}
	return list
}

// danger is what cannot wait.
var danger = regexp.MustCompile(`(?i)\b(?:evacuat\w*|fire (?:alarm|has|in|broke)|emergency|gas leak|bomb threat|cyclone|earthquake|flood(?:ing|ed)?|red alert|stay indoors|do not leave|missing (?:student|person)|intruder|immediate(?:ly)? (?:vacate|leave)|curfew)\b`)

// pressing are words of urgency, which count for something that is asked for alone.
var pressing = regexp.MustCompile(`(?i)\b(?:urgent(?:ly)?|immediate(?:ly)?|asap|at the earliest|right away|without (?:any )?delay|final reminder|last (?:reminder|chance|day)|turant|jaldi|abhi)\b`)

// drill says that something is not meant.
var drill = regexp.MustCompile(`(?i)\b(?:drill|mock|exercise|workshop|seminar|training|course|lecture|awareness)\b`)

// Urgent reports whether a summary's actions, or its mail, make it urgent: by their times and by what the mail says, whatever the summary says itself.
func (Local) Urgent(l nexus.Letter, s nexus.MailSummary, now time.Time) bool {
	return urgent(l.Subject, sentences(l.Text), s, now)
}

// urgent says whether something must be done within urgentWithin, or somebody is in danger. Words alone do not make it so.
func urgent(subject string, said []sentence, s nexus.MailSummary, now time.Time) bool {
	for _, a := range s.Actions {
		if a.DueAt != nil {
			if left := a.DueAt.Sub(now); left > -time.Hour && left <= urgentWithin {
				return true
			}
		} else if pressing.MatchString(a.Evidence) && !drill.MatchString(a.Evidence) {
			return true
		}
	}
	if len(s.Actions) > 0 && pressing.MatchString(subject) && slices.ContainsFunc(s.Actions, func(a nexus.MailAction) bool { return a.DueAt == nil }) {
		return true
	}
	text := subject
	for _, x := range said {
		text += "\n" + x.text
	}
	return danger.MatchString(text) && !drill.MatchString(text)
}

// The words of each category; those of more weight are said of hardly anything else.
var categories = []struct {
	category nexus.MailCategory
	words    map[string]int
}{
	{nexus.MailSafety, weights("emergency fire evacuate evacuation cyclone earthquake alarm security ambulance police theft harassment ragging safety intruder curfew:3", "gate guard alert missing danger:1")},
	{nexus.MailPlacement, weights("placement internship recruit recruitment recruiter hiring ctc shortlisted resume interview tpo package stipend:3", "company job drive offer career profile eligibility:1")},
	{nexus.MailHostel, weights("hostel mess warden roommate laundry canteen dining menu curfew caretaker:3", "room block water maintenance lights food inmates residents:1")},
	{nexus.MailAcademic, weights("exam examination lecture assignment syllabus semester professor quiz midterm endsem viva lab attendance tutorial coursework backlog timetable thesis project grade grades marks:3", "class course submission faculty seminar credits library book books subject:1")},
	{nexus.MailAdmin, weights("fee fees scholarship certificate documents registrar accounts bonafide office payment dues refund aadhaar enrollment affidavit migration:3", "form portal verification id card receipt bank deadline pay records:1")},
	{nexus.MailEvent, weights("fest festival hackathon concert club competition workshop talk auditions tournament celebration cultural marathon exhibition webinar meetup convocation:3", "event join donation guest prize team participate venue register entry tickets:1")},
}

func weights(groups ...string) map[string]int {
	m := map[string]int{}
	for _, g := range groups {
		words, weight, _ := strings.Cut(g, ":")
		for _, w := range strings.Fields(words) {
			m[w] = int(weight[0] - '0')
		}
	}
	return m
}

// category is the one whose words weigh most; those of the subject count three times.
func category(subject string, said []sentence) nexus.MailCategory {
	best, most := nexus.MailOther, 3 // one word is not enough
	for _, c := range categories {
		score := 0
		count := func(text string, times int) {
			seen := map[string]bool{}
			for _, w := range plainWords(text) {
				if n := max(c.words[w], c.words[strings.TrimSuffix(w, "s")]); n > 0 && !seen[w] {
					seen[w] = true
					score += n * times
				}
			}
		}
		count(subject, 3)
		for _, s := range said {
			count(s.text, 1)
		}
		if score > most {
			best, most = c.category, score
		}
	}
	return best
}

func plainWords(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
}

// common are words that say nothing about what a text is about.
var common = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`a an the and or but if then of to in on at by for from with about into over after before between as is are was were be been being have has had do does did will would shall
		should can could may might must this that these those it its he she they them their there here we us our you your i me my not no yes all any each every both more most other some such only own same
		so than too very just also please kindly hope dear regards thanks ki ka ke ko hai hain se mein par aur ya bhi tha thi`) {
		m[w] = true
	}
	return m
}()

// keywords are the words of a text that say what it is about.
func keywords(text string) (list []string) {
	for _, w := range plainWords(text) {
		if len(w) > 2 && !common[w] {
			list = append(list, w)
		}
	}
	return list
}

const (
	maxEvidence = 600
	// An action's time is no more than dueBefore before the mail, nor dueAfter after it.
	dueBefore = 24 * time.Hour
	dueAfter  = 2 * 366 * 24 * time.Hour
)

func plausible(due, sent time.Time) bool {
	return due.After(sent.Add(-dueBefore)) && due.Before(sent.Add(dueAfter))
}

// Check says what is wrong with a summary of a mail, whoever made it: how long it is, a category that there is not, an action that the mail does not ask for
// in so many words (but for white space), a time that cannot be, and anywhere to go, write, call or pay to that is not the mail's.
func (Local) Check(l nexus.Letter, s nexus.MailSummary) error {
	if err := line("summary", s.Summary, l); err != nil {
		return err
	}
	if n := len(strings.Fields(s.Summary)); n > nexus.MaxSummaryWords {
		return fmt.Errorf("the summary has %d words", n)
	}
	switch s.Category {
	case nexus.MailAcademic, nexus.MailAdmin, nexus.MailEvent, nexus.MailPlacement, nexus.MailHostel, nexus.MailSafety, nexus.MailOther:
	default:
		return fmt.Errorf("there is no category %.20q", s.Category)
	}
	if len(s.Actions) > maxActions {
		return fmt.Errorf("%d actions", len(s.Actions))
	}
	said := onOneLine(l.Subject + "\n" + l.Text)
	for i, a := range s.Actions {
		what := fmt.Sprintf("action %d", i+1)
		if err := line(what, a.Text, l); err != nil {
			return err
		}
		if e := onOneLine(a.Evidence); len(strings.Fields(e)) < 2 || len(a.Evidence) > maxEvidence || !strings.Contains(said, e) {
			return fmt.Errorf("the evidence of %s is not in the mail", what)
		}
		if a.DueAt != nil && !l.SentAt.IsZero() && !plausible(*a.DueAt, l.SentAt) {
			return fmt.Errorf("%s is due at a time that cannot be", what)
		}
	}
	return nil
}

// line checks a text that people are shown.
func line(what, text string, l nexus.Letter) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("%s is empty", what)
	case len(text) > 500:
		return fmt.Errorf("%s has %d bytes", what, len(text))
	case strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Cf, r) && r != '\u200d'
	}):
		return fmt.Errorf("%s has characters that cannot be seen", what)
	}
	said := strings.ToLower(l.Subject + "\n" + l.Text)
	for _, place := range []*regexp.Regexp{address, domain, payee} {
		for _, a := range place.FindAllString(text, -1) {
			if !strings.Contains(said, strings.ToLower(strings.TrimRight(a, ".,;:!?)"))) {
				return fmt.Errorf("%s has an address that is not the mail's", what)
			}
		}
	}
	digits := onlyDigits(said)
	for _, n := range telephone.FindAllString(text, -1) {
		if !day.MatchString(n) && !strings.Contains(digits, onlyDigits(n)) {
			return fmt.Errorf("%s has a number that is not the mail's", what)
		}
	}
	return nil
}

var (
	// domain is a host without what makes it a URL, and what follows it; payee an e-mail address, or one that money is sent to.
	domain = regexp.MustCompile(`(?i)\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?:/\S*)?`)
	payee  = regexp.MustCompile(`(?i)[a-z0-9][a-z0-9._+-]*@[a-z0-9][a-z0-9.-]*`)
	// telephone is a number of seven digits or more, unless it is a day.
	telephone = regexp.MustCompile(`\+?\d(?:[\s().-]?\d){6,}`)
	day       = regexp.MustCompile(`^(?:\d{4}-\d{2}-\d{2}|\d{1,2}[.-]\d{1,2}[.-]\d{4})$`)
)

func onlyDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text)
}

func onOneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
