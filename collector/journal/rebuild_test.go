package journal_test

import (
	"context"
	"fmt"
	"maps"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

func recordFor(t testing.TB, j *journal.Journal, account string, reports ...journal.Report) {
	t.Helper()
	if _, err := j.Record(t.Context(), account, journal.Witnessed{Reports: reports}); err != nil {
		t.Fatal(err)
	}
}

// stopping is a context that is cancelled when it has been asked so many times.
type stopping struct {
	context.Context
	cancel context.CancelFunc
	asked  atomic.Int64 // database/sql asks from goroutines of its own
}

func (s *stopping) Done() <-chan struct{} {
	if s.asked.Add(-1) == 0 {
		s.cancel()
	}
	return s.Context.Done()
}

// TestRebuildBrokenOff stops a rebuild wherever it looks whether to stop, with a daemon beside it that sends whatever
// is due. InfluxDB has every play thereafter, and none that the journal does not have.
func TestRebuildBrokenOff(t *testing.T) {
	j := open(t, journal.Options{})
	for i := range 12 {
		for _, account := range []string{"me", "anna"} {
			recordFor(t, j, account, journal.Report{
				Witness: journal.RecentlyPlayed, EndedAt: noon.Add(time.Duration(i) * time.Hour), MSPlayed: -1,
				Item: journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%d", i%5), Name: fmt.Sprint("Song ", i%5), DurationMS: 200_000},
			})
		}
	}
	want := newDatabase()
	want.drain(t, j, 1000)
	if len(want.points) != 24 {
		t.Fatalf("%d points, want 24", len(want.points))
	}
	stray := point{"me", 1}
	for asked := 1; ; asked++ {
		d := &database{points: maps.Clone(want.points), totals: maps.Clone(want.totals), ranked: maps.Clone(want.ranked)}
		d.points[stray] = "of an import that a restore has lost"
		ctx, cancel := context.WithCancel(t.Context())
		until := &stopping{Context: ctx, cancel: cancel}
		until.asked.Store(int64(asked))
		_, err := j.Rebuild(until)
		cancel()
		d.drain(t, j, 7)
		if err != nil && len(d.points) < 24 {
			t.Fatalf("stopped at look %d: %d of 24 points are left before it goes on", asked, len(d.points))
		}
		if err := j.FinishRebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		d.drain(t, j, 7)
		_, stays := d.points[stray]
		delete(d.points, stray)
		if !maps.Equal(d.points, want.points) || !maps.Equal(d.totals, want.totals) || !maps.Equal(d.ranked, want.ranked) {
			t.Fatalf("stopped at look %d (%v): InfluxDB has %d points, %d totals, %d ranks; want %d, %d, %d",
				asked, err, len(d.points), len(d.totals), len(d.ranked), len(want.points), len(want.totals), len(want.ranked))
		}
		if err == nil && stays {
			t.Fatal("what the journal does not have is still there")
		}
		if err == nil {
			t.Logf("%d places to stop", asked-1)
			return
		}
	}
}

// TestTwoRebuilds has one begin while another is under way, as when a daemon takes over from a command that goes on.
func TestTwoRebuilds(t *testing.T) {
	j := open(t, journal.Options{})
	for i := range 12 {
		recordFor(t, j, "me", journal.Report{
			Witness: journal.RecentlyPlayed, EndedAt: noon.Add(time.Duration(i) * time.Hour), MSPlayed: -1,
			Item: journal.Item{Kind: journal.Track, URI: "spotify:track:1", Name: "Song", DurationMS: 200_000},
		})
	}
	want := newDatabase()
	want.drain(t, j, 1000)
	if len(want.points) != 12 {
		t.Fatalf("%d points, want 12", len(want.points))
	}
	other := make(chan error)
	go func() {
		for range 20 {
			if _, err := j.Rebuild(t.Context()); err != nil {
				other <- err
				return
			}
		}
		close(other)
	}()
	got := newDatabase()
	for range 20 {
		if err := j.FinishRebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		got.drain(t, j, 5)
	}
	if err := <-other; err != nil {
		t.Fatal(err)
	}
	if err := j.FinishRebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	got.drain(t, j, 5)
	if !maps.Equal(got.points, want.points) {
		t.Errorf("%d points, want %d", len(got.points), len(want.points))
	}
}
