package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// row is a row of the extended history, with more members before those that it has.
func row(ended string, n int, more ...string) string {
	return fmt.Sprintf(`{%s"ts":%q,"ms_played":200000,"master_metadata_track_name":"Song %[3]d","master_metadata_album_artist_name":"Band",`+
		`"spotify_track_uri":"spotify:track:%022[3]d","reason_start":"trackdone","reason_end":"trackdone"}`, strings.Join(more, ""), ended, n)
}

// One odd file is named and does not keep the others from being imported.
func TestImportBesideAnOddFile(t *testing.T) {
	for _, reversed := range []bool{false, true} {
		setEnvironment(t, nil)
		dir := t.TempDir()
		odd, good := filepath.Join(dir, "StreamingHistory_video_0.json"), filepath.Join(dir, "StreamingHistory_music_0.json")
		writeFile(t, good, `[{"endTime":"2025-03-01 10:00","artistName":"Band","trackName":"Song","msPlayed":200000}]`)
		writeFile(t, odd, `[{"endTime":"2025-03-01 11:00","artistName":"Band","videoName":"Video","msPlayed":200000}]`)
		paths := []string{good, odd}
		if reversed {
			paths = []string{odd, good}
		}
		_, errs := command(t, exitFailed, append([]string{"import"}, paths...)...)
		if !strings.Contains(errs, odd) || !strings.Contains(errs, "left out") || strings.Contains(errs, "not complete") {
			t.Errorf("the odd file is not named: %s", errs)
		}
		if plays := recordedPlays(t); len(plays) != 1 {
			t.Errorf("%d plays, want 1", len(plays))
		}
		if list, _ := command(t, exitDone, "import", "--list"); !strings.Contains(list, "complete") || strings.Contains(list, "incomplete") {
			t.Errorf("imports: %s", list)
		}
	}
}

// A gap closes by what the rows cover. Numbers in names prove nothing between years
// or in copies, and the balance sheet says which time no file covers.
func TestGapsCloseByRows(t *testing.T) {
	gap := journal.Covered{From: time.Date(2025, 1, 10, 0, 0, 0, 0, time.UTC), Until: time.Date(2025, 9, 20, 0, 0, 0, 0, time.UTC)}
	early := "[" + row("2024-10-01T10:00:00Z", 1) + "," + row("2025-01-05T10:00:00Z", 2) + "]"
	late := "[" + row("2025-10-01T10:00:00Z", 3) + "," + row("2025-12-30T10:00:00Z", 4) + "]"
	for _, c := range []struct {
		name   string
		files  map[string]string
		closed int
		tells  string // on the balance sheet; "": nothing of times without a file
	}{
		{"numbers of two years", map[string]string{"Streaming_History_Audio_2024_1.json": early, "Streaming_History_Audio_2025_2.json": late}, 0,
			"No rows between 2025-01-05 and 2025-10-01"},
		{"the same number in two years", map[string]string{"Streaming_History_Audio_2024_1.json": early, "Streaming_History_Audio_2025_1.json": late}, 0,
			"No rows between 2025-01-05 and 2025-10-01"},
		{"copies", map[string]string{"Streaming_History_Audio_2025_9 4.json": early, "Streaming_History_Audio_2025_9 5.json": late}, 0,
			"No rows between 2025-01-05 and 2025-10-01"},
		{"a number between them is missing", map[string]string{"Streaming_History_Audio_2024-2025_1.json": early, "Streaming_History_Audio_2025_3.json": late}, 0,
			"No rows between 2025-01-05 and 2025-10-01"},
		{"numbers of one year", map[string]string{"Streaming_History_Audio_2024-2025_1.json": early, "Streaming_History_Audio_2025_2.json": late}, 1, ""},
		{"rows between", map[string]string{"Streaming_History_Audio_2024_1.json": early, "Streaming_History_Audio_2025_1.json": late,
			"Streaming_History_Audio_2025_9 4.json": "[" + row("2025-01-01T10:00:00Z", 5) + "," + row("2025-10-05T10:00:00Z", 6) + "]"}, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			setEnvironment(t, nil)
			leaveGap(t, gap)
			dir := t.TempDir()
			for name, content := range c.files {
				writeFile(t, filepath.Join(dir, name), content)
			}
			b, sheet := runImport(t, dir)
			if b.GapsClosed != c.closed {
				t.Errorf("closed %d gaps, want %d", b.GapsClosed, c.closed)
			}
			if tells := "No rows between"; !strings.Contains(sheet, c.tells) || strings.Contains(sheet, tells) != (c.tells != "") || len(b.Uncovered) > 0 != (c.tells != "") {
				t.Errorf("%v\n%s", b.Uncovered, sheet)
			}
		})
	}
}

// leaveGap makes a journal with a gap: two full pages of recently-played that have no
// play in common.
func leaveGap(t *testing.T, gap journal.Covered) {
	t.Helper()
	j, err := journal.Open(t.Context(), filepath.Join(os.Getenv("DATA_DIR"), "journal.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for n, ended := range []time.Time{gap.From, gap.Until} {
		item := journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:live%d", n), Name: fmt.Sprint("Live ", n), Artists: []journal.Artist{{Name: "Band"}}}
		recorded, err := j.Record(t.Context(), "me", journal.Witnessed{
			Reports: []journal.Report{{Witness: journal.RecentlyPlayed, Item: item, EndedAt: ended, MSPlayed: -1}},
			Page:    &journal.Page{FetchedAt: ended.Add(time.Minute), Full: true},
		})
		if err != nil || (n == 1) != (recorded.Gap != nil) {
			t.Fatalf("page %d: gap %v, %v", n, recorded.Gap, err)
		}
	}
}

// Letters that a file has lost are told by file, and everything is stored all the
// same.
func TestImportTellsOfDamagedText(t *testing.T) {
	setEnvironment(t, nil)
	path := filepath.Join(t.TempDir(), "endsong_0.json")
	writeFile(t, path, "["+row("2025-03-01T10:00:00Z", 1, "\"master_metadata_album_album_name\":\"D\xe9but\",")+","+row("2025-03-01T11:00:00Z", 2)+"]")
	b, sheet := runImport(t, path)
	if b.Stored != 2 || b.Files[0].DamagedTitles != 1 || !strings.Contains(sheet, path+": 1 title with letters that were lost") {
		t.Errorf("%+v\n%s", b, sheet)
	}
}

// An undo tells which plays stay, and which import still has them.
func TestUndoTellsWhatStays(t *testing.T) {
	for _, first := range []bool{true, false} {
		setEnvironment(t, nil)
		dir := t.TempDir()
		a, b := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
		writeFile(t, a, "["+row("2025-03-01T10:00:00Z", 1)+","+row("2025-03-01T11:00:00Z", 2)+","+row("2025-03-01T12:00:00Z", 3)+"]")
		writeFile(t, b, "["+row("2025-03-01T11:00:00Z", 2)+","+row("2025-03-01T12:00:00Z", 3)+","+row("2025-03-01T13:00:00Z", 4)+"]")
		runImport(t, a)
		runImport(t, b)
		undone, left := "1", "2"
		if !first {
			undone, left = "2", "1"
		}
		_, errs := command(t, exitDone, "import", "--undo", undone)
		if !strings.Contains(errs, "2 of its plays stay, since import "+left+" has brought them as well") || len(recordedPlays(t)) != 3 {
			t.Errorf("undo of import %s: %d plays are left: %s", undone, len(recordedPlays(t)), errs)
		}
		_, errs = command(t, exitDone, "import", "--undo", left)
		if strings.Contains(errs, "stay") || len(recordedPlays(t)) != 0 {
			t.Errorf("undo of the other one: %d plays are left: %s", len(recordedPlays(t)), errs)
		}
	}
}
