package collector_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// row is a row of recently-played.
type row struct {
	Track    map[string]any `json:"track"`
	PlayedAt string         `json:"played_at"`
}

// rowOf is a play of track n of 3 min that ended at a time.
func rowOf(n int, ended time.Time) row {
	return row{map[string]any{
		"type": "track", "uri": fmt.Sprintf("spotify:track:%022d", n), "name": fmt.Sprint("Track ", n),
		"artists": []any{map[string]any{"name": "Somebody"}}, "duration_ms": 180_000,
	}, ended.UTC().Format("2006-01-02T15:04:05.000Z")}
}

// rows are plays one after the other, newest first, the last of which is track n
// and ended at a time.
func rows(count, n int, ended time.Time) []row {
	var all []row
	for i := range count {
		all = append(all, rowOf(n-i, ended.Add(-time.Duration(i)*3*time.Minute)))
	}
	return all
}

// serve lets recently-played answer with these rows.
func (w *world) serve(rows []row) {
	body, err := json.Marshal(map[string]any{"items": rows})
	if err != nil {
		w.t.Fatal(err)
	}
	w.sim.Verbatim(spotifysim.EndpointRecentlyPlayed, body, 200)
}

// TestPages serves one page after the other, two hours each, with a restart between
// them, and counts plays and gaps.
func TestPages(t *testing.T) {
	at := func(minutes int) time.Time {
		return time.Date(1999, 12, 31, 0, minutes, 0, 0, time.UTC)
	}
	tests := []struct {
		name  string
		pages [][]row
		plays int
		gaps  int
	}{
		{"the same again", [][]row{rows(20, 20, at(60)), rows(20, 20, at(60))}, 20, 0},
		{"overlapping", [][]row{rows(20, 20, at(60)), rows(20, 30, at(90))}, 30, 0},
		{"plays of an offline device, behind the cursor", [][]row{
			{rowOf(4, at(300)), rowOf(1, at(100))},
			{rowOf(4, at(300)), rowOf(3, at(203)), rowOf(2, at(200)), rowOf(1, at(100))},
		}, 4, 0},
		{"a first page that is full", [][]row{rows(50, 50, at(300))}, 50, 0},
		{"full and overlapping by one", [][]row{rows(50, 50, at(300)), rows(50, 99, at(447))}, 99, 0},
		{"full and not overlapping", [][]row{rows(50, 50, at(300)), rows(50, 100, at(450))}, 100, 1},
		{"not overlapping but not full", [][]row{rows(50, 50, at(300)), rows(49, 100, at(450))}, 99, 0},
		{"full after an empty one", [][]row{{}, rows(50, 50, at(3000))}, 50, 1},
		{"two gaps", [][]row{rows(50, 50, at(300)), rows(50, 200, at(800)), rows(50, 300, at(1200))}, 150, 2},
		{"a listed time that moves a little", [][]row{{rowOf(1, at(100))}, {rowOf(1, at(100).Add(3*time.Second))}}, 1, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				j := w.open()
				var log lines
				for _, page := range test.pages {
					w.serve(page)
					c := w.start(j, collector.Options{Log: log.logger()})
					time.Sleep(2 * time.Hour)
					a := c.account(t, "me")
					if !*a.Up || len(page) > 0 && (a.HeldRatio == nil || *a.HeldRatio != 1) {
						t.Errorf("state: %+v", a)
					}
					c.stop()
				}
				if n := len(recorded(t, j)); n != test.plays {
					t.Errorf("%d plays, want %d", n, test.plays)
				}
				gaps, err := j.Gaps(t.Context(), "me")
				if err != nil || len(gaps) != test.gaps {
					t.Errorf("gaps: %+v, %v", gaps, err)
				}
				if n := len(log.with("plays may be lost")); n != test.gaps {
					t.Errorf("%d messages about gaps", n)
				}
				for _, g := range gaps {
					if err := j.AcceptGap(t.Context(), g.ID); err != nil {
						t.Error(err)
					}
				}
				state, err := j.State(t.Context())
				if err != nil || state.OpenGaps["me"] != 0 {
					t.Errorf("open gaps: %v, %v", state.OpenGaps, err)
				}
			})
		})
	}
}

// TestPartOfAPage: rows that can be read are recorded although others cannot, and
// the looks at the player go on.
func TestPartOfAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		page := rows(50, 50, w.began.Add(-time.Hour))
		page[7].Track, page[9].PlayedAt = nil, "yesterday"
		w.serve(page)
		w.user.At(w.began.Add(time.Hour)).Play(episode)
		c := w.start(j, collector.Options{})
		time.Sleep(4 * time.Hour)
		if n := len(recorded(t, j)); n != 48+1 {
			t.Errorf("%d plays, want 48 of the page and the episode", n)
		}
		if a := c.account(t, "me"); !*a.Up || a.Unreadable != 2 {
			t.Errorf("state: %+v", a)
		}
	})
}

// TestAGapBehindPartOfAPage: a row that cannot be read hides no gap.
func TestAGapBehindPartOfAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		w.serve(rows(50, 50, w.began.Add(-10*time.Hour)))
		w.start(j, collector.Options{})
		time.Sleep(time.Hour)
		page := rows(50, 200, w.began)
		page[7].Track = nil
		w.serve(page)
		time.Sleep(2 * time.Hour)
		w.serve(rows(50, 220, w.began.Add(time.Hour)))
		time.Sleep(2 * time.Hour)
		if gaps, err := j.Gaps(t.Context(), "me"); err != nil || len(gaps) != 1 {
			t.Errorf("gaps: %+v, %v", gaps, err)
		}
	})
}

// madeUp is where answers of Spotify are in every shape, none of which is of a real
// listener.
const madeUp = "spotify/testdata/"

// answers are those that the files of a pattern hold.
func answers(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no answers are in %s (%v)", pattern, err)
	}
	found := map[string][]byte{}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if json.Valid(body) {
			found[filepath.Base(name)] = body
		}
	}
	return found
}

func TestPagesOfEveryShape(t *testing.T) {
	areRecorded(t, answers(t, madeUp+"recently_played*.json"))
}

// areRecorded serves pages and finds every play of them in the journal, with all that
// was said of it.
func areRecorded(t *testing.T, pages map[string][]byte) {
	for name, body := range pages {
		t.Run(name, func(t *testing.T) {
			var page recordedPage
			if err := json.Unmarshal(body, &page); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				j := w.open()
				w.sim.Verbatim(spotifysim.EndpointRecentlyPlayed, body, 200)
				w.run(j, time.Now().Add(2*time.Hour), collector.Options{})
				var plays []journal.Play
				for p, err := range j.Plays(t.Context(), journal.Filter{}) {
					if err != nil {
						t.Fatal(err)
					}
					plays = append(plays, p)
				}
				if len(plays) != len(page.Items) {
					t.Fatalf("%d plays, %d rows", len(plays), len(page.Items))
				}
				slices.Reverse(page.Items)
				for i, r := range page.Items {
					p := &plays[i]
					var artists, want []string
					for _, a := range p.Item.Artists {
						artists = append(artists, a.Name)
					}
					for _, a := range r.Track.Artists {
						want = append(want, a.Name)
					}
					if p.Item.URI != r.Track.URI || p.Item.Name != r.Track.Name || !p.EndedAt.Equal(r.PlayedAt.Truncate(time.Millisecond)) || !slices.Equal(artists, want) ||
						p.Item.ISRC != r.Track.ExternalIDs.ISRC || p.Item.Album != r.Track.Album.Name || p.Item.ReleaseDate != r.Track.Album.ReleaseDate {
						t.Errorf("row %+v\nis play %+v", r, p)
					}
				}
			})
		})
	}
}

func TestTruncatedAnswers(t *testing.T) {
	areCut(t, answers(t, madeUp+"recently_played*.json"), answers(t, madeUp+"player_*.json"))
}

// areCut cuts answers at ten places, an hour each: nothing of a cut page is recorded,
// and the whole one loses nothing afterwards.
func areCut(t *testing.T, pages, players map[string][]byte) {
	test := func(name, endpoint string, body []byte) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				j := w.open()
				c := w.start(j, collector.Options{})
				for i := range 10 {
					w.sim.Verbatim(endpoint, body[:len(body)*i/10], 200)
					time.Sleep(time.Hour)
					if a := c.account(t, "me"); *a.Up || a.Failures["decode"] == 0 {
						t.Errorf("cut at %d0 %%: %+v", i, a)
					}
				}
				if n := len(recorded(t, j)); n != 0 {
					t.Errorf("%d plays of cut answers", n)
				}
				w.sim.Verbatim(endpoint, body, 200)
				time.Sleep(time.Hour)
				if a := c.account(t, "me"); !*a.Up {
					t.Errorf("whole: %+v", a)
				}
				if want := strings.Count(string(body), `"played_at"`); len(recorded(t, j)) != want {
					t.Errorf("%d plays of the whole answer, want %d", len(recorded(t, j)), want)
				}
			})
		})
	}
	for name, body := range pages {
		test(name, spotifysim.EndpointRecentlyPlayed, body)
	}
	for name, body := range players {
		test(name, spotifysim.EndpointPlayer, body)
	}
}

// TestSwappedTypes gives every key that is read a value of another type, one after
// the other: no row is recorded under two ends or twice, and none panics.
func TestSwappedTypes(t *testing.T) {
	page := answers(t, madeUp+"recently_played.json")["recently_played.json"]
	player := answers(t, madeUp+"player_track.json")["player_track.json"]
	swap := func(t *testing.T, body []byte, key string, value any) []byte {
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatal(err)
		}
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case map[string]any:
				for k := range v {
					if k == key {
						v[k] = value
					} else {
						walk(v[k])
					}
				}
			case []any:
				for _, e := range v {
					walk(e)
				}
			}
		}
		walk(v)
		swapped, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return swapped
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		c := w.start(j, collector.Options{})
		failed := 0
		keys := strings.Fields(`items track played_at context uri type id name is_local duration_ms explicit artists external_ids isrc album release_date
			images url width item device is_playing progress_ms shuffle_state repeat_state currently_playing_type volume_percent is_private_session`)
		values := []any{nil, true, 1.5, "x", []any{1}, map[string]any{"x": 1}}
		if testing.Short() {
			values = values[:1]
		}
		for _, key := range keys {
			for _, value := range values {
				w.sim.Verbatim(spotifysim.EndpointRecentlyPlayed, swap(t, page, key, value), 200)
				w.sim.Verbatim(spotifysim.EndpointPlayer, swap(t, player, key, value), 200)
				time.Sleep(61 * time.Minute)
				if !*c.account(t, "me").Up {
					failed++
				}
			}
		}
		w.sim.Verbatim(spotifysim.EndpointRecentlyPlayed, page, 200)
		w.sim.Verbatim(spotifysim.EndpointPlayer, nil, 204)
		time.Sleep(2 * time.Hour)
		if a := c.account(t, "me"); !*a.Up || failed == 0 {
			t.Errorf("%d failures; afterwards: %+v", failed, a)
		}
		listed := map[time.Time]int{}
		for p, err := range j.Plays(t.Context(), journal.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(p.Witnesses, journal.RecentlyPlayed) && strings.HasPrefix(p.Item.URI, "spotify:track:") {
				listed[p.EndedAt]++
			}
		}
		if counts := slices.Sorted(maps.Values(listed)); len(listed) != 8 || counts[7] != 1 {
			t.Errorf("%d ends of plays are listed, at most %v at one time", len(listed), counts)
		}
	})
}
