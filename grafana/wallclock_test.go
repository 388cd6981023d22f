package grafana_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// TestSnapshotTellsNoZone publishes days of a listener in zones with and without summer time. No zone goes out, and each
// day begins at midnight of the zone that visitors are shown, which is UTC.
func TestSnapshotTellsNoZone(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "UTC"} {
		t.Run(name, func(t *testing.T) {
			location, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			var midnights, numbers []any
			first := time.Date(2026, 1, 1, 0, 0, 0, 0, location)
			for day := range 365 {
				midnights = append(midnights, first.AddDate(0, 0, day).UnixMilli())
				numbers = append(numbers, time.Date(2026, 1, 1+day, 15, 0, 0, 0, location).UnixMilli())
			}
			h := newHarness(t, nil)
			h.server.Answer = func(query map[string]any) ([]grafanatest.Frame, error) {
				switch text, _ := query["query"].(string); {
				case strings.HasPrefix(text, "days"):
					return []grafanatest.Frame{table(column("Time", "time", midnights...), column("Value", "number", numbers...))}, nil
				case strings.HasPrefix(text, "artists"):
					return []grafanatest.Frame{table(column("artist", "string"))}, nil
				}
				return h.answer(query)
			}
			h.edit(t, `Europe/Berlin`, name)
			h.publish(t)
			seen := h.seen(t)
			if text := encoded(t, seen); name != "UTC" && strings.Contains(text, name) || strings.Contains(text, location.String()) && name != "UTC" {
				t.Errorf("the zone is published: %s", text)
			}
			if seen["timezone"] != "utc" {
				t.Errorf("visitors see times of %v", seen["timezone"])
			}
			var board struct {
				Time   struct{ From time.Time }
				Panels []struct {
					Targets []struct{ Snapshot []grafanatest.Frame }
				}
			}
			if err := json.Unmarshal([]byte(encoded(t, seen)), &board); err != nil {
				t.Fatal(err)
			}
			if from := board.Time.From; from.Hour() != 0 || from.Minute() != 0 {
				t.Errorf("the time range begins at %v", from)
			}
			days := 0
			for _, panel := range board.Panels {
				if len(panel.Targets) == 0 || len(panel.Targets[0].Snapshot) == 0 || len(panel.Targets[0].Snapshot[0].Data.Values) < 2 {
					continue
				}
				for _, f := range panel.Targets[0].Snapshot {
					for row, value := range f.Data.Values[0] {
						want := time.Date(2026, 1, 1+row, 0, 0, 0, 0, time.UTC)
						if got := time.UnixMilli(int64(value.(float64))).UTC(); !got.Equal(want) {
							t.Errorf("day %d begins at %v", row, got)
						}
						days++
						afternoon := time.UnixMilli(int64(f.Data.Values[1][row].(float64))).UTC()
						if !afternoon.Equal(want.Add(15 * time.Hour)) {
							t.Errorf("day %d: a time in a number is %v", row, afternoon)
						}
					}
				}
			}
			if days != 365 {
				t.Errorf("%d days", days)
			}
		})
	}
}
