package influx

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// settingsName is where the journal keeps what the points in InfluxDB were made with.
const settingsName = "influx.settings"

// pointsVersion grows with every change of what a point has, so that those of older
// versions are written again.
const pointsVersion = 3

// settings are what place and content of the points depend on, and which plays have one, beside the journal.
type settings struct {
	Points      int               `json:"points"` // pointsVersion
	URL         string            `json:"url"`
	Org         string            `json:"org"`
	Bucket      string            `json:"bucket"`
	CountedFrom string            `json:"counted_from"`
	Private     string            `json:"private"` // whether plays of private sessions are among them; "": not known
	Zones       map[string]string `json:"zones"`   // of every account so far
	Names       map[string]string `json:"names"`   // likewise; they are in the points of the accounts alone
}

// outdates tells whether points made with other settings are wrong now, or are too
// many or too few. That an account has come or gone, or has another name, changes
// no other point.
func (s settings) outdates(other settings) bool {
	if s.Points != other.Points || s.URL != other.URL || s.Org != other.Org || s.Bucket != other.Bucket || s.CountedFrom != other.CountedFrom || s.Private != other.Private {
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
// other time zones, in another form, or with or without private sessions until now:
// hour and weekday of every play are in its point. The point of an account whose name has
// changed, as it does with its first login, is queued alone. It is called before the
// first write, when there is a new account, and every minute while nothing is sent.
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
		Private:     strconv.FormatBool(e.options.Journal.RecordPrivate()),
		Zones:       make(map[string]string),
		Names:       make(map[string]string),
	}
	for _, account := range accounts {
		now.Zones[account] = e.options.Zone(account).String()
		now.Names[account] = e.options.Name(account)
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
			e.log.Info("the place, a time zone, what counts, what is private or the form of the points has changed: all plays are sent to InfluxDB again", "plays", plays, "before", stored, "now", string(encoded))
		}
		for account, name := range now.Names {
			if _, known := before.Zones[account]; known && before.Names[account] != name { // one that is not is queued already
				if err := e.options.Journal.QueueAccount(ctx, account); err != nil {
					return err
				}
			}
		}
	}
	return e.options.Journal.SetSetting(ctx, settingsName, string(encoded))
}
