package digest

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxText bounds what is read of a mail: what matters comes early.
	maxText = 16 << 10
	// maxSentences bounds what is weighed, and maxSentence each of it, in bytes.
	maxSentences = 200
	maxSentence  = 1000
	// lookBack is how far before a full stop an abbreviation begins.
	lookBack = 16
)

// sentence is a part of what the writer says, as it stands in the text but for its white space.
type sentence struct {
	text  string
	place int // from the beginning of the mail
}

var (
	quotedFrom  = regexp.MustCompile(`(?i)^(?:on .{5,120} wrote:|-{2,}\s*(?:original|forwarded) message\s*-{2,}|_{10,}|begin forwarded message:)`)
	headerLine  = regexp.MustCompile(`(?i)^(?:from|to|cc|bcc|sent|date|subject|reply-to)\s*:`)
	greeting    = regexp.MustCompile(`(?i)^(?:dear|hi|hello|hey|good (?:morning|afternoon|evening)|greetings|respected|namaste|to (?:all|whom))\b[^.!?:]{0,60}[,!.:]?$`)
	closing     = regexp.MustCompile(`(?i)^(?:(?:thanks|thank you|thanking you|regards|best|best regards|warm regards|kind regards|sincerely|yours (?:sincerely|truly|faithfully)|cheers|with regards|best wishes|dhanyavad|shukriya)\b[^.?]{0,40})[,.!]?$`)
	footer      = regexp.MustCompile(`(?i)\b(?:unsubscribe|this (?:e-?mail|message) (?:and any|is confidential|was sent)|confidential(?:ity)? notice|do not reply to this|auto-?generated|sent from my|view (?:this )?in (?:your )?browser|all rights reserved|privacy policy|please consider the environment)\b`)
	pleasantry  = regexp.MustCompile(`(?i)\b(?:hope (?:this|you|all)|i trust (?:this|you)|trust you are|wish you all|look(?:ing)? forward|feel free to|for any (?:queries|query|questions|clarification)|in case of any (?:queries|query|doubt)|if you have any (?:queries|query|questions|doubt))\b`)
	abbreviated = regexp.MustCompile(`(?i)\b(?:dr|mr|mrs|ms|prof|no|rs|e\.g|i\.e|etc|vs|dept|st|sr|jr|fig|sec|a\.m|p\.m|approx|viz|govt|univ|ext|hon|[a-z])\.$`)
	lettered    = regexp.MustCompile(`(?i)\b(?:hall|room|block|section|group|grade|class|lab|hostel|wing|part|set|batch|gate|plan|vitamin) [a-z]\.$`)
	bullet      = regexp.MustCompile(`^\s*(?:[-*•·▪◦>]+|\(?\d{1,2}[.)]|\(?[a-z][.)])\s+`)
)

// sentences splits what the writer says. What is quoted, and greetings, signatures and footers, are left out, and so is what is said to machines.
func sentences(text string) (list []sentence) {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "")
	}
	for _, p := range paragraphs(text) {
		parts := split(p)
		told := 0
		said := make([]bool, len(parts))
		for i, s := range parts {
			if said[i] = instructs(s); said[i] {
				told++
			}
		}
		if told > 0 && 2*told >= len(parts) {
			continue // the rest of it belongs to it
		}
		for i, s := range parts {
			if said[i] || len(list) >= maxSentences {
				continue
			}
			if words := len(strings.Fields(s)); words >= 2 && !footer.MatchString(s) {
				list = append(list, sentence{s, len(list)})
			}
		}
	}
	return list
}

// paragraphs are what is between empty lines; a line of a list is one of its own.
func paragraphs(text string) (list []string) {
	var now []string
	end := func() {
		if len(now) > 0 {
			list = append(list, strings.Join(now, " "))
			now = nil
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case quotedFrom.MatchString(line), line == "--", line == "-- ":
			end()
			return list
		case strings.HasPrefix(line, ">"), headerLine.MatchString(line) && !instructs(line) && utf8.RuneCountInString(line) < 100 && len(list) == 0 && len(now) == 0:
			continue
		case line == "", greeting.MatchString(line), closing.MatchString(line):
			end()
			continue
		}
		if bullet.MatchString(line) {
			end()
			line = bullet.ReplaceAllString(line, "")
		}
		now = append(now, strings.Join(strings.Fields(line), " "))
	}
	end()
	return list
}

// split splits a paragraph after full stops, question and exclamation marks that end a sentence.
func split(p string) (list []string) {
	start := 0
	for i, r := range p {
		if r != '.' && r != '!' && r != '?' && r != '।' {
			continue
		}
		end := i + utf8.RuneLen(r)
		next, size := utf8.DecodeRuneInString(p[end:])
		if size == 0 || next != ' ' {
			continue
		}
		after, _ := utf8.DecodeRuneInString(p[end+size:])
		last := p[max(start, end-lookBack):end]
		if r == '.' && end-start < maxSentence && (abbreviated.MatchString(last) && !lettered.MatchString(last) || unicode.IsLower(after)) {
			continue
		}
		list = append(list, strings.TrimSpace(p[start:end]))
		start = end
	}
	if rest := strings.TrimSpace(p[start:]); rest != "" {
		list = append(list, rest)
	}
	for i, s := range list {
		if len(s) > maxSentence {
			list[i] = strings.ToValidUTF8(s[:maxSentence], "")
		}
	}
	return list
}
