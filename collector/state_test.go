package collector_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestLastListenIsNotInTheFuture: alerts that nothing is recorded rest on it.
func TestLastListenIsNotInTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		play := func(ended time.Time) journal.Report {
			return journal.Report{Witness: journal.RecentlyPlayed, EndedAt: ended, MSPlayed: -1,
				Item: journal.Item{Kind: journal.Track, URI: "spotify:track:0000000000000000000001", Name: "Song", DurationMS: 180_000}}
		}
		last := w.began.Add(-time.Hour)
		if _, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: []journal.Report{play(last), play(last.AddDate(0, 3, 0))}}); err != nil {
			t.Fatal(err)
		}
		c := w.start(j, collector.Options{})
		time.Sleep(time.Minute)
		if got := c.account(t, "me").LastListen; !got.Equal(last) {
			t.Errorf("at the start: last listen %v, want %v", got, last)
		}
	})
}
