package journal_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// noon is when the tests' listening begins.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// open opens a journal in a new folder.
func open(t testing.TB, options journal.Options) *journal.Journal {
	t.Helper()
	if options.Now == nil {
		options.Now = func() time.Time { return noon.AddDate(1, 0, 0) }
	}
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.CheckReferences(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func record(t testing.TB, j *journal.Journal, reports ...journal.Report) journal.Recorded {
	t.Helper()
	recorded, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports})
	if err != nil {
		t.Fatal(err)
	}
	return recorded
}

func plays(t testing.TB, j *journal.Journal) []journal.Play {
	t.Helper()
	var all []journal.Play
	for p, err := range j.Plays(t.Context(), journal.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// song is a track of three minutes as the Web API tells it.
func song(n int) journal.Item {
	return journal.Item{
		Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", n), Name: fmt.Sprintf("Song %d", n),
		Artists: []journal.Artist{{ID: "a1", Name: "First"}, {ID: "a2", Name: "Second"}},
		Album:   "Album", AlbumID: "al1", AlbumArtists: []journal.Artist{{ID: "a1", Name: "First"}},
		ISRC: fmt.Sprintf("XX%010d", n), ReleaseDate: "1999-04", DurationMS: 180_000, ImageURL: "https://i.scdn.co/image/1",
	}
}

// exported is an item as the extended history tells it.
func exported(i journal.Item) journal.Item {
	return journal.Item{Kind: i.Kind, URI: i.URI, Name: i.Name, Artists: []journal.Artist{{Name: "First"}}, Album: i.Album,
		AlbumArtists: []journal.Artist{{Name: "First"}}}
}

// named is an item as the account data tells it.
func named(i journal.Item) journal.Item {
	return journal.Item{Kind: i.Kind, Name: i.Name, Artists: []journal.Artist{{Name: "First"}}}
}

func listed(item journal.Item, ended time.Time) journal.Report {
	return journal.Report{Witness: journal.RecentlyPlayed, Item: item, EndedAt: ended, MSPlayed: -1, ContextType: "album", ContextURI: "spotify:album:al1"}
}

func inHistory(item journal.Item, ended time.Time, ms int64) journal.Report {
	ended = ended.Truncate(time.Second)
	return journal.Report{Witness: journal.ExtendedHistory, Item: exported(item), EndedAt: ended, StartedAt: ended.Add(-time.Duration(ms) * time.Millisecond).Truncate(time.Second),
		MSPlayed: ms, ReasonStart: "trackdone", ReasonEnd: "trackdone", Shuffle: new(false), Skipped: new(false), Offline: new(false), Incognito: new(false), Country: "DE", Platform: "linux"}
}

func inAccountData(item journal.Item, ended time.Time, ms int64) journal.Report {
	return journal.Report{Witness: journal.AccountData, Item: named(item), EndedAt: ended.Truncate(time.Minute), MSPlayed: ms}
}

// looked is the tracker's report of a play that was looked at until seconds
// before its end.
func looked(item journal.Item, ended time.Time, ms int64, before time.Duration) journal.Report {
	return journal.Report{Witness: journal.Playback, Item: item, EndedAt: ended, EndedError: before / 2, StartedAt: ended.Add(-time.Duration(ms) * time.Millisecond),
		MSPlayed: ms, MSPlayedError: before.Milliseconds() / 2, SeenAt: ended.Add(-before), SeenMSPlayed: ms - before.Milliseconds(), SeenMSLeft: item.DurationMS - ms + before.Milliseconds(),
		Device: "Kitchen", DeviceType: "Speaker", ReasonEnd: "trackdone"}
}

func TestAPageTwiceAndPagesThatOverlapAddNothing(t *testing.T) {
	j := open(t, journal.Options{})
	var page []journal.Report
	for n := range 10 {
		page = append(page, listed(song(n), noon.Add(time.Duration(n)*3*time.Minute)))
	}
	if got := record(t, j, page[:7]...); len(got.Plays) != 7 {
		t.Fatalf("7 listed plays made %d", len(got.Plays))
	}
	again := record(t, j, page[:7]...)
	if len(again.Plays) != 0 {
		t.Errorf("the same page again changed %d plays", len(again.Plays))
	}
	for i, o := range again.Outcomes {
		if o != journal.Known {
			t.Errorf("row %d of a known page: outcome %d", i, o)
		}
	}
	record(t, j, page[4:]...)
	if got := plays(t, j); len(got) != 10 {
		t.Errorf("10 plays on overlapping pages made %d", len(got))
	}
}

func TestAReportOfNobodyIsRefused(t *testing.T) {
	j := open(t, journal.Options{})
	for _, w := range []journal.Witness{0, 9} {
		nobody := with(listed(song(2), noon), func(r *journal.Report) { r.Witness = w })
		_, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: []journal.Report{listed(song(1), noon), nobody}})
		if want := fmt.Sprintf("report 1 names no witness (witness %d)", w); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if got := plays(t, j); len(got) != 0 {
		t.Errorf("%d plays of what was refused", len(got))
	}
}

func TestOnePlayOfAllWitnesses(t *testing.T) {
	j := open(t, journal.Options{})
	end := noon.Add(3*time.Minute + 497*time.Millisecond)
	record(t, j, inAccountData(song(1), end, 180_000))
	record(t, j, looked(song(1), end.Add(-800*time.Millisecond), 179_000, 10*time.Second))
	record(t, j, listed(song(1), end))
	record(t, j, inHistory(song(1), end, 180_000))
	got := plays(t, j)
	if len(got) != 1 {
		t.Fatalf("one play, four witnesses: %d plays: %+v", len(got), got)
	}
	p := got[0]
	if !p.EndedAt.Equal(end) {
		t.Errorf("ended at %v, recently-played knows %v", p.EndedAt, end)
	}
	if p.MSPlayed != 180_000 || p.MSPlayedSource != journal.Reported || p.MSPlayedError != 0 {
		t.Errorf("%d ms %v ± %d, the history knows 180000", p.MSPlayed, p.MSPlayedSource, p.MSPlayedError)
	}
	if len(p.Witnesses) != 4 || p.Device != "Kitchen" || p.ContextURI != "spotify:album:al1" || p.Country != "DE" || len(p.Item.Artists) != 2 || p.Item.ISRC == "" {
		t.Errorf("not everybody's part is in it: %+v", p)
	}
	if ns := p.PointNS - end.UnixMilli()*1_000_000; ns < 0 || ns >= 1_000_000 {
		t.Errorf("point at %d, ended at %d ms", p.PointNS, end.UnixMilli())
	}
}

// TestNoPlayBeginsAfterItsEnd: the export has the start by the clock of the device,
// which is ahead in 378 of the 41,418 rows of history A.
func TestNoPlayBeginsAfterItsEnd(t *testing.T) {
	j := open(t, journal.Options{})
	record(t, j, with(inHistory(song(1), noon, 24_420), func(r *journal.Report) { r.StartedAt = noon.Add(79 * time.Second) }))
	if p := plays(t, j)[0]; !p.StartedAt.IsZero() || !p.EndedAt.Equal(noon) || p.MSPlayed != 24_420 {
		t.Errorf("%+v", p)
	}
}

// TestNoFirstPartBeginsAfterItsEnd: what the tracker saw begin at the end of a break
// is no start of what was listed before.
func TestNoFirstPartBeginsAfterItsEnd(t *testing.T) {
	j := open(t, journal.Options{})
	followed := with(looked(song(1), noon.Add(20*time.Minute), 60_000, 0), func(r *journal.Report) {
		r.Break = journal.Break{From: noon, Until: noon.Add(19 * time.Minute)}
	})
	record(t, j, followed, listed(song(1), noon.Add(5*time.Minute)), listed(song(1), noon.Add(20*time.Minute)))
	for _, p := range plays(t, j) {
		if p.StartedAt.After(p.EndedAt) {
			t.Errorf("%v to %v", p.StartedAt, p.EndedAt)
		}
	}
}

func TestATrackOnRepeatMapsOneToOne(t *testing.T) {
	j := open(t, journal.Options{})
	short := song(1)
	short.DurationMS = 60_000
	for n := range 20 {
		end := noon.Add(time.Duration(n) * time.Minute)
		// The history is 50 s off all along: nearer to the neighbour than to its own.
		record(t, j, inHistory(short, end.Add(50*time.Second), 60_000))
		record(t, j, listed(short, end))
	}
	got := plays(t, j)
	if len(got) != 20 {
		t.Fatalf("20 plays on repeat made %d", len(got))
	}
	for _, p := range got {
		if len(p.Witnesses) != 2 {
			t.Errorf("%v: witnesses %v", p.EndedAt, p.Witnesses)
		}
	}
}

func TestListeningTimeIsNotTheLengthOfTheTrack(t *testing.T) {
	j := open(t, journal.Options{})
	record(t, j, listed(song(1), noon.Add(3*time.Minute)), listed(song(2), noon.Add(3*time.Minute+70*time.Second)), listed(song(3), noon.Add(30*time.Minute)))
	got := plays(t, j)
	for i, want := range []int64{180_000, 70_000, 180_000} {
		if got[i].MSPlayed != want || got[i].MSPlayedSource != journal.Estimated || got[i].MSPlayedError != want-30_000 {
			t.Errorf("play %d: %d ms %v ± %d, want %d", i, got[i].MSPlayed, got[i].MSPlayedSource, got[i].MSPlayedError, want)
		}
	}
	// A play that turns up late, between two others, takes its time from the next.
	record(t, j, listed(song(4), noon.Add(29*time.Minute)))
	if last := plays(t, j)[3]; last.MSPlayed != 60_000 {
		t.Errorf("the play behind the late one has %d ms", last.MSPlayed)
	}
}

// TestNewWordingsOfManyKnownItems: more facts than items are stored, so the two
// are not inserted in step.
func TestNewWordingsOfManyKnownItems(t *testing.T) {
	j := open(t, journal.Options{})
	var live, export []journal.Report
	export = append(export, inHistory(song(1000), noon, 180_000))
	for n := range 100 {
		end := noon.Add(time.Duration(n+1) * 3 * time.Minute)
		live = append(live, listed(song(n), end))
		export = append(export, inHistory(song(n), end, 180_000))
	}
	record(t, j, live...)
	record(t, j, export...)
	if got := len(plays(t, j)); got != 101 {
		t.Errorf("%d plays, want 101", got)
	}
}

func TestPlaysAreChosenByTimeAndNumber(t *testing.T) {
	j := open(t, journal.Options{})
	for n := range 6 {
		record(t, j, listed(song(n), noon.Add(time.Duration(n)*time.Hour)))
		if _, err := j.Record(t.Context(), "anna", journal.Witnessed{Reports: []journal.Report{listed(song(n), noon.Add(time.Duration(n)*time.Hour+time.Minute))}}); err != nil {
			t.Fatal(err)
		}
	}
	hour := func(h int) time.Time { return noon.Add(time.Duration(h) * time.Hour) }
	for _, test := range []struct {
		name   string
		filter journal.Filter
		want   []string
	}{
		{"all, accounts merged by time", journal.Filter{From: hour(4)}, []string{"me 16:00", "anna 16:01", "me 17:00", "anna 17:01"}},
		{"one account", journal.Filter{Account: "anna", From: hour(4)}, []string{"anna 16:01", "anna 17:01"}},
		{"from is in, to is not", journal.Filter{Account: "me", From: hour(1), To: hour(3)}, []string{"me 13:00", "me 14:00"}},
		{"the newest", journal.Filter{Limit: 3}, []string{"anna 16:01", "me 17:00", "anna 17:01"}},
		{"the newest of one before", journal.Filter{Account: "me", To: hour(3), Limit: 1}, []string{"me 14:00"}},
		{"nobody", journal.Filter{Account: "otto"}, nil},
		{"nobody's newest", journal.Filter{Account: "otto", Limit: 2}, nil},
		{"times beyond all reach", journal.Filter{Account: "me", From: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}, nil},
	} {
		var got []string
		for p, err := range j.Plays(t.Context(), test.filter) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p.Account+p.EndedAt.Format(" 15:04"))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestAPlayIsNotLongerThanSinceTheLookThatDidNotShowIt(t *testing.T) {
	j := open(t, journal.Options{})
	brief, whole := listed(song(1), noon.Add(time.Hour)), listed(song(2), noon.Add(2*time.Hour))
	brief.BeganAfter, whole.BeganAfter = brief.EndedAt.Add(-90*time.Second), whole.EndedAt.Add(-200*time.Second)
	record(t, j, brief, whole)
	got := plays(t, j)
	if got[0].MSPlayed != 60_000 || got[0].MSPlayedError != 120_000 {
		t.Errorf("begun at most 90 s before its end: %d ± %d ms", got[0].MSPlayed, got[0].MSPlayedError)
	}
	if got[1].MSPlayed != 180_000 {
		t.Errorf("200 s have room for all of it: %d ms", got[1].MSPlayed)
	}
}

// TestCloseLeavesOneFile: a closed journal can be moved or copied.
func TestCloseLeavesOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	record(t, j, listed(song(1), noon))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v (%v)", files, err)
	}
}
