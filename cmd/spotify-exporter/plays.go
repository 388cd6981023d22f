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
	Limit  *int   `placeholder:"N" help:"The newest N of them; 0 for all. Without --limit, --from and --to a terminal gets 50, and everything else all."`
	Format string `enum:"table,jsonl,csv" default:"table" help:"table, jsonl or csv."`
}

// lastPlays is how many plays a terminal gets if nothing is asked for.
const lastPlays = 50

// Run prints plays, oldest first, one at a time however many there are. Where
// there is no journal yet there is nothing to print.
func (c *playsCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	limit := 0
	screen := isTerminal(p.stdout) && c.Format == "table"
	switch {
	case c.Limit == nil && isTerminal(p.stdout) && c.From == "" && c.To == "":
		limit = lastPlays
	case c.Limit == nil:
	case *c.Limit < 0:
		return usageError{fmt.Errorf("--limit: must not be negative (got %d)", *c.Limit)}
	default:
		limit = *c.Limit
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
	widths := columnsOf(p.stdout, 0)
	if screen {
		widths = columnsOf(p.stdout, len("123456  "))
		widths.id = true
		_, _ = out.WriteString(tableHead(widths)) // Flush tells of an error
	}
	write, err := newPlayWriter(out, c.Format, config.Zones.of, widths, isTerminal(p.stdout))
	if err != nil {
		return err
	}
	printed := 0
	filter := journal.Filter{Account: c.Account, From: from, To: to, Limit: limit}
	for play, err := range j.Plays(ctx, filter) {
		if err != nil {
			return err
		}
		if err := write(&play); err != nil {
			return fmt.Errorf("print plays: %w", err)
		}
		printed++
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print plays: %w", err)
	}
	if screen && printed > 0 {
		fmt.Fprintln(p.stderr)
		if c.Limit == nil && printed == limit {
			say(p.stderr, "These are the last %d. More: --limit 500, --from 7d, or --limit 0 for all.", limit)
		}
		say(p.stderr, "Why a play is recorded as it is: spotify-exporter explain ID")
	}
	return nil
}
