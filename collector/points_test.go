package collector_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// takeOut closes a journal and moves it out of its bubble, whose folder is removed
// at its end.
func takeOut(t *testing.T, w *world, j *journal.Journal, path string) {
	t.Helper()
	if err := errors.Join(j.Close(), os.Rename(filepath.Join(w.dir, "journal.db"), path)); err != nil {
		t.Error(err)
	}
}

// drain writes all that a journal has queued into a bucket of a real InfluxDB and
// returns its listens.
func drain(t *testing.T, path string) []map[string]any {
	t.Helper()
	server := influxtest.Shared(t)
	bucket := server.Bucket(t)
	j, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	exporter, err := influx.New(influx.Options{URL: server.URL, Org: server.Org, Bucket: bucket, Token: server.Token, Journal: j})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if _, err := exporter.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		if entries, err := j.Take(t.Context(), 0, 1); err != nil {
			t.Fatal(err)
		} else if len(entries) == 0 {
			return server.Points(t, bucket, "listen")
		}
	}
	t.Fatal("the outbox is not drained in 1000 steps")
	return nil
}

// recordedPage is as much of a recorded page as has to arrive.
type recordedPage struct{ Items []recordedPlay }

type recordedPlay struct {
	PlayedAt time.Time `json:"played_at"`
	Track    struct {
		URI, Name   string
		Artists     []struct{ Name string }
		ExternalIDs struct{ ISRC string } `json:"external_ids"`
		Album       struct {
			Name        string
			ReleaseDate string `json:"release_date"`
		}
	}
}

// TestPagesBecomePoints serves pages of every shape verbatim.
func TestPagesBecomePoints(t *testing.T) {
	for name, body := range answers(t, madeUp+"recently_played_2*.json") {
		becomesPoints(t, name, body, 4)
	}
	becomesPoints(t, "recently_played.json", answers(t, madeUp+"recently_played.json")["recently_played.json"], 8)
}

// becomesPoints serves a page verbatim: every play of it is one row and one point, with
// the end, all artists, ISRC and year that it had.
func becomesPoints(t *testing.T, name string, body []byte, want int) {
	t.Run(name, func(t *testing.T) {
		var page recordedPage
		if err := json.Unmarshal(body, &page); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "journal.db")
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.sim.Verbatim(spotifysim.EndpointRecentlyPlayed, body, 200)
			j := w.journal()
			w.run(j, time.Now().Add(3*time.Hour), collector.Options{})
			if got := len(recorded(t, j)); got != want {
				t.Errorf("%d plays in the journal, %d on the page", got, want)
			}
			takeOut(t, w, j, path)
		})
		points := drain(t, path)
		if len(points) != want {
			t.Fatalf("%d points, %d plays on the page", len(points), want)
		}
		items := page.Items
		slices.SortStableFunc(items, func(a, b recordedPlay) int { return a.PlayedAt.Compare(b.PlayedAt) })
		for i, item := range items {
			point := points[i]
			var artists []string
			for _, a := range item.Track.Artists {
				artists = append(artists, a.Name)
			}
			year, _ := strconv.Atoi(cmp.Or(strings.SplitN(item.Track.Album.ReleaseDate, "-", 2)[0], "0"))
			for field, want := range map[string]any{
				"track": item.Track.Name, "artist": artists[0], "artists": strings.Join(artists, "; "), "isrc": item.Track.ExternalIDs.ISRC,
				"album": item.Track.Album.Name, "release_year": year, "kind": "track",
			} {
				if fmt.Sprint(point[field]) != fmt.Sprint(want) && !(want == "" && point[field] == nil) {
					t.Errorf("%s of %s: %v, want %v", field, item.Track.Name, point[field], want)
				}
			}
			if at, _ := point["_time"].(time.Time); !at.Truncate(time.Millisecond).Equal(item.PlayedAt.Truncate(time.Millisecond)) {
				t.Errorf("%s ended at %v, its point is at %v", item.Track.Name, item.PlayedAt, at)
			}
		}
	})
}

// TestTwentyDaysBecomePoints plays twenty generated days.
func TestTwentyDaysBecomePoints(t *testing.T) {
	if testing.Short() {
		t.Skip("plays twenty days: not in short runs")
	}
	daysBecomePoints(t, generatedDays(20))
}

// daysBecomePoints plays days in virtual time and writes them into a real InfluxDB:
// every play of 30 s and more is there once.
func daysBecomePoints(t *testing.T, given []spotifysim.Given) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	var played []heard
	synctest.Test(t, func(t *testing.T) {
		first := given[0].EndedAt.Truncate(24 * time.Hour)
		time.Sleep(time.Until(first))
		w := newWorld(t)
		w.user.PlayDays(given)
		j := w.journal()
		w.run(j, given[len(given)-1].EndedAt.Add(9*time.Hour), collector.Options{Quota: collector.NewQuota(j, clientID, budget, clock.Clock{}, nil)})
		played = w.played()
		takeOut(t, w, j, path)
	})
	var points []heard
	for _, point := range drain(t, path) {
		ms, _ := point["ms_played"].(int64)
		ended, _ := point["_time"].(time.Time)
		h := heard{uri: fmt.Sprintf("spotify:%v:%v", point["kind"], point["track_id"]), ended: ended, ms: ms}
		if point["witness"] == journal.Playback.String() {
			h.sure = time.Minute
		}
		points = append(points, h)
	}
	pairs, lost, extra := match(played, points)
	for _, p := range lost {
		if p.ms >= counted {
			t.Errorf("%s ended %v is not in InfluxDB", p.uri, p.ended)
		}
	}
	for _, p := range extra {
		t.Errorf("%s ended %v is in InfluxDB once too often", p.uri, p.ended)
	}
	t.Logf("%d of %d plays in %d points", len(pairs), len(played), len(points))
}
