package grafana_test

import (
	"testing"

	"github.com/spotify-exporter/spotify-exporter/exporter/promtest"
)

func TestPrometheus(t *testing.T) {
	day := simulated(t)
	l := newLint(t)
	l.points = day.points
	l.prometheus = promtest.Backfilled(t, day.text.Bytes(), "spotify-exporter", "music")
	l.hold(t, queryRules)
	l.canFail(t, queryRules)
}
