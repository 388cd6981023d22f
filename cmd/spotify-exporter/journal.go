package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// openJournal opens the journal of a configuration, and makes it if there is
// none. A restore that was broken off is finished before.
func (c *config) openJournal(ctx context.Context, clk clock.Clock) (*journal.Journal, error) {
	if err := c.finishRestore(); err != nil {
		return nil, err
	}
	return c.openJournalAt(ctx, c.journalPath(), clk)
}

func (c *config) openJournalAt(ctx context.Context, path string, clk clock.Clock) (*journal.Journal, error) {
	return journal.Open(ctx, path, journal.Options{
		Now:           clk.Now,
		CountedMS:     c.CountFrom.Milliseconds(),
		RecordPrivate: c.RecordPrivate,
		Zone:          c.Zones.of,
	})
}

// errNoJournal is the error of existingJournal if there is none yet.
var errNoJournal = errors.New("no journal yet: run has not been started with this DATA_DIR")

// existingJournal opens the journal for a command that works beside run. It makes
// none: errNoJournal.
func (p *program) existingJournal(ctx context.Context, c *config) (*journal.Journal, error) {
	if err := c.finishRestore(); err != nil {
		return nil, err
	}
	switch _, err := os.Stat(c.journalPath()); {
	case errors.Is(err, syscall.ENOTDIR):
		return nil, configError{fmt.Errorf("DATA_DIR: must be a folder (got %q)", c.DataDir)}
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", c.journalPath(), errNoJournal)
	}
	return c.openJournal(ctx, p.clock)
}

// knownAccount is a usageError that lists the accounts if account is none.
func knownAccount(ctx context.Context, j *journal.Journal, account string) error {
	if account == "" {
		return nil
	}
	accounts, err := j.Accounts(ctx)
	if err != nil || slices.Contains(accounts, account) {
		return err
	}
	return usageError{fmt.Errorf("--account: must be one that the journal knows: %s (got %q)", strings.Join(accounts, ", "), account)}
}
