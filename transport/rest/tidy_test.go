package rest

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"nexus"
)

type tidied struct {
	ByID
	Query string `query:"q"`
	Body  struct {
		Line   string   `json:"line" minLength:"2"`
		Lines  *string  `json:"lines" text:"lines"`
		Secret string   `json:"secret" text:"secret"`
		List   []string `json:"list" minItems:"1"`
		Deep   []struct {
			At string `json:"at"`
		} `json:"deep"`
	}
}

func TestTidyNamesWhatIsWrong(t *testing.T) {
	const id = "0190A5C0-0000-7000-8000-00000000000F"
	for _, c := range []struct {
		name   string
		change func(*tidied)
		want   string
	}{
		{"nothing", func(*tidied) {}, ""},
		{"id", func(in *tidied) { in.ID = strings.Repeat("z", 36) }, "id"},
		{"query", func(in *tidied) { in.Query = "a\x00" }, "q"},
		{"line feed", func(in *tidied) { in.Body.Line = "ab\ncd" }, "line"},
		{"blank", func(in *tidied) { in.Body.Line = "a  " }, "line"},
		{"lines", func(in *tidied) { *in.Body.Lines = "a\x1bb" }, "lines"},
		{"secret", func(in *tidied) { in.Body.Secret = "a\tb" }, "secret"},
		{"list", func(in *tidied) { in.Body.List[1] = "\ufffd" }, "list[1]"},
		{"null list", func(in *tidied) { in.Body.List = nil }, "list"},
		{"deep", func(in *tidied) { in.Body.Deep[0].At = "\u2066" }, "deep[0].at"},
	} {
		lines := "a\r\nb\tc "
		in := &tidied{ByID: ByID{id}, Query: " q "}
		in.Body.Line, in.Body.Lines, in.Body.Secret, in.Body.List = " ab ", &lines, " s ", []string{"x", "y"}
		in.Body.Deep = append(in.Body.Deep, struct {
			At string `json:"at"`
		}{" at "})
		c.change(in)
		wrong := tidy(in)
		got := ""
		if len(wrong) > 0 {
			got = wrong[0].Field
		}
		if got != c.want || len(wrong) > 1 {
			t.Errorf("%s: %v", c.name, wrong)
		}
		if c.want == "" && (in.ID != strings.ToLower(id) || in.Query != "q" || in.Body.Line != "ab" || lines != "a\nb\tc" || in.Body.Secret != " s " || in.Body.Deep[0].At != "at") {
			t.Errorf("not tidied: %+v", in)
		}
	}
}

func TestTextOfTheWorldIsPrintable(t *testing.T) {
	for _, s := range []string{"", "Ωmega", "हिन्दी में", "العربية", "👩‍👩‍👧", "a\u200fb", "e\u0301", "中文"} {
		if !nexus.Printable(s, false) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"\x00", "\x7f", "\u0085", "\xff", "\ufffd", "\ufffe", "\U0001ffff", "\ufdd0", "\u202e", "\u2028", "\n"} {
		if nexus.Printable(s, false) {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestTidyIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := &struct{ Text string }{rapid.String().Draw(t, "s")}
		if len(tidy(in)) > 0 {
			return
		}
		once := in.Text
		if wrong := tidy(in); len(wrong) > 0 || in.Text != once {
			t.Fatalf("%q became %q, %v", once, in.Text, wrong)
		}
	})
}
