package main

import (
	"context"
	"fmt"
)

type replayCommand struct {
	period
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
	j, err := p.existingJournal(ctx, &config)
	if err != nil {
		return err
	}
	defer j.Close()
	plays, err := j.Replay(ctx, from, to)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%d plays will be sent to InfluxDB again, by run, which sees them within seconds or when it is started.\n", plays)
	if config.InfluxURL == "" {
		fmt.Fprintln(p.stderr, "INFLUX_URL is not set here; run needs it.")
	}
	return nil
}
