package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"
	"github.com/rivo/uniseg"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

type checkCommand struct {
	Alert bool `help:"Send a test alert through Alertmanager."`
	Lift  bool `help:"End the wait that Spotify asked for (Retry-After), now and for run as well. Spotify may lock the app out for longer: use it if the wait cannot be meant."`
}

// The least that a part should have left before it is mentioned.
const (
	fewDays  = 14
	fewBytes = 200 << 20
)

// Run tests every part of what run needs, beside a daemon that may be running, and
// succeeds if run would work.
func (command checkCommand) Run(ctx context.Context, p *program) error {
	c := &check{out: p.stdout, program: p}
	config, err := loadConfig(needsClient)
	if err != nil {
		for _, mistake := range joined(err) {
			c.failed("configuration", mistake.Error(), "")
		}
		return configError{errors.New("run would not start: the configuration is wrong")}
	}
	c.config = &config
	c.environment()
	c.address(ctx)
	j, err := c.journal(ctx)
	if err != nil {
		return err
	}
	if j != nil {
		defer j.Close()
	}
	c.accounts(ctx, j, command.Lift)
	c.influx(ctx, j)
	c.snapshot(ctx, j)
	c.alerts(ctx, command.Alert)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.summary()
}

// summary counts, and fails if run would not record.
func (c *check) summary() error {
	text := fmt.Sprintf("%d of %s failed", c.counts[failed], english.Plural(c.total(), "check", ""))
	switch {
	case c.counts[failed] > 0:
		return errors.New(text)
	case c.counts[waiting] > 0:
		return errors.New(text + "; run starts, and records nothing of whoever is not logged in")
	}
	if warnings := c.counts[warned]; warnings > 0 {
		text += ", " + english.Plural(warnings, "warning", "")
	}
	say(c.out, "\n%s.", text)
	return nil
}

// total is how many lines were written.
func (c *check) total() (n int) {
	for _, count := range c.counts {
		n += count
	}
	return n
}

// check is a check under way. It writes what it finds when it finds it.
type check struct {
	program *program
	config  *config
	out     io.Writer
	counts  [len(resultWords)]int
}

// result is what came of one check.
type result int

// The results.
const (
	passed result = iota
	warned
	failed
	waiting // for somebody to log in, which run does not need to start
)

var resultWords = [...]string{passed: "ok", warned: "warning", failed: "failed", waiting: "waits"}

func (c *check) write(came result, subject, text, fix string) {
	const column = 9
	width := terminalWidth(c.out)
	fmt.Fprintln(c.out, wrap(clean.Line(fmt.Sprintf("%-8s %s: %s", resultWords[came], subject, text)), width, column))
	if fix != "" {
		arrow := symbol("→ ", "-> ")
		fmt.Fprintln(c.out, wrap(strings.Repeat(" ", column)+arrow+clean.Line(fix), width, column+uniseg.StringWidth(arrow)))
	}
	c.counts[came]++
}

func (c *check) ok(subject, text string)           { c.write(passed, subject, text, "") }
func (c *check) warning(subject, text, fix string) { c.write(warned, subject, text, fix) }
func (c *check) failed(subject, text, fix string)  { c.write(failed, subject, text, fix) }
func (c *check) waits(subject, text, fix string)   { c.write(waiting, subject, text, fix) }

// finding writes what a part that checks itself has found.
func (c *check) finding(level influx.Level, subject, text, fix string) {
	c.write(map[influx.Level]result{influx.OK: passed, influx.Warning: warned, influx.Failure: failed}[level], subject, text, fix)
}

// environment checks what needs nothing but this machine.
func (c *check) environment() {
	c.ok("configuration", "complete")
	for _, warning := range c.config.Warnings {
		c.warning("configuration", warning, "see .env.example for the variables that there are")
	}
	switch zones := &c.config.Zones; {
	case zones.warning != "":
		c.warning("time zone", zones.warning, zones.fix)
	default:
		c.ok("time zone", zones.String()+", from "+zones.source)
	}
}

// address checks where the metrics are to be served.
func (c *check) address(ctx context.Context) {
	address := c.config.WebListenAddress
	web, err := prom.Listen(address, c.config.WebConfigFile)
	switch {
	case err == nil:
		_ = web.Close()
		c.ok("metrics", address+" is free")
	case prom.Probe(ctx, address) == nil:
		c.ok("metrics", "run serves on "+address)
	default:
		c.failed("metrics", err.Error(), "")
	}
}

// journal checks the data directory and the journal in it, which it returns; nil
// if there is none. It makes no directory: another user may be meant to own it.
func (c *check) journal(ctx context.Context) (*journal.Journal, error) {
	dir := c.config.DataDir
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := tryWriting(existingParent(dir)); err != nil {
			c.failed("data directory", fmt.Sprintf("DATA_DIR: %s is not there and cannot be made: %v", dir, err), fmt.Sprintf("make it, for user id %d", os.Getuid()))
		} else {
			c.warning("data directory", dir+" is not there yet", "login and run make it; see that DATA_DIR is right")
		}
		return nil, nil
	}
	if err := c.config.makeDataDir(); err != nil {
		c.failed("data directory", err.Error(), "change its owner, or start this as its owner")
		return nil, nil
	}
	c.ok("data directory", dir)

	j, err := c.config.openJournal(ctx, c.program.clock)
	if err != nil {
		c.failed("journal", err.Error(), "")
		return nil, nil
	}
	state, err := j.State(ctx)
	if err != nil {
		c.failed("journal", err.Error(), "")
		return nil, j.Close()
	}
	c.ok("journal", fmt.Sprintf("%s plays, %s", humanize.Comma(state.Plays), humanize.IBytes(uint64(state.SizeBytes))))
	c.integrity(ctx, j)
	if state.DiskFreeBytes < fewBytes {
		c.warning("journal", humanize.IBytes(uint64(state.DiskFreeBytes))+" are free on its disk", "make room")
	}
	if state.RejectedPoints > 0 && c.config.InfluxURL != "" {
		c.warning("journal", "InfluxDB refused "+english.Plural(int(state.RejectedPoints), "point", ""), "see the log of run; replay tries them again")
	}
	for _, account := range slices.Sorted(maps.Keys(state.OpenGaps)) {
		if open := state.OpenGaps[account]; open > 0 {
			c.warning("journal", english.Plural(int(open), "gap", "")+" in the history of "+account, "see spotify-exporter gaps")
		}
	}
	return j, nil
}

// integrity reads the whole journal.
func (c *check) integrity(ctx context.Context, j *journal.Journal) {
	ctx, cancel := context.WithTimeout(ctx, integrityTime)
	defer cancel()
	switch err := j.Integrity(ctx); {
	case errors.Is(err, journal.ErrNotAJournal):
		c.failed("journal", err.Error(), "keep a copy of the file, and restore the last backup: see SpotifyJournalDamaged in deploy/runbooks.md")
	case err != nil:
		c.warning("journal", "it is not known whether it is damaged: "+err.Error(), "")
	}
	for _, path := range c.config.rescued() {
		c.warning("journal", "its files were removed or replaced while run was using it: see "+path, "find out what did that, and remove that file when you do not need it: see SpotifyJournalRescued in deploy/runbooks.md")
	}
}

// existingParent returns the nearest folder above path that is there.
func existingParent(path string) string {
	for {
		parent := filepath.Dir(path)
		if _, err := os.Stat(parent); err == nil || parent == path {
			return parent
		}
		path = parent
	}
}

// accounts checks the logins, asks Spotify who each of them is, and tells what is
// left of the budget of requests.
func (c *check) accounts(ctx context.Context, j *journal.Journal, lift bool) {
	accounts, err := c.config.Accounts, error(nil)
	if len(accounts) == 0 {
		accounts, err = c.config.tokens().Aliases()
	}
	switch {
	case err != nil && len(accounts) == 0:
		c.failed("login", err.Error(), "")
		return
	case len(accounts) == 0:
		c.waits("login", "nobody is logged in yet", "run spotify-exporter login")
		return
	case err != nil:
		c.warning("login", err.Error(), "")
	}
	var quota *collector.Quota
	var app *spotify.App
	if j != nil {
		discard := slog.New(slog.DiscardHandler)
		quota = collector.NewQuota(j, c.config.ClientID, c.config.RequestBudget, c.program.clock, discard)
		if app, err = c.config.newApp(quota, spotify.NewTransport(), c.program.clock, discard); err != nil {
			c.failed("Spotify", err.Error(), "")
			return
		}
	}
	if lift && quota != nil {
		c.lift(ctx, quota)
	}
	for _, alias := range accounts {
		if c.login(alias) && app != nil {
			_, err := app.Account(c.config.tokens(), alias).Me(ctx)
			c.answer("Spotify, "+alias, errors.Join(err, quota.Learn(ctx, err)))
		}
	}
	if quota != nil {
		c.quota(ctx, quota)
		c.plans(ctx, j, accounts)
		c.listed(ctx, j, accounts)
	}
}

// listed tells for whom Spotify's list has other times than it should.
func (c *check) listed(ctx context.Context, j *journal.Journal, accounts []string) {
	for _, alias := range accounts {
		switch starts, err := j.ListsStarts(ctx, alias); {
		case err != nil:
			c.failed("played_at, "+alias, err.Error(), "")
		case starts:
			c.warning("played_at, "+alias, "Spotify lists the starts of plays, not their ends; they are read so", "nothing: run goes back by itself as soon as Spotify does")
		}
	}
}

// plans tells when a daemon that runs will ask for each account next.
func (c *check) plans(ctx context.Context, j *journal.Journal, accounts []string) {
	if running, err := j.Running(); err != nil || !running {
		return // it is not this command's business to demand a daemon
	}
	for _, alias := range accounts {
		plan, err := j.Plan(ctx, alias)
		switch {
		case err != nil:
			c.failed("plan, "+alias, err.Error(), "")
		case !plan.At.IsZero():
			wait := max(0, plan.At.Sub(c.program.clock.Now())).Round(time.Second)
			c.ok("plan, "+alias, fmt.Sprintf("asks Spotify again in %v: %s", wait, plan.Why))
		}
	}
}

// login checks the token file of an account and tells whether it may be used.
func (c *check) login(alias string) bool {
	subject, again := "login, "+alias, "run spotify-exporter login --account "+alias
	authorization, err := c.config.tokens().Load(alias)
	if _, missing := os.Stat(c.config.tokens().Path(alias)); errors.Is(missing, fs.ErrNotExist) {
		c.waits(subject, "is not logged in yet", again)
		return false
	}
	if err != nil {
		c.failed(subject, err.Error(), "")
		return false
	}
	expiry := spotify.AuthorizationExpiry(authorization.AuthorizedAt)
	left := expiry.Sub(c.program.clock.Now())
	days := fmt.Sprintf("good for %s, until %s", english.Plural(int(left.Hours()/24), "day", ""), expiry.Format(time.DateOnly))
	switch {
	case authorization.ClientID != c.config.ClientID:
		c.failed(subject, "is for another app than that of SPOTIFY_CLIENT_ID", again)
		return false
	case left <= 0:
		c.failed(subject, "ended on "+expiry.Format(time.DateOnly)+": Spotify ends every login after six months", again)
		return false
	case !containsAll(authorization.Scopes, spotify.Scopes()):
		c.failed(subject, "does not allow to read the player", again)
		return false
	case left < fewDays*24*time.Hour:
		c.warning(subject, days, again)
	default:
		c.ok(subject, days)
	}
	return true
}

func containsAll(list, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(list, w) })
}

// answer tells what Spotify has said to a question.
func (c *check) answer(subject string, err error) {
	if err == nil {
		c.ok(subject, "answers")
		return
	}
	if _, ok := errors.AsType[*collector.Refusal](err); ok {
		c.warning(subject, "not asked: "+err.Error(), "run waits until then by itself")
		return
	}
	switch spotify.ReasonOf(err) {
	case spotify.ReasonRateLimited, spotify.ReasonQuota:
		c.warning(subject, err.Error(), "run waits by itself; nobody asks before")
	case spotify.ReasonServer, spotify.ReasonDecode:
		c.warning(subject, err.Error(), "run tries again by itself; if it stays, see https://developer.spotify.com")
	case spotify.ReasonNetwork:
		c.failed(subject, err.Error(), "see that this machine reaches the internet, and SPOTIFY_API_URL and SPOTIFY_ACCOUNTS_URL if they are set")
	case spotify.ReasonPremium:
		c.failed(subject, err.Error(), "the owner of the app needs Premium")
	case spotify.ReasonNotRegistered:
		c.failed(subject, err.Error(), `add this person under "User Management" of the app, at https://developer.spotify.com/dashboard`)
	case spotify.ReasonClient:
		c.failed(subject, err.Error(), "copy SPOTIFY_CLIENT_ID and SPOTIFY_CLIENT_SECRET anew from https://developer.spotify.com/dashboard; with another client id everybody has to log in again")
	default: // among them logins that are over, whose errors say what to do
		c.failed(subject, err.Error(), "")
	}
}

// lift ends the wait for a Retry-After.
func (c *check) lift(ctx context.Context, quota *collector.Quota) {
	const subject = "Retry-After"
	lifted, err := quota.Lift(ctx, true)
	switch {
	case err != nil:
		c.failed(subject, err.Error(), "")
	case lifted.IsZero():
		c.ok(subject, "there is no wait to lift")
	default:
		c.warning(subject, fmt.Sprintf("the wait until %s is lifted, and run asks again", lifted.Format(time.RFC3339)), "do not repeat this if Spotify asks to wait again: it may lock the app out for longer")
	}
}

// quota tells what may still be asked today.
func (c *check) quota(ctx context.Context, quota *collector.Quota) {
	const subject = "requests"
	state, err := quota.State(ctx)
	if err != nil {
		c.failed(subject, err.Error(), "")
		return
	}
	text := humanize.Comma(int64(state.Used)) + " in the last 24 hours"
	if state.Limit > 0 {
		text += " of " + humanize.Comma(int64(state.Limit))
	}
	switch {
	case !state.Until.IsZero():
		c.warning(subject, fmt.Sprintf("%s; Spotify takes none before %s (%s)", text, state.Until.Format(time.RFC3339), state.Why), "wait; run does. If that cannot be meant: spotify-exporter check --lift")
	case state.Shared:
		c.warning(subject, text+"; Spotify locked this app out far below its budget", "see whether another program uses the same developer account")
	case state.Limit > 0 && state.Used >= state.Limit:
		c.warning(subject, text+", which is all", "wait, or raise SPOTIFY_REQUEST_BUDGET, at the risk of being locked out for a day")
	default:
		c.ok(subject, text)
	}
}

// influx checks InfluxDB, without writing. It needs no journal.
func (c *check) influx(ctx context.Context, j *journal.Journal) {
	if c.config.InfluxURL == "" {
		c.ok("InfluxDB", "not configured: the journal is the only store")
		return
	}
	exporter, err := c.config.newInflux(j, newInfluxTransport(), c.program.clock, slog.New(slog.DiscardHandler))
	if err != nil {
		c.failed("InfluxDB", err.Error(), "")
		return
	}
	findings, err := exporter.Check(ctx)
	if err != nil {
		return // interrupted
	}
	for _, finding := range findings {
		c.finding(finding.Level, "InfluxDB "+finding.Subject, finding.Text, finding.Fix)
	}
}
