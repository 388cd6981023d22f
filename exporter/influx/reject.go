package influx

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// retryInterval is how often entries that InfluxDB has refused are tried again.
const retryInterval = 24 * time.Hour

// forgotten begins the reason of an entry that was rejected since the bucket does not keep points so old. Only a longer
// retention helps, and replay after it.
const forgotten = "older than the bucket keeps: "

// retryRejected puts the entries that InfluxDB has refused back into the outbox. The server, its version or the bucket
// may be another one by now.
func (e *Exporter) retryRejected(ctx context.Context) error {
	n, err := e.options.Journal.RetryRejected(ctx, forgotten)
	if err != nil {
		return err
	}
	if n > 0 {
		e.log.Info("entries that InfluxDB has refused are tried again", "entries", n)
	}
	e.retryAt = e.now().Add(retryInterval)
	return nil
}

// rejectUnlessDown rejects an entry that InfluxDB has refused, if that is the entry's fault: InfluxDB takes a point that
// is known to be good, and refuses the entry again. A proxy with a limit, a server in trouble or a TLS port, which
// answers 400 to anything that is not TLS, refuse both. again sends the entry once more.
func (e *Exporter) rejectUnlessDown(ctx context.Context, one encoded, failure *Error, again func() error) error {
	if !failure.aboutPoint() {
		if err := e.writeKnownGood(ctx, one.entry.Account); err != nil {
			return err
		}
		err := again()
		if err == nil {
			e.arrived = append(e.arrived, one.entry)
			return nil
		}
		var ok bool
		if failure, ok = errors.AsType[*Error](err); !ok || failure.Reason != Invalid && failure.Reason != Unprocessable && failure.Reason != TooLarge {
			return err
		}
	}
	return e.reject(ctx, one, failure.Message)
}

// writeKnownGood writes the point of an account, which is short, always the same, and in InfluxDB anyway. If InfluxDB
// refuses it, with words about that very point, it still looks at points.
func (e *Exporter) writeKnownGood(ctx context.Context, account string) error {
	encoder := e.newEncoder() // the other one may be in use for the next batch
	point, err := encoder.encode(journal.Entry{Kind: journal.EntryAccount, Account: account})
	if err != nil {
		return err
	}
	err = e.write(ctx, []encoded{point})
	if failure, ok := errors.AsType[*Error](err); ok && failure.aboutPoint() {
		return nil
	}
	return err
}

func (e *Exporter) reject(ctx context.Context, one encoded, reason string) error {
	if err := e.options.Journal.Reject(ctx, one.entry, reason); err != nil {
		return err
	}
	e.update(func(s *State) { s.PointsRejected += uint64(max(one.count, 1)) })
	if n, ok := e.rejections.allow(time.Now()); ok {
		e.log.Error("InfluxDB never takes this entry; it stays in the journal as rejected", "account", one.entry.Account, "seq", one.entry.Seq, "reason", reason, "rejected", n)
	}
	return nil
}

// rejectForgotten rejects the entries that are older than the bucket's retention,
// and returns the others, oldest first. Which ones they are follows from the
// first that is taken, so a handful of writes finds them in any batch.
func (e *Exporter) rejectForgotten(ctx context.Context, batch []encoded) ([]encoded, error) {
	batch = slices.SortedStableFunc(slices.Values(batch), func(a, b encoded) int { return cmp.Compare(a.newest, b.newest) })
	var stop error
	words := ""
	kept, _ := slices.BinarySearchFunc(batch, 0, func(one encoded, _ int) int {
		if stop != nil {
			return 1
		}
		err := e.write(ctx, []encoded{one})
		failure, ok := errors.AsType[*Error](err)
		if ok && failure.retention() {
			words = failure.Message
			return -1
		}
		if !ok || failure.Reason != Invalid && failure.Reason != Unprocessable && failure.Reason != TooLarge {
			stop = err // nil if it was taken
		}
		return 1
	})
	if stop != nil {
		return nil, stop
	}
	for _, one := range batch[:kept] {
		if err := e.reject(ctx, one, forgotten+words); err != nil {
			return nil, err
		}
	}
	return batch[kept:], nil
}
