package letter

import (
	"regexp"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxHTML bounds how much HTML is read, in bytes.
const maxHTML = 256 << 10

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
	root, err := html.Parse(strings.NewReader(source)) // as browsers do, whatever is open or closed
	if err != nil {
		return ""
	}
	var b strings.Builder
	write(&b, root)
	return spaces.ReplaceAllString(lineEnd.ReplaceAllString(b.String(), "\n"), "\n\n")
}

// write writes what is seen of a node. The parser bounds how deep a tree is.
func write(b *strings.Builder, n *html.Node) {
	switch n.Type {
	case html.TextNode:
		b.WriteString(strings.Join(strings.Fields(" "+n.Data+" "), " "))
		b.WriteByte(' ')
		return
	case html.ElementNode:
		if raw[n.DataAtom] || hides(n) {
			return
		}
		if block[n.DataAtom] {
			b.WriteByte('\n')
		}
		if n.DataAtom == atom.Li {
			b.WriteString("- ")
		}
	case html.CommentNode, html.DoctypeNode:
		return
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		write(b, c)
	}
	if n.Type == html.ElementNode && block[n.DataAtom] && n.FirstChild != nil {
		b.WriteByte('\n')
	}
}

var (
	lineEnd = regexp.MustCompile(`[ \t]*\n[ \t]*`)
	spaces  = regexp.MustCompile(`\n{3,}`)
	remark  = regexp.MustCompile(`/\*.*?\*/`)
)

func hides(n *html.Node) bool {
	for _, a := range n.Attr {
		switch a.Key {
		case "hidden":
			return true
		case "style":
			if style := remark.ReplaceAllString(a.Val, ""); hiding.MatchString(style) || white(style) {
				return true
			}
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
	// raw show nothing of what is in them.
	raw = atoms(atom.Script, atom.Style, atom.Template, atom.Head, atom.Title, atom.Noscript, atom.Object, atom.Iframe, atom.Svg, atom.Math, atom.Select, atom.Textarea, atom.Audio, atom.Video)
)
