package main

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// record stores what witnesses said in the journal of DATA_DIR.
func record(t *testing.T, account string, witnessed ...journal.Witnessed) {
	t.Helper()
	c, err := loadConfig(anyConfig)
	if err != nil {
		t.Fatal(err)
	}
	j, err := c.openJournal(t.Context(), clock.Clock{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for _, w := range witnessed {
		if _, err := j.Record(t.Context(), account, w); err != nil {
			t.Fatal(err)
		}
	}
}

var evening = time.Date(2026, 11, 21, 21, 30, 0, 123_000_000, time.UTC)

// oddTitles are what a journal may hold and a format has to survive.
var oddTitles = []string{
	`Comma, "Quote"; Semicolon`, "Line\nBreak\tTab", "Emoji 👩\u200d👩\u200d👧 🇺🇦", "שלום עולם", "\u202eevil\u202c \x1b[31mred", "<b>&amp;</b> \u2028 end", "=1+1",
	"A title that is so long that no table for people could ever show all of it in one line",
}

func oddPlays() journal.Witnessed {
	var w journal.Witnessed
	for i, name := range oddTitles {
		w.Reports = append(w.Reports, journal.Report{
			Witness: journal.RecentlyPlayed,
			Item: journal.Item{Kind: journal.Track, URI: "spotify:track:" + strings.Repeat(string(rune('a'+i)), 22), Name: name,
				Artists: []journal.Artist{{Name: "First, \"The\""}, {Name: "第二"}}, Album: "Album", DurationMS: 200_000, ISRC: "DEA1234567"},
			EndedAt:  evening.Add(time.Duration(i) * 5 * time.Minute),
			MSPlayed: -1,
		})
	}
	return w
}

func TestPlaysWithoutJournal(t *testing.T) {
	setEnvironment(t, nil)
	for _, format := range []string{"table", "jsonl", "csv"} {
		if out, errs := command(t, exitDone, "plays", "--format", format); out != "" || errs != "" {
			t.Errorf("%s: stdout %q, stderr %q", format, out, errs)
		}
	}
	if entries, err := os.ReadDir(os.Getenv("DATA_DIR")); err != nil || len(entries) > 0 {
		t.Errorf("plays has left %v in the data directory (%v)", entries, err)
	}
	command(t, exitUsage, "plays", "--from", "yesterday")
}

func TestPlaysFormats(t *testing.T) {
	setEnvironment(t, map[string]string{"TIMEZONE": "Europe/Berlin"})
	record(t, "me", oddPlays(), journal.Witnessed{Reports: []journal.Report{
		{Witness: journal.ExtendedHistory, EndedAt: evening.Add(-time.Hour), MSPlayed: 1234, ReasonStart: "clickrow", ReasonEnd: "fwdbtn", Country: "DE", Platform: "linux", Skipped: new(true)},
	}})

	out, _ := command(t, exitDone, "plays", "--format", "jsonl")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != len(oddTitles)+1 {
		t.Fatalf("%d lines for %d plays:\n%s", len(lines), len(oddTitles)+1, out)
	}
	const first = `{"id":9,"account":"me","ended_at":"2026-11-21T20:30:00.123Z","started_at":null,"ms_played":1234,"ms_played_source":"reported","ms_played_error":0,` +
		`"kind":"unknown","uri":null,"name":null,"artists":null,"album":null,"duration_ms":null,"isrc":null,"skipped":true,"shuffle":null,"offline":null,"incognito":null,` +
		`"device":null,"platform":"linux","country":"DE","reason_start":"clickrow","reason_end":"fwdbtn","witnesses":["extended_history"],"import":null}`
	if lines[0] != first {
		t.Errorf("of a play that little is known of:\n got %s\nwant %s", lines[0], first)
	}
	var titles []string
	for _, line := range lines[1:] {
		var play struct {
			Name      string
			Artists   []string
			EndedAt   time.Time `json:"ended_at"`
			Witnesses []string
		}
		if err := json.Unmarshal([]byte(line), &play); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if !slices.Equal(play.Artists, []string{`First, "The"`, "第二"}) || play.EndedAt.Before(evening) || !slices.Equal(play.Witnesses, []string{"recently_played"}) {
			t.Errorf("odd play: %s", line)
		}
		titles = append(titles, play.Name)
	}
	if !slices.Equal(titles, oddTitles) {
		t.Errorf("titles in jsonl: %q, want %q", titles, oddTitles)
	}

	out, _ = command(t, exitDone, "plays", "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	const header = "id,account,ended_at,started_at,ms_played,ms_played_source,ms_played_error,kind,uri,name,artists,album,duration_ms,isrc,skipped,shuffle,offline,incognito,device,platform,country,reason_start,reason_end,witnesses,import"
	if got := strings.Join(rows[0], ","); got != header {
		t.Errorf("columns %s, want %s", got, header)
	}
	if got := strings.Join(rows[1], ","); got != "9,me,2026-11-21T20:30:00.123Z,,1234,reported,0,unknown,,,,,,,true,,,,,linux,DE,clickrow,fwdbtn,extended_history," {
		t.Errorf("of a play that little is known of: %s", got)
	}
	for i, row := range rows[2:] {
		if row[9] != oddTitles[i] || row[10] != `First, "The"; 第二` {
			t.Errorf("title and artists in csv: %q", row[9:11])
		}
	}

	out, _ = command(t, exitDone, "plays")
	lines = strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != len(oddTitles)+1 || strings.ContainsAny(out, "\x1b\t\u202e\u2028") {
		t.Errorf("table is not one safe line for each play:\n%q", out)
	}
	if want := "2026-11-21 22:30     3:20  Comma, \"Quote\"; Semicolon — First, \"The\", 第二               recently played"; strings.Join(strings.Fields(lines[1]), " ") != strings.Join(strings.Fields(want), " ") {
		t.Errorf("line of the table, in the listener's time:\n got %s\nwant %s", lines[1], want)
	}
	for _, line := range lines[1:] {
		if !strings.Contains(line, "recently played") {
			t.Errorf("without source: %s", line)
		}
	}
}

func TestPlaysFilter(t *testing.T) {
	setEnvironment(t, map[string]string{"TIMEZONE": "UTC,anna=Asia/Tokyo"})
	record(t, "me", oddPlays())
	anna := oddPlays() // 21:30 to 22:05 of the 21st in UTC, morning of the 22nd in Tokyo
	record(t, "anna", anna)
	tests := []struct {
		args string
		want int
	}{
		{"", 16},
		{"--account anna", 8},
		{"--account me --limit 3", 3},
		{"--account me --from 2026-11-21 --to 2026-11-22", 8},
		{"--account me --from 2026-11-22", 0},
		{"--account anna --from 2026-11-22 --to 2026-11-23", 8},
		{"--account me --from 2026-11-21T21:50:00Z", 4},
		{"--account me --from 2026-11-21T22:50:00+01:00", 4},
		{"--account me --from 2026-11-21T21:40 --to 2026-11-21T21:45", 1},
		{"--account me --from 1h", 5},
		{"--account me --from 1d", 8},
		{"--account me --to 2w", 0},
	}
	now := clock.New(evening.Add(73*time.Minute), 1) // so that an hour ago is between two plays
	for _, test := range tests {
		out, _ := commandAt(t, now, exitDone, append([]string{"plays", "--format", "jsonl"}, strings.Fields(test.args)...)...)
		if got := strings.Count(out, "\n"); got != test.want {
			t.Errorf("plays %s: %d, want %d", test.args, got, test.want)
		}
	}
	out, _ := commandAt(t, now, exitDone, "plays", "--account", "me", "--limit", "2", "--format", "csv")
	if !strings.Contains(out, "=1+1") || strings.Contains(out, "Comma") {
		t.Errorf("the newest two are not the last ones: %s", out)
	}
	if _, errs := command(t, exitUsage, "plays", "--account", "bob"); !strings.Contains(errs, `--account: must be one that the journal knows: anna, me (got "bob")`) {
		t.Errorf("unknown account: %s", errs)
	}
	if _, errs := command(t, exitUsage, "plays", "--from", "soon", "--to", "later"); !strings.Contains(errs, "--from: must be like") || !strings.Contains(errs, "--to: must be like") {
		t.Errorf("times that are none: %s", errs)
	}
	command(t, exitUsage, "plays", "--from", "2026-11-22", "--to", "2026-11-21")
}

func TestDamagedJournal(t *testing.T) {
	setEnvironment(t, nil)
	path := filepath.Join(os.Getenv("DATA_DIR"), "journal.db")
	damaged := []byte(strings.Repeat("this is no journal ", 100))
	if err := os.WriteFile(path, damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := command(t, exitFailed, "plays"); !strings.Contains(errs, path) || !strings.Contains(errs, "restore a backup") {
		t.Errorf("damaged journal: %s", errs)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(damaged) {
		t.Errorf("a damaged journal was not left alone (%v)", err)
	}
}

func TestGaps(t *testing.T) {
	setEnvironment(t, nil)
	if out, errs := command(t, exitDone, "gaps"); out+errs != "" {
		t.Errorf("without a journal: %s%s", out, errs)
	}
	full := func(from time.Time) journal.Witnessed {
		w := journal.Witnessed{Page: &journal.Page{FetchedAt: from.Add(3 * time.Hour), Full: true}}
		for i := range 50 {
			w.Reports = append(w.Reports, journal.Report{Witness: journal.RecentlyPlayed, MSPlayed: -1, EndedAt: from.Add(time.Duration(i) * 3 * time.Minute),
				Item: journal.Item{Kind: journal.Track, URI: "spotify:track:" + strings.Repeat("a", 22), Name: "Again", Artists: []journal.Artist{{Name: "Somebody"}}, DurationMS: 170_000}})
		}
		return w
	}
	record(t, "me", full(evening), full(evening.Add(24*time.Hour)))
	out, _ := command(t, exitDone, "gaps")
	if !strings.Contains(out, "open") || !strings.Contains(out, "2026-11-21 23:57:00") || !strings.Contains(out, "2026-11-22 21:30:00") {
		t.Errorf("gaps:\n%s", out)
	}
	out, _ = command(t, exitDone, "gaps", "--json")
	var gap struct {
		ID       int64
		From     time.Time
		ClosedBy *string `json:"closed_by"`
	}
	if err := json.Unmarshal([]byte(out), &gap); err != nil || gap.ID == 0 || gap.ClosedBy != nil || !gap.From.Equal(evening.Add(147*time.Minute)) {
		t.Errorf("gaps --json: %s (%v)", out, err)
	}
	command(t, exitDone, "gaps", "--accept", "1")
	if out, _ := command(t, exitDone, "gaps"); !strings.Contains(out, "closed: accepted") {
		t.Errorf("after --accept:\n%s", out)
	}
	if _, errs := command(t, exitFailed, "gaps", "--accept", "1"); !strings.Contains(errs, "no open gap of that id") {
		t.Errorf("--accept twice: %s", errs)
	}
}

func TestReplay(t *testing.T) {
	setEnvironment(t, nil)
	if _, errs := command(t, exitFailed, "replay"); !strings.Contains(errs, "no journal yet") {
		t.Errorf("without a journal: %s", errs)
	}
	record(t, "me", oddPlays())
	if _, errs := command(t, exitDone, "replay"); !strings.HasPrefix(errs, "8 plays") {
		t.Errorf("replay: %s", errs)
	}
	if _, errs := command(t, exitDone, "replay", "--from", "2026-11-21 21:50", "--to", "2026-11-21 21:55"); !strings.HasPrefix(errs, "1 play ") {
		t.Errorf("replay of five minutes: %s", errs)
	}
}

func TestExplain(t *testing.T) {
	setEnvironment(t, nil)
	item := journal.Item{Kind: journal.Track, URI: "spotify:track:" + strings.Repeat("a", 22), Name: "Song", Artists: []journal.Artist{{Name: "Somebody"}}, DurationMS: 200_000}
	record(t, "me",
		journal.Witnessed{Reports: []journal.Report{{Witness: journal.Playback, Item: item, EndedAt: evening.Add(2 * time.Second), EndedError: 5 * time.Second,
			StartedAt: evening.Add(-200 * time.Second), MSPlayed: 180_000, MSPlayedError: 4_000, Device: "Kitchen",
			SeenAt: evening.Add(-20 * time.Second), SeenStillAt: evening.Add(-3 * time.Second), SeenMSPlayed: 178_000, SeenMSLeft: 22_000,
			Break: journal.Break{From: evening.Add(-100 * time.Second), Until: evening.Add(-95 * time.Second), MSPlayed: 100_000}}}},
		journal.Witnessed{Reports: []journal.Report{{Witness: journal.RecentlyPlayed, Item: item, EndedAt: evening, MSPlayed: -1}}})
	for _, what := range []string{"1", "2026-11-21 21:29", "2026-11-21T21:35:00Z"} { // while it played, and a little later
		out, _ := command(t, exitDone, "explain", what)
		rows := map[string]string{}
		for line := range strings.Lines(out) {
			if name, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				rows[name] = strings.Join(strings.Fields(rest), " ")
			}
		}
		if got := rows["ended_at"]; got != "2026-11-21 21:30:00.123 recently_played 2026-11-21 21:30:00.123 2026-11-21 21:30:02.123" {
			t.Errorf("explain %s: ended_at %q in\n%s", what, got, out)
		}
		if got := rows["device"]; got != "Kitchen playback – Kitchen" {
			t.Errorf("explain %s: device %q in\n%s", what, got, out)
		}
		for name, want := range map[string]string{
			"It":              "is one play with that of recently_played, since playback has the same uri and an end 2s off, as its error allows.",
			"ended":           "± – – – 5s",
			"paused_since":    "– – – 2026-11-21 21:29:40.123",
			"paused_still_at": "– – – 2026-11-21 21:29:57.123",
			"maybe_two_from":  "– – – 2026-11-21 21:28:20.123",
			"maybe_two_until": "– – – 2026-11-21 21:28:25.123",
			"seen_at":         "", // it was paused then
		} {
			if got := rows[name]; got != want {
				t.Errorf("explain %s: %s %q, want %q in\n%s", what, name, got, want, out)
			}
		}
	}
	if _, errs := command(t, exitFailed, "explain", "2026-11-21 12:00"); !strings.HasSuffix(errs, "no play within 15 minutes of 2026-11-21T12:00:00Z\n") {
		t.Errorf("explain nothing: %s", errs)
	}
	if _, errs := command(t, exitFailed, "explain", "77"); !strings.Contains(errs, "no such play") {
		t.Errorf("explain an unknown id: %s", errs)
	}
	command(t, exitUsage, "explain", "soon")
}

func TestTableFitsTheTerminal(t *testing.T) {
	play := journal.Play{ID: 123_456, EndedAt: evening, MSPlayed: 3_723_000, Device: "Kitchen", Witnesses: []journal.Witness{journal.Playback, journal.RecentlyPlayed},
		Item: journal.Item{Name: strings.Repeat("風車🎧", 30), Artists: []journal.Artist{{Name: "第二"}}}}
	for width := 25; width <= 200; width++ {
		c := columnsWithin(width)
		row := strings.TrimSuffix(tableRow(&play, time.UTC, c), "\n")
		if got := uniseg.StringWidth(row); got > width || got < min(width-1, 120) && !c.sources && c.title < 60 {
			t.Errorf("%d wide on %d: %s", got, width, row)
		}
		if strings.Contains(row, "Kitchen") != (width >= 88) || strings.HasSuffix(row, "playback, recently played") != (width >= 70) || strings.Contains(row, "1:02:03") != (width >= 47) {
			t.Errorf("what is left out on %d: %s", width, row)
		}
	}
}
