package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/rivo/uniseg"
	"golang.org/x/term"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
)

// isTerminal reports whether a standard stream, an io.Reader or io.Writer, is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// terminalWidth returns how many columns out has, 0 if it is no terminal.
func terminalWidth(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// redraws reports whether out is a terminal on which a line can be drawn again, as a
// progress bar needs it.
func redraws(out io.Writer) bool {
	kind := os.Getenv("TERM")
	return isTerminal(out) && kind != "" && kind != "dumb"
}

// symbol returns a character that the program puts between what it prints, or what
// stands for it where the locale has ASCII alone. Where nothing names a locale, as in a
// container, the terminal is taken for one of today, which shows UTF-8.
func symbol(character, ascii string) string {
	locale := cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG"))
	_, charset, _ := strings.Cut(strings.ToLower(locale), ".")
	if locale == "" || strings.HasPrefix(charset, "utf-8") || strings.HasPrefix(charset, "utf8") {
		return character
	}
	return ascii
}

// wrap breaks a line between words, so that it is no wider than width if no word is.
// What follows is indented by hang. A width of 0 is no limit.
func wrap(line string, width, hang int) string {
	if width <= 0 || uniseg.StringWidth(line) <= width {
		return line
	}
	indent := len(line) - len(strings.TrimLeft(line, " "))
	var b strings.Builder
	b.WriteString(line[:indent])
	at, first := indent, true
	for word := range strings.SplitSeq(line[indent:], " ") {
		wide := uniseg.StringWidth(word)
		switch {
		case first:
		case at+1+wide > width:
			b.WriteString("\n" + strings.Repeat(" ", hang))
			at = hang
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += wide
		first = false
	}
	return b.String()
}

// say writes a line for people, broken between words where out is a terminal. Lines
// within the text stay lines.
func say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(wrapper{out}, format+"\n", args...) // the terminal may be gone: nothing to do about it
}

// wrapper breaks the lines that are written to a terminal between words. What follows is
// indented as the line is, and as its number ("1. ") if it has one. Each write has to be
// of whole lines.
type wrapper struct{ out io.Writer }

func (w wrapper) Write(p []byte) (int, error) {
	width := terminalWidth(w.out)
	lines := strings.Split(clean.Lines(string(p)), "\n")
	for i, line := range lines {
		text := strings.TrimLeft(line, " ")
		hang := len(line) - len(text)
		if len(text) > 3 && text[0] >= '0' && text[0] <= '9' && text[1:3] == ". " {
			hang += 3
		}
		lines[i] = wrap(line, width, hang)
	}
	if _, err := io.WriteString(w.out, strings.Join(lines, "\n")); err != nil {
		return 0, err
	}
	return len(p), nil
}
