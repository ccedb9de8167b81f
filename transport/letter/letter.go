// Package letter reads mails as they come over the wire, whatever their form, and has them kept for people.
package letter

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"math/bits"
	"net/mail"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/jhillyerd/enmime/v2"

	"nexus"
)

const (
	// MaxBytes bounds a mail as it comes.
	MaxBytes = 5 << 20
	// maxText bounds what is kept of its text, in bytes.
	maxText = 256 << 10
	// maxParts and maxNested bound what it is made of: each part costs far more than its bytes, and each level around a byte reads it again.
	maxParts  = 500
	maxNested = 20
	// maxEnds bounds how often the parser asks on after a mail's end: of parts that nobody closed, twice as often with each level around them.
	maxEnds = 100_000
	// patience bounds how long one is read, for levels of parts can be written so that only the parser sees them: it takes a tenth of a second for a megabyte.
	patience = 10 * time.Second
	// maxHead bounds the headers together, in bytes.
	maxHead = 64 << 10
	// maxHeader bounds a subject and a name, in characters.
	maxHeader = 300
)

// parser leaves out what is broken, and goes on with the rest.
var parser = enmime.NewParser(enmime.SkipMalformedParts(true), enmime.MultipartWOBoundaryAsSinglePart(true), enmime.StripMediaTypeInvalidCharacters(true),
	enmime.MaxStoredPartErrors(20), enmime.DisableTextConversion(true), enmime.SetReadPartErrorPolicy(enmime.AllowCorruptTextPartErrorPolicy))

// reading is held by whoever reads a mail: what is written to be costly must not take more than one processor.
var reading = make(chan struct{}, 1)

// Parse reads a mail, one at a time. Its errors are nexus.TooLarge, and nexus.Invalid on the field "mail" for what is none.
func Parse(raw []byte) (l nexus.Letter, err error) {
	defer func() { // a mail that the parser does not survive, or does not come to an end with, is none
		if recover() != nil {
			l, err = nexus.Letter{}, nexus.InvalidField("mail", "cannot be read")
		}
	}()
	if err := bounded(raw); err != nil {
		return l, err
	}
	reading <- struct{}{}
	defer func() { <-reading }()
	e, err := parser.ReadEnvelope(&wire{left: raw, until: time.Now().Add(patience)})
	if err != nil || len(e.GetHeaderKeys()) == 0 {
		return l, nexus.InvalidField("mail", "is no mail")
	}
	l = nexus.Letter{
		MessageID: cut(strings.Trim(plain(e.GetHeader("Message-Id")), "<> "), maxHeader), Subject: cut(plain(e.GetHeader("Subject")), maxHeader), Text: text(e),
	}
	l.From, l.FromName = sender(e)
	if at, err := mail.ParseDate(e.GetHeader("Date")); err == nil && at.Year() >= 1990 && at.Before(time.Now().Add(48*time.Hour)) {
		l.SentAt = at.UTC().Truncate(time.Millisecond)
	}
	return l, nil
}

// boundary is the parameter by which a part says that it is made of parts, of whatever type it is.
var boundary = regexp.MustCompile(`(?i)boundary[*0-9]*\s*=`)

// wire hands a mail to the parser. It panics where the parser does not come to an end, which asks again after any error.
type wire struct {
	left  []byte
	until time.Time
	ends  int
}

func (w *wire) Read(p []byte) (int, error) {
	if !time.Now().Before(w.until) {
		panic("the parser takes too long")
	}
	if len(w.left) > 0 {
		n := copy(p, w.left)
		w.left = w.left[n:]
		return n, nil
	}
	if w.ends++; w.ends > maxEnds {
		panic("the parser asks on and on after the end")
	}
	return 0, io.EOF
}

// bounded refuses what would cost too much to read.
func bounded(raw []byte) error {
	if len(raw) > MaxBytes {
		return nexus.Errorf(nexus.TooLarge, "a mail has at most %d bytes", MaxBytes)
	}
	head, _, _ := bytes.Cut(raw, []byte("\n\r\n"))
	if short, _, cut := bytes.Cut(head, []byte("\n\n")); cut {
		head = short
	}
	if len(head) > maxHead {
		return nexus.InvalidField("mail", "has more than %d bytes of headers", maxHead)
	}
	if n := len(boundary.FindAllIndex(raw, maxNested+1)); n > maxNested {
		return nexus.InvalidField("mail", "is nested too deeply")
	}
	if n := bytes.Count(raw, []byte("\n--")); n > maxParts {
		return nexus.InvalidField("mail", "has more than %d parts", maxParts)
	}
	return nil
}

// sender is whom a mail says that it is from; any text, if that is no address.
func sender(e *enmime.Envelope) (address, name string) {
	for _, header := range []string{"From", "Sender", "Return-Path"} {
		list, err := e.AddressList(header)
		if err != nil {
			list, err = mail.ParseAddressList(plain(e.GetHeader(header)))
		}
		if err == nil && len(list) > 0 && list[0].Address != "" {
			return cut(plain(list[0].Address), 320), cut(plain(list[0].Name), maxHeader)
		}
	}
	return cut(plain(e.GetHeader("From")), 320), ""
}

// text is what a reader sees. The plain text counts, unless it is missing or only says that there is something else.
func text(e *enmime.Envelope) string {
	written := tidy(rightWay(e.Text))
	if r := e.Root; r != nil && r.FirstChild == nil && strings.HasPrefix(r.ContentType, "multipart/") { // it names no boundary
		written = tidy(string(r.Content))
	}
	if shown := tidy(seen(e.HTML)); shown != "" && (written == "" || stub(written, shown)) {
		written = shown
	}
	if len(written) > maxText {
		written = strings.ToValidUTF8(written[:maxText], "")
	}
	return written
}

// rightWay is a text of UTF-16 with its bytes in order: the parser takes it for little-endian, whatever its byte order mark says (RFC 2781, section 4.3).
func rightWay(text string) string {
	if !strings.HasPrefix(text, "\uFFFE") {
		return text
	}
	units := utf16.Encode([]rune(text))
	for i, u := range units {
		units[i] = bits.ReverseBytes16(u)
	}
	return string(utf16.Decode(units))
}

// stub reports whether a plain text is there for the sake of form.
func stub(written, shown string) bool {
	return len(written) < 200 && len(shown) > 3*len(written) && strings.Contains(strings.ToLower(written), "html")
}

// tidy is a text with one kind of line end, and nothing in it that no text holds.
func tidy(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u00a0", " ").Replace(strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\uFEFF' {
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// plain is a header's value on one line.
func plain(value string) string { return strings.Join(strings.Fields(tidy(value)), " ") }

// cut returns at most n characters.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:n])
}

// Key is what two deliveries of one mail have in common: who says that it is from whom, and what it says. A Message-ID alone is not enough, for anybody can
// write one: a mail that says something else is another. Of one that says neither which it is nor when it was sent, another day's is another.
func Key(l nexus.Letter, received time.Time) (key [32]byte) {
	h := sha256.New()
	sent := l.SentAt.UTC().Format(time.RFC3339)
	if l.MessageID == "" && l.SentAt.IsZero() {
		sent = received.UTC().Format(time.DateOnly)
	}
	for _, part := range []string{l.MessageID, l.From, l.Subject, l.Text, sent} {
		_ = binary.Write(h, binary.BigEndian, uint32(len(part))) //nolint:gosec // a hash takes all, and parts are bounded
		_, _ = io.WriteString(h, part)
	}
	return [32]byte(h.Sum(nil))
}
