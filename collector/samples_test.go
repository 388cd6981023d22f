package collector_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// TestTrackerClock gives the tracker what no simulator can: a clock that is set, a
// machine that sleeps, answers that overtake each other.
func TestTrackerClock(t *testing.T) {
	const length = 240
	// sample is a look at an item: which, how far it is, the time of our clock and
	// what has really passed since the last one, in seconds.
	type sample struct {
		item                   string
		position, clock, since int
		took                   int // to be answered; the clock is that of the middle
	}
	tests := []struct {
		name    string
		samples []sample
		want    []string // item, seconds played and their error, end by our clock and its error
	}{{
		name:    "runs",
		samples: []sample{{"A", 10, 10, 0, 0}, {"A", 100, 100, 90, 0}, {"B", 5, 245, 145, 0}},
		want:    []string{"A 240 ± 12 ends 240 ± 2"},
	}, {
		name:    "set forward",
		samples: []sample{{"A", 10, 10, 0, 0}, {"A", 100, 3700, 90, 0}, {"B", 5, 3845, 145, 0}},
		want:    []string{"A 240 ± 12 ends 3840 ± 2"},
	}, {
		name:    "set back a little",
		samples: []sample{{"A", 10, 1010, 0, 0}, {"A", 100, 1080, 90, 0}, {"B", 5, 1225, 145, 0}},
		want:    []string{"A 240 ± 12 ends 1220 ± 2"},
	}, {
		name:    "set back far",
		samples: []sample{{"A", 10, 9010, 0, 0}, {"A", 100, 1100, 90, 0}, {"B", 5, 1245, 145, 0}},
		want:    []string{"A 240 ± 12 ends 1240 ± 2"},
	}, {
		name:    "set back while another item began",
		samples: []sample{{"A", 10, 9010, 0, 0}, {"A", 100, 9100, 90, 0}, {"B", 5, 245, 145, 0}},
		want:    []string{"A 240 ± 12 ends 240 ± 2"},
	}, {
		name:    "set back while we were away", // what had been heard is all that is known
		samples: []sample{{"A", 10, 9010, 0, 0}, {"A", 100, 9100, 90, 0}, {"B", 5, 245, 0, 0}},
		want:    []string{"A 100 ± 12 ends 245 ± 2"},
	}, {
		name: "suspended, and it was on another device",
		// The clock that nobody sets stands still while the machine sleeps.
		samples: []sample{{"A", 10, 10, 0, 0}, {"A", 100, 100, 90, 0}, {"B", 5, 30_000, 20, 0}},
		want:    []string{"A 240 ± 150 ends 240 ± 29755"},
	}, {
		name:    "paused while suspended", // one play, unless Spotify's list has another one's end there
		samples: []sample{{"A", 10, 10, 0, 0}, {"A", 100, 100, 90, 0}, {"A", 200, 30_000, 20, 0}, {"B", 5, 30_045, 45, 0}},
		want:    []string{"A 240 ± 252 ends 30040 ± 2"},
	}, {
		name:    "overtaken",
		samples: []sample{{"A", 10, 10, 0, 0}, {"A", 100, 100, 90, 0}, {"A", 70, 70, -30, 0}, {"B", 5, 245, 145, 0}},
		want:    []string{"A 240 ± 12 ends 240 ± 2"},
	}, {
		name:    "the answers take long", // and were read at any time within these 10 s
		samples: []sample{{"A", 10, 10, 0, 0}, {"A", 100, 100, 90, 10}, {"B", 5, 245, 145, 10}},
		want:    []string{"A 240 ± 20 ends 240 ± 6"},
	}}
	epoch := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var tracker collector.Tracker
			var got []string
			for _, s := range test.samples {
				progress := int64(1000 * s.position)
				reports := tracker.Look(spotify.Player{
					Active: true, Playing: true, Kind: spotify.KindTrack, ProgressMS: &progress,
					Item:       &spotify.Item{Kind: spotify.KindTrack, URI: "spotify:track:" + s.item, Name: s.item, DurationMS: 1000 * length},
					ReceivedAt: epoch.Add(time.Duration(s.clock) * time.Second),
					RoundTrip:  time.Duration(s.took) * time.Second,
				}, time.Duration(s.since)*time.Second)
				for _, r := range reports {
					got = append(got, fmt.Sprintf("%s %d ± %d ends %.0f ± %.0f", r.Item.Name, r.MSPlayed/1000, r.MSPlayedError/1000, r.EndedAt.Sub(epoch).Seconds(), r.EndedError.Seconds()))
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// TestTrackerChosen: what is skipped to begins at its start; what is chosen in another
// album may have been entered in its middle.
func TestTrackerChosen(t *testing.T) {
	epoch := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		context string
		want    int64
	}{{"spotify:album:a", 2000}, {"spotify:album:b", 30_000}} {
		var tracker collector.Tracker
		var got []int64
		look := func(item, context string, position int64, after time.Duration) {
			position *= 1000
			for _, r := range tracker.Look(spotify.Player{
				Active: true, Playing: true, Kind: spotify.KindTrack, ProgressMS: &position, Context: spotify.Context{URI: context},
				Item:       &spotify.Item{Kind: spotify.KindTrack, URI: "spotify:track:" + item, Name: item, DurationMS: 240_000},
				ReceivedAt: epoch.Add(after),
			}, 0) {
				got = append(got, r.SeenMSError)
			}
		}
		look("A", "spotify:album:a", 60, time.Minute)
		look("B", test.context, 30, minutes(1.75))
		look("C", test.context, 1, minutes(5.25)+time.Second)
		if len(got) != 2 || got[1] != test.want {
			t.Errorf("%s: off by up to %v ms, want %d", test.context, got, test.want)
		}
	}
}

// TestTrackerPausedTwice: between two looks at a player that is paused for long, the
// item sounded for a while. No simulator shows a pause for that long.
func TestTrackerPausedTwice(t *testing.T) {
	epoch := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	var tracker collector.Tracker
	var got []string
	look := func(item string, playing bool, position int64, after time.Duration) {
		position *= 1000
		for _, r := range tracker.Look(spotify.Player{
			Active: true, Playing: playing, Kind: spotify.KindTrack, ProgressMS: &position,
			Item:       &spotify.Item{Kind: spotify.KindTrack, URI: "spotify:track:" + item, Name: item, DurationMS: 240_000},
			ReceivedAt: epoch.Add(after),
		}, 0) {
			got = append(got, fmt.Sprintf("%s %d ends %v ± %v", r.Item.Name, r.MSPlayed/1000, r.EndedAt.Sub(epoch), r.EndedError))
		}
	}
	look("A", true, 60, time.Minute)
	look("A", false, 90, 2*time.Minute)
	look("A", false, 130, 20*time.Minute)
	look("B", true, 5, 25*time.Minute)
	// At the earliest; Spotify ends it when it is given up. If it did so in the first pause
	// as well, its list has that, and the break where it was.
	want := []string{"A 130 ends 2m40s ± 22m15s"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
