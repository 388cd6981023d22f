package journal_test

import (
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestWhyReportsAreOnePlay: what explain prints.
func TestWhyReportsAreOnePlay(t *testing.T) {
	end := at("12:03:00")
	relinked := other(song(1), func(i *journal.Item) { i.URI = song(2).URI })
	noISRC := other(relinked, func(i *journal.Item) { i.ISRC, i.DurationMS = "", 180_500 })
	history := inHistory(song(1), at("12:43:00"), 180_000)
	history.StartedAt = at("12:00:00")
	tests := []struct {
		name    string
		reports []journal.Report
		want    map[journal.Witness]journal.Testimony
	}{
		{"alone", []journal.Report{listed(song(1), end)}, map[journal.Witness]journal.Testimony{journal.RecentlyPlayed: {Ends: true}}},
		{"all of them", []journal.Report{listed(song(1), end), looked(song(1), end.Add(-5*time.Second), 175_000, 6*time.Second), inHistory(song(1), end, 180_000), inAccountData(song(1), end, 180_000)},
			map[journal.Witness]journal.Testimony{
				journal.RecentlyPlayed:  {Ends: true},
				journal.ExtendedHistory: {Same: "uri"},
				journal.Playback:        {Same: "uri", Apart: 5 * time.Second, Beyond: 2 * time.Second},
				journal.AccountData:     {Same: "names", Apart: 30 * time.Second},
			}},
		{"another uri of the recording", []journal.Report{listed(song(1), end), looked(relinked, end, 180_000, 6*time.Second)},
			map[journal.Witness]journal.Testimony{journal.RecentlyPlayed: {Ends: true}, journal.Playback: {Same: "isrc"}}},
		{"another uri of the song", []journal.Report{listed(song(1), end), looked(noISRC, end.Add(time.Second), 180_000, 6*time.Second)},
			map[journal.Witness]journal.Testimony{journal.RecentlyPlayed: {Ends: true}, journal.Playback: {Same: "names and length", Apart: time.Second}}},
		{"paused for long", []journal.Report{history, looked(song(1), at("12:01:00"), 60_000, 4*time.Second)},
			map[journal.Witness]journal.Testimony{journal.ExtendedHistory: {Ends: true}, journal.Playback: {Same: "uri", Apart: 42 * time.Minute, Beyond: 42*time.Minute - 3*time.Second, Part: true}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			j := open(t, journal.Options{})
			record(t, j, test.reports...)
			all := plays(t, j)
			if len(all) != 1 {
				t.Fatalf("%d plays", len(all))
			}
			reports, err := j.Reports(t.Context(), all[0].ID)
			if err != nil || len(reports) != len(test.reports) {
				t.Fatalf("%d reports, %v", len(reports), err)
			}
			for _, r := range reports {
				got := journal.Testimony{Ends: r.Ends, Same: r.Same, Apart: r.Apart, Beyond: r.Beyond, Part: r.Part}
				if want, ok := test.want[r.Witness]; !ok || got.Ends != want.Ends || got.Same != want.Same || got.Apart != want.Apart || got.Beyond != want.Beyond || got.Part != want.Part {
					t.Errorf("%v: %+v, want %+v", r.Witness, got, want)
				}
			}
		})
	}
}
