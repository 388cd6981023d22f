package influx

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// idleProbe is how long nothing may have been written before an empty write asks
// whether InfluxDB is still there.
const idleProbe = time.Minute

// Step sends the oldest entries of the outbox, up to a batch, and returns how
// long to wait before the next Step: nothing while there is more to send. The
// error is only news for a log: whatever has not been sent is still in the
// outbox. What becomes of an answer (influxdb.md §2):
//
//   - none, 408, 429, 5xx: again after 1 s doubling to 60 s or after what
//     Retry-After says, for ever. The server may have stored the write; writing it
//     again changes nothing.
//   - 401, 403, 404: paused until somebody has put it right, an empty write every
//     few minutes tells.
//   - 413: the batch is halved, and later ones stay that small.
//   - 400, 422: the batch is halved down to the entry that InfluxDB does not take.
//     That is rejected if InfluxDB takes a point that is known to be good, and
//     refuses the entry once more: it leaves the queue and stays visible in the
//     journal with the server's words. The others are sent. What is rejected is
//     tried again after a start and every day. Entries older than the bucket's
//     retention go the same way, or they would stand in the way of newer ones for
//     ever; State.BucketWarning says what to do.
//
// Entries are sent in their order, writes in batches, deletes at their place
// between them.
func (e *Exporter) Step(ctx context.Context) (time.Duration, error) {
	wait, err := e.step(ctx)
	if err != nil {
		return e.failed(ctx, err)
	}
	e.failures, e.pauses = 0, 0
	return wait, nil
}

func (e *Exporter) step(ctx context.Context) (time.Duration, error) {
	if !e.prepared {
		if err := e.prepare(ctx); err != nil {
			return 0, err
		}
		e.prepared = true
	}
	if !e.now().Before(e.retryAt) {
		if err := e.retryRejected(ctx); err != nil {
			return 0, err
		}
	}
	if !e.bucketAt.IsZero() && !e.now().Before(e.bucketAt) {
		if err := e.seeToBucket(ctx); err != nil {
			return 0, err
		}
	}
	if err := e.options.Journal.FinishRebuild(ctx); err != nil {
		return 0, err
	}
	entries, err := e.take(ctx)
	if err != nil {
		return 0, err
	}
	if len(entries) > 0 {
		return 0, e.deliver(ctx, entries)
	}
	if !e.now().Before(e.settingsAt) {
		e.settingsAt = e.now().Add(idleProbe)
		if err := e.applySettings(ctx); err != nil {
			return 0, err
		}
	}
	if e.now().Sub(e.contact) >= idleProbe {
		if err := e.preflight(ctx); err != nil {
			return 0, err
		}
	}
	if !e.now().Before(e.auditAt) {
		if queued, err := e.audit(ctx); err != nil || queued {
			return 0, err
		}
	}
	return lookInterval, e.askHeld(ctx)
}

// failed decides what follows from an error of a step.
func (e *Exporter) failed(ctx context.Context, err error) (time.Duration, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	failure, ok := errors.AsType[*Error](err)
	if !ok { // of the journal
		e.failures++
		return backoff(e.failures, rand.Float64()), err
	}
	e.auditSoon()
	if failure.temporary() {
		e.failures++
		e.update(func(s *State) {
			s.Up = new(false)
			s.WriteRetries++
		})
		return max(backoff(e.failures, rand.Float64()), failure.RetryAfter), err
	}
	e.pauses++
	e.prepared = false
	e.update(func(s *State) {
		s.Up = new(false)
		s.Paused = e.hint(failure)
	})
	return max(probe(e.pauses), failure.RetryAfter), err
}

// succeeded notes that InfluxDB took a request.
func (e *Exporter) succeeded(change func(*State)) {
	e.contact = e.now()
	e.update(func(s *State) {
		s.Up = new(true)
		s.LastSuccess = e.contact
		s.Paused = ""
		change(s)
	})
}

// refused counts a request that InfluxDB did not take and returns err.
func (e *Exporter) refused(err error) error {
	if failure, ok := errors.AsType[*Error](err); ok {
		e.update(func(s *State) { s.WriteFailures[failure.Reason]++ })
	}
	return err
}

func (e *Exporter) now() time.Time { return e.options.Clock.Now() }

// take returns the oldest entries of the outbox.
func (e *Exporter) take(ctx context.Context) ([]journal.Entry, error) {
	if entries := e.ahead; len(entries) > 0 {
		e.ahead = nil
		return entries, nil
	}
	return e.options.Journal.Take(ctx, 0, e.options.BatchSize)
}

// deliver sends entries. While they are on their way, those that have arrived before are
// taken off the outbox and, where there may be more, the next are taken: the journal
// and InfluxDB need about as long as each other.
func (e *Exporter) deliver(ctx context.Context, entries []journal.Entry) error {
	var next []journal.Entry
	var kept error
	var keeping sync.WaitGroup
	arrived, last := e.arrived, entries[len(entries)-1].Seq
	e.arrived = nil
	keeping.Go(func() {
		kept = e.options.Journal.Sent(ctx, arrived)
		if len(entries) == e.options.BatchSize {
			next, _ = e.options.Journal.Take(ctx, last, e.options.BatchSize) // an error meets the next step again
		}
	})
	err := e.drain(ctx, entries)
	keeping.Wait()
	if err = cmp.Or(err, kept); err == nil && len(next) > 0 {
		e.ahead = next
		return nil
	}
	arrived, e.arrived = e.arrived, nil
	return cmp.Or(err, e.options.Journal.Sent(ctx, arrived))
}

// drain sends entries in their order. What is encoded next is while a request is under way.
func (e *Exporter) drain(ctx context.Context, entries []journal.Entry) (err error) {
	var batch []encoded
	var underWay chan error // nil: none
	lines, size, most := 0, 0, e.maxRequest
	settle := func() error {
		if underWay == nil {
			return nil
		}
		err := <-underWay
		underWay, most = nil, e.maxRequest
		return err
	}
	defer func() { err = cmp.Or(err, settle()) }()
	launch := func() error {
		if err := settle(); err != nil || len(batch) == 0 {
			return err
		}
		arrives, sending := make(chan error, 1), batch
		go func() { arrives <- e.send(ctx, sending) }()
		underWay, batch, lines, size = arrives, nil, 0, 0
		return nil
	}
	flush := func() error {
		if err := launch(); err != nil {
			return err
		}
		return settle()
	}
	if entries, err = e.deleteMany(ctx, entries); err != nil {
		return err
	}
	for len(entries) > 0 {
		if n := gonePlays(entries); n >= bulk {
			if err := flush(); err != nil {
				return err
			}
			err := e.deletePlays(ctx, entries[:n])
			if err == nil {
				entries = entries[n:]
				continue
			}
			if err := unlessRefused(err); err != nil {
				return err
			}
		}
		entry := entries[0]
		entries = entries[1:]
		if entry.Kind == journal.EntryAccount {
			if err := settle(); err != nil {
				return err
			}
			if err := e.applySettings(ctx); err != nil {
				return err
			}
		}
		next, err := e.encoder.encode(entry)
		if err != nil {
			if err := settle(); err != nil {
				return err
			}
			if err := e.reject(ctx, encoded{entry: entry}, err.Error()); err != nil {
				return err
			}
			continue
		}
		if lines+next.count > e.options.BatchSize || size+len(next.lines) > most {
			if err := launch(); err != nil {
				return err
			}
		}
		if len(next.deletes) > 0 {
			if err := flush(); err != nil {
				return err
			}
			if err := e.sendWithDeletes(ctx, next); err != nil {
				return err
			}
			continue
		}
		batch = append(batch, next)
		lines += next.count
		size += len(next.lines)
	}
	return launch()
}

// sendWithDeletes sends an entry that deletes points.
func (e *Exporter) sendWithDeletes(ctx context.Context, one encoded) error {
	deletes := func() error {
		for _, point := range one.deletes {
			if err := e.deletePoints(ctx, point, 1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := deletes(); err != nil {
		failure, ok := errors.AsType[*Error](err)
		if !ok || failure.Reason != Invalid && failure.Reason != Unprocessable {
			return err
		}
		return e.rejectUnlessDown(ctx, one, failure, func() error {
			if err := deletes(); err != nil || one.count == 0 {
				return err
			}
			return e.write(ctx, []encoded{one})
		})
	}
	if one.count > 0 {
		return e.send(ctx, []encoded{one})
	}
	e.arrived = append(e.arrived, one.entry)
	return nil
}

// send writes the lines of a batch and notes that it has arrived. A part that InfluxDB
// never takes is rejected.
func (e *Exporter) send(ctx context.Context, batch []encoded) error {
	err := e.write(ctx, batch)
	if err == nil {
		for i := range batch {
			e.arrived = append(e.arrived, batch[i].entry)
		}
		return nil
	}
	failure, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	switch failure.Reason {
	case TooLarge:
		if len(batch) > 1 {
			e.maxRequest = max(min(e.maxRequest, size(batch)/2), minRequest)
		}
	case Invalid, Unprocessable:
		if failure.retention() {
			kept, err := e.rejectForgotten(ctx, batch)
			if err != nil || len(kept) == 0 {
				return err
			}
			if len(kept) < len(batch) {
				return e.send(ctx, kept)
			}
		}
	default:
		return err
	}
	if len(batch) == 1 {
		return e.rejectUnlessDown(ctx, batch[0], failure, func() error { return e.write(ctx, batch) })
	}
	half := len(batch) / 2
	if err := e.send(ctx, batch[:half]); err != nil {
		return err
	}
	return e.send(ctx, batch[half:])
}

// write makes one request of a batch.
func (e *Exporter) write(ctx context.Context, batch []encoded) error {
	var body strings.Builder
	body.Grow(size(batch))
	lines := uint64(0)
	for i := range batch {
		body.WriteString(batch[i].lines)
		lines += uint64(batch[i].count)
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if err := e.writer.WriteRecord(ctx, body.String()); err != nil {
		if _, ok := errors.AsType[*Error](err); !ok {
			err = &Error{Reason: Network, Err: err}
		}
		return e.refused(err)
	}
	e.sent = true
	e.succeeded(func(s *State) { s.PointsWritten += lines })
	if lines >= auditLines {
		e.auditSoon()
	}
	return nil
}

func size(batch []encoded) int {
	n := 0
	for i := range batch {
		n += len(batch[i].lines)
	}
	return n
}

// preflight asks with an empty write, which changes nothing, whether server,
// token and bucket are all right.
func (e *Exporter) preflight(ctx context.Context) error {
	query := url.Values{"org": {e.options.Org}, "bucket": {e.options.Bucket}, "precision": {"ns"}}
	if err := e.server.call(ctx, http.MethodPost, "api/v2/write", query, nil, nil); err != nil {
		return e.refused(err)
	}
	e.succeeded(func(*State) {})
	return nil
}
