package grafana

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// folded is a text in which a name is found whatever its case, its composition (é is one character or two), its width
// (Ａ), and the invisible characters in it.
type folded struct {
	text string
	// from and to are, for each byte of text, where in the original begins and ends what it was made of.
	from, to []int
}

func fold(original string) folded {
	var f folded
	var text strings.Builder
	var segments norm.Iter
	caseless := cases.Fold()
	for segments.InitString(norm.NFKC, original); !segments.Done(); {
		from := segments.Pos()
		segment := string(segments.Next())
		to := segments.Pos()
		segment = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Cf, r) {
				return -1
			}
			return r
		}, norm.NFKC.String(caseless.String(segment)))
		text.WriteString(segment)
		for range len(segment) {
			f.from, f.to = append(f.from, from), append(f.to, to)
		}
	}
	f.text = text.String()
	return f
}

// find returns where in the original the folded words are, -1 if they are not there. With alone they have to stand alone:
// "Bad" is not in "Badlands".
func (f *folded) find(words string, alone bool) (start, end int) {
	if words == "" {
		return -1, -1
	}
	for from := 0; ; {
		at := strings.Index(f.text[from:], words)
		if at < 0 {
			return -1, -1
		}
		at += from
		if !alone || standsAlone(f.text, at, at+len(words)) {
			return f.from[at], f.to[at+len(words)-1]
		}
		from = at + 1
	}
}
