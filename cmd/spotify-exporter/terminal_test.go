package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// onTerminal runs the program on a terminal of a width on which somebody types, and
// returns what it has written there. Standard output and error are one.
func onTerminal(t *testing.T, width int, typed string, exit int, args ...string) string {
	t.Helper()
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	if err := pty.Setsize(slave, &pty.Winsize{Rows: 30, Cols: uint16(width)}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(master, typed); err != nil {
		t.Fatal(err)
	}
	var written bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&written, master) // fails when the other end is closed
	}()
	p := &program{stdin: slave, stdout: slave, stderr: slave}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	got := p.run(ctx, args)
	slave.Close()
	<-read
	if got != exit {
		t.Errorf("%v: exit code %d, want %d: %s", args, got, exit, written.String())
	}
	return written.String()
}

var escapes = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)

// linesOf are the lines that a terminal shows, one for each time that a bar was drawn.
func linesOf(written string) []string {
	lines := regexp.MustCompile(`[\r\n]+`).Split(escapes.ReplaceAllString(written, ""), -1)
	return slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
}

// aLife records plays with titles of all widths, some with two reports, a gap and a lot
// that is wrong.
func aLife(t *testing.T) {
	t.Helper()
	setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client", "SPOTIFY_ACCOUNTS": "me,anna", "SPOTIFY_REQUESTS_BUDGET": "many", "TIMEZONE": "Europe/Berlin"})
	var page []journal.Report
	for i := range 60 {
		item := journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", i), Name: oddTitles[i%len(oddTitles)], DurationMS: 200_000, Artists: []journal.Artist{{Name: "第二"}, {Name: "Somebody"}}}
		page = append(page, journal.Report{Witness: journal.RecentlyPlayed, Item: item, EndedAt: evening.Add(time.Duration(i) * 5 * time.Minute), MSPlayed: -1})
	}
	seen := page[59]
	seen.Witness, seen.MSPlayed, seen.MSPlayedError, seen.EndedError, seen.Device = journal.Playback, 180_000, 4000, 5*time.Second, "Kitchen"
	fetched := evening.Add(6 * time.Hour)
	record(t, "me", journal.Witnessed{Reports: page[:5], Page: &journal.Page{FetchedAt: fetched}}, journal.Witnessed{Reports: page[10:], Page: &journal.Page{FetchedAt: fetched, Full: true}},
		journal.Witnessed{Reports: slices.Concat(page[5:10], []journal.Report{seen})})
}

// TestLayouts runs what prints most on narrow terminals.
func TestLayouts(t *testing.T) {
	aLife(t)
	t.Setenv("TERM", "xterm")
	for _, width := range []int{40, 60, 80} {
		for _, command := range []struct {
			exit int
			args []string
		}{
			{exitDone, []string{"plays"}},
			{exitDone, []string{"explain", "55"}},
			{exitDone, []string{"gaps"}},
			{exitFailed, []string{"check"}},
			{exitDone, []string{"replay", "--rebuild", "--yes"}},
			{exitUsage, []string{"plays", "--from", "yesterday"}},
			{exitDone, []string{"demo", "--for", "1s", "--speed", "900"}},
		} {
			t.Run(fmt.Sprint(command.args[0], width), func(t *testing.T) {
				for _, line := range linesOf(onTerminal(t, width, "\n", command.exit, command.args...)) {
					// A path or an address stays whole, to be copied.
					if wide := uniseg.StringWidth(line); wide > width && strings.Contains(strings.TrimSpace(line), " ") && !strings.Contains(line, os.Getenv("DATA_DIR")) {
						t.Errorf("%d wide: %s", wide, line)
					}
				}
			})
		}
	}
}

// TestPlaysOnATerminal has more plays than are printed, and asks for what the last line
// says.
func TestPlaysOnATerminal(t *testing.T) {
	aLife(t)
	rows := func(args ...string) (ids []string) {
		t.Helper()
		for _, line := range linesOf(onTerminal(t, 80, "", exitDone, args...)) {
			id, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			if _, err := strconv.Atoi(id); err == nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	last := rows("plays")
	if len(last) != lastPlays {
		t.Errorf("%d plays are printed", len(last))
	}
	for _, args := range [][]string{{"plays", "--limit", "0"}, {"plays", "--from", "2026-01-01"}, {"plays", "--limit", "500"}} {
		if all := rows(args...); len(all) != 60 {
			t.Errorf("%v: %d plays are printed, want 60", args, len(all))
		}
	}
	if out, _ := command(t, exitDone, "plays"); strings.Count(out, "\n") != 60 {
		t.Errorf("%d plays are printed to a pipe, want 60", strings.Count(out, "\n"))
	}
	if says := onTerminal(t, 80, "", exitDone, "plays"); !strings.Contains(says, "These are the last 50.") {
		t.Errorf("nothing says that there is more: %s", says)
	}
	if out, _ := command(t, exitDone, "explain", last[len(last)-1]); !strings.HasPrefix(out, "Play "+last[len(last)-1]+" of me") {
		t.Errorf("explain does not take the id %s: %s", last[len(last)-1], out)
	}
}

// TestASCII has a locale in which nothing but ASCII can be shown: what is not is what
// somebody heard.
func TestASCII(t *testing.T) {
	setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client"})
	item := journal.Item{Kind: journal.Track, URI: "spotify:track:0000000000000000000001", Name: strings.Repeat("A long title ", 9), Artists: []journal.Artist{{Name: "Somebody"}}}
	record(t, "me", journal.Witnessed{Reports: []journal.Report{{Witness: journal.RecentlyPlayed, Item: item, EndedAt: evening, MSPlayed: -1}}})
	t.Setenv("TERM", "xterm")
	for _, locale := range []string{"C", "POSIX", "en_US.ISO-8859-1"} {
		t.Setenv("LC_ALL", locale)
		for _, run := range []struct {
			exit int
			args []string
		}{{exitDone, []string{"plays"}}, {exitDone, []string{"explain", "1"}}, {exitFailed, []string{"check"}}, {exitDone, []string{"help"}}} {
			written := onTerminal(t, 80, "", run.exit, run.args...)
			if i := strings.IndexFunc(written, func(r rune) bool { return r > '~' }); i >= 0 {
				t.Errorf("%s: %v prints %q", locale, run.args, written[i:min(len(written), i+20)])
			}
		}
	}
	for locale, want := range map[string]string{"C.UTF-8": "…", "de_DE.utf8": "…", "": "…", "C": "..."} {
		t.Setenv("LC_ALL", locale)
		t.Setenv("LC_CTYPE", "")
		t.Setenv("LANG", "")
		if got := symbol("…", "..."); got != want {
			t.Errorf("LC_ALL=%s: %s", locale, got)
		}
	}
}

// TestNoBar has terminals that cannot draw a line again: they get none of what moves.
func TestNoBar(t *testing.T) {
	setEnvironment(t, nil)
	for _, kind := range []string{"dumb", ""} {
		t.Setenv("TERM", kind)
		written := onTerminal(t, 60, "\n", exitDone, "demo", "--for", "2s", "--speed", "900")
		if strings.Contains(written, "\x1b") || strings.Contains(strings.ReplaceAll(written, "\r\n", ""), "\r") || strings.Contains(written, "%") {
			t.Errorf("TERM=%s: %q", kind, written)
		}
	}
	t.Setenv("TERM", "xterm")
	if written := onTerminal(t, 60, "\n", exitDone, "demo", "--for", "2s", "--speed", "900"); !strings.Contains(written, "%") {
		t.Errorf("no bar on a terminal that can: %q", written)
	}
}

// TestDemoStays reads what the demo ends with.
func TestDemoStays(t *testing.T) {
	setEnvironment(t, nil)
	t.Setenv("TERM", "xterm")
	written := onTerminal(t, 80, "\n", exitDone, "demo", "--for", "1s", "--speed", "900")
	piped, _ := command(t, exitDone, "demo", "--for", "1s", "--speed", "900")
	for _, want := range []string{"docker compose up -d demo", "spotify-exporter login", "spotify-exporter run"} {
		if !strings.Contains(written, "\n  "+want) || !strings.Contains(piped, "\n  "+want) {
			t.Errorf("does not end with %q: %s\n%s", want, written, piped)
		}
	}
	if stays := "stays until you press Enter"; !strings.Contains(written, stays) || strings.Contains(piped, stays) {
		t.Errorf("Enter: %s\n%s", written, piped)
	}
}

// TestRebuildAsks answers the question in several ways.
func TestRebuildAsks(t *testing.T) {
	setEnvironment(t, nil)
	recordOne(t)
	for typed, exit := range map[string]int{"yes\n": exitDone, "YES\n": exitDone, "\n": exitFailed, "n\n": exitFailed, "y\n": exitFailed, "\x04": exitFailed} {
		written := onTerminal(t, 80, typed, exit, "replay", "--rebuild")
		if deleted := !strings.Contains(written, "nothing was deleted"); deleted != (exit == exitDone) || !strings.Contains(written, "Type yes") {
			t.Errorf("%q: %s", typed, written)
		}
	}
	if written := onTerminal(t, 80, "", exitDone, "replay", "--rebuild", "--yes"); strings.Contains(written, "Type yes") {
		t.Errorf("--yes asks: %s", written)
	}
}
