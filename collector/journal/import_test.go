package journal_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

func TestAnImportTellsRepeatedRowsFromKnownOnes(t *testing.T) {
	j := open(t, journal.Options{})
	row := func(n int) journal.Report {
		return inHistory(song(n), noon.Add(time.Duration(n)*3*time.Minute), 180_000)
	}
	bring := func(batch int64, rows ...journal.Report) []journal.Outcome {
		t.Helper()
		recorded, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: rows, Batch: batch})
		if err != nil {
			t.Fatal(err)
		}
		return recorded.Outcomes
	}
	const known, fresh, repeated = journal.Known, journal.New, journal.Repeated
	for pass, want := range []journal.Outcome{fresh, known} {
		batch, err := j.StartBatch(t.Context(), "me", "my_spotify_data.zip")
		if err != nil {
			t.Fatal(err)
		}
		got := bring(batch, row(1), row(1), row(2))
		got = append(got, bring(batch, row(2), row(3))...)
		if wanted := []journal.Outcome{want, repeated, want, repeated, want}; !slices.Equal(got, wanted) {
			t.Errorf("import %d: outcomes %v, want %v", pass+1, got, wanted)
		}
	}
}

func TestCopyIsTheJournalOfOneMoment(t *testing.T) {
	j := open(t, journal.Options{})
	record(t, j, inHistory(song(1), noon, 180_000))
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := j.Copy(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	record(t, j, inHistory(song(2), noon.Add(time.Hour), 180_000))
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v (%v)", info.Mode(), err)
	}
	duplicate, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer duplicate.Close()
	if got := plays(t, duplicate); len(got) != 1 || describe(got[0]) != describe(plays(t, j)[0]) {
		t.Errorf("the copy holds %v", got)
	}
	if err := j.Copy(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("copy onto another: %v", err)
	}
}

func TestRunning(t *testing.T) {
	j := open(t, journal.Options{})
	other, err := journal.Open(t.Context(), j.Path(), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want bool) {
		t.Helper()
		if got, err := j.Running(); err != nil || got != want {
			t.Errorf("running: %v (%v), want %v", got, err, want)
		}
	}
	expect(false)
	if err := other.Lock(); err != nil {
		t.Fatal(err)
	}
	expect(true)
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	expect(false)
	if err := j.Lock(); err != nil {
		t.Errorf("lock after a look: %v", err)
	}
}

// TestLockDuringALook is a daemon that starts while another process asks whether one
// runs.
func TestLockDuringALook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, journal.Options{})
		look, err := os.Create(j.Path() + ".lock")
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Flock(int(look.Fd()), syscall.LOCK_SH); err != nil { // as Running does
			t.Fatal(err)
		}
		time.AfterFunc(50*time.Millisecond, func() { look.Close() })
		if err := j.Lock(); err != nil {
			t.Error(err)
		}
	})
}

func TestSampleIsSpreadOverThePlays(t *testing.T) {
	j := open(t, journal.Options{})
	var reports []journal.Report
	for n := range 1_000 {
		reports = append(reports, inHistory(song(n), noon.Add(time.Duration(n)*3*time.Minute), 180_000))
	}
	reports = append(reports, journal.Report{Witness: journal.ExtendedHistory, EndedAt: noon.Add(-time.Hour), MSPlayed: 1_000})
	record(t, j, reports...)
	sample, err := j.Sample(t.Context(), "me", noon, 100)
	if err != nil || len(sample) < 90 || len(sample) > 110 {
		t.Fatalf("%d plays (%v)", len(sample), err)
	}
	for i := range sample[1:] {
		if apart := sample[i+1].EndedAt.Sub(sample[i].EndedAt); apart < 0 || apart > 90*time.Minute {
			t.Errorf("%v between two of the sample", apart)
		}
	}
	if all, err := j.Sample(t.Context(), "me", time.Time{}, 10_000); err != nil || len(all) != 1_000 {
		t.Errorf("%d plays of 1,000 whose title is known (%v)", len(all), err)
	}
	if late, err := j.Sample(t.Context(), "me", noon.Add(900*3*time.Minute), 100); err != nil || len(late) != 100 {
		t.Errorf("%d of the last 100 plays (%v)", len(late), err)
	}
	if none, err := j.Sample(t.Context(), "somebody", noon, 100); err != nil || len(none) != 0 {
		t.Errorf("%d plays of nobody (%v)", len(none), err)
	}
}

func TestAccountDataOfTwoPlaysInOneMinute(t *testing.T) {
	for _, ms := range [][2]int64{{24_000, 20_000}, {20_000, 24_000}} {
		j := open(t, journal.Options{})
		for n, ms := range ms {
			end := noon.Add(time.Duration(20+25*n) * time.Second)
			extended := inHistory(song(1), end, ms)
			record(t, j, extended, journal.Report{Witness: journal.AccountData, EndedAt: noon, MSPlayed: ms,
				Item: journal.Item{Kind: journal.Track, Name: extended.Item.Name, Artists: extended.Item.Artists[:1]}})
		}
		if got := plays(t, j); len(got) != 2 || len(got[0].Witnesses) != 2 || len(got[1].Witnesses) != 2 {
			t.Errorf("two plays are %d: %v", len(got), got)
		}
	}
}

func TestSpansLeaveEveryPlayAlone(t *testing.T) {
	j := open(t, journal.Options{})
	var reports []journal.Report
	for n := range 10 {
		reports = append(reports, inHistory(song(n), noon.Add(time.Duration(n)*time.Hour), 180_000))
	}
	record(t, j, reports...)
	held := plays(t, j)
	at := func(n int) int64 { return held[n].PointNS }
	spans, err := j.Spans(t.Context(), "me", []int64{at(0) - 7, at(0) - 5, at(3), at(1) + 1, at(2) - 1, at(9) + 5})
	want := []journal.Span{{From: at(0) - 7, Until: at(0) - 5, Points: 2}, {From: at(1) + 1, Until: at(2) - 1, Points: 2}, {From: at(3), Until: at(3), Points: 1}, {From: at(9) + 5, Until: at(9) + 5, Points: 1}}
	if err != nil || !slices.Equal(spans, want) {
		t.Errorf("%v (%v), want %v", spans, err, want)
	}
	if spans, err := j.Spans(t.Context(), "somebody", []int64{at(0), at(9)}); err != nil || len(spans) != 1 || spans[0].Points != 2 {
		t.Errorf("nobody's: %v (%v)", spans, err)
	}
}

// A file of a few videos a day, after those of ten years of music, was looked at in
// groups of months, each with all the music of that time.
func TestWhatLiesBetweenIsNotReadForFew(t *testing.T) {
	j := open(t, journal.Options{})
	var sparse, dense []journal.Report
	for n := range 20 {
		sparse = append(sparse, listed(song(n), noon.Add(time.Duration(n)*12*time.Hour)))
	}
	for n := range 200 {
		dense = append(dense, listed(song(n), noon.Add(time.Duration(n)*time.Hour+30*time.Minute)))
	}
	groups := func() int {
		t.Helper()
		sizes, err := j.Apart(t.Context(), "me", sparse)
		if err != nil {
			t.Fatal(err)
		}
		return len(sizes)
	}
	if n := groups(); n != 1 {
		t.Errorf("nothing lies between, and they are looked at in %d groups", n)
	}
	record(t, j, dense...)
	if n := groups(); n < 15 {
		t.Errorf("ten times as much lies between, and they are looked at in %d groups", n)
	}
}
