package influx

import (
	"context"
	"errors"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// Taken back, an import of eleven years is 40,000 plays and 24,000 totals to be
// deleted. InfluxDB takes about a hundred deletes a second, so that many at once
// are put together:
//
//   - plays by stretches of time in which the journal has no other play,
//   - totals by deleting all that the account has of a sort and writing again
//     those that are left, since their times are hashes.
const bulk = 50 // deletes; fewer are made one by one

// deleteMany makes the deletes that can be put together, and returns the entries
// that are left to be sent one by one.
func (e *Exporter) deleteMany(ctx context.Context, entries []journal.Entry) ([]journal.Entry, error) {
	type sort struct {
		kind    journal.EntryKind
		account string
	}
	empty := make(map[sort]int) // totals
	for _, entry := range entries {
		if isTotal(entry.Kind) && entry.Total.Empty() {
			empty[sort{entry.Kind, entry.Account}]++
		}
	}
	for of, n := range empty {
		if n < bulk {
			continue
		}
		if err := e.options.Journal.QueueTotals(ctx, of.account, of.kind); err != nil {
			return nil, err
		}
		all := identity{totalMeasurement(of.kind), [][2]string{{"account", tagText(of.account)}}, earliest, latest}
		if err := e.deletePoints(ctx, all, n); err != nil {
			return entries, unlessRefused(err)
		}
		var done, left []journal.Entry
		for _, entry := range entries {
			if entry.Kind == of.kind && entry.Account == of.account {
				done = append(done, entry) // those that are not empty are queued anew
			} else {
				left = append(left, entry)
			}
		}
		if err := e.options.Journal.Sent(ctx, done); err != nil {
			return nil, err
		}
		entries = left
	}
	return entries, nil
}

func isTotal(kind journal.EntryKind) bool {
	return kind == journal.EntryArtistTotal || kind == journal.EntryAlbumTotal || kind == journal.EntryTrackTotal
}

// gonePlays returns how many entries at the beginning are plays of one account
// that are to be deleted.
func gonePlays(entries []journal.Entry) int {
	n := 0
	for n < len(entries) && entries[n].Kind == journal.EntryPlayGone && entries[n].Account == entries[0].Account {
		n++
	}
	return n
}

// deletePlays deletes the plays of entries, which are of one account.
func (e *Exporter) deletePlays(ctx context.Context, entries []journal.Entry) error {
	times := make([]int64, len(entries))
	for i, entry := range entries {
		times[i] = entry.TimeNS
	}
	account := entries[0].Account
	spans, err := e.options.Journal.Spans(ctx, account, times)
	if err != nil {
		return err
	}
	tags := [][2]string{{"account", tagText(account)}}
	for _, span := range spans {
		for _, measurement := range []string{measurementListen, measurementListenArtist} {
			if err := e.deletePoints(ctx, identity{measurement, tags, span.From, span.Until}, span.Points); err != nil {
				return err
			}
		}
	}
	return e.options.Journal.Sent(ctx, entries)
}

// unlessRefused returns nil for an error of the request itself: made one by one,
// the deletes show which one it is about.
func unlessRefused(err error) error {
	if failure, ok := errors.AsType[*Error](err); ok && (failure.Reason == Invalid || failure.Reason == Unprocessable) {
		return nil
	}
	return err
}
