package influx

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// settingsName is where the journal keeps what the points in InfluxDB were made with.
const settingsName = "influx.settings"

// pointsVersion grows with every change of what a point has, so that those of older
// versions are written again.
const pointsVersion = 3

// settings are what place and content of every point depend on, beside the journal.
type settings struct {
	Points      int               `json:"points"` // pointsVersion
	URL         string            `json:"url"`
	Org         string            `json:"org"`
	Bucket      string            `json:"bucket"`
	CountedFrom string            `json:"counted_from"`
	Zones       map[string]string `json:"zones"` // of every account so far
}

// outdates tells whether points made with other settings are wrong now. That an
// account has come or gone changes no point.
func (s settings) outdates(other settings) bool {
	if s.Points != other.Points || s.URL != other.URL || s.Org != other.Org || s.Bucket != other.Bucket || s.CountedFrom != other.CountedFrom {
		return true
	}
	for account, zone := range s.Zones {
		if before, known := other.Zones[account]; known && before != zone {
			return true
		}
	}
	return false
}

// applySettings queues the whole journal once more if it went to another bucket, with
// other time zones or in another form until now: hour and weekday of every play are in its
// point. It is called before the first write and when there is a new account.
func (e *Exporter) applySettings(ctx context.Context) error {
	accounts, err := e.options.Journal.Accounts(ctx)
	if err != nil {
		return err
	}
	now := settings{
		Points:      pointsVersion,
		URL:         withoutQuery(e.server.base.String()),
		Org:         e.options.Org,
		Bucket:      e.options.Bucket,
		CountedFrom: e.options.CountedFrom.String(),
		Zones:       make(map[string]string),
	}
	for _, account := range accounts {
		now.Zones[account] = e.options.Zone(account).String()
	}
	encoded, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("encode settings: %w", err)
	}
	stored, err := e.options.Journal.Setting(ctx, settingsName)
	if err != nil || stored == string(encoded) {
		return err
	}
	if stored != "" {
		var before settings
		if err := json.Unmarshal([]byte(stored), &before); err != nil {
			return fmt.Errorf("read setting %s: %w", settingsName, err)
		}
		if now.outdates(before) {
			plays, err := e.options.Journal.Replay(ctx, time.Time{}, time.Time{})
			if err != nil {
				return err
			}
			e.log.Info("the place, a time zone, what counts or the form of the points has changed: all plays are sent to InfluxDB again", "plays", plays, "before", stored, "now", string(encoded))
		}
	}
	return e.options.Journal.SetSetting(ctx, settingsName, string(encoded))
}
