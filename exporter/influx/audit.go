package influx

import (
	"context"
	"fmt"
	"time"
)

const (
	// auditInterval is how often what InfluxDB shows is counted.
	auditInterval = 24 * time.Hour
	// auditAgain is how long after points were missing.
	auditAgain = time.Hour
	// auditAfter is how long after the start, after a failure, which may have been the
	// end of an InfluxDB and the beginning of another one, and after so many lines in a
	// request: InfluxDB looks every 10 s which shards are idle.
	auditAfter = 15 * time.Second
	auditLines = 1000
)

// audit counts, year by year, the plays that InfluxDB shows, and the totals of each
// sort, and queues those once more of which it shows fewer than it has taken. If it
// does not know the account at all, the bucket is a new one, and everything is queued.
// It tells whether anything is. An answer of 204 is no proof: 2.9.1 was seen to lose the first
// write into a new shard from its memory (it showed the points after a restart), and
// buckets are restored from old backups. That InfluxDB does not tell is no failure,
// as for askHeld.
func (e *Exporter) audit(ctx context.Context) (queued bool, err error) {
	e.auditAt = e.now().Add(auditInterval)
	if e.forgets {
		return false, nil // points that are gone were to go
	}
	accounts, err := e.options.Journal.Accounts(ctx)
	if err != nil {
		return false, err
	}
	for _, account := range accounts {
		shown, err := e.count(ctx, account)
		if err != nil {
			e.log.Debug("cannot count what InfluxDB has", "account", account, "err", err)
			continue
		}
		if !shown.account {
			e.log.Warn("InfluxDB has lost an account that it has taken; everything is sent again", "account", account)
			e.auditAt = e.now().Add(auditAgain)
			_, err := e.options.Journal.Replay(ctx, time.Time{}, time.Time{})
			return true, err
		}
		// Counted thereafter: what has been taken out meanwhile is in neither.
		sent, err := e.options.Journal.SentByYear(ctx, account)
		if err != nil {
			return queued, err
		}
		for year, n := range sent {
			if shown.plays[year] >= n {
				continue
			}
			from := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
			if _, err := e.options.Journal.Replay(ctx, from, from.AddDate(1, 0, 0)); err != nil {
				return queued, err
			}
			e.log.Warn("InfluxDB does not show all plays that it has taken; they are sent again", "account", account, "year", year, "taken", n, "shown", shown.plays[year])
			queued = true
		}
		totals, err := e.options.Journal.SentTotals(ctx, account)
		if err != nil {
			return queued, err
		}
		for kind, n := range totals {
			measurement := totalMeasurement(kind)
			if shown.totals[measurement] >= n {
				continue
			}
			if err := e.options.Journal.QueueTotals(ctx, account, kind); err != nil {
				return queued, err
			}
			e.log.Warn("InfluxDB does not show all totals that it has taken; they are sent again", "account", account, "measurement", measurement, "taken", n, "shown", shown.totals[measurement])
			queued = true
		}
	}
	if queued {
		e.auditAt = e.now().Add(auditAgain)
	}
	return queued, nil
}

// auditSoon brings the next audit forward, unless it is due within the hour.
func (e *Exporter) auditSoon() {
	if soon := e.now().Add(auditAfter); e.auditAt.Sub(soon) > auditAgain {
		e.auditAt = soon
	}
}

// shown is what InfluxDB shows of an account.
type shown struct {
	account bool             // its own point
	plays   map[int]int64    // by calendar year, UTC
	totals  map[string]int64 // by measurement
}

// count counts what InfluxDB shows of an account.
func (e *Exporter) count(ctx context.Context, account string) (shown, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	flux := fmt.Sprintf(`from(bucket: %s)
	|> range(start: 1970-01-01T00:00:00Z, stop: 2200-01-01T00:00:00Z)
	|> filter(fn: (r) => r.account == %s and (
		r._field == "plays" and (r._measurement == "listen" or r._measurement == "artist_total" or r._measurement == "album_total" or r._measurement == "track_total") or
		r._field == "timezone" and r._measurement == "account"))
	|> aggregateWindow(every: 1y, fn: count, timeSrc: "_start", createEmpty: false)`,
		fluxString(e.options.Bucket), fluxString(tagText(account)))
	result, err := e.query.Query(ctx, flux)
	if err != nil {
		return shown{}, err
	}
	defer func() { _ = result.Close() }()
	s := shown{plays: map[int]int64{}, totals: map[string]int64{}}
	for result.Next() {
		record := result.Record()
		n, ok := record.Value().(int64)
		switch measurement := record.Measurement(); {
		case !ok:
		case measurement == measurementAccount:
			s.account = true
		case measurement == measurementListen:
			s.plays[record.Time().Year()] += n
		default:
			s.totals[measurement] += n
		}
	}
	return s, result.Err()
}
