package journal_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// The oldest entry is the one that waits longest, not the one that was queued first: a
// play that the tracker has seen waits for its confirmation.
func TestOldestPendingIsTheEarliest(t *testing.T) {
	now := noon
	j := open(t, journal.Options{Now: func() time.Time { return now }})
	record(t, j, looked(song(1), noon, 180_000, 2*time.Second)) // due in 15 minutes
	now = noon.Add(time.Minute)
	record(t, j, listed(song(2), noon.Add(time.Minute)))
	takeOff(t, j, func(e journal.Entry) bool { return e.Kind != journal.EntryPlay }) // those that came with the account
	for _, after := range []time.Duration{2 * time.Minute, 20 * time.Minute} {
		now = noon.Add(after)
		state, err := j.State(t.Context())
		if want := noon.Add(time.Minute); err != nil || !state.OldestPending.Equal(want) {
			t.Errorf("after %v: waits since %v, want %v (%v)", after, state.OldestPending, want, err)
		}
	}
	// What is confirmed or sent leaves the other one.
	takeOff(t, j, func(e journal.Entry) bool { return e.Kind == journal.EntryPlay && e.Play.Item.URI == song(2).URI })
	state, err := j.State(t.Context())
	if want := noon.Add(15 * time.Minute); err != nil || state.PendingPoints == 0 || state.OldestPending.Before(want) {
		t.Errorf("waits since %v, want %v or later (%v)", state.OldestPending, want, err)
	}
}

// takeOff takes what is due off the outbox, as far as it is wanted.
func takeOff(t *testing.T, j *journal.Journal, wanted func(journal.Entry) bool) {
	t.Helper()
	entries, err := j.Take(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if wanted(e) {
			if err := j.Sent(t.Context(), []journal.Entry{e}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A callback that names no size, or one below 0, does not end an undo halfway.
func TestUndoWithoutASizeUndoesAll(t *testing.T) {
	for _, size := range []int{0, -1} {
		j := open(t, journal.Options{})
		id, err := j.StartBatch(t.Context(), "me", "a.zip")
		if err != nil {
			t.Fatal(err)
		}
		var reports []journal.Report
		for n := range 310 {
			reports = append(reports, inHistory(song(n%5), noon.Add(time.Duration(n)*3*time.Minute), 180_000))
		}
		if _, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: reports, Batch: id}); err != nil {
			t.Fatal(err)
		}
		if err := j.UndoBatch(t.Context(), id, func(int64, time.Duration) int { return size }); err != nil {
			t.Fatal(err)
		}
		batches, err := j.Batches(t.Context())
		if left := len(plays(t, j)); err != nil || left != 0 || batches[0].Reports != 0 || batches[0].UndoneAt.IsZero() {
			t.Errorf("size %d: %d plays and %d reports are left (%v)", size, left, batches[0].Reports, err)
		}
	}
}

// Entries may be taken off the outbox from several sides, also while some of it fails.
// The race detector sees what nobody else may.
func TestSentFromSeveralSides(t *testing.T) {
	j := open(t, journal.Options{})
	var reports []journal.Report
	for n := range 200 {
		reports = append(reports, inHistory(song(n), noon.Add(time.Duration(n)*3*time.Minute), 180_000))
	}
	record(t, j, reports...)
	entries, err := j.Take(t.Context(), 0, 1_000)
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	var all sync.WaitGroup
	for side := range 2 {
		all.Go(func() {
			for i := side; i < len(entries); i += 2 {
				if err := j.Sent(gone, entries[i:i+1]); err == nil {
					t.Error("sent although nobody waits for it")
				}
				if err := j.Sent(t.Context(), entries[i:i+1]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
