package letter

import (
	"regexp"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	// maxDepth bounds how deep HTML is followed, and maxHTML how much of it.
	maxDepth = 200
	maxHTML  = 1 << 20
)

// hiding is what a style says that hides text from readers, but not from machines.
var hiding = regexp.MustCompile(`(?i)(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*(?:0(?:\.0*)?%?|0?\.0\d*)\s*(?:!important)?\s*(?:;|$)|` +
	`font-size\s*:\s*(?:0|0?\.\d+|1)(?:px|pt|em|rem|%)?\s*(?:!important)?\s*(?:;|$)|(?:max-)?(?:height|width)\s*:\s*0(?:px|pt|%)?\s*(?:!important)?\s*(?:;|$)|` +
	`(?:left|top|text-indent|margin-left|margin-top)\s*:\s*-\d{3,}|clip\s*:\s*rect\(\s*0|clip-path\s*:\s*inset\(\s*(?:50|100)%|transform\s*:\s*scale\(\s*0|mso-hide\s*:\s*all)`)

// The colours of a style, as far as they are easily told: white on white is hidden too.
var (
	colour = regexp.MustCompile(`(?i)(?:^|;)\s*color\s*:\s*(#?[a-z0-9]+|rgba?\([^)]*\))`)
	ground = regexp.MustCompile(`(?i)background(?:-color)?\s*:\s*(#?[a-z0-9]+|rgba?\([^)]*\))`)
)

// seen is the text of HTML that a reader sees.
func seen(source string) string {
	if source == "" {
		return ""
	}
	if len(source) > maxHTML {
		source = source[:maxHTML]
	}
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(source))
	var open []bool // of the elements around: whether they hide what is in them
	hidden := func() bool { return len(open) > 0 && open[len(open)-1] }
	for {
		switch z.Next() {
		case html.ErrorToken:
			return spaces.ReplaceAllString(lineEnd.ReplaceAllString(b.String(), "\n"), "\n\n")
		case html.TextToken:
			if !hidden() {
				b.WriteString(strings.Join(strings.Fields(" "+string(z.Text())+" "), " "))
				b.WriteByte(' ')
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			t := z.Token()
			if block[t.DataAtom] && !hidden() {
				b.WriteByte('\n')
			}
			if t.DataAtom == atom.Li && !hidden() {
				b.WriteString("- ")
			}
			if t.Type == html.SelfClosingTagToken || void[t.DataAtom] {
				continue
			}
			if raw[t.DataAtom] {
				skip(z, t.Data)
				continue
			}
			if len(open) < maxDepth {
				open = append(open, hidden() || hides(t))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			a := atom.Lookup(name)
			if block[a] && !hidden() {
				b.WriteByte('\n')
			}
			if !void[a] && len(open) > 0 && !optional[a] {
				open = open[:len(open)-1]
			}
		}
	}
}

var (
	lineEnd = regexp.MustCompile(`[ \t]*\n[ \t]*`)
	spaces  = regexp.MustCompile(`\n{3,}`)
)

// skip passes over what is in an element that shows nothing.
func skip(z *html.Tokenizer, name string) {
	for {
		switch z.Next() {
		case html.ErrorToken:
			return
		case html.EndTagToken:
			if tag, _ := z.TagName(); string(tag) == name {
				return
			}
		}
	}
}

func hides(t html.Token) bool {
	for _, a := range t.Attr {
		switch {
		case a.Key == "hidden":
			return true
		case a.Key == "style" && (hiding.MatchString(a.Val) || white(a.Val)):
			return true
		}
	}
	return false
}

// white reports whether text has the colour of what is behind it: of what its own style says, or white.
func white(style string) bool {
	text := colour.FindStringSubmatch(style)
	if text == nil {
		return false
	}
	behind := "white"
	if m := ground.FindStringSubmatch(style); m != nil {
		behind = m[1]
	}
	return named(text[1]) == named(behind) || strings.EqualFold(text[1], "transparent")
}

func named(colour string) string {
	switch c := strings.ToLower(strings.ReplaceAll(colour, " ", "")); c {
	case "#fff", "#ffffff", "rgb(255,255,255)", "#fefefe", "#fdfdfd":
		return "white"
	case "#000", "#000000", "rgb(0,0,0)":
		return "black"
	default:
		return c
	}
}

func atoms(list ...atom.Atom) map[atom.Atom]bool {
	m := make(map[atom.Atom]bool, len(list))
	for _, a := range list {
		m[a] = true
	}
	return m
}

var (
	block = atoms(atom.P, atom.Div, atom.Br, atom.Tr, atom.Li, atom.Ul, atom.Ol, atom.Table, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Blockquote, atom.Hr,
		atom.Section, atom.Article, atom.Header, atom.Footer, atom.Pre, atom.Dd, atom.Dt)
	void = atoms(atom.Br, atom.Hr, atom.Img, atom.Input, atom.Meta, atom.Link, atom.Area, atom.Base, atom.Col, atom.Embed, atom.Source, atom.Track, atom.Wbr)
	// raw show nothing of what is in them.
	raw = atoms(atom.Script, atom.Style, atom.Template, atom.Head, atom.Title, atom.Noscript, atom.Object, atom.Iframe, atom.Svg, atom.Math, atom.Select, atom.Textarea, atom.Audio, atom.Video)
	// optional need no end, so that one that comes may have no beginning either.
	optional = atoms(atom.Html, atom.Body)
)
