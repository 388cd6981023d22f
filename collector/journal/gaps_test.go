package journal_test

import (
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestAPlayInTheFutureHidesNothing: a play of a device whose clock is ahead is on
// the list for as long; there are gaps meanwhile, and a last listen.
func TestAPlayInTheFutureHidesNothing(t *testing.T) {
	now := noon
	j := open(t, journal.Options{Now: func() time.Time { return now }})
	page := func(at time.Time, reports ...journal.Report) *journal.Gap {
		t.Helper()
		now = at
		recorded, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports, Page: &journal.Page{FetchedAt: at, Full: true}})
		if err != nil {
			t.Fatal(err)
		}
		return recorded.Gap
	}
	// The list of 50 plays in the three hours before a time.
	list := func(at time.Time) (reports []journal.Report) {
		for i := range 50 {
			reports = append(reports, listed(song(i), at.Add(time.Duration(i-60)*3*time.Minute)))
		}
		return reports
	}
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	ahead := listed(song(77), noon.AddDate(0, 3, 0))
	newest := func(n int) time.Time { return day(n).Add(-33 * time.Minute) }

	if gap := page(day(0), list(day(0))...); gap != nil {
		t.Errorf("the first page: %+v", gap)
	}
	if gap := page(day(0).Add(time.Minute), append(list(day(0))[1:], ahead)...); gap != nil {
		t.Errorf("one play more: %+v", gap)
	}
	for n := 1; n <= 2; n++ {
		reports := list(day(n))
		if n == 1 { // Spotify still lists it
			reports = append(reports[1:], ahead)
		}
		gap := page(day(n), reports...)
		if gap == nil || !gap.From.Equal(newest(n-1)) || !gap.To.Equal(reports[0].EndedAt) {
			t.Errorf("day %d: %+v, want a gap from %v to %v", n, gap, newest(n-1), reports[0].EndedAt)
		}
		if state, err := j.State(t.Context()); err != nil || !state.LastListen["me"].Equal(newest(n)) {
			t.Errorf("day %d: last listen %v, %v; want %v", n, state.LastListen["me"], err, newest(n))
		}
	}
	// Then it is our clock that is behind.
	if gap := page(day(-100), append(list(day(2))[1:], listed(song(78), day(2)))...); gap != nil {
		t.Errorf("nothing is missing, but the clock is behind: %+v", gap)
	}
	if gap := page(day(3), list(day(3))...); gap == nil || !gap.From.Equal(day(2)) {
		t.Errorf("after that: %+v", gap)
	}
}
