package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize/english"
)

type replayCommand struct {
	period
	Rebuild bool `help:"First delete what InfluxDB has: plays that are not in the journal, as after a restore, are gone then."`
}

// Run marks plays as not yet sent. The daemon finds them in its outbox.
func (c *replayCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	from, to, err := c.parse(p.clock.Now(), config.Zones.of(""))
	if err != nil {
		return err
	}
	if c.Rebuild && !(from.IsZero() && to.IsZero()) {
		return usageError{errors.New("--rebuild: is of everything, and goes without --from and --to")}
	}
	j, err := p.existingJournal(ctx, &config)
	if err != nil {
		return err
	}
	defer j.Close()
	var plays int64
	if c.Rebuild {
		plays, err = j.Rebuild(ctx)
	} else {
		plays, err = j.Replay(ctx, from, to)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s will be sent to InfluxDB again, by run, which sees that within seconds or when it is started.\n", english.Plural(int(plays), "play", ""))
	if config.InfluxURL == "" {
		fmt.Fprintln(p.stderr, "INFLUX_URL is not set here; run needs it.")
	}
	return nil
}
