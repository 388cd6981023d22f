package journal_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

func take(t testing.TB, j *journal.Journal) []journal.Entry {
	t.Helper()
	entries, err := j.Take(t.Context(), 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func sent(t testing.TB, j *journal.Journal, entries []journal.Entry) {
	t.Helper()
	if err := j.Sent(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

func drain(t testing.TB, j *journal.Journal) {
	t.Helper()
	newDatabase().drain(t, j, 1000)
}

func replay(t testing.TB, j *journal.Journal, from, to time.Time) int64 {
	t.Helper()
	plays, err := j.Replay(t.Context(), from, to)
	if err != nil {
		t.Fatal(err)
	}
	return plays
}

// kinds are what the entries are about, those of plays and their points.
func kinds(entries []journal.Entry) []journal.EntryKind {
	var kinds []journal.EntryKind
	for _, e := range entries {
		if e.Kind == journal.EntryPlay || e.Kind == journal.EntryPlayGone {
			kinds = append(kinds, e.Kind)
		}
	}
	return kinds
}

func expectKinds(t *testing.T, j *journal.Journal, want ...journal.EntryKind) {
	t.Helper()
	if got := kinds(take(t, j)); !slices.Equal(got, want) {
		t.Errorf("entries of kind %v, want %v", got, want)
	}
}

func TestSentForgetsNoLaterChange(t *testing.T) {
	j := open(t, journal.Options{})
	record(t, j, listed(song(1), at("12:03:00")))
	entries := take(t, j)
	record(t, j, inHistory(song(1), at("12:03:00"), 100_000)) // while they were sent
	sent(t, j, entries)
	later := take(t, j)
	if !slices.Equal(kinds(later), []journal.EntryKind{journal.EntryPlay}) || later[0].Play.MSPlayed != 100_000 {
		t.Errorf("what changed while it was sent is left as %+v", later)
	}
	sent(t, j, later)
	drain(t, j)
	if left := take(t, j); len(left) != 0 {
		t.Errorf("left behind: %+v", left)
	}
}

func TestARejectedEntryStaysVisibleUntilItChangesOrIsReplayed(t *testing.T) {
	j := open(t, journal.Options{})
	record(t, j, listed(song(1), at("12:03:00")))
	drain(t, j)
	for name, again := range map[string]func(){
		"changed":  func() { record(t, j, inHistory(song(1), at("12:03:00"), 100_000)) },
		"replayed": func() { replay(t, j, time.Time{}, time.Time{}) },
	} {
		replay(t, j, at("12:00:00"), at("13:00:00"))
		entries := take(t, j)
		if err := j.Reject(t.Context(), entries[0], "field type conflict"); err != nil {
			t.Fatal(err)
		}
		expectKinds(t, j)
		rejected, err := j.Rejected(t.Context(), 10)
		if err != nil || len(rejected) != 1 || rejected[0].Play != entries[0].Play.ID || rejected[0].Reason != "field type conflict" {
			t.Errorf("%s: rejected %+v (%v)", name, rejected, err)
		}
		state, err := j.State(t.Context())
		if err != nil || state.RejectedPoints != 1 || state.PendingPoints != 0 || !state.OldestPending.IsZero() {
			t.Errorf("%s: state %+v (%v)", name, state, err)
		}
		again()
		expectKinds(t, j, journal.EntryPlay)
		drain(t, j)
	}
	if err := j.Reject(t.Context(), journal.Entry{}, ""); err == nil {
		t.Error("rejected without a reason")
	}
}

func TestAPointThatMovesIsDeletedBeforeItIsWritten(t *testing.T) {
	j := open(t, journal.Options{Confirmation: time.Second})
	record(t, j, looked(song(1), at("12:03:00"), 180_000, time.Second))
	entries := take(t, j)
	old := entries[slices.IndexFunc(entries, func(e journal.Entry) bool { return e.Kind == journal.EntryPlay })].Play.PointNS
	// Taken, perhaps arrived, not acknowledged: that must be enough.
	record(t, j, listed(song(1), at("12:03:01")))
	entries = slices.DeleteFunc(take(t, j), func(e journal.Entry) bool { return len(kinds([]journal.Entry{e})) == 0 })
	if got := kinds(entries); !slices.Equal(got, []journal.EntryKind{journal.EntryPlayGone, journal.EntryPlay}) {
		t.Fatalf("entries of kind %v", got)
	}
	if entries[0].TimeNS != old || entries[1].Play.PointNS == old {
		t.Errorf("from %d, deleted %d, written %d", old, entries[0].TimeNS, entries[1].Play.PointNS)
	}
}

// Deletes cost 10 to 500 ms each, so there are no needless ones.
func TestNothingIsDeletedThatIsNotThere(t *testing.T) {
	j := open(t, journal.Options{Confirmation: time.Second})
	record(t, j, looked(song(1), at("12:03:00"), 180_000, time.Second))
	record(t, j, listed(song(1), at("12:03:01")))
	expectKinds(t, j, journal.EntryPlay)
	drain(t, j)
	record(t, j, inHistory(song(1), at("12:03:02"), 180_000), inAccountData(song(1), at("12:03:02"), 180_000)) // an import
	expectKinds(t, j, journal.EntryPlay)
	drain(t, j)
	record(t, j, listed(song(2), at("12:02:00"))) // late, in the past of the other
	expectKinds(t, j, journal.EntryPlay)
}

func TestCreditsThatAreGoneAreDeleted(t *testing.T) {
	j := open(t, journal.Options{})
	record(t, j, listed(song(1), at("12:03:00")))
	drain(t, j)
	record(t, j, listed(other(song(1), func(i *journal.Item) { i.Artists = i.Artists[:1] }), at("14:03:00")))
	expectKinds(t, j, journal.EntryPlayGone, journal.EntryPlay, journal.EntryPlay)
	drain(t, j)
	record(t, j, listed(song(1), at("16:03:00"))) // two again: the points are written over
	expectKinds(t, j, journal.EntryPlay, journal.EntryPlay, journal.EntryPlay)
}

func TestALivePlayWaitsForItsConfirmation(t *testing.T) {
	now := at("12:04:00")
	j := open(t, journal.Options{Now: func() time.Time { return now }})
	record(t, j, looked(song(1), at("12:03:00"), 180_000, time.Second))
	record(t, j, looked(song(2), at("12:03:30"), 30_000, time.Second))
	expectKinds(t, j)
	replay(t, j, time.Time{}, time.Time{}) // sends nothing early
	expectKinds(t, j)
	record(t, j, looked(other(song(2), func(i *journal.Item) { i.ImageURL = "another" }), at("12:03:59"), 20_000, time.Second)) // nor does news of the item
	expectKinds(t, j)
	record(t, j, listed(song(1), at("12:03:00.5")))
	expectKinds(t, j, journal.EntryPlay)
	now = at("12:18:31")
	if entries := take(t, j); len(kinds(entries)) != 2 {
		t.Errorf("a quarter of an hour later %d plays are sent", len(kinds(entries)))
	}
	state, err := j.State(t.Context())
	if err != nil || state.OldestPending.IsZero() {
		t.Errorf("state %+v (%v)", state, err)
	}
}

func TestReplayOfATime(t *testing.T) {
	j := open(t, journal.Options{})
	for n := range 5 {
		record(t, j, listed(song(n), at("12:00:00").Add(time.Duration(n)*time.Hour)))
	}
	drain(t, j)
	for _, c := range []struct {
		from, to time.Time
		plays    int64
	}{
		{time.Time{}, time.Time{}, 5},
		{at("13:00:00"), at("15:00:00"), 2},
		{at("13:00:00.001"), time.Time{}, 3},
		{time.Time{}, at("12:00:00"), 0},
	} {
		if got := replay(t, j, c.from, c.to); got != c.plays {
			t.Errorf("from %v to %v: %d plays, want %d", c.from, c.to, got, c.plays)
		}
		if got := kinds(take(t, j)); int64(len(got)) != c.plays {
			t.Errorf("from %v to %v: %d plays are due", c.from, c.to, len(got))
		}
		drain(t, j)
	}
}

func TestReplayTakesBackWhatHasBecomePrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	influx := newDatabase()
	private := with(inHistory(song(1), at("12:03:00"), 180_000), func(r *journal.Report) { r.Incognito = new(true) })
	for step, c := range []struct{ recordPrivate, visible bool }{{false, false}, {true, true}, {false, false}} {
		j, err := journal.Open(t.Context(), path, journal.Options{RecordPrivate: c.recordPrivate})
		if err != nil {
			t.Fatal(err)
		}
		record(t, j, private)
		replay(t, j, time.Time{}, time.Time{})
		influx.drain(t, j, 10)
		if visible := len(influx.points)+len(influx.totals)+len(influx.ranked) > 0; visible != c.visible {
			t.Errorf("step %d: in InfluxDB: %v", step, influx)
		}
		if len(plays(t, j)) != 1 {
			t.Errorf("step %d: the journal does not hold it", step)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTotalsAndRanksFollowThePlays(t *testing.T) {
	j := open(t, journal.Options{Now: func() time.Time { return noon.AddDate(2, 0, 0) }})
	influx := newDatabase()
	of := func(n int) journal.Item {
		return journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", n), Name: fmt.Sprintf("Song %d", n),
			Artists: []journal.Artist{{Name: fmt.Sprintf("Artist %d", n)}}}
	}
	heard := func(n int, ms int64) journal.Report {
		return with(inHistory(of(n), noon.Add(time.Duration(n)*time.Hour), ms), func(r *journal.Report) { r.Item = of(n) })
	}
	for n := range 51 {
		record(t, j, heard(n, int64(100_000-n*1_000)))
	}
	influx.drain(t, j, 100)
	if len(influx.ranked) != 50 || influx.ranked[`me: 2026 "artist 49"`] != "49 1 51000" || len(influx.totals) != 2*51 {
		t.Fatalf("%d artists are ranked, the last one %q; %d totals", len(influx.ranked), influx.ranked[`me: 2026 "artist 49"`], len(influx.totals))
	}
	id := importReports(t, j, heard(60, 200_000), heard(50+24*365, 100_000))
	influx.drain(t, j, 100)
	if influx.ranked[`me: 2026 "artist 49"`] != "" || influx.ranked[`me: 2026 "artist 60"`] != "0 1 200000" || len(influx.ranked) != 50+1 {
		t.Errorf("after an import: %v", influx.ranked)
	}
	if err := j.UndoBatch(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	influx.drain(t, j, 100)
	if influx.ranked[`me: 2026 "artist 49"`] != "49 1 51000" || len(influx.ranked) != 50 || len(influx.totals) != 2*51 {
		t.Errorf("after the undo: %d are ranked, %d totals", len(influx.ranked), len(influx.totals))
	}
}

// A song has the link that is played most, but is called as it is now.
func TestTheTotalOfASongLeadsToItsMostPlayedURI(t *testing.T) {
	j := open(t, journal.Options{})
	heard := func(n int, name string, after time.Duration) {
		item := journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", n), Name: name, Artists: []journal.Artist{{Name: "Artist"}}}
		record(t, j, with(inHistory(item, noon.Add(after), 100_000), func(r *journal.Report) { r.Item = item }))
	}
	heard(1, "Song", 0)
	heard(1, "Song", time.Hour)
	heard(2, "SONG", 2*time.Hour)
	for {
		entries, err := j.Take(t.Context(), 0, 100)
		if err != nil || len(entries) == 0 {
			t.Fatalf("no total was sent: %v", err)
		}
		if i := slices.IndexFunc(entries, func(e journal.Entry) bool { return e.Kind == journal.EntryTrackTotal }); i >= 0 {
			if total := entries[i].Total; total.ID != "0000000000000000000001" || total.Name != "SONG" || total.Plays != 3 {
				t.Errorf("total %+v", total)
			}
			return
		}
		if err := j.Sent(t.Context(), entries); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAYearEndsWhereTheListenerLives(t *testing.T) {
	auckland, err := time.LoadLocation("Pacific/Auckland")
	if err != nil {
		t.Fatal(err)
	}
	zones := map[string]*time.Location{"me": auckland, "you": time.UTC}
	j := open(t, journal.Options{Zone: func(account string) *time.Location { return zones[account] }})
	influx := newDatabase()
	for account := range zones {
		_, err := j.Record(t.Context(), account, journal.Witnessed{Reports: []journal.Report{listed(song(1), time.Date(2025, 12, 31, 12, 0, 0, 0, time.UTC))}})
		if err != nil {
			t.Fatal(err)
		}
	}
	influx.drain(t, j, 100)
	if len(influx.ranked) != 2 || influx.ranked[`me: 2026 "first"`] == "" || influx.ranked[`you: 2025 "first"`] == "" {
		t.Errorf("noon of the year's last day in UTC: %v", influx.ranked)
	}
	zones["me"] = time.UTC // they have moved
	replay(t, j, time.Time{}, time.Time{})
	influx.drain(t, j, 100)
	if len(influx.ranked) != 2 || influx.ranked[`me: 2025 "first"`] == "" {
		t.Errorf("after the move: %v", influx.ranked)
	}
}

// A total that waits is summed up when it is taken, so it is queued once for all plays
// before; one that is on its way is queued again.
func TestATotalIsQueuedOnceUntilItIsTaken(t *testing.T) {
	j := open(t, journal.Options{})
	for n := range 4 {
		record(t, j, inHistory(song(1), noon.Add(time.Duration(n)*5*time.Minute), 180_000))
	}
	some := func(after int64, limit int) []journal.Entry {
		t.Helper()
		entries, err := j.Take(t.Context(), after, limit)
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	totals := func(entries []journal.Entry) (seqs []int64, plays int64) {
		for _, e := range entries {
			if e.Kind == journal.EntryTrackTotal {
				seqs, plays = append(seqs, e.Seq), e.Total.Plays
			}
		}
		return seqs, plays
	}
	sent(t, j, some(0, 2))                                         // the account, and a play
	record(t, j, inHistory(song(2), noon.Add(time.Hour), 180_000)) // queued behind the totals
	first := some(0, 1)
	ahead := some(first[0].Seq, 1)
	sent(t, j, first)
	flying := some(ahead[0].Seq, 100)
	seqs, plays := totals(flying)
	if len(seqs) != 1 || plays != 4 {
		t.Fatalf("totals %v of %d plays", seqs, plays)
	}
	if last := flying[len(flying)-1]; last.Kind != journal.EntryPlay || last.Seq < seqs[0] {
		t.Errorf("the total waited, and was queued again behind %+v", last)
	}
	sent(t, j, ahead) // while the total is on its way
	sent(t, j, flying)
	if again, _ := totals(take(t, j)); len(again) != 2 || again[0] <= seqs[0] { // of both songs
		t.Errorf("on its way as %v, and queued again as %v", seqs, again)
	}
}
