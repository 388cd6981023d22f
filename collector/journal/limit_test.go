package journal_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestLimitOfPlaysAtOneTime has plays of three accounts at the same nanosecond, as
// people of one household have whose devices play as a group.
func TestLimitOfPlaysAtOneTime(t *testing.T) {
	j, err := journal.Open(t.Context(), t.TempDir()+"/journal.db", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	ended := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	item := journal.Item{Kind: journal.Track, URI: "spotify:track:0000000000000000000001", Name: "Song", DurationMS: 180_000}
	for _, account := range []string{"anna", "ben", "carla"} {
		for i := range 2 {
			report := journal.Report{Witness: journal.RecentlyPlayed, Item: item, EndedAt: ended.Add(time.Duration(i) * time.Hour), MSPlayed: -1}
			if _, err := j.Record(t.Context(), account, journal.Witnessed{Reports: []journal.Report{report}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := []string{"anna 12", "ben 12", "carla 12", "anna 13", "ben 13", "carla 13"}
	for limit := 1; limit <= len(all)+1; limit++ {
		var got []string
		for play, err := range j.Plays(t.Context(), journal.Filter{Limit: limit}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s %d", play.Account, play.EndedAt.Hour()))
		}
		if want := all[max(0, len(all)-limit):]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the newest %d: %v, want %v", limit, got, want)
		}
	}
}
