package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// logged are the entries of a log in JSON that have a message.
func logged(t *testing.T, log, message string) (entries []map[string]any) {
	t.Helper()
	for line := range strings.Lines(log) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if entry["msg"] == message {
			entries = append(entries, entry)
		}
	}
	return entries
}

// TestLogOfRun reads the log of a daemon with which all is well for some hours: it says
// that it works, and not what was heard.
func TestLogOfRun(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	start := time.Now().Truncate(time.Second)
	clk := clock.New(start, 1200) // an hour takes three seconds
	sim := simulate(t, clk, map[string]string{"LOG_LEVEL": "debug"})
	bucket := useInflux(t, server)
	me := sim.AddUser("me-id", "Me")
	me.PlayDemo(1, start, 100*time.Minute)
	logIn(t, "me", me)
	d := startDaemon(t, clk)
	eventually(t, 60*time.Second, "three hours are logged", func() bool { return len(logged(t, d.errs.String(), "the last hour")) >= 3 })
	d.finish(t)

	log := d.errs.String()
	if accepted := logged(t, log, "InfluxDB accepts the bucket"); len(accepted) != 1 || accepted[0]["bucket"] != bucket {
		t.Errorf("that InfluxDB accepts the bucket is logged as %v", accepted)
	}
	if first := logged(t, log, "recorded the first play since the start"); len(first) != 1 || first[0]["account"] != "me" {
		t.Errorf("the first play is logged as %v", first)
	}
	var recorded, sent float64
	hours := logged(t, log, "the last hour")
	for _, hour := range hours {
		recorded += hour["plays_recorded"].(float64)
		sent += hour["points_sent"].(float64)
		if hour["plays_recorded_24h"] != recorded {
			t.Errorf("%v plays in 24 hours after %v: %v", hour["plays_recorded_24h"], recorded, hour)
		}
		if used := hour["requests_24h"].(float64); used < 1 || used > 1000 || hour["request_budget"] != 1000.0 {
			t.Errorf("requests: %v", hour)
		}
	}
	if plays := len(strings.Split(strings.TrimSpace(jsonlOfPlays(t)), "\n")); recorded < 20 || recorded > float64(plays) || sent < recorded {
		t.Errorf("%v plays recorded and %v points sent by %d lines, %d plays in the journal", recorded, sent, len(hours), plays)
	}
	for _, played := range me.Played(clk.Now()) {
		for _, private := range append([]string{played.Item.Name, played.Item.URI, played.Item.Album.Name}, artistsOf(played.Item)...) {
			if private != "" && strings.Contains(log, private) {
				t.Fatalf("the log names %q, which was heard", private)
			}
		}
	}
}

func jsonlOfPlays(t *testing.T) string {
	t.Helper()
	out, _ := command(t, exitDone, "plays", "--format", "jsonl")
	return out
}

func artistsOf(item spotifysim.Item) (names []string) {
	for _, artist := range item.Artists {
		names = append(names, artist.Name)
	}
	return names
}
