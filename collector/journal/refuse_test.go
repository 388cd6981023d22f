package journal_test

import (
	"slices"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// A play that ended in 1970 or days ahead of us is kept and is no play: it reaches
// neither the plays nor InfluxDB, is no gap, and the held ratio does not miss it.
func TestEndsThatCannotBe(t *testing.T) {
	now := noon.Add(time.Hour)
	j, influx := open(t, journal.Options{Now: func() time.Time { return now }}), newDatabase()
	bad := []journal.Report{
		listed(song(7), time.Unix(0, 0)), listed(song(8), time.Time{}), listed(song(9), now.Add(72*time.Hour)), listed(song(9), time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC)),
		inHistory(song(7), time.Unix(0, 0), 1_000),
	}
	good := []journal.Report{listed(song(1), noon), listed(song(2), noon.Add(3*time.Minute)), listed(song(3), now.Add(20*time.Hour))}
	page := func(reports ...journal.Report) journal.Recorded {
		t.Helper()
		recorded, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports, Page: &journal.Page{FetchedAt: now, Full: true}})
		if err != nil {
			t.Fatal(err)
		}
		return recorded
	}
	for i, want := range []journal.Outcome{journal.New, journal.Known} {
		recorded := page(slices.Concat(bad, good)...)
		outcomes := slices.Concat(slices.Repeat([]journal.Outcome{journal.Refused}, len(bad)), slices.Repeat([]journal.Outcome{want}, len(good)))
		if !slices.Equal(recorded.Outcomes, outcomes) || recorded.Gap != nil {
			t.Errorf("page %d: outcomes %v, gap %v", i, recorded.Outcomes, recorded.Gap)
		}
	}
	influx.drain(t, j, 100)
	held, err := j.LastPage(t.Context(), "me")
	if len(plays(t, j)) != len(good) || len(influx.points) != len(good) || err != nil || held.Listed != len(good) || len(held.Held) != len(good) {
		t.Errorf("%d plays, %d points, %d of %d held, want %d (%v)", len(plays(t, j)), len(influx.points), len(held.Held), held.Listed, len(good), err)
	}
	if kept, err := j.RefusedReports(t.Context()); err != nil || kept != int64(len(bad)) {
		t.Errorf("%d reports kept, want %d (%v)", kept, len(bad), err)
	}
	// Three days later it may have been so.
	now = now.Add(60 * time.Hour)
	if recorded := page(bad[2], good[2]); !slices.Equal(recorded.Outcomes, []journal.Outcome{journal.New, journal.Known}) {
		t.Errorf("when the time has come: %v", recorded.Outcomes)
	}
	// If all are ahead it is our clock that is wrong: a computer without one begins in 1970.
	now = time.Unix(1000, 0)
	if recorded := page(listed(song(4), noon), listed(song(5), noon.Add(3*time.Minute))); !slices.Equal(recorded.Outcomes, []journal.Outcome{journal.New, journal.New}) {
		t.Errorf("by a clock in 1970: %v", recorded.Outcomes)
	}
}
