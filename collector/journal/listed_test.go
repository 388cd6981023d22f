package journal_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestListedStarts: the list is read otherwise, and back. Plays are as if it had been read
// so from the start, the reports stay as Spotify said, and saying it twice does nothing.
func TestListedStarts(t *testing.T) {
	j, err := journal.Open(t.Context(), t.TempDir()+"/journal.db", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	const length = 3 * time.Minute
	item := func(n int) journal.Item {
		return journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", n), Name: fmt.Sprint("Song ", n), Artists: []journal.Artist{{Name: "Somebody"}}, DurationMS: length.Milliseconds()}
	}
	listed := func(n int, at time.Time) journal.Report {
		return journal.Report{Witness: journal.RecentlyPlayed, Item: item(n), EndedAt: at, MSPlayed: -1}
	}
	record := func(reports ...journal.Report) {
		t.Helper()
		if _, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports}); err != nil {
			t.Fatal(err)
		}
	}
	state := func() string {
		t.Helper()
		var text string
		for p, err := range j.Plays(t.Context(), journal.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprintln(p.Item.Name, p.EndedAt.Sub(noon), p.MSPlayed)
			reports, err := j.Reports(t.Context(), p.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range reports {
				text += fmt.Sprintln("  said", r.Witness, r.EndedAt.Sub(noon), r.StartedAt.IsZero() || r.Witness != journal.RecentlyPlayed)
			}
		}
		return text
	}
	set := func(starts bool) {
		t.Helper()
		for range 2 {
			if err := j.SetListsStarts(t.Context(), "me", starts); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := j.ListsStarts(t.Context(), "me"); err != nil || got != starts {
			t.Fatalf("the list has starts: %v, %v", got, err)
		}
	}
	// Two plays that are read rightly, and the same page with starts, and one more whose
	// start and end the tracker has seen.
	record(listed(1, noon), listed(2, noon.Add(length)))
	if err := j.MarkListed(t.Context(), "me", true); err != nil {
		t.Fatal(err)
	}
	begin := noon.Add(time.Hour)
	record(journal.Report{
		Witness: journal.Playback, Item: item(3), StartedAt: begin, EndedAt: begin.Add(length), EndedError: 2 * time.Second,
		MSPlayed: length.Milliseconds(), MSPlayedError: 2000, SeenAt: begin.Add(2 * time.Minute), SeenMSPlayed: 120_000, SeenMSLeft: 60_000,
	})
	record(listed(1, noon.Add(-length)), listed(2, noon), listed(3, begin))
	before := state()
	plays := func() (n int) {
		for _, err := range j.Plays(t.Context(), journal.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		return n
	}
	if n := plays(); n != 6 {
		t.Fatalf("%d plays while the starts are read as ends, want 6:\n%s", n, before)
	}
	set(true)
	if n := plays(); n != 3 {
		t.Errorf("%d plays of 3:\n%s", n, state())
	}
	for p, err := range j.Plays(t.Context(), journal.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]time.Time{"Song 1": noon, "Song 2": noon.Add(length), "Song 3": begin.Add(length)}[p.Item.Name]
		if !p.EndedAt.Equal(want) || p.MSPlayed != length.Milliseconds() {
			t.Errorf("%s ended %v, %d ms; want %v", p.Item.Name, p.EndedAt, p.MSPlayed, want)
		}
	}
	// What comes now is read so at once, whatever was known of it.
	record(listed(4, begin.Add(time.Hour)))
	if n := plays(); n != 4 {
		t.Errorf("%d plays of 4:\n%s", n, state())
	}
	set(false) // nothing was noted since: all of it was a mistake
	record(listed(4, begin.Add(time.Hour)))
	if n := plays(); n != 7 {
		t.Errorf("%d plays after it was taken back, want the 6 of before and another:\n%s", n, state())
	}
}
