package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

type demoCommand struct {
	For   *time.Duration `placeholder:"60s" help:"For how long; after --fill, until stopped."`
	Speed *float64       `placeholder:"60" help:"How much faster than real time the clock goes; after --fill, 1."`
	Fill  string         `placeholder:"365d" help:"Begin with so many days of listening, in InfluxDB too if INFLUX_URL is set, whose bucket must have demo in its name: it replaces what is there."`
	JSON  bool           `name:"json" help:"The outcome as one object, the last line of standard output."`
}

const (
	demoAccount = "me"
	demoBudget  = 1000
	// demoLate is how long, by the demo's clock, the daemon has for what Spotify
	// tells late: as long as it leaves recently-played alone while something plays,
	// and some. Nobody waits longer than demoPatience, in real time.
	demoLate     = 25 * time.Minute
	demoPatience = 2 * time.Minute
	// demoTolerance is how far the end of a play may be off that only samples of
	// the player tell.
	demoTolerance = time.Minute
)

// Run lets the daemon record what a simulated listener plays, in this process,
// with a journal that is gone afterwards, and compares. It succeeds if no play is
// lost or doubled.
func (c *demoCommand) Run(ctx context.Context, p *program) error {
	length, speed, days, err := c.parse()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "spotify-exporter-demo-*")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer os.RemoveAll(dir)

	// The day ends about now, so that what it shows is of today.
	scaled := time.Duration(float64(length) * speed)
	start := time.Now().Add(-scaled).Truncate(time.Millisecond)
	show := &show{from: start, until: start.Add(scaled)}
	out := p.stdout
	if c.JSON {
		out = p.stderr
	}
	if show.config, err = demoConfig(dir, days > 0); err != nil {
		return err
	}
	show.screen = newScreen(out, show.config.Zones.of(demoAccount))
	performance := scaled
	if length == 0 {
		performance = usualPerformance
	}
	var past []spotifysim.Given
	var later func() []spotifysim.Given
	if days > 0 {
		past, later = show.past(days, start, performance)
		if err := show.fill(ctx, past, start); err != nil {
			return err
		}
	}
	show.play(clock.New(start, speed), past, performance, later)
	log := p.newLogger(slog.LevelWarn, "")
	if err := simulateLogin(show.config, demoAccount, show.listener); err != nil {
		return err
	}
	if length == 0 {
		return show.runUntilStopped(ctx, log)
	}
	var stay func(context.Context) error
	if !c.JSON && isTerminal(p.stdin) && isTerminal(out) {
		stay = func(ctx context.Context) error {
			show.screen.line("\nThe status page stays until you press Enter.")
			_, err := p.readLine(ctx)
			return err
		}
	}
	outcome, err := show.run(ctx, log, stay)
	if err != nil {
		return err
	}
	if c.JSON {
		if err := json.NewEncoder(p.stdout).Encode(outcome); err != nil {
			return fmt.Errorf("print outcome: %w", err)
		}
	}
	if outcome.Lost+outcome.Doubled > 0 {
		return fmt.Errorf("%d plays lost, %d doubled: please report this", outcome.Lost, outcome.Doubled)
	}
	return nil
}

// parse returns how long the demo is (0: until it is stopped), how fast, and with
// how many days it begins.
func (c *demoCommand) parse() (length time.Duration, speed float64, days int, err error) {
	length, speed = time.Minute, 60
	if c.Fill != "" {
		length, speed = 0, 1
		if days, err = parseDays(c.Fill); err != nil {
			return 0, 0, 0, err
		}
	}
	if c.For != nil {
		if length = *c.For; length < time.Second || length > 24*time.Hour {
			return 0, 0, 0, usageError{fmt.Errorf("--for: must be from 1s to 24h (got %v)", length)}
		}
	}
	if c.Speed != nil {
		if speed = *c.Speed; !(speed >= 1 && speed <= 1000) {
			return 0, 0, 0, usageError{fmt.Errorf("--speed: must be from 1 to 1000 (got %v)", speed)}
		}
	}
	if length == 0 && speed != 1 {
		return 0, 0, 0, usageError{errors.New("--speed: needs --for beside --fill: a fast clock would run into the future")}
	}
	return length, speed, days, nil
}

// demoConfig is what the daemon of the demo is configured with. Only where it
// serves may be chosen, and for a demo that is filled, where the listener lives and
// which InfluxDB gets it: nothing of the demo goes anywhere else.
func demoConfig(dir string, filled bool) (*config, error) {
	env, err := readEnvironment()
	if err != nil {
		return nil, err
	}
	var influx config
	timezone := ""
	if filled {
		mistakes := env.checkInflux(&influx)
		if influx.InfluxURL != "" && !strings.Contains(env.InfluxBucket, "demo") {
			mistakes = append(mistakes, given("INFLUX_BUCKET", "must have demo in its name: simulated listening takes the place of what is in it", env.InfluxBucket))
		}
		if len(mistakes) > 0 {
			return nil, configError{errors.Join(mistakes...)}
		}
		timezone = env.Timezone
	}
	zones, err := newZones(timezone, os.Getenv("TZ"), "/etc/localtime", false)
	if err != nil {
		return nil, configError{err}
	}
	hosts, err := hostNames("WEB_HOSTS", env.WebHosts)
	if err != nil {
		return nil, usageError{err}
	}
	zones.warning = "" // the demo has no statistics
	c := &config{
		ClientID:         "demo",
		Accounts:         []string{demoAccount},
		RequestBudget:    demoBudget,
		Zones:            zones,
		CountFrom:        30 * time.Second,
		DataDir:          dir,
		WebListenAddress: env.WebListenAddress,
		WebHosts:         hosts,
		NowPlayingInfo:   true,
		InfluxURL:        influx.InfluxURL,
		InfluxOrg:        env.InfluxOrg,
		InfluxBucket:     env.InfluxBucket,
		InfluxToken:      influx.InfluxToken,
		InfluxTokenFile:  influx.InfluxTokenFile,
		Warnings:         []string{"This is the demo: Spotify is simulated, and the clock may be fast."},
	}
	c.APIURL, c.AccountsURL = spotifysim.URLs("http://spotify.invalid")
	return c, nil
}

// show is a demo under way.
type show struct {
	config   *config
	clock    clock.Clock
	from     time.Time // what is played from then on is compared
	until    time.Time // when the listener has played all that counts
	spotify  *spotifysim.Spotify
	listener *spotifysim.User
	screen   *screen
}

// simulateLogin writes the token file of a login for which nobody had to agree.
func simulateLogin(c *config, alias string, listener *spotifysim.User) error {
	refresh, authorizedAt := listener.Token()
	content, err := json.Marshal(spotify.Authorization{
		ClientID:     c.ClientID,
		Scopes:       spotify.Scopes(),
		AuthorizedAt: authorizedAt,
		Profile:      spotify.Profile{AccountID: listener.AccountID(), UserID: listener.ID()},
		Token:        spotify.Token{RefreshToken: spotify.Secret(refresh), TokenType: "Bearer"},
	})
	if err != nil {
		return fmt.Errorf("encode token file: %w", err)
	}
	tokens := c.tokens()
	if err := os.MkdirAll(tokens.Dir, 0o700); err != nil {
		return fmt.Errorf("write token file: %w", err)
	}
	if err := os.WriteFile(tokens.Path(alias), content, 0o600); err != nil {
		return fmt.Errorf("write token file: %w", err)
	}
	return nil
}

// play sets the stage: a Spotify with a listener who has played past, plays for whoever
// looks on, and then what later gives, if it is not nil.
func (s *show) play(clk clock.Clock, past []spotifysim.Given, performance time.Duration, later func() []spotifysim.Given) {
	s.clock = clk
	options := spotifysim.Options{Clock: clk, ClientID: "demo"}
	if later != nil {
		options.RequestsKept = 24 * time.Hour // it may go on for years
	}
	s.spotify = spotifysim.New(options)
	s.listener = s.spotify.AddUser("demo", "Demo")
	s.listener.PlayDays(past)
	s.listener.PlayDemo(demoSeed, s.from, performance)
	if later != nil {
		s.listener.PlayOn(later)
	}
}

// next are the commands for somebody who has seen the demo.
const next = `
What next:
  docker compose up -d demo
     A year like this on the boards in Grafana, without an account.
  spotify-exporter login
     Let the exporter see what your own account plays.
  spotify-exporter run
     Record it.`

// run shows the daemon until the listener is through and what is told late has
// come, prints how it did and what to do next, and returns when stay does; nil stands for
// at once.
func (s *show) run(ctx context.Context, log *slog.Logger, stay func(context.Context) error) (outcome demoOutcome, err error) {
	s.screen.line("A simulated listener plays for %d minutes, of which this takes %v, and the exporter records it.",
		int(s.until.Sub(s.clock.Now()).Round(time.Minute).Minutes()), s.clock.Real(s.until.Sub(s.clock.Now())).Round(time.Second))
	err = s.daemon(ctx, log, func(ctx context.Context, opened *parts, ended chan error) error {
		if outcome, err = s.watch(ctx, opened, ended); err != nil {
			return err
		}
		s.screen.end()
		s.screen.line("%s\n%s", outcome, next)
		if stay == nil {
			return nil
		}
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		left := make(chan error, 1)
		go func() { left <- stay(ctx) }()
		select {
		case <-left: // by a signal too: all that was to be seen was seen
			return nil
		case err := <-ended:
			ended <- nil
			return err
		}
	})
	return outcome, err
}

// runUntilStopped shows the daemon in real time.
func (s *show) runUntilStopped(ctx context.Context, log *slog.Logger) error {
	s.screen.line("The listener plays on, and the exporter records it, until this is stopped.")
	return s.daemon(ctx, log, func(ctx context.Context, opened *parts, ended chan error) error {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case err := <-ended:
				ended <- nil
				return err
			case <-ticker.C:
			}
			for _, account := range opened.collector.State().Accounts {
				s.screen.playing(account.Playback, s.clock.Now())
			}
		}
	})
}

// daemon runs the daemon as long as watch does, which finds in ended, and puts back
// there, how the daemon has ended.
func (s *show) daemon(ctx context.Context, log *slog.Logger, watch func(context.Context, *parts, chan error) error) error {
	web, err := prom.Listen(s.config.WebListenAddress, "")
	if err != nil {
		host, _, _ := net.SplitHostPort(s.config.WebListenAddress)
		if web, err = prom.Listen(net.JoinHostPort(host, "0"), ""); err != nil {
			return err
		}
	}
	_, port, err := net.SplitHostPort(web.Addr().String())
	if err != nil {
		return errors.Join(err, web.Close())
	}
	s.screen.line("Look at http://localhost:%s/ for its state and at http://localhost:%[1]s/metrics for what Prometheus gets.", port)

	d := &daemon{config: s.config, clock: s.clock, spotify: s.spotify.Transport(), log: log, recorded: s.screen.recorded}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ready, ended := make(chan *parts, 1), make(chan error, 1)
	go func() { ended <- d.run(ctx, web, func(opened *parts) { ready <- opened }) }()

	var opened *parts
	select {
	case opened = <-ready:
	case err := <-ended:
		return errors.Join(err, context.Cause(ctx))
	}
	watchErr := watch(ctx, opened, ended)
	stop()
	s.screen.end()
	return errors.Join(watchErr, <-ended)
}

// watch shows what plays until the end. It leaves the end of the daemon in ended.
func (s *show) watch(ctx context.Context, opened *parts, ended chan error) (demoOutcome, error) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	patience := time.Now().Add(s.clock.Real(s.until.Sub(s.clock.Now())) + min(s.clock.Real(demoLate), demoPatience))
	for waiting := false; ; {
		select {
		case err := <-ended: // a daemon does not end by itself
			ended <- nil
			return demoOutcome{}, cmp.Or(err, context.Cause(ctx))
		case <-ticker.C:
		}
		now := s.clock.Now()
		for _, account := range opened.collector.State().Accounts {
			s.screen.playing(account.Playback, now)
		}
		if now.Before(s.until) {
			continue
		}
		if !waiting {
			waiting = true
			s.screen.line("That was all. What Spotify tells late is still on its way.")
		}
		outcome, err := s.compare(ctx, opened.journal)
		if err != nil || outcome.Lost+outcome.Doubled == 0 || time.Now().After(patience) {
			return outcome, err
		}
	}
}

// demoOutcome is what was played and what of it was recorded. Scripts may rely on
// its JSON.
type demoOutcome struct {
	Played        int `json:"played"` // plays of 30 s and more that have ended
	Recorded      int `json:"recorded"`
	Lost          int `json:"lost"`
	Doubled       int `json:"doubled"` // rows of the journal that are no play, or one that another row is
	ShortPlayed   int `json:"short_played"`
	ShortRecorded int `json:"short_recorded"`
	Requests      int `json:"requests"`
}

// String is the outcome for people.
func (o demoOutcome) String() string {
	return fmt.Sprintf("Played:   %d of 30 s and more, %d shorter\nRecorded: %d of 30 s and more, %d shorter (Spotify lists none of those)\nLost:     %d\nDoubled:  %d\nRequests: %d",
		o.Played, o.ShortPlayed, o.Recorded, o.ShortRecorded, o.Lost, o.Doubled, o.Requests)
}

// compare holds the journal against what the listener has really played.
func (s *show) compare(ctx context.Context, j *journal.Journal) (demoOutcome, error) {
	var recorded []journal.Play
	for play, err := range j.Plays(ctx, journal.Filter{From: s.from}) {
		if err != nil {
			return demoOutcome{}, err
		}
		recorded = append(recorded, play)
	}
	played := s.listener.Played(s.until)
	first := slices.IndexFunc(played, func(p spotifysim.Played) bool { return !p.EndedAt.Before(s.from) })
	outcome := compare(played[max(first, 0):], recorded, s.until)
	outcome.Requests = len(s.spotify.Requests())
	return outcome, nil
}

// compare finds for each play that ended until a time the row that it is.
func compare(played []spotifysim.Played, recorded []journal.Play, until time.Time) demoOutcome {
	var o demoOutcome
	taken := make([]bool, len(recorded))
	for i := range played {
		nearest, closest := -1, demoTolerance
		for j := range recorded {
			away := recorded[j].EndedAt.Sub(played[i].EndedAt).Abs()
			if !taken[j] && recorded[j].Item.URI == played[i].Item.URI && away <= closest {
				nearest, closest = j, away
			}
		}
		if nearest >= 0 {
			taken[nearest] = true
		}
		switch short := played[i].MSPlayed < 30_000; {
		case short && nearest >= 0:
			o.ShortPlayed++
			o.ShortRecorded++
		case short:
			o.ShortPlayed++
		case nearest >= 0:
			o.Played++
			o.Recorded++
		default:
			o.Played++
			o.Lost++
		}
	}
	for j := range recorded {
		if !taken[j] && !recorded[j].EndedAt.After(until) {
			o.Doubled++
		}
	}
	return o
}
