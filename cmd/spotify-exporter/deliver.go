package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
)

// bucketTimeout is how long an import waits for InfluxDB before it begins: what
// matters is the journal.
const bucketTimeout = 10 * time.Second

// prepareInflux sees to the bucket before the first play of years is written, and
// says what is wrong with it.
func (p *program) prepareInflux(ctx context.Context, c *config, j *journal.Journal) {
	if c.InfluxURL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, bucketTimeout)
	defer cancel()
	exporter, err := c.newInflux(j, newInfluxTransport(), p.clock, p.newLogger(c.LogLevel, c.LogFormat))
	var warning string
	if err == nil {
		warning, err = exporter.EnsureBucket(ctx)
	}
	switch {
	case err != nil:
		say(p.stderr, "InfluxDB cannot be written now: %v. The plays are kept until it can.", err)
	case warning != "":
		say(p.stderr, "InfluxDB: %s.", warning)
	}
}

const (
	deliverLook = 500 * time.Millisecond // at how much there is still to send
	deliverHint = 30 * time.Second       // without a point sent: somebody should look
)

// deliver waits until InfluxDB has all that the journal has for it, and shows how
// far it is. A daemon sends it; if none runs, it is sent from here.
func (p *program) deliver(ctx context.Context, c *config, j *journal.Journal) error {
	state, err := j.State(ctx)
	if err != nil {
		return err
	}
	d := &delivery{program: p, config: c, journal: j, pending: state.PendingPoints, most: state.PendingPoints, rejected: state.RejectedPoints, moved: time.Now()}
	d.progress = newProgress(p.stderr, "points", d.most)
	err = d.run(ctx)
	d.progress.end()
	if ctx.Err() != nil {
		fmt.Fprintln(p.stderr, "Not waiting any longer. The journal has everything; run sends the rest.")
		return nil
	}
	if err != nil {
		return fmt.Errorf("send to InfluxDB: %w; the journal has everything, and run sends it when that is put right", err)
	}
	return d.tellRejected(ctx)
}

// delivery is the outbox on its way.
type delivery struct {
	*program
	config   *config
	journal  *journal.Journal
	exporter *influx.Exporter // nil: a daemon sends
	progress *progress

	pending, most int64     // entries of the outbox, now and at most
	rejected      int64     // that InfluxDB had refused before
	looked, moved time.Time // at pending, and when it has last changed
}

// run waits until nothing is due any more.
func (d *delivery) run(ctx context.Context) error {
	for {
		if err := d.takeOver(); err != nil {
			return err
		}
		wait := deliverLook
		if d.exporter != nil {
			var err error
			if wait, err = d.exporter.Step(ctx); err == nil && wait > 0 {
				return nil
			}
			if paused := d.exporter.State().Paused; paused != "" {
				return fmt.Errorf("%w: %s", err, paused)
			}
			if err != nil && ctx.Err() == nil {
				d.progress.say("InfluxDB: %v; again in %v.", err, wait.Round(time.Second))
			}
		}
		if done, err := d.look(ctx); done || err != nil {
			return err
		}
		if err := d.clock.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// takeOver makes this process the one that sends, if no daemon is there to do it.
func (d *delivery) takeOver() error {
	if d.exporter != nil {
		return nil
	}
	switch err := d.journal.Lock(); {
	case errors.Is(err, journal.ErrLocked):
		return nil
	case err != nil:
		return err
	}
	exporter, err := d.config.newInflux(d.journal, newInfluxTransport(), d.clock, d.newLogger(slog.LevelError, d.config.LogFormat))
	d.exporter = exporter
	return err
}

// look shows how much is still to be sent, and tells whether it is nothing.
func (d *delivery) look(ctx context.Context) (done bool, err error) {
	if time.Since(d.looked) < deliverLook {
		return false, nil
	}
	state, err := d.journal.State(ctx)
	if err != nil {
		return false, err
	}
	d.looked = time.Now()
	if state.PendingPoints != d.pending {
		d.moved = d.looked
	}
	if d.looked.Sub(d.moved) > deliverHint {
		d.moved = d.looked
		d.progress.say("The daemon has sent nothing for %v: see its log, and spotify-exporter check. Ctrl-C ends the waiting, nothing else.", deliverHint)
	}
	d.pending, d.most = state.PendingPoints, max(d.most, state.PendingPoints)
	d.progress.setOf(d.most-d.pending, d.most)
	return d.exporter == nil && state.OldestPending.IsZero(), nil
}

// tellRejected says that InfluxDB has everything, or fails with what it has refused
// meanwhile.
func (d *delivery) tellRejected(ctx context.Context) error {
	state, err := d.journal.State(ctx)
	if err != nil {
		return err
	}
	refused := state.RejectedPoints - d.rejected
	if refused <= 0 {
		fmt.Fprintln(d.stderr, "InfluxDB has everything.")
		return nil
	}
	list, err := d.journal.Rejected(ctx, 1)
	if err != nil || len(list) == 0 {
		return err
	}
	return fmt.Errorf("InfluxDB has refused %s, one of them because: %s. The journal keeps them; replay sends them again when that is put right",
		english.Plural(int(refused), "point", ""), list[0].Reason)
}
