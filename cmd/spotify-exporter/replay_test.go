package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history/historytest"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// TestRefusedPointsFail has an InfluxDB that refuses some points for good: waiting for
// it fails, whoever waits.
func TestRefusedPointsFail(t *testing.T) {
	influxtest.Require2(t)
	server := influxtest.Shared(t)
	setEnvironment(t, nil)
	bucket := useInflux(t, server)
	export := filepath.Join(t.TempDir(), "export.zip")
	listening := historytest.New(historytest.Options{Rows: 500, Seed: 7})
	writeZip(t, export, listening.WriteExtended)
	var ended time.Time
	for p := range listening.Plays() {
		ended = p.EndedAt
	}
	// A field has one type in a shard: this makes that of ms_played another one.
	line := fmt.Sprintf("listen,account=other ms_played=1.5 %d", ended.UnixNano())
	if status := ask(t, server, server.Token, http.MethodPost, "/api/v2/write?org=home&bucket="+bucket, line, nil); status != http.StatusNoContent {
		t.Fatal(status)
	}
	for _, args := range [][]string{{"import", "--wait", export}, {"replay", "--wait"}} {
		_, errs := command(t, exitFailed, args...)
		if !strings.Contains(errs, "InfluxDB has refused ") || !strings.Contains(errs, "ms_played") || strings.Contains(errs, "InfluxDB has everything") {
			t.Errorf("%v: %s", args, errs)
		}
	}
}

func TestReplayWaitsOnlyForInfluxDB(t *testing.T) {
	setEnvironment(t, nil)
	recordOne(t)
	if _, errs := command(t, exitUsage, "replay", "--wait"); !strings.Contains(errs, "--wait: needs INFLUX_URL") {
		t.Errorf("replay --wait: %s", errs)
	}
}

// TestRebuildSaysWhatItDeletes runs it as a script does, which is not asked.
func TestRebuildSaysWhatItDeletes(t *testing.T) {
	setEnvironment(t, nil)
	recordOne(t)
	for _, args := range [][]string{{"replay", "--rebuild"}, {"replay", "--rebuild", "--yes"}} {
		_, errs := command(t, exitDone, args...)
		if !strings.Contains(errs, "This deletes from the bucket of INFLUX_BUCKET in InfluxDB all points of me") || !strings.Contains(errs, "sent again: 1 play.") {
			t.Errorf("%v: %s", args, errs)
		}
	}
	if _, errs := command(t, exitDone, "replay"); strings.Contains(errs, "delete") {
		t.Errorf("replay, which deletes nothing: %s", errs)
	}
}
