// Package clean takes out of text from elsewhere what plays tricks on a terminal, in a log or on a page.
package clean

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes one line of text that others have written: a title, a name, a server's answer. A control character (C0,
// DEL, C1) and what separates lines or paragraphs become a blank, and a byte that is no UTF-8 becomes U+FFFD. Characters
// that turn the direction of what follows are left out.
func Line(text string) string { return strings.Map(harmless, text) }

// Lines is Line for text of several lines, which it keeps.
func Lines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return harmless(r)
	}, text)
}

// Short is Line with no more white space than it takes to keep words apart, and at most limit bytes, of which the last are
// an ellipsis if there was more. limit has to leave room for that.
func Short(text string, limit int) string {
	text = strings.Join(strings.Fields(Line(text)), " ")
	if len(text) <= limit {
		return text
	}
	const ellipsis = "…"
	end := limit - len(ellipsis)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

func harmless(r rune) rune {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return ' '
	case unicode.Is(unicode.Bidi_Control, r):
		return -1
	}
	return r // U+FFFD for a byte that is no UTF-8
}
