package main

import (
	"context"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// tellRecorded is told of every play that is new or has changed. It logs the first one
// that is new since the start; what was heard is nobody's business.
func (d *daemon) tellRecorded(account string, play journal.Play) {
	if !d.first.Load() && recordedSinceStart(d.parts.Load().collector.State()) > 0 && d.first.CompareAndSwap(false, true) {
		d.log.Info("recorded the first play since the start", "account", account)
	}
	if d.recorded != nil {
		d.recorded(account, play)
	}
}

// recordedSinceStart is how many plays were recorded since the start.
func recordedSinceStart(state collector.State) (plays uint64) {
	for i := range state.Accounts {
		for _, n := range state.Accounts[i].Recorded {
			plays += n
		}
	}
	return plays
}

// logEveryHour logs a line every hour until ctx ends, so that the log of a daemon that
// nothing happens to shows that it works: what was recorded and sent in that hour, and
// what was asked of Spotify and recorded in the last 24 hours.
func (d *daemon) logEveryHour(ctx context.Context, opened *parts) {
	// The plays recorded at the ends of the last 24 hours, this one last.
	recorded := []uint64{0}
	var sent uint64
	for d.clock.Sleep(ctx, time.Hour) == nil {
		state := opened.collector.State()
		now := recordedSinceStart(state)
		attributes := []any{
			"plays_recorded", now - recorded[len(recorded)-1],
			"plays_recorded_24h", now - recorded[0],
		}
		if recorded = append(recorded, now); len(recorded) > 24 {
			recorded = recorded[1:]
		}
		if opened.influx != nil {
			written := opened.influx.State().PointsWritten
			attributes = append(attributes, "points_sent", written-sent)
			sent = written
		}
		if quota, err := opened.quota.Peek(ctx); err == nil {
			attributes = append(attributes, "requests_24h", quota.Used)
			if quota.Limit > 0 {
				attributes = append(attributes, "request_budget", quota.Limit)
			}
		}
		d.log.Info("the last hour", attributes...)
	}
}
