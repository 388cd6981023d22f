package journal_test

import (
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// totals are what InfluxDB is told of a kind of totals, by key.
func totals(t *testing.T, j *journal.Journal, kind journal.EntryKind) map[string]journal.Total {
	t.Helper()
	told := map[string]journal.Total{}
	for {
		entries, err := j.Take(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(entries) == 0 {
			return told
		}
		for _, e := range entries {
			if e.Kind == kind {
				told[e.Total.Key] = *e.Total
			}
		}
		if err := j.Sent(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
	}
}

// An episode may have the title and the show the name of a song and its artist: it adds
// nothing to the song. The total of one of which there is no song has no plays, and is
// there: it is counted among those that InfluxDB has to have.
func TestTheTotalOfASongIsOfMusic(t *testing.T) {
	j := open(t, journal.Options{})
	hear := func(kind journal.Kind, uri, name string, after time.Duration) {
		item := journal.Item{Kind: kind, URI: uri, Name: name, Artists: []journal.Artist{{Name: "Artist"}}, Album: "Album"}
		record(t, j, with(inHistory(item, noon.Add(after), 100_000), func(r *journal.Report) { r.Item = item }))
	}
	hear(journal.Track, "spotify:track:0000000000000000000001", "Song", 0)
	hear(journal.Episode, "spotify:episode:0000000000000000000001", "Song", time.Hour)
	hear(journal.Chapter, "spotify:episode:0000000000000000000002", "Chapter", 2*time.Hour)
	hear(journal.Local, "spotify:local:Artist:Album:File:100", "File", 3*time.Hour)
	told := totals(t, j, journal.EntryTrackTotal)
	for key, want := range map[string]journal.Total{
		"artist\x1fsong":    {Name: "Song", Plays: 1, MSPlayed: 100_000, First: noon, Last: noon},
		"artist\x1ffile":    {Name: "File", Plays: 1, MSPlayed: 100_000, First: noon.Add(3 * time.Hour), Last: noon.Add(3 * time.Hour)},
		"artist\x1fchapter": {Name: "Chapter", Last: noon.Add(2 * time.Hour)},
	} {
		got := told[key]
		if got.Name != want.Name || got.Plays != want.Plays || got.MSPlayed != want.MSPlayed || !got.First.Equal(want.First) || !got.Last.Equal(want.Last) {
			t.Errorf("%q: %+v, want %+v", key, got, want)
		}
	}
	sent, err := j.SentTotals(t.Context(), "me")
	if err != nil || sent[journal.EntryTrackTotal] != int64(len(told)) {
		t.Errorf("%d totals of songs count as sent (%v), %d were", sent[journal.EntryTrackTotal], err, len(told))
	}
}
