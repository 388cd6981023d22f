package influx

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// heldInterval is how often pages are looked at and InfluxDB is asked for their plays
// while nothing is sent.
const heldInterval = 10 * time.Minute

// heldPage is what has been asked about an account's page.
type heldPage struct {
	points []int64 // times of its plays that the journal holds, ns
	listed int
}

// askHeld asks InfluxDB which plays of Spotify's last page it holds: when something was
// sent, as what a new page brings is, for the accounts whose page has changed, and for
// all once in a while. The error is one of the journal; that InfluxDB does not tell is
// no failure, since the token need not be one that may read.
func (e *Exporter) askHeld(ctx context.Context) error {
	all := e.now().Sub(e.heldAt) >= heldInterval
	if !all && !e.sent {
		return nil
	}
	accounts, err := e.options.Journal.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		page, err := e.options.Journal.LastPage(ctx, account)
		if err != nil {
			return err
		}
		points := exported(page.Held)
		last := e.held[account]
		if !all && last != nil && slices.Equal(last.points, points) && last.listed == page.Listed {
			continue
		}
		e.held[account] = &heldPage{points: points, listed: page.Listed}
		// Plays that are kept from InfluxDB are not missing there.
		var ratio *float64
		if listed := page.Listed - len(page.Held) + len(points); listed > 0 {
			n, err := e.countHeld(ctx, account, points)
			if err != nil {
				e.log.Debug("cannot ask InfluxDB for the plays that it holds", "account", account, "err", err)
			} else {
				ratio = new(float64(n) / float64(listed))
			}
		}
		e.update(func(s *State) {
			if ratio == nil {
				delete(s.HeldRatio, account)
				return
			}
			s.HeldRatio[account] = *ratio
		})
	}
	e.sent = false
	if all {
		e.heldAt = e.now()
	}
	return nil
}

// exported are the times, ascending, of the plays that leave the journal.
func exported(plays []journal.Play) []int64 {
	var points []int64
	for i := range plays {
		if plays[i].Item.Kind != journal.Unknown && !plays[i].Private() {
			points = append(points, plays[i].PointNS)
		}
	}
	slices.Sort(points)
	return points
}

// countHeld returns how many of the points are in InfluxDB.
func (e *Exporter) countHeld(ctx context.Context, account string, points []int64) (int, error) {
	if len(points) == 0 {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	flux := fmt.Sprintf(`from(bucket: %s)
	|> range(start: %s, stop: %s)
	|> filter(fn: (r) => r._measurement == "listen" and r.account == %s and r._field == "plays")
	|> keep(columns: ["_time"])`,
		fluxString(e.options.Bucket), fluxTime(points[0]), fluxTime(points[len(points)-1]+1), fluxString(tagText(account)))
	result, err := e.query.Query(ctx, flux)
	if err != nil {
		return 0, err
	}
	defer func() { _ = result.Close() }()
	n := 0
	for result.Next() {
		if _, found := slices.BinarySearch(points, result.Record().Time().UnixNano()); found {
			n++
		}
	}
	return n, result.Err()
}

func fluxTime(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }

// fluxString is a string literal of Flux, in which ${ would start an expression.
func fluxString(s string) string { return strings.ReplaceAll(quote(s, '"'), "${", `\${`) }
