package collector

import (
	"context"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// Pollers of one bubble that are the first to store a tracker at the same time
// make the race detector see a race within encoding/json, which learns the type
// then (Go 1.26, 57 reports in one of many runs): it learns it here.
var _ = (&tracker{Open: &openPlay{}}).state()

// Tracker is the tracker, for samples that a simulator does not give.
type Tracker = tracker

// Look is a sample.
func (t *Tracker) Look(p spotify.Player, elapsed time.Duration) []journal.Report {
	return t.look(p, elapsed)
}

// Poller is the poller of an account.
func (c *Collector) Poller(ctx context.Context, alias string) (*poller, error) {
	if _, err := c.add(ctx); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pollers[alias], nil
}

// PollList is a poll at which recently-played is due and the player is not.
func (p *poller) PollList(ctx context.Context) {
	now := p.options.Clock.Now()
	p.listing.due, p.player.due = now, now.Add(time.Hour)
	p.Poll(ctx)
}

// Overtaken lets the last look have been so much later than now.
func (p *poller) Overtaken(by time.Duration) { p.lookedAt = time.Now().Add(by) }

// PollPlayer is a poll at which the player is due and recently-played is not.
func (p *poller) PollPlayer(ctx context.Context) {
	now := p.options.Clock.Now()
	p.listing.due, p.player.due = now.Add(time.Hour), now
	p.Poll(ctx)
}
