package main

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// A demo that is filled begins with its past, in the journal and in place
// of what an earlier one has left in the bucket, and goes on recording.
func TestDemoFilled(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	t.Run("demo", func(t *testing.T) {
		setEnvironment(t, map[string]string{"TIMEZONE": "Europe/Berlin"})
		bucket := useInflux(t, server) // the name of the test is in its name
		if status := ask(t, server, server.Token, http.MethodPost, "/api/v2/write?org=home&bucket="+bucket, "listen,account=me plays=1i 1400000000000000000", nil); status != http.StatusNoContent {
			t.Fatal(status)
		}
		out, errs := command(t, exitDone, "demo", "--fill", "20d", "--for", "3s", "--speed", "400", "--json")
		var outcome demoOutcome
		if err := json.Unmarshal([]byte(out), &outcome); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if outcome.Played < 5 || outcome.Recorded != outcome.Played || outcome.Lost+outcome.Doubled != 0 {
			t.Errorf("outcome: %+v\n%s", outcome, errs)
		}
		days := make(map[string]int)
		for _, point := range server.Points(t, bucket, "listen") {
			if artist, _ := point["artist_id"].(string); artist == "" {
				t.Fatalf("a point of before, or one that is not whole: %v", point)
			}
			days[point["_time"].(interface{ Format(string) string }).Format("2006-01-02")]++
		}
		if len(days) < 15 {
			t.Errorf("listens on %d days, want 20: %v", len(days), days)
		}
		if entries, err := os.ReadDir(os.Getenv("DATA_DIR")); err != nil || len(entries) > 0 {
			t.Errorf("the demo has left %v (%v)", entries, err)
		}
	})
}

func TestDemoFillUsage(t *testing.T) {
	for want, test := range map[string]struct {
		bucket string
		args   []string
		exit   int
	}{
		`INFLUX_BUCKET: must have demo in its name: simulated listening takes the place of what is in it (got "spotify")`: {"spotify", []string{"--fill", "365d"}, exitConfig},
		`--fill: must be from 1d to 7305d (got "1y")`: {"demo", []string{"--fill", "1y"}, exitUsage},
		"--speed: needs --for beside --fill":          {"demo", []string{"--fill", "1d", "--speed", "60"}, exitUsage},
	} {
		setEnvironment(t, map[string]string{"INFLUX_URL": "http://127.0.0.1:1", "INFLUX_ORG": "home", "INFLUX_BUCKET": test.bucket, "INFLUX_TOKEN": "hidden"})
		if _, errs := command(t, test.exit, append([]string{"demo"}, test.args...)...); !strings.Contains(errs, want) || strings.Contains(errs, "hidden") {
			t.Errorf("demo does not say %q: %s", want, errs)
		}
	}
}
