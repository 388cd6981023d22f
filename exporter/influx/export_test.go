package influx

import (
	"context"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// For the tests of pure functions; everything else is tested from outside.
var (
	Backoff    = backoff
	Probe      = probe
	RetryAfter = retryAfter
	Near       = near
	Synthetic  = syntheticTime
)

// Encode returns an entry's lines, and as strings what it deletes.
func Encode(e journal.Entry, zone *time.Location) (lines string, deletes []string, err error) {
	c := encoder{
		counted: 30_000,
		zone:    func(string) *time.Location { return zone },
		name:    func(account string) string { return "Name of " + account },
	}
	encoded, err := c.encode(e)
	for _, d := range encoded.deletes {
		text := d.measurement
		for _, tag := range d.tags {
			text += "," + tag[0] + "=" + tag[1]
		}
		deletes = append(deletes, text+" "+time.Unix(0, d.timeNS).UTC().Format(time.RFC3339Nano))
	}
	return encoded.lines, deletes, err
}

// Drain sends entries that need not be in the outbox.
func (e *Exporter) Drain(ctx context.Context, entries []journal.Entry) error {
	return e.drain(ctx, entries)
}

// Batch are entries ready to be written; it panics on one that cannot be.
func (e *Exporter) Batch(entries []journal.Entry) []encoded {
	batch := make([]encoded, len(entries))
	for i, entry := range entries {
		var err error
		if batch[i], err = e.encoder.encode(entry); err != nil {
			panic(err)
		}
	}
	return batch
}

// Write makes one request of a batch.
func (e *Exporter) Write(ctx context.Context, batch []encoded) error { return e.write(ctx, batch) }
