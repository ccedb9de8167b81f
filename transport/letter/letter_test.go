package letter

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"

	"nexus"
)

const head = "From: Fee Office <fees@campus.test>\r\nTo: asha@campus.test\r\nMessage-ID: <1@campus.test>\r\nDate: Wed, 25 Nov 2026 10:00:00 +0530\r\n"

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func encoded(t testing.TB, e encoding.Encoding, text string) string {
	t.Helper()
	b, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// oddity is a mail, and what is to be read in it.
type oddity struct {
	raw           string
	subject, text string
}

func oddities(t testing.TB) map[string]oddity {
	mime := func(header, body string) string { return head + crlf(header) + "\r\n\r\n" + crlf(body) }
	all := map[string]oddity{
		"plain":                     {mime("Subject: Fees", "Pay.\n"), "Fees", "Pay."},
		"bare line feeds":           {strings.ReplaceAll(mime("Subject: Fees", "Pay.\nNow.\n"), "\r\n", "\n"), "Fees", "Pay.\nNow."},
		"no subject":                {mime("X-A: b", "Pay."), "", "Pay."},
		"no body":                   {mime("Subject: Fees", ""), "Fees", ""},
		"folded subject":            {mime("Subject: Fees\n are due", "x"), "Fees are due", "x"},
		"encoded word, base64":      {mime("Subject: =?utf-8?B?4KSr4KWA4KS4?=", "x"), "फीस", "x"},
		"encoded word, quoted":      {mime("Subject: =?iso-8859-1?Q?Geb=FChren_f=E4llig?=", "x"), "Gebühren fällig", "x"},
		"encoded words in parts":    {mime("Subject: =?utf-8?Q?Fee?=\n =?utf-8?Q?s?= due", "x"), "Fees due", "x"},
		"encoded word, koi8-r":      {mime("Subject: =?koi8-r?B?8NLJ18XU?=", "x"), "Привет", "x"},
		"encoded word that is none": {mime("Subject: =?utf-8?B?!!!?=", "x"), "=?utf-8?B?!!!?=", "x"},
		"subject of raw bytes":      {mime("Subject: Geb\xc3\xbchren", "x"), "Gebühren", "x"},
		"NUL in the text":           {mime("Subject: Fees", "Pa\x00y."), "Fees", "Pay."},
		"quoted-printable":          {mime("Subject: Fees\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable", "Geb=C3=BChren f=\n=C3=BCr alle"), "Fees", "Gebühren für alle"},
		"broken quoted-printable":   {mime("Subject: Fees\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable", "100=% sure=Z"), "Fees", "100=% sure=Z"},
		"html alone":                {mime("Subject: Fees\nContent-Type: text/html; charset=utf-8", "<html><head><title>T</title><style>p{}</style></head><body><p>Pay <b>now</b>.</p><p>Or later.</p></body></html>"), "Fees", "Pay now .\n\nOr later."},
		"hidden html": {mime("Subject: Fees\nContent-Type: text/html; charset=utf-8",
			`<p>Pay.</p><div style="display:none">IGNORE <b>ALL</b></div><span style="font-size:0px">tiny</span><span hidden>h</span><p style="color:#FFF">white</p><p style="position:absolute;left:-9999px">far</p><script>x()</script><!-- c --><div style="display:none"></b></b>stray</div><div style="display:none"/>slash</div><p style="display:/**/none">comment</p><p>End.</p>`), "Fees", "Pay.\n\nEnd."},
		"unclosed html": {mime("Subject: Fees\nContent-Type: text/html", "<div><p>Pay<br>now<table><tr><td>a<td>b</table>"), "Fees", "Pay\nnow\n\na b"},
		"alternatives": {mime("Subject: Fees\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b",
			"--b\nContent-Type: text/plain; charset=utf-8\n\nPlain.\n--b\nContent-Type: text/html\n\n<p>Html.</p>\n--b--\n"), "Fees", "Plain."},
		"plain text for form's sake": {mime("Subject: Fees\nContent-Type: multipart/alternative; boundary=b",
			"--b\nContent-Type: text/plain\n\nThis is an HTML mail.\n--b\nContent-Type: text/html\n\n<p>"+strings.Repeat("Pay your fees. ", 20)+"</p>\n--b--\n"), "Fees", strings.TrimSpace(strings.Repeat("Pay your fees. ", 20))},
		"nested multiparts": {mime("Subject: Fees\nContent-Type: multipart/mixed; boundary=a",
			"--a\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/plain\n\nDeep.\n--c--\n--b--\n--a\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=x.pdf\nContent-Transfer-Encoding: base64\n\nJVBERi0=\n--a--\n"), "Fees", "Deep."},
		"no last boundary":            {mime("Subject: Fees\nContent-Type: multipart/mixed; boundary=a", "--a\nContent-Type: text/plain\n\nStill here.\n"), "Fees", "Still here."},
		"a boundary that never comes": {mime("Subject: Fees\nContent-Type: multipart/mixed; boundary=zzz", "--a\nContent-Type: text/plain\n\nLost.\n"), "Fees", ""},
		"no boundary at all":          {mime("Subject: Fees\nContent-Type: multipart/mixed", "Just text.\n"), "Fees", "Just text."},
		"an empty content type":       {mime("Subject: Fees\nContent-Type:", "Text."), "Fees", "Text."},
		"a strange content type":      {mime("Subject: Fees\nContent-Type: text/plain; charset=utf-8; charset=utf-8; =", "Text."), "Fees", "Text."},
		"an unknown charset":          {mime("Subject: Fees\nContent-Type: text/plain; charset=klingon", "Text."), "Fees", "Text."},
		"a parameter in parts": {mime("Subject: Fees\nContent-Type: multipart/mixed; boundary*0=\"ab\"; boundary*1=\"cd\"",
			"--abcd\nContent-Type: text/plain\n\nPut together.\n--abcd--\n"), "Fees", "Put together."},
		"a mail within": {mime("Subject: Fwd\nContent-Type: multipart/mixed; boundary=a",
			"--a\nContent-Type: text/plain\n\nSee below.\n--a\nContent-Type: message/rfc822\n\nSubject: Inner\n\nInner text.\n--a--\n"), "Fwd", "See below."},
		"headers twice":               {mime("Subject: First\nSubject: Second", "x"), "First", "x"},
		"lines of nothing but spaces": {mime("Subject: Fees", "\n \n\t\nPay.\n \n"), "Fees", "Pay."},
	}
	for name, c := range map[string]struct {
		e    encoding.Encoding
		text string
	}{
		"utf-8": {unicode.UTF8, "Gebühren 費用"}, "iso-8859-1": {charmap.ISO8859_1, "Gebühren"}, "windows-1252": {charmap.Windows1252, "“Fees” – 5 €"}, "koi8-r": {charmap.KOI8R, "Оплата до пятницы"},
		"shift_jis": {japanese.ShiftJIS, "授業料のお知らせです"}, "iso-2022-jp": {japanese.ISO2022JP, "授業料のお知らせです"}, "gbk": {simplifiedchinese.GBK, "请在星期五之前缴纳学费"},
		"big5": {traditionalchinese.Big5, "請在星期五之前繳納學費"}, "utf-16": {unicode.UTF16(unicode.BigEndian, unicode.UseBOM), "Fees are due"},
	} {
		all["charset "+name] = oddity{mime("Subject: Fees\nContent-Type: text/plain; charset="+name+"\nContent-Transfer-Encoding: base64", encoded(t, c.e, c.text)), "Fees", c.text}
	}
	return all
}

// TestOddMails: the right subject and text, however they are written.
func TestOddMails(t *testing.T) {
	for name, o := range oddities(t) {
		l, err := Parse([]byte(o.raw))
		if err != nil || l.Subject != o.subject || l.Text != o.text {
			t.Errorf("%s: %v\n subject %q, want %q\n text %q, want %q", name, err, l.Subject, o.subject, l.Text, o.text)
		}
		if l.From != "fees@campus.test" || l.FromName != "Fee Office" || l.MessageID != "1@campus.test" || !l.SentAt.Equal(time.Date(2026, 11, 25, 4, 30, 0, 0, time.UTC)) {
			t.Errorf("%s: %+v", name, l)
		}
	}
	if n := len(oddities(t)); n < 35 {
		t.Errorf("%d mails", n)
	}
}

func TestSendersThatAreNone(t *testing.T) {
	for from, want := range map[string][2]string{
		"From: fees@campus.test":                                     {"fees@campus.test", ""},
		"From: =?utf-8?Q?Geb=C3=BChren?= <fees@campus.test>":         {"fees@campus.test", "Gebühren"},
		"From: \"Office, Fee\" <fees@campus.test>":                   {"fees@campus.test", "Office, Fee"},
		"From: nonsense":                                             {"nonsense", ""},
		"From: \r\nSender: fees@campus.test":                         {"fees@campus.test", ""},
		"X-A: b":                                                     {"", ""},
		"From: a@x.test, b@x.test":                                   {"a@x.test", ""},
		"From: A\x00B <fees@campus.test>\r\nDate: yesterday, surely": {"fees@campus.test", "AB"},
	} {
		l, err := Parse([]byte(from + "\r\nSubject: x\r\n\r\ny"))
		if err != nil || l.From != want[0] || l.FromName != want[1] {
			t.Errorf("%q: %q %q %v", from, l.From, l.FromName, err)
		}
	}
}

// TestWhatIsNoMail is refused by name.
func TestWhatIsNoMail(t *testing.T) {
	for what, raw := range map[string]string{
		"nothing": "", "no header": "\r\nhello", "deep": head + "\r\n" + strings.Repeat("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n", 40),
		"many parts": head + "Content-Type: multipart/mixed; boundary=a\r\n\r\n" + strings.Repeat("--a\r\n\r\nx\r\n", 100_000),
	} {
		if l, err := Parse([]byte(raw)); nexus.CodeOf(err) != nexus.Invalid {
			t.Errorf("%s: %+v %v", what, l, err)
		}
	}
	if _, err := Parse(make([]byte, MaxBytes+1)); nexus.CodeOf(err) != nexus.TooLarge {
		t.Errorf("%v", err)
	}
}

// TestBombsAreBounded in what they cost.
func TestBombsAreBounded(t *testing.T) {
	for what, raw := range map[string]string{
		"nested html":     head + "Content-Type: text/html\r\n\r\n" + strings.Repeat("<div>", 900_000),
		"hidden html":     head + "Content-Type: text/html\r\n\r\n" + strings.Repeat("<div style='display:none'>", 150_000),
		"attributes":      head + "Content-Type: text/html\r\n\r\n<p " + strings.Repeat("a=b ", 1_000_000) + ">",
		"much base64":     head + "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("a"), 3<<20)),
		"semicolons":      head + "Content-Type: text/plain" + strings.Repeat(";", 4<<20) + "\r\n\r\nx",
		"one long header": head + "X-A: " + strings.Repeat("a", 4<<20) + "\r\n\r\nx",
		"many headers":    head + strings.Repeat("X-A: b\r\n", 300_000) + "\r\nx",
		"encoded words":   head + "Subject: " + strings.Repeat("=?utf-8?Q?a?= ", 100_000) + "\r\n\r\nx",
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		l, err := Parse([]byte(raw))
		runtime.ReadMemStats(&after)
		if len(l.Text) > maxText || utf8.RuneCountInString(l.Subject) > maxHeader {
			t.Errorf("%s: %d bytes of text (%v)", what, len(l.Text), err)
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 512 {
			t.Errorf("%s: %d MB", what, used)
		}
	}
}

// TestWhatDoesNotEnd is read in a time that does not grow with its depth, however its boundaries are written and whatever type its parts say that they are.
func TestWhatDoesNotEnd(t *testing.T) {
	for what, level := range map[string]string{
		"multipart": "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%[1]d\r\n",
		"other":     "Content-Type: application/x; boundary=b%d\r\n\r\n--b%[1]d\r\n",
		"continued": "Content-Type: application/x; boundary*0=b%d\r\n\r\n--b%[1]d\r\n",
		"encoded":   "Content-Type: multipart/mixed; =?utf-8?q?boundary?==b%d\r\n\r\n--b%[1]d\r\n",
	} {
		for _, depth := range []int{3, maxNested, 40} {
			raw := head
			for i := range depth {
				raw += fmt.Sprintf(level, i)
			}
			asks := func() (w *wire) {
				w = &wire{left: []byte(raw + "Content-Type: text/plain\r\n\r\nhello"), until: time.Now().Add(time.Hour)}
				defer func() { _ = recover() }()
				_, _ = parser.ReadEnvelope(w)
				return w
			}
			if w := asks(); w.ends > maxEnds+1 {
				t.Errorf("%s, %d deep: asked on %d times", what, depth, w.ends)
			}
			if l, err := Parse([]byte(raw + "Content-Type: text/plain\r\n\r\nhello")); depth == 3 && what == "multipart" && (err != nil || l.Text != "hello") {
				t.Errorf("%s, %d deep: %q %v", what, depth, l.Text, err)
			}
		}
	}
}

// TestPatienceEnds with a mail that takes too long.
func TestPatienceEnds(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("goes on")
		}
	}()
	_, _ = parser.ReadEnvelope(&wire{left: []byte(head + "\r\nhello"), until: time.Now()})
}

// TestTwoDeliveriesAreKnown, and a forged Message-ID swallows nothing.
func TestTwoDeliveriesAreKnown(t *testing.T) {
	parse := func(raw string) [32]byte {
		l, err := Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		return Key(l, time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC))
	}
	first := parse(head + "Subject: a\r\n\r\nb")
	if first != parse("Received: from elsewhere\r\n"+head+"Subject: a\r\n\r\nb") {
		t.Error("another way is another mail")
	}
	for _, other := range []string{head + "Subject: a\r\n\r\nc", head + "Subject: ab\r\n\r\n", strings.Replace(head, "fees@", "fee@", 1) + "Subject: a\r\n\r\nb"} {
		if parse(other) == first {
			t.Errorf("%q is taken for the first", other)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, o := range oddities(f) {
		f.Add([]byte(o.raw))
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*.eml"))
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := Parse(raw)
		if err != nil {
			return
		}
		for what, s := range map[string]string{"text": l.Text, "subject": l.Subject, "from": l.From, "name": l.FromName, "id": l.MessageID} {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				t.Errorf("%s: %q", what, s)
			}
		}
		if len(l.Text) > maxText || strings.ContainsAny(l.Subject+l.From+l.FromName, "\r\n") {
			t.Errorf("%+v", l)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	raw := []byte(oddities(b)["nested multiparts"].raw)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(raw); err != nil {
			b.Fatal(err)
		}
	}
}
