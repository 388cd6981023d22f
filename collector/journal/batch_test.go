package journal_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// covers is the time from the first to the last of some reports.
func covers(reports []journal.Report) []journal.Covered {
	byEnd := func(a, b journal.Report) int { return a.EndedAt.Compare(b.EndedAt) }
	if len(reports) == 0 {
		return nil
	}
	return []journal.Covered{{From: slices.MinFunc(reports, byEnd).EndedAt, Until: slices.MaxFunc(reports, byEnd).EndedAt}}
}

// importReports records reports as an import of its own.
func importReports(t testing.TB, j *journal.Journal, reports ...journal.Report) int64 {
	t.Helper()
	id, err := j.StartBatch(t.Context(), "me", "my_spotify_data.zip")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports, Batch: id}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.EndBatch(t.Context(), id, "{}", covers(reports)); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestUndoLeavesEverythingAsItWas records random histories of which an import brings
// a part, in between or afterwards, and takes it back: all is as if it had never been.
// UNDO_HISTORIES sets how many, UNDO_SEED the first. So many are recorded together,
// out of reach of each other but for their items and totals, that one portion of the
// undo is not enough.
func TestUndoLeavesEverythingAsItWas(t *testing.T) {
	const together = 80
	histories, first := environment(t, "UNDO_HISTORIES", 400), environment(t, "UNDO_SEED", 1)
	j := open(t, journal.Options{})
	for seed := first; seed < first+histories; seed += together {
		var all []told
		for i := range uint64(together) {
			all = append(all, tell(rand.New(rand.NewPCG(seed+i, 2)), noon.AddDate(0, -4*int(i), 0))...)
		}
		if difference := undone(t, j, all, seed); difference != "" {
			t.Fatalf("seed %d: %s", seed, difference)
		}
	}
}

// undone records what was told with and without what is imported and taken back, and
// tells what is not the same, "" if nothing.
func undone(t *testing.T, j *journal.Journal, all []told, seed uint64) string {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 3))
	order := random.Perm(len(all))
	others := slices.DeleteFunc(slices.Clone(order), func(i int) bool { return all[i].imported() })
	want, problem := recordInOrder(t, j, all, others, random, false)
	if problem != "" {
		return "without the import: " + problem
	}
	got, problem := recordInOrder(t, j, all, order, random, true)
	if problem != "" {
		return "after the undo: " + problem
	}
	return unlike("the undo has left", want, got)
}

func TestUndoOfTheFirstOfTwoImportsLeavesTheSecond(t *testing.T) {
	j := open(t, journal.Options{})
	var reports []journal.Report
	for n := range 5 {
		reports = append(reports, inHistory(song(n), noon.Add(time.Duration(n)*3*time.Minute), 180_000))
	}
	first := importReports(t, j, reports[:4]...)
	second := importReports(t, j, reports[2:]...)
	if err := j.UndoBatch(t.Context(), first, nil); err != nil {
		t.Fatal(err)
	}
	got := plays(t, j)
	if len(got) != 3 {
		t.Fatalf("%d plays are left, the second import had 3", len(got))
	}
	for _, p := range got {
		if p.Batch != second {
			t.Errorf("play of %v is said to come from import %d", p.EndedAt, p.Batch)
		}
	}
	if err := j.UndoBatch(t.Context(), second, nil); err != nil {
		t.Fatal(err)
	}
	if got := plays(t, j); len(got) != 0 {
		t.Errorf("%d plays are left of two undone imports", len(got))
	}
	if err := j.UndoBatch(t.Context(), second, nil); !errors.Is(err, journal.ErrNoBatch) {
		t.Errorf("undone twice: %v", err)
	}
}

// An import may still run when somebody takes it back, and an undo may be broken off:
// nothing is added to it from its beginning on.
func TestNothingIsAddedToAnImportThatIsTakenBack(t *testing.T) {
	j := open(t, journal.Options{})
	var reports []journal.Report
	for n := range 20 {
		reports = append(reports, inHistory(song(n), noon.Add(time.Duration(n)*3*time.Minute), 180_000))
	}
	id, err := j.StartBatch(t.Context(), "me", "my_spotify_data.zip")
	if err != nil {
		t.Fatal(err)
	}
	add := func(reports []journal.Report) error {
		_, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports, Batch: id})
		return err
	}
	if err := add(reports[:10]); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = j.UndoBatch(ctx, id, func(done int64, _ time.Duration) int {
		if done == 10 {
			cancel()
		}
		return 5
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("broken off: %v", err)
	}
	if err := add(reports[10:]); !errors.Is(err, journal.ErrNoBatch) {
		t.Errorf("recorded while it is taken back: %v", err)
	}
	if _, err := j.EndBatch(t.Context(), id, "{}", covers(reports)); !errors.Is(err, journal.ErrNoBatch) {
		t.Errorf("ended while it is taken back: %v", err)
	}
	if batches, err := j.Batches(t.Context()); err != nil || !batches[0].Undoing || !batches[0].UndoneAt.IsZero() {
		t.Errorf("broken off: %+v (%v)", batches, err)
	}
	if err := j.UndoBatch(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	if left := plays(t, j); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A bulk is kept as a whole, or not at all.
func TestBulk(t *testing.T) {
	j := open(t, journal.Options{})
	report := func(n int) journal.Witnessed {
		return journal.Witnessed{Reports: []journal.Report{inHistory(song(n), noon.Add(time.Duration(n)*3*time.Minute), 180_000)}}
	}
	for _, failure := range []error{errors.New("the rest cannot be read"), nil} {
		wake := j.Wake()
		bulk, err := j.StartBulk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			if recorded, err := bulk.Record("me", report(n)); err != nil || recorded.Outcomes[0] != journal.New {
				t.Fatal(recorded, err)
			}
		}
		if err := bulk.End(failure); err != failure {
			t.Errorf("End(%v): %v", failure, err)
		}
		select {
		case <-wake:
			if failure != nil {
				t.Error("nothing was kept, and somebody is woken")
			}
		default:
			if failure == nil {
				t.Error("nobody is woken")
			}
		}
		if got := len(plays(t, j)); failure != nil && got != 0 || failure == nil && got != 5 {
			t.Errorf("End(%v) leaves %d plays", failure, got)
		}
	}
}

func TestAnImportClosesTheGapsThatItCoversAndUndoOpensThem(t *testing.T) {
	j := open(t, journal.Options{})
	page := func(from int) []journal.Report {
		var reports []journal.Report
		for n := range 50 {
			reports = append(reports, listed(song(from+n), noon.Add(time.Duration(from+n)*3*time.Minute)))
		}
		return reports
	}
	turn := func(from int) *journal.Gap {
		recorded, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: page(from), Page: &journal.Page{FetchedAt: noon, Full: true}})
		if err != nil {
			t.Fatal(err)
		}
		return recorded.Gap
	}
	if gap := turn(0); gap != nil {
		t.Errorf("a first page is said to leave the gap %+v", gap)
	}
	if gap := turn(49); gap != nil {
		t.Errorf("a page that shares one play is said to leave the gap %+v", gap)
	}
	gap := turn(200)
	if gap == nil || !gap.From.Equal(noon.Add(98*3*time.Minute)) || !gap.To.Equal(noon.Add(200*3*time.Minute)) {
		t.Fatalf("gap %+v", gap)
	}
	var missing []journal.Report
	for n := 98; n < 201; n++ {
		missing = append(missing, inHistory(song(n), noon.Add(time.Duration(n)*3*time.Minute), 180_000))
	}
	half := importReports(t, j, missing[:50]...)
	if gaps, err := j.Gaps(t.Context(), "me"); err != nil || !gaps[0].Open() {
		t.Errorf("half an import closed %+v (%v)", gaps, err)
	}
	// Half of what it brings is held as the other import's.
	id := importReports(t, j, missing...)
	if gaps, err := j.Gaps(t.Context(), "me"); err != nil || gaps[0].Open() {
		t.Errorf("after the import: %+v (%v)", gaps, err)
	}
	again := importReports(t, j, missing...)
	if err := j.UndoBatch(t.Context(), id, nil); err != nil {
		t.Fatal(err)
	}
	if gaps, err := j.Gaps(t.Context(), "me"); err != nil || gaps[0].ClosedBy != fmt.Sprintf("import %d", again) {
		t.Errorf("another import covers it as well: %+v (%v)", gaps, err)
	}
	for _, batch := range []int64{half, again} {
		if err := j.UndoBatch(t.Context(), batch, nil); err != nil {
			t.Fatal(err)
		}
	}
	if gaps, err := j.Gaps(t.Context(), "me"); err != nil || !gaps[0].Open() {
		t.Errorf("after the undo: %+v (%v)", gaps, err)
	}
	if err := j.AcceptGap(t.Context(), gap.ID); err != nil {
		t.Fatal(err)
	}
	if err := j.AcceptGap(t.Context(), gap.ID); !errors.Is(err, journal.ErrNoGap) {
		t.Errorf("accepted twice: %v", err)
	}
}
