package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

// daemon is what run and demo start: collecting, exporting and serving, which
// meet in the journal.
type daemon struct {
	config  *config
	clock   clock.Clock
	spotify http.RoundTripper // the way to Spotify
	log     *slog.Logger
	// recorded is told of every play that is new or has changed; may be nil.
	recorded func(account string, play journal.Play)

	first    atomic.Bool // the first play since the start is logged
	metrics  *prom.Metrics
	parts    atomic.Pointer[parts]      // nil until the journal is open
	arrived  atomic.Pointer[deliveries] // when something had arrived
	alerting atomic.Pointer[bool]       // whether somebody would be told of a failure; nil: not known yet
}

// parts are the parts of a daemon that need the journal.
type parts struct {
	journal   *journal.Journal
	quota     *collector.Quota
	guard     *guard
	collector *collector.Collector
	influx    *influx.Exporter   // nil: the journal is the only store
	snapshot  *grafana.Publisher // nil: nothing is published
}

// run runs until ctx ends. It serves while the journal is still being opened,
// which takes a while when a new version brings it up to date, and calls ready
// when that is done.
func (d *daemon) run(ctx context.Context, web *prom.Server, ready func(*parts)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks, ctx := errgroup.WithContext(ctx)
	d.metrics = d.newMetrics()
	tasks.Go(func() error { return web.Serve(ctx, d.metrics.Handler(), d.log) })
	if d.config.AlertmanagerURL != "" {
		tasks.Go(func() error { d.watchAlerting(ctx); return nil })
	}

	opened, err := d.open(ctx)
	if err != nil {
		if ctx.Err() != nil {
			err = nil // it was broken off, by a signal, or by an error that Wait has
		}
		cancel()
		return errors.Join(err, tasks.Wait())
	}
	d.parts.Store(opened)
	ready(opened)
	tasks.Go(func() error { d.logEveryHour(ctx, opened); return nil })
	tasks.Go(func() error {
		if err := opened.collector.Run(ctx); err != nil {
			return fmt.Errorf("collect: %w", err)
		}
		return nil
	})
	tasks.Go(func() error { return opened.guard.watchPlace(ctx) })
	tasks.Go(func() error { opened.guard.watchIntegrity(ctx); return nil })
	if opened.influx != nil {
		tasks.Go(func() error { return opened.influx.Run(ctx) })
	}
	if opened.snapshot != nil {
		tasks.Go(func() error { return opened.snapshot.Run(ctx) }) // which ends with ctx, whatever fails
	}
	return errors.Join(tasks.Wait(), opened.guard.end(), opened.journal.Close())
}

// open opens the journal for this process alone, and makes what needs it.
func (d *daemon) open(ctx context.Context) (*parts, error) {
	j, err := d.config.openJournal(ctx, d.clock)
	if err != nil {
		return nil, err
	}
	opened, err := d.assemble(j)
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return opened, nil
}

func (d *daemon) assemble(j *journal.Journal) (*parts, error) {
	if err := j.Lock(); err != nil {
		if errors.Is(err, journal.ErrLocked) {
			err = fmt.Errorf("%w, or choose another DATA_DIR; an import or replay that sends to InfluxDB ends by itself, and may be stopped: run sends the rest", err)
		}
		return nil, err
	}
	log := d.log.With("component", "spotify")
	quota := collector.NewQuota(j, d.config.ClientID, d.config.RequestBudget, d.clock, log)
	app, err := d.config.newApp(quota, d.metrics.InstrumentSpotify(d.spotify, spotify.EndpointFromContext), d.clock, log)
	if err != nil {
		return nil, err
	}
	p := &parts{journal: j, guard: newGuard(d.config, j, d.clock, d.log.With("component", "journal")), quota: quota, collector: collector.New(collector.Options{
		Journal:       j,
		App:           app,
		Tokens:        d.config.tokens(),
		Accounts:      d.config.Accounts,
		Quota:         quota,
		Clock:         d.clock,
		RecordPrivate: d.config.RecordPrivate,
		Zone:          d.config.Zones.of,
		Log:           log,
		Recorded:      d.tellRecorded,
	})}
	if d.config.SnapshotInterval > 0 {
		if p.snapshot, err = d.config.newSnapshot(j, false, d.log.With("component", "snapshot")); err != nil {
			return nil, err
		}
	}
	if d.config.InfluxURL == "" {
		return p, nil
	}
	p.influx, err = d.config.newInflux(j, d.metrics.InstrumentInflux(newInfluxTransport()), d.clock, d.log.With("component", "influx"))
	return p, err
}

// newMetrics returns Metrics of a daemon whose journal may not be open yet.
func (d *daemon) newMetrics() *prom.Metrics {
	version, revision := buildVersion()
	options := prom.Options{
		Collector: func() collector.State {
			if p := d.parts.Load(); p != nil {
				return p.collector.State()
			}
			return collector.State{}
		},
		Quota: func(ctx context.Context) (collector.QuotaState, error) {
			if p := d.parts.Load(); p != nil {
				return p.quota.Peek(ctx)
			}
			return collector.QuotaState{}, errNotOpen
		},
		Journal: d.journalState,
		JournalFiles: func() *prom.JournalFiles {
			if p := d.parts.Load(); p != nil {
				return new(p.guard.State())
			}
			return nil
		},
		Ready:          func() bool { return d.parts.Load() != nil },
		Warnings:       d.warnings,
		Hosts:          d.config.WebHosts,
		Now:            d.clock.Now,
		NowPlayingInfo: d.config.NowPlayingInfo,
		Version:        version,
		Revision:       revision,
		Log:            d.log,
	}
	if d.config.InfluxURL != "" {
		options.Influx = func() influx.State {
			if p := d.parts.Load(); p != nil {
				return p.influx.State()
			}
			return influx.State{}
		}
	}
	switch {
	case d.config.AlertmanagerURL != "":
		options.Alerting = d.alerting.Load
	case d.config.NobodyTold:
		options.Alerting = func() *bool { return new(false) }
	}
	if d.config.SnapshotInterval > 0 {
		options.Snapshot = func() grafana.State {
			if p := d.parts.Load(); p != nil {
				return p.snapshot.State()
			}
			return grafana.State{}
		}
	}
	return prom.New(options)
}

var errNotOpen = errors.New("the journal is not open yet")

// journalState is the journal's state for the metrics. What would wait for an
// InfluxDB that there is not is no backlog, and what one refused that there was is
// missing nowhere.
func (d *daemon) journalState(ctx context.Context) (journal.State, error) {
	p := d.parts.Load()
	if p == nil {
		return journal.State{}, errNotOpen
	}
	state, err := p.journal.State(ctx)
	if p.influx == nil {
		state.PendingPoints, state.RejectedPoints, state.OldestPending = 0, 0, time.Time{}
	}
	return state, err
}

// watchAlerting looks time and again whether somebody would be told of a failure,
// until ctx ends.
func (d *daemon) watchAlerting(ctx context.Context) {
	for {
		level, _, _ := d.alerts(ctx)
		wait := alertingLook
		if level != influx.OK {
			wait = alertingLookAgain
		}
		if ctx.Err() == nil {
			d.alerting.Store(new(level == influx.OK))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// alerts looks whether somebody would be told of a failure, by what Alertmanager
// has delivered since the last look after which something had arrived.
func (d *daemon) alerts(ctx context.Context) (level influx.Level, text, fix string) {
	var before deliveries
	if last := d.arrived.Load(); last != nil {
		before = *last
	}
	level, text, fix, before = d.config.alerts(ctx, before)
	d.arrived.Store(&before)
	return level, text, fix
}

// warnings are those of the configuration, and whether alerts would arrive.
func (d *daemon) warnings(ctx context.Context) []string {
	warnings := d.config.warnings()
	if d.config.AlertmanagerURL == "" {
		return warnings
	}
	if level, text, fix := d.alerts(ctx); level != influx.OK {
		warnings = append(warnings, "Alerts: "+text+": "+fix+".")
	}
	return warnings
}

// warnings are what an operator should put right, though it works.
func (c *config) warnings() []string {
	warnings := slices.Clone(c.Warnings)
	if c.Zones.warning != "" {
		warnings = append(warnings, "Time zone: "+c.Zones.warning+": "+c.Zones.fix+".")
	}
	if c.NobodyTold {
		warnings = append(warnings, "Alerts: "+nobodyTold+": "+nobodyToldFix+".")
	}
	return warnings
}

// newApp returns the way to Spotify, through base and within quota.
func (c *config) newApp(quota *collector.Quota, base http.RoundTripper, clk clock.Clock, log *slog.Logger) (*spotify.App, error) {
	return spotify.New(spotify.Options{
		ClientID:     c.ClientID,
		ClientSecret: c.ClientSecret,
		APIURL:       c.APIURL,
		AccountsURL:  c.AccountsURL,
		UserAgent:    userAgent(),
		Base:         base,
		Clock:        clk,
		Before:       quota.Before,
		Log:          log,
	})
}

// newInflux returns what sends the outbox of a journal to InfluxDB.
func (c *config) newInflux(j *journal.Journal, base http.RoundTripper, clk clock.Clock, log *slog.Logger) (*influx.Exporter, error) {
	tokens := c.tokens()
	return influx.New(influx.Options{
		URL:       c.InfluxURL,
		Org:       c.InfluxOrg,
		Bucket:    c.InfluxBucket,
		Token:     string(c.InfluxToken),
		ReadToken: secretFrom(c.InfluxTokenFile),
		Zone:      c.Zones.of,
		Name: func(account string) string {
			authorization, _ := tokens.Load(account) // without one the alias has to do
			return cmp.Or(authorization.DisplayName, account)
		},
		CountedFrom: c.CountFrom,
		Journal:     j,
		Clock:       clk,
		Base:        base,
		UserAgent:   userAgent(),
		Log:         log,
	})
}

// newInfluxTransport returns a way to InfluxDB that shares nothing with other
// clients of this process.
func newInfluxTransport() *http.Transport {
	return http.DefaultTransport.(*http.Transport).Clone()
}
