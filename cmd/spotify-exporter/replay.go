package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

type replayCommand struct {
	period
	Rebuild bool `help:"First delete what InfluxDB has: plays that are not in the journal, as after a restore, are gone then."`
	Yes     bool `help:"Do not ask on a terminal whether --rebuild may delete."`
	Wait    bool `help:"Wait until InfluxDB has everything."`
}

// Run marks plays as not yet sent. The daemon finds them in its outbox. Before anything
// is deleted it says so, and asks where somebody can answer; a script that gives
// --rebuild means it.
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
	if c.Wait && config.InfluxURL == "" {
		return usageError{errors.New("--wait: needs INFLUX_URL, INFLUX_ORG, INFLUX_BUCKET and INFLUX_TOKEN")}
	}
	j, err := p.existingJournal(ctx, &config)
	if err != nil {
		return err
	}
	defer j.Close()
	if c.Rebuild {
		if err := c.confirm(ctx, p, &config, j); err != nil {
			return err
		}
	}
	var plays int64
	if c.Rebuild {
		plays, err = j.Rebuild(ctx)
	} else {
		plays, err = j.Replay(ctx, from, to)
	}
	if err != nil {
		return err
	}
	say(p.stderr, "%s will be sent to InfluxDB again, by run, which sees that within seconds or when it is started.", english.Plural(int(plays), "play", ""))
	if config.InfluxURL == "" {
		say(p.stderr, "INFLUX_URL is not set here; run needs it.")
	}
	if c.Wait {
		return p.deliver(ctx, &config, j)
	}
	return nil
}

// confirm says what --rebuild deletes, and asks on a terminal whether it may.
func (c *replayCommand) confirm(ctx context.Context, p *program, config *config, j *journal.Journal) error {
	accounts, err := j.Accounts(ctx)
	if err != nil {
		return err
	}
	state, err := j.State(ctx)
	if err != nil {
		return err
	}
	bucket := "the bucket of INFLUX_BUCKET"
	if config.InfluxBucket != "" {
		bucket = fmt.Sprintf("bucket %q", config.InfluxBucket)
	}
	say(p.stderr, "This deletes from %s in InfluxDB all points of %s: plays, totals and gaps. Then what the journal has is sent again: %s. A play that is only in InfluxDB is lost.",
		bucket, english.WordSeries(accounts, "and"), english.Plural(int(state.Plays), "play", ""))
	if c.Yes || !isTerminal(p.stdin) {
		return nil
	}
	if !isTerminal(p.stderr) {
		return usageError{errors.New("--rebuild: nobody can be asked, for standard error is no terminal; add --yes if you mean it")}
	}
	fmt.Fprint(p.stderr, "Delete them? Type yes: ")
	answer, err := p.readLine(ctx)
	if err != nil {
		return err
	}
	if !strings.EqualFold(strings.TrimSpace(answer), "yes") {
		return errors.New("nothing was deleted, and nothing is sent again")
	}
	return nil
}
