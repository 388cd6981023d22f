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

// audit counts, year by year, the plays that InfluxDB shows, and queues those of a
// year once more of which it shows fewer than it has taken. If it does not know the
// account at all, the bucket is a new one, and everything is queued. It returns how
// many plays are. An answer of 204 is no proof: 2.9.1 was seen to lose the first
// write into a new shard from its memory (it showed the points after a restart), and
// buckets are restored from old backups. That InfluxDB does not tell is no failure,
// as for askHeld.
func (e *Exporter) audit(ctx context.Context) (queued int64, err error) {
	e.auditAt = e.now().Add(auditInterval)
	if e.forgets {
		return 0, nil // points that are gone were to go
	}
	accounts, err := e.options.Journal.Accounts(ctx)
	if err != nil {
		return 0, err
	}
	for _, account := range accounts {
		known, shown, err := e.countYears(ctx, account)
		if err != nil {
			e.log.Debug("cannot count what InfluxDB has", "account", account, "err", err)
			continue
		}
		if !known {
			e.log.Warn("InfluxDB has lost an account that it has taken; everything is sent again", "account", account)
			e.auditAt = e.now().Add(auditAgain)
			return e.options.Journal.Replay(ctx, time.Time{}, time.Time{})
		}
		// Counted thereafter: what has been taken out meanwhile is in neither.
		sent, err := e.options.Journal.SentByYear(ctx, account)
		if err != nil {
			return queued, err
		}
		for year, n := range sent {
			if shown[year] >= n {
				continue
			}
			from := time.Date(year, time.January, 1, 0, 0, 0, 0, time.UTC)
			again, err := e.options.Journal.Replay(ctx, from, from.AddDate(1, 0, 0))
			if err != nil {
				return queued, err
			}
			e.log.Warn("InfluxDB does not show all plays that it has taken; they are sent again", "account", account, "year", year, "taken", n, "shown", shown[year])
			queued += again
			e.auditAt = e.now().Add(auditAgain)
		}
	}
	return queued, nil
}

// auditSoon brings the next audit forward, unless it is due within the hour.
func (e *Exporter) auditSoon() {
	if soon := e.now().Add(auditAfter); e.auditAt.Sub(soon) > auditAgain {
		e.auditAt = soon
	}
}

// countYears counts an account's plays in InfluxDB by calendar year, UTC, and tells
// whether the account's own point is there.
func (e *Exporter) countYears(ctx context.Context, account string) (known bool, shown map[int]int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	flux := fmt.Sprintf(`from(bucket: %s)
	|> range(start: 1970-01-01T00:00:00Z, stop: 2200-01-01T00:00:00Z)
	|> filter(fn: (r) => r.account == %s and (r._measurement == "listen" and r._field == "plays" or r._measurement == "account" and r._field == "timezone"))
	|> aggregateWindow(every: 1y, fn: count, timeSrc: "_start", createEmpty: false)`,
		fluxString(e.options.Bucket), fluxString(tagText(account)))
	result, err := e.query.Query(ctx, flux)
	if err != nil {
		return false, nil, err
	}
	defer func() { _ = result.Close() }()
	shown = map[int]int64{}
	for result.Next() {
		n, ok := result.Record().Value().(int64)
		switch {
		case !ok:
		case result.Record().Measurement() == measurementAccount:
			known = true
		default:
			shown[result.Record().Time().Year()] += n
		}
	}
	return known, shown, result.Err()
}
