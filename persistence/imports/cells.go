package imports

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"nexus"
)

// lineBreaks become blanks: a cell is one line of text.
var lineBreaks = strings.NewReplacer("\r\n", " ", "\n", " ")

// cell returns what a column holds, without blanks around it; empty where there is no such column. ok is false if it is empty or was found wrong.
func (r *row) cell(column string) (s string, ok bool) {
	at := slices.Index(r.t.names, column)
	if at < 0 {
		return "", false
	}
	switch s = r.fields[at]; {
	case !utf8.ValidString(s):
		r.wrong(column, s, "is not in UTF-8: save the file as CSV in UTF-8")
		return "", false
	case strings.ContainsRune(s, 0):
		r.wrong(column, s, "holds a NUL byte")
		return "", false
	}
	s = strings.TrimSpace(lineBreaks.Replace(s))
	if !nexus.Printable(s, false) {
		r.wrong(column, s, "holds a character that does not show")
		return "", false
	}
	return s, s != ""
}

// text is a cell of at most so many characters.
func (r *row) text(column string, most int) string {
	s, _ := r.cell(column)
	if utf8.RuneCountInString(s) > most {
		r.wrong(column, s, "has more than %d characters", most)
	}
	return s
}

// needed is a text that must be there.
func (r *row) needed(column string, most int) string {
	s := r.text(column, most)
	if s == "" {
		r.wrong(column, "", "is empty")
	}
	return s
}

// wanted is a text, or nil where the cell is empty.
func (r *row) wanted(column string, most int) *string {
	if s := r.text(column, most); s != "" {
		return &s
	}
	return nil
}

// shaped is a text of a form; what says which.
func (r *row) shaped(column string, most int, form *regexp.Regexp, what string) string {
	s := r.text(column, most)
	if s != "" && !form.MatchString(s) {
		r.wrong(column, s, "%s", what)
	}
	return s
}

// Forms of cells.
var (
	regNo  = regexp.MustCompile(`^[A-Za-z0-9/_.-]*$`)
	phone  = regexp.MustCompile(`^[0-9+(). -]*$`)
	termID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$`)
	number = regexp.MustCompile(`^[+-]?[0-9]+$`)
	tenths = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)
)

// whole is a number within bounds, or nil where the cell is empty.
func whole[N int16 | int32](r *row, column string, least, most N) *N {
	s, ok := r.cell(column)
	if !ok {
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case !number.MatchString(s):
		r.wrong(column, s, "is not a whole number")
	case strings.HasPrefix(s, "-"):
		r.wrong(column, s, "is negative")
	case err != nil || n < int64(least) || n > int64(most):
		r.wrong(column, s, "is not from %d to %d", least, most)
	}
	v := N(n)
	return &v
}

// decimal is a number from 0 to most with one decimal at most, or nil where the cell is empty.
func (r *row) decimal(column string, most float64) *string {
	s, ok := r.cell(column)
	if !ok {
		return nil
	}
	n, err := strconv.ParseFloat(s, 64)
	_, behind, _ := strings.Cut(s, ".")
	switch {
	case !tenths.MatchString(s) || err != nil:
		r.wrong(column, s, "is not a number such as 4 or 1.5")
	case strings.HasPrefix(s, "-"):
		r.wrong(column, s, "is negative")
	case n > most:
		r.wrong(column, s, "is more than %v", most)
	case len(behind) > 1:
		r.wrong(column, s, "has more than one decimal")
	}
	return &s
}

// list takes a cell apart at its semicolons; nil where the cell is empty. Repetitions, whatever their case, are dropped.
func (r *row) list(column string, most int) []string {
	s, ok := r.cell(column)
	if !ok {
		return nil
	}
	items := []string{}
	for item := range strings.SplitSeq(s, ";") {
		if item = strings.TrimSpace(item); item != "" && !slices.ContainsFunc(items, func(i string) bool { return strings.EqualFold(i, item) }) {
			items = append(items, item)
		}
	}
	if len(items) > most {
		r.wrong(column, s, "holds more than %d, parted by semicolons", most)
	}
	return items
}

// email is an address in the form that it is kept in.
func (r *row) email(column string) string {
	s := r.needed(column, 254)
	address, err := nexus.NormalEmail(s)
	if err != nil {
		r.wrong(column, s, "is not an e-mail address")
	}
	return address
}
