package grafana_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// A board that is opened before the first listen shows that there is nothing, and no
// errors.
func TestBoardsOfAnEmptyDatabase(t *testing.T) {
	d := beginner(t, nil)
	everyQueryRuns(t, d)
	for uid, b := range readBoards(t) {
		v, err := d.view(t, b, looking{})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range b.targets() { // zeros for hours and weeks are no "No listens"
			if q.panel != nil && slices.Contains([]string{"Hours of the day", "Hours of the week", "Discovery"}, q.panel.Title) {
				if frames, err := v.query(t, &q); err != nil || len(frames) > 0 {
					t.Errorf("%s, %s: %d tables (%v), want none", uid, q.where, len(frames), err)
				}
			}
		}
	}
}

func TestBoardsOfASingleListen(t *testing.T) {
	for name, played := range map[string]int64{"that counts": 200_000, "of no time": 0} {
		t.Run(name, func(t *testing.T) {
			ended := now.Add(-3 * time.Hour)
			everyQueryRuns(t, beginner(t, &journal.Report{
				Witness: journal.ExtendedHistory, EndedAt: ended, StartedAt: ended.Add(-time.Duration(played) * time.Millisecond), MSPlayed: played,
				Item: journal.Item{Kind: journal.Track, URI: "spotify:track:0000000000000000000001", Name: "Only", Artists: []journal.Artist{{Name: "One"}}},
			}))
		})
	}
}

// beginner is a database of somebody who has listened once, or never.
func beginner(t *testing.T, listen *journal.Report) *database {
	t.Helper()
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	d := &database{server: server, bucket: server.Bucket(t)}
	d.token = server.Grant(t, d.bucket, influxtest.Read)
	if listen == nil {
		return d
	}
	a := &account{alias: "me", zone: zone(t, "Europe/Berlin")}
	d.accounts = []*account{a}
	j := a.open(t, filepath.Join(t.TempDir(), "journal.db"))
	defer j.Close()
	if _, err := j.Record(t.Context(), a.alias, journal.Witnessed{Reports: []journal.Report{*listen}}); err != nil {
		t.Fatal(err)
	}
	a.read(t, j)
	d.export(t, a, j)
	return d
}

// everyQueryRuns opens every board and runs all that it asks InfluxDB.
func everyQueryRuns(t *testing.T, d *database) {
	t.Helper()
	for _, b := range readBoards(t) {
		t.Run(b.UID, func(t *testing.T) {
			v, err := d.view(t, b, looking{})
			if err != nil {
				t.Fatal(err)
			}
			v.everyAnswer(t, false)
		})
	}
}
