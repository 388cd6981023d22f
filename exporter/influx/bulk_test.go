package influx_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

func TestManyDeletesAreFewRequests(t *testing.T) {
	s := influxtest.Shared(t)
	bucket := s.Bucket(t)
	j := openJournal(t)
	deletes := 0
	e := exporter(t, s, bucket, j, func(o *influx.Options) {
		o.Base = roundTripper(func(req *http.Request) (*http.Response, error) {
			if strings.HasSuffix(req.URL.Path, "/delete") || strings.Contains(req.URL.Query().Get("q"), "DELETE") {
				deletes++
			}
			return http.DefaultTransport.RoundTrip(req)
		})
	})
	var stay, goes []journal.Report
	for i, report := range evenings(1_000) {
		if i%200 == 100 {
			stay = append(stay, report)
		} else {
			goes = append(goes, report)
		}
	}
	record(t, j, "me", stay...)
	record(t, j, "other", heard(1, evening.Add(time.Minute)))
	batch, err := j.StartBatch(t.Context(), "me", "my_spotify_data.zip")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: goes, Batch: batch}); err != nil {
		t.Fatal(err)
	}
	drain(t, e)
	count := func(measurement, field string, want int) {
		t.Helper()
		if got := s.Count(t, bucket, measurement, field); got != want {
			t.Errorf("%d points of %s, want %d", got, measurement, want)
		}
	}
	count("listen", "ms_played", 1_001)
	count("track_total", "plays", 1_001)

	if err := j.UndoBatch(t.Context(), batch, nil); err != nil {
		t.Fatal(err)
	}
	drain(t, e)
	count("listen", "ms_played", len(stay)+1)
	count("listen_artist", "ms_played", len(stay)+1)
	count("track_total", "plays", len(stay)+1)
	for _, point := range s.Points(t, bucket, "track_total") {
		if point["plays"] != int64(1) {
			t.Errorf("total of what stays: %v", point)
		}
	}
	if deletes > 100 {
		t.Errorf("%d requests to delete %d plays and their totals", deletes, len(goes))
	}
	if n := e.State().PointsDeleted; n < uint64(2*len(goes)) {
		t.Errorf("%d points deleted, want twice %d and totals", n, len(goes))
	}
}

func TestRebuildLeavesWhatTheJournalHas(t *testing.T) {
	s := influxtest.Shared(t)
	bucket := s.Bucket(t)
	j := openJournal(t)
	record(t, j, "me", evenings(30)...)
	record(t, j, "other", heard(1, evening.Add(time.Minute)))
	drain(t, exporter(t, s, bucket, j))
	points := func() map[string]int {
		counts := map[string]int{}
		for measurement, field := range map[string]string{
			"listen": "ms_played", "listen_artist": "ms_played", "artist_total": "plays", "album_total": "plays", "track_total": "plays",
			"artist_year": "plays", "account": "name",
		} {
			counts[measurement] = s.Count(t, bucket, measurement, field)
		}
		return counts
	}
	want := points()

	// What InfluxDB has of the time after a backup, or of an import then.
	later := openJournal(t)
	record(t, later, "me", heard(100, evening.AddDate(-9, 0, 0)), heard(101, evening.AddDate(0, 0, 9)))
	record(t, later, "somebody", heard(1, evening))
	drain(t, exporter(t, s, bucket, later))
	writeLines(t, s, bucket, `weather,account=me celsius=21 1772000000000000000`)

	n, err := j.Rebuild(t.Context())
	if err != nil || n != 31 {
		t.Fatalf("%d plays to send (%v), want 31", n, err)
	}
	drain(t, exporter(t, s, bucket, j))
	for measurement, count := range points() {
		others := 1 // of somebody
		if count != want[measurement]+others {
			t.Errorf("%d points of %s, want %d", count, measurement, want[measurement]+others)
		}
	}
	if s.Count(t, bucket, "weather", "celsius") != 1 {
		t.Error("what another program wrote is gone")
	}
	if list := rejected(t, j); len(list) > 0 {
		t.Errorf("rejected: %v", list)
	}
}
