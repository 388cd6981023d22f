package clean_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
)

func TestLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		"Für Elise – 月光 🎹":                     "Für Elise – 月光 🎹",
		"a\x00b\x07c\x1bd\x7fe":                "a b c d e",
		"\x1b]0;owned\x07\x1b[31mred":          " ]0;owned  [31mred",
		"a\u0085b\u009b31mc":                   "a b 31mc", // C1: next line, control sequence
		"a\nb\r\nc\td":                         "a b  c d",
		"a\u2028b\u2029c":                      "a b c",
		"\u202Agpj\u202Bx\u202Cy\u202Dz\u202E": "gpjxyz",
		"\u2066a\u2067b\u2068c\u2069":          "abc",
		"\u200Ea\u200Fb\u061Cc":                "abc",
		"a\xffb\xc3":                           "a\ufffdb\ufffd",
		"\xed\xa0\x80":                         "\ufffd\ufffd\ufffd", // half of a surrogate pair
		"e\u0301 👩\u200D🎤":                     "e\u0301 👩\u200D🎤",   // joins what belongs together
	} {
		if got := clean.Line(text); got != want {
			t.Errorf("Line(%q) is %q, want %q", text, got, want)
		}
	}
	for r := rune(0); r <= utf8.MaxRune; r++ {
		got := clean.Line(string(r))
		dangerous := r < ' ' || r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r == 0x2028 || r == 0x2029
		if dangerous && strings.ContainsRune(got, r) {
			t.Errorf("%U is left", r)
		}
		if clean.Line(got) != got || !utf8.ValidString(got) {
			t.Errorf("%U becomes %q", r, got)
		}
	}
}

func TestLines(t *testing.T) {
	if got, want := clean.Lines("one\ntwo\r\n\x1b[2Jthree\u2028four\n"), "one\ntwo \n [2Jthree four\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestShort(t *testing.T) {
	for _, test := range []struct {
		text  string
		limit int
		want  string
	}{
		{" several\n\n words\t\x1b ", 100, "several words"},
		{"exactly ten", 11, "exactly ten"},
		{"exactly ten", 10, "exactly…"},
		{"ääääää", 10, "äää…"},
		{"\xff\xff\xff", 9, "\ufffd\ufffd\ufffd"},
		{"", 5, ""},
	} {
		got := clean.Short(test.text, test.limit)
		if got != test.want || len(got) > test.limit {
			t.Errorf("Short(%q, %d) is %q, want %q", test.text, test.limit, got, test.want)
		}
	}
}
