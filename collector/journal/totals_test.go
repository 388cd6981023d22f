package journal_test

import (
	"fmt"
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

// What was played last may be known from an export only, without a picture.
func TestTheTotalHasTheNewestPicture(t *testing.T) {
	j := open(t, journal.Options{})
	hear := func(n int, picture string, after time.Duration) {
		item := journal.Item{
			Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", n), Name: "Song", Artists: []journal.Artist{{Name: "Artist"}}, Album: "Album", ImageURL: picture,
		}
		record(t, j, with(inHistory(item, noon.Add(after), 100_000), func(r *journal.Report) { r.Item = item }))
	}
	hear(1, "https://i.scdn.co/image/old", 0)
	hear(2, "https://i.scdn.co/image/new", 2*time.Hour)
	hear(3, "https://i.scdn.co/image/older", time.Hour)
	hear(4, "", 3*time.Hour)
	for kind, key := range map[journal.EntryKind]string{
		journal.EntryArtistTotal: "artist", journal.EntryAlbumTotal: "artist\x1falbum", journal.EntryTrackTotal: "artist\x1fsong",
	} {
		if err := j.QueueTotals(t.Context(), "me", kind); err != nil {
			t.Fatal(err)
		}
		if got := totals(t, j, kind)[key]; got.ImageURL != "https://i.scdn.co/image/new" || !got.Last.Equal(noon.Add(3*time.Hour)) {
			t.Errorf("kind %d: %+v", kind, got)
		}
	}
}
