package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// tricks is a name that plays tricks on terminals: it sets the window's title, erases the screen by C0 and by C1, turns
// the direction of what follows, and begins lines.
const tricks = "\x1b]0;owned\x07 \x1b[2J \u009b31m \u202Egpj.exe\u2066 \u2028 \u2029 \x7f a\rb\nc"

// playsTricks returns the first character that must not reach a terminal. Bars are drawn with sequences of their own.
func playsTricks(written string) (found rune, tricky bool) {
	for _, r := range escapes.ReplaceAllString(strings.ReplaceAll(written, "\r\n", "\n"), "") {
		if unicode.IsControl(r) && r != '\n' && r != '\r' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return r, true
		}
	}
	return 0, false
}

func TestNothingPlaysTricksOnATerminal(t *testing.T) {
	setEnvironment(t, map[string]string{"SPOTIFY_CLIENT_ID": "client", "SPOTIFY_NICE\u009b2J": "x"})
	item := journal.Item{Kind: journal.Track, URI: "spotify:track:0000000000000000000001", Name: tricks, Artists: []journal.Artist{{Name: tricks}}, Album: tricks, DurationMS: 200_000}
	fetched := evening.Add(6 * time.Hour)
	record(t, "me",
		journal.Witnessed{Page: &journal.Page{FetchedAt: fetched}, Reports: []journal.Report{{Witness: journal.RecentlyPlayed, Item: item, EndedAt: evening, MSPlayed: -1}}},
		journal.Witnessed{Reports: []journal.Report{{Witness: journal.Playback, Item: item, EndedAt: evening.Add(time.Second), EndedError: time.Second, MSPlayed: 200_000, Device: tricks, DeviceType: tricks, ReasonEnd: tricks}}})

	// An export with such names in it, and of such a name.
	row, err := json.Marshal([]map[string]any{
		{"ts": "2025-03-01T18:00:00Z", "ms_played": 60_000, tricks: 1, "master_metadata_track_name": tricks, "master_metadata_album_artist_name": tricks, "platform": tricks, "spotify_track_uri": "spotify:track:0000000000000000000002"},
		{"ts": tricks, "ms_played": 60_000, "master_metadata_track_name": tricks, "master_metadata_album_artist_name": tricks, "platform": tricks, "spotify_track_uri": "spotify:track:0000000000000000000002"},
	})
	if err != nil {
		t.Fatal(err)
	}
	export := filepath.Join(t.TempDir(), tricks+".json")
	if err := os.WriteFile(export, row, 0o600); err != nil {
		t.Fatal(err)
	}

	t.Setenv("TERM", "xterm")
	for _, width := range []int{40, 200} {
		for _, test := range []struct {
			exit int
			args []string
		}{
			{exitDone, []string{"plays"}},
			{exitDone, []string{"plays", "--format", "csv"}},
			{exitDone, []string{"plays", "--format", "jsonl"}},
			{exitDone, []string{"explain", "1"}},
			{exitDone, []string{"gaps"}},
			{exitDone, []string{"import", "--dry-run", "--force", export}},
			{exitDone, []string{"import", "--force", export}},
			{exitDone, []string{"import", "--list"}},
			{exitFailed, []string{"import", export + "none"}},
			{exitFailed, []string{"check"}},
			{exitUsage, []string{"plays", "--from", tricks}},
			{exitUsage, []string{"plays", "--account", tricks}},
			{exitUsage, []string{tricks}},
		} {
			written := onTerminal(t, width, "\n", test.exit, test.args...)
			if r, tricky := playsTricks(written); tricky {
				t.Errorf("%.60q, %d wide, writes %U: %q", test.args, width, r, written)
			}
			if test.args[0] == "plays" && test.exit == exitDone && width > 40 && !strings.Contains(written, "gpj") {
				t.Errorf("%q does not show the play: %q", test.args, written)
			}
		}
	}

	// What a terminal shows as JSON means the same.
	var shown, piped struct{ Name string }
	list := onTerminal(t, 200, "", exitDone, "plays", "--format", "jsonl", "--limit", "1")
	out, _ := command(t, exitDone, "plays", "--format", "jsonl", "--limit", "1")
	if err := json.Unmarshal([]byte(list), &shown); err != nil {
		t.Errorf("%v: %q", err, list)
	}
	if err := json.Unmarshal([]byte(out), &piped); err != nil || piped.Name != tricks || shown.Name != tricks {
		t.Errorf("%v: names %q and %q, want %q", err, piped.Name, shown.Name, tricks)
	}
	if out, _ := command(t, exitDone, "plays", "--format", "csv", "--limit", "1"); !strings.Contains(out, tricks) {
		t.Errorf("machine output is not as it is: %q", out)
	}
}
