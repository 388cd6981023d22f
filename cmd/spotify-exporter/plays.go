package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

type playsCommand struct {
	Account string `placeholder:"NAME" help:"Plays of this account alone."`
	period
	Limit  int    `placeholder:"N" help:"The newest N of them."`
	Format string `enum:"table,jsonl,csv" default:"table" help:"table, jsonl or csv."`
}

// Run prints plays, oldest first, one at a time however many there are. Where
// there is no journal yet there is nothing to print.
func (c *playsCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	if c.Limit < 0 {
		return usageError{fmt.Errorf("--limit: must not be negative (got %d)", c.Limit)}
	}
	from, to, err := c.parse(p.clock.Now(), config.Zones.of(c.Account))
	if err != nil {
		return err
	}
	j, err := p.existingJournal(ctx, &config)
	if errors.Is(err, errNoJournal) {
		return nil
	}
	if err != nil {
		return err
	}
	defer j.Close()
	if err := knownAccount(ctx, j, c.Account); err != nil {
		return err
	}

	out := bufio.NewWriterSize(p.stdout, 64<<10)
	write, err := newPlayWriter(out, c.Format, config.Zones.of, columnsOf(p.stdout, 0))
	if err != nil {
		return err
	}
	filter := journal.Filter{Account: c.Account, From: from, To: to, Limit: c.Limit}
	for play, err := range j.Plays(ctx, filter) {
		if err != nil {
			return err
		}
		if err := write(&play); err != nil {
			return fmt.Errorf("print plays: %w", err)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print plays: %w", err)
	}
	return nil
}
