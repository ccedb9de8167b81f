package digest

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// What is said to machines that read mail, and hardly ever to people.
var toMachines = []*regexp.Regexp{
	regexp.MustCompile(`\b(?:ignore|disregard|forget|override|bypass|skip|discard)\b.{0,40}\b(?:instructions?|prompts?|guidelines|directives|system message|your rules|your training|what you were told)\b`),
	regexp.MustCompile(`\b(?:new|updated|revised|real|hidden|secret) (?:system )?(?:instructions?|prompt|persona|directive)s?\b`),
	regexp.MustCompile(`\byou are (?:now )?(?:an? |the )?(?:ai|artificial intelligence|assistant|language model|llm|chatbot|gpt|chatgpt|gemini|dan|bot|mail bot|summari[sz]er|model|machine)\b`),
	regexp.MustCompile(`\bas an? (?:ai|artificial intelligence)(?: language)? (?:model|assistant|system)\b|\bas a (?:large )?language model\b`),
	regexp.MustCompile(`(?m)^\W{0,3}(?:system|assistant|developer|user)(?: message| prompt| note)?\s*[:>\]]`),
	regexp.MustCompile(`<\|?/?(?:system|im_start|im_end|assistant|instructions?|endoftext)\b|\[/?(?:inst|system)\]|#{2,}\s*(?:system|instructions?)|-{2,}\s*end of (?:mail|email|message|prompt)`),
	regexp.MustCompile(`\b(?:mark|flag|classify|label|set|treat|categori[sz]e|rate|rank|tag|show|report|consider)\b.{0,25}\b(?:this|the|it|mail|email|message|urgen\w*|category|priority)\b.{0,25}\b(?:as |to |= ?)(?:"|')?(?:not )?(?:urgent|very urgent|true|false|high|critical|top|safe|safety|important|academic|admin|low priority|high priority|top priority|non-urgent|trusted|an emergency)\b`),
	regexp.MustCompile(`\b(?:summari[sz]e|sum up|describe) (?:this|the) (?:mail|email|e-mail|message|text|letter)\b`),
	regexp.MustCompile(`\b(?:your|the|its|any) (?:summary|output|response|answer|json)\b(?: of (?:this|the) (?:mail|email|message))?,? (?:must|should|shall|has to|is to|to (?:be|say|contain|include|read)|contains?|says?|reads?|include)\b`),
	regexp.MustCompile(`\b(?:ai|assistant|model|llm|summari[sz]er|bot|chatbot)s? (?:should|must|shall|has to|is to|will|may only) (?:say|write|output|state|answer|respond|report|mark|ignore|return|print)\b`),
	regexp.MustCompile(`\bin (?:your|the) (?:summary|output|response|json)\b|\bsummary (?:field|text)\b`),
	regexp.MustCompile(`\b(?:output|print|return|write) (?:only|exactly|just|nothing but|verbatim|the following|this text|json|the (?:exact )?(?:words?|text|string|sentence))\b`),
	regexp.MustCompile(`\b(?:respond|reply|answer)\b (?:only |exactly |just )?(?:with|in) (?:only|exactly|just|nothing but|the following|this text|json|"|'|the (?:exact )?(?:words?|text|string|sentence))`),
	regexp.MustCompile(`\b(?:ai|a\.i\.|assistant|llm|language model|chatbot|summari[sz]er|bot|algorithm|machine|filter|software)s?\b.{0,25}\b(?:reading|reads?|processing|summari[sz]ing|parsing|scanning|analy[sz]ing|handling)\b.{0,15}\b(?:this|these|it|mails?|emails?|messages?)\b`),
	regexp.MustCompile(`\b(?:dear|attention|attn|note to|to the|to any|hey|hello|hi|instructions? (?:for|to)(?: the| any)?|message (?:for|to)(?: the)?)[\s:,]+(?:ai|a\.i\.|llms?|assistant|gemini|chatgpt|gpt|bot|model|summari[sz]er|language model|automated (?:system|reader)|mail (?:ai|bot|assistant))\b`),
	regexp.MustCompile(`\b(?:reveal|show|print|leak|repeat|display|tell|expose|disclose)\b.{0,30}\b(?:system prompt|your (?:instructions|prompt|rules|configuration)|api keys?|hidden prompt|environment variables)\b`),
	regexp.MustCompile(`\b(?:developer|debug|god|dan|admin|unrestricted|maintenance) mode\b|\bjailbreak\w*\b|\bprompt injection (?:test|follows)\b`),
	regexp.MustCompile(`\b(?:send|forward|deliver|cc|copy|distribute|notify)\b.{0,25}\b(?:this|the) (?:summary|notification|digest|alert)\b|\badd\b.{0,20}\b(?:all students|everyone|everybody)\b.{0,20}\brecipients?\b|\brecipients?\s*[:=]`),
	regexp.MustCompile(`\b(?:pichhl[ei]|pichl[ei]|purane|upar ke|sabhi|sab|saare)\b.{0,15}\b(?:nirdesh\w*|instructions?|niyam\w*|aadesh\w*)\b|\b(?:nirdesh\w*|instructions?|niyam\w*)\b.{0,15}\b(?:bhool|bhul|ignore|nazar ?andaz|chhod|chod|mat mano)\w*`),
	regexp.MustCompile(`\b(?:is|iss|isko|ise)\b.{0,15}\b(?:mail|email|message)?\b.{0,10}\b(?:urgent|zaroori|jaruri|important)\b.{0,15}\b(?:mark|batao|dikhao|likho|bana do|maano|kar do|ghoshit)\b`),
	regexp.MustCompile(`\b(?:do not|don't|never|must not)\b.{0,10}\b(?:summari[sz]e|mention the|tell the (?:user|student|reader)|warn the|flag)\b`),
	regexp.MustCompile(`["']?\b(?:urgent|suspicious|category|engine)\b["']?\s*[:=]\s*["']?(?:true|false|yes|safety|academic|admin|event|placement|hostel|other|local)\b`),
	regexp.MustCompile(`\{\s*["'](?:summary|urgent|category|actions|role|content)["']`),
	regexp.MustCompile(`\b(?:from now on|henceforth)\b.{0,30}\b(?:you (?:will|must|should|are)|act as|respond|pretend)\b|\b(?:pretend|act|behave|roleplay) (?:to be|as(?: if)?(?: you (?:are|were))?) (?:an? |the )?(?:ai|assistant|model|bot|system|administrator|admin|root|developer|unrestricted)\b`),
	regexp.MustCompile(`\b(?:end|begin|start) of (?:system|user|hidden|untrusted|trusted) (?:prompt|input|content|message|instructions?)\b`),
	regexp.MustCompile(`\bno matter what (?:the|this) (?:mail|email|message|text) says\b|\bregardless of (?:the|this) (?:mail|email|message)(?:'s)? (?:content|text)\b`),
}

// hiddenText is what may be encoded text.
var hiddenText = regexp.MustCompile(`[A-Za-z0-9+/_-]{24,}={0,2}`)

// instructs reports whether a text, plain or encoded, is said to a machine.
func instructs(text string) bool {
	plain := plainly(text)
	for _, form := range toMachines {
		if form.MatchString(plain) {
			return true
		}
	}
	for _, code := range hiddenText.FindAllString(text, 20) {
		if inner, ok := decoded(code); ok && instructs(inner) {
			return true
		}
	}
	return false
}

// decoded is what a word of base64 says, if it says something.
func decoded(code string) (string, bool) {
	code = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(code, "="))
	raw, err := base64.RawStdEncoding.DecodeString(code[:len(code)-len(code)%4])
	if err != nil || len(raw) < 12 {
		return "", false
	}
	for _, r := range string(raw) {
		if r == unicode.ReplacementChar || unicode.IsControl(r) && r != '\n' && r != '\t' {
			return "", false
		}
	}
	return string(raw), true
}

// alike are letters that look like Latin ones.
var alike = strings.NewReplacer(
	"а", "a", "е", "e", "о", "o", "р", "p", "с", "c", "х", "x", "у", "y", "і", "i", "ѕ", "s", "ԁ", "d", "ո", "n", "м", "m", "т", "t", "к", "k", "в", "b", "н", "h", "г", "r", "и", "u", "ɡ", "g", "ı", "i",
	"α", "a", "ε", "e", "ο", "o", "ρ", "p", "ν", "v", "ι", "i", "κ", "k", "τ", "t", "υ", "u", "’", "'", "‘", "'", "“", "\"", "”", "\"", "0", "o", "1", "l", "@", "a", "$", "s",
)

// plainly is a text as a reader takes it: compatibility forms and look-alikes as the usual letters, nothing that cannot be seen, single spaces. Digits that
// stand for letters are taken for these.
func plainly(text string) string {
	text = norm.NFKC.String(text)
	var b strings.Builder
	space := false
	for _, r := range strings.ToLower(text) {
		switch {
		case r == '\n':
			b.WriteRune('\n')
			space = false
			continue
		case unicode.IsSpace(r):
			space = true
			continue
		case unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Mn, r) || unicode.IsControl(r): // zero-width, marks
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return unspaced(alike.Replace(b.String()))
}

// spacedOut is a word whose letters are parted: i g n o r e, i-g-n-o-r-e.
var spacedOut = regexp.MustCompile(`\b(?:[a-z][ .*_-]){4,}[a-z]\b`)

func unspaced(text string) string {
	return spacedOut.ReplaceAllStringFunc(text, func(w string) string {
		return strings.NewReplacer(" ", "", ".", "", "*", "", "_", "", "-", "").Replace(w)
	})
}
