package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestImportsThatMeetOnOneDay imports what ends in the morning into an account that has plays of the evening of that day,
// from a recorder or from the next file of the same export. Nothing in it contradicts that both are one person's.
func TestImportsThatMeetOnOneDay(t *testing.T) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	write := func(name string, from time.Time, first int) string {
		var rows []map[string]any
		for i := range 60 {
			rows = append(rows, map[string]any{
				"ts": from.Add(time.Duration(i) * 4 * time.Minute).Format(time.RFC3339), "ms_played": 200_000,
				"master_metadata_track_name": fmt.Sprint("Song ", first+i), "master_metadata_album_artist_name": "Artist",
				"master_metadata_album_album_name": "Album", "spotify_track_uri": fmt.Sprintf("spotify:track:%022d", first+i),
			})
		}
		content, err := json.Marshal(rows)
		path := filepath.Join(t.TempDir(), name)
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	morning := write("Streaming_History_Audio_2025-2026_0.json", day.Add(3*time.Hour), 0)
	evening := write("Streaming_History_Audio_2026_1.json", day.Add(17*time.Hour), 100)

	setEnvironment(t, nil)
	var live []journal.Report
	for i := range 60 {
		live = append(live, journal.Report{Witness: journal.RecentlyPlayed, MSPlayed: -1, EndedAt: day.Add(17*time.Hour + time.Duration(i)*4*time.Minute),
			Item: journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", 100+i), Name: fmt.Sprint("Song ", 100+i), DurationMS: 200_000}})
	}
	record(t, "me", journal.Witnessed{Reports: live})
	if got, _ := runImport(t, morning); got.Stored != 60 {
		t.Errorf("beside live plays of the evening: %+v", got)
	}

	setEnvironment(t, nil)
	runImport(t, evening)
	if got, _ := runImport(t, morning); got.Stored != 60 {
		t.Errorf("beside the later file of the export: %+v", got)
	}

	// Another person's evening is refused still.
	if _, errs := command(t, exitFailed, "import", write("Streaming_History_Audio_2026_2.json", day.Add(17*time.Hour), 500)); !strings.Contains(errs, "another person") {
		t.Errorf("a stranger's evening: %s", errs)
	}
}
