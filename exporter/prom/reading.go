package prom

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// journalWait is how long a scrape waits for the journal, so that it answers within a
// second. Another process, a damaged file or a disk that hangs may block SQLite for much
// longer, and not all of that ends with a context.
const journalWait = 700 * time.Millisecond

// reading is what the journal says at one moment.
type reading struct {
	state *journal.State        // nil: it did not say
	quota *collector.QuotaState // likewise
	err   error                 // why it did not say everything
}

// readJournal asks the journal, or waits for the answer to somebody who has asked before
// and has none yet. The first failure in a row is logged, and that it works again.
func (m *Metrics) readJournal() reading {
	if m.options.Journal == nil && m.options.Quota == nil {
		return reading{}
	}
	answer := m.reading.DoChan("", func() (any, error) { return m.askJournal(), nil })
	timer := time.NewTimer(journalWait)
	defer timer.Stop()
	var read reading
	select {
	case answered := <-answer:
		read = answered.Val.(reading)
	case <-timer.C:
		read.err = fmt.Errorf("it has not answered within %v", journalWait)
	}
	switch failed := m.journalFailed.Swap(read.err != nil); {
	case read.err != nil && !failed:
		m.options.Log.Warn("journal tells no state, its metrics are absent", "err", read.err)
	case read.err == nil && failed:
		m.options.Log.Info("journal tells its state again")
	}
	return read
}

// askJournal reads. Several scrapes may wait for it, so it does not end with one of them.
func (m *Metrics) askJournal() (read reading) {
	ctx, cancel := context.WithTimeout(context.Background(), journalWait)
	defer cancel()
	if m.options.Quota != nil {
		quota, err := m.options.Quota(ctx)
		if read.err = err; err == nil {
			read.quota = &quota
		}
	}
	if m.options.Journal != nil {
		state, err := m.options.Journal(ctx)
		if read.err = errors.Join(read.err, err); err == nil {
			read.state = &state
		}
	}
	return read
}
