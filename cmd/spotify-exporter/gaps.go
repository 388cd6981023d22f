package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

type gapsCommand struct {
	Account string `placeholder:"NAME" help:"Gaps of this account alone."`
	Accept  int64  `placeholder:"ID" help:"Close a gap that no import will ever fill."`
	JSON    bool   `name:"json" help:"One object a line."`
}

// Run lists the holes in the history in which plays may have been lost, or closes
// one for good.
func (c *gapsCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	j, err := p.existingJournal(ctx, &config)
	if errors.Is(err, errNoJournal) && c.Accept == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	defer j.Close()
	if c.Accept != 0 {
		if err := j.AcceptGap(ctx, c.Accept); err != nil {
			return fmt.Errorf("accept %w: see spotify-exporter gaps", err)
		}
		fmt.Fprintf(p.stderr, "Gap %d is closed for good.\n", c.Accept)
		return nil
	}
	if err := knownAccount(ctx, j, c.Account); err != nil {
		return err
	}
	gaps, err := j.Gaps(ctx, c.Account)
	if err != nil {
		return err
	}
	if c.JSON {
		return p.printGapsJSON(gaps)
	}
	return p.printGaps(gaps, config.Zones.of)
}

func (p *program) printGapsJSON(gaps []journal.Gap) error {
	encoder := json.NewEncoder(p.stdout)
	for _, gap := range gaps {
		record := struct {
			ID       int64   `json:"id"`
			Account  string  `json:"account"`
			From     string  `json:"from"`
			To       string  `json:"to"`
			FoundAt  string  `json:"found_at"`
			ClosedAt *string `json:"closed_at"`
			ClosedBy *string `json:"closed_by"`
		}{
			ID: gap.ID, Account: gap.Account,
			From: gap.From.UTC().Format(rfc3339Milli), To: gap.To.UTC().Format(rfc3339Milli), FoundAt: gap.FoundAt.UTC().Format(rfc3339Milli),
			ClosedBy: known(gap.ClosedBy),
		}
		if !gap.Open() {
			record.ClosedAt = new(gap.ClosedAt.UTC().Format(rfc3339Milli))
		}
		if err := encoder.Encode(record); err != nil {
			return fmt.Errorf("print gaps: %w", err)
		}
	}
	return nil
}

func (p *program) printGaps(gaps []journal.Gap, zone func(string) *time.Location) error {
	if len(gaps) == 0 {
		fmt.Fprintln(p.stderr, "No gaps.")
		return nil
	}
	var list table
	list.add("ID", "ACCOUNT", "FROM", "TO", "LENGTH", "STATE")
	open := 0
	for _, gap := range gaps {
		state := "closed: " + gap.ClosedBy
		if gap.Open() {
			state = "open"
			open++
		}
		in := zone(gap.Account)
		list.add(strconv.FormatInt(gap.ID, 10), gap.Account, gap.From.In(in).Format(time.DateTime), gap.To.In(in).Format(time.DateTime),
			gap.To.Sub(gap.From).Round(time.Minute).String(), state)
	}
	if err := list.write(p.stdout, terminalWidth(p.stdout)); err != nil {
		return fmt.Errorf("print gaps: %w", err)
	}
	if open > 0 {
		say(p.stderr, "\nOpen gaps may have lost plays: Spotify's list of the last 50 did not reach back far enough. "+
			"Its privacy export has them. gaps --accept ID closes one that nothing will ever fill.")
	}
	return nil
}
