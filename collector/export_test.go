package collector

import (
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// Tracker is the tracker, for samples that a simulator does not give.
type Tracker = tracker

// Look is a sample.
func (t *Tracker) Look(p spotify.Player, elapsed time.Duration) []journal.Report {
	return t.look(p, elapsed)
}
