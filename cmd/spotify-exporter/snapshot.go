package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/grafana"
)

type snapshotCommand struct {
	DryRun     bool   `help:"Publish nothing: show what would be, and the rules of what may be."`
	Force      bool   `help:"Publish although Grafana lacks a security fix, without which every editor there can delete the snapshot."`
	Out        string `placeholder:"FILE" help:"Where --dry-run writes what would be sent, for reading; - for standard output."`
	PrintURL   bool   `name:"print-url" help:"Print the link of the snapshot, which never changes, and do nothing else."`
	PrintEmbed bool   `help:"Print a link without Grafana's frame, and an iframe for a website, and do nothing else."`
}

// Run publishes the snapshot once, beside a daemon that may do so too.
func (c *snapshotCommand) Run(ctx context.Context, p *program) error {
	if c.Out != "" && !c.DryRun {
		return usageError{errors.New("--out: goes with --dry-run")}
	}
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	if config.GrafanaURL == "" {
		return configError{errors.New("GRAFANA_URL: required for the snapshot; it is the address of Grafana, such as http://localhost:3000")}
	}
	if config.GrafanaToken == "" && config.GrafanaTokenFile == "" && !c.PrintURL && !c.PrintEmbed {
		return configError{errNoGrafanaToken}
	}
	if err := config.makeDataDir(); err != nil {
		return err
	}
	j, err := p.existingJournal(ctx, &config)
	if errors.Is(err, errNoJournal) {
		j, err = nil, nil
	}
	if err != nil {
		return err
	}
	if j != nil {
		defer j.Close()
	}
	publisher, err := config.newSnapshot(j, c.Force, p.newLogger(config.LogLevel, config.LogFormat))
	if err != nil {
		return err
	}
	switch {
	case c.PrintURL:
		return c.printURL(p.stdout, publisher)
	case c.PrintEmbed:
		return c.printEmbed(p, publisher)
	case c.DryRun:
		return c.dryRun(ctx, p, publisher)
	}
	published, err := publisher.Publish(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%s, %s, in %s, of which visitors got nothing for %s.\n", english.Plural(published.Panels, "panel", ""),
		humanize.IBytes(uint64(published.Size)), published.Duration.Round(time.Millisecond), published.Gap.Round(time.Millisecond))
	if err := publisher.Visible(ctx); err != nil {
		say(p.stderr, "From here it cannot be seen at its public address: %v", err)
	}
	return c.printURL(p.stdout, publisher)
}

func (c *snapshotCommand) printURL(w io.Writer, publisher *grafana.Publisher) error {
	link, err := publisher.Link()
	if err == nil {
		_, err = fmt.Fprintln(w, link)
	}
	return err
}

func (c *snapshotCommand) printEmbed(p *program, publisher *grafana.Publisher) error {
	kiosk, iframe, err := publisher.Embedding()
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stderr, `To embed it, put a proxy in front of Grafana that shows this snapshot and nothing else, and set GRAFANA_PUBLIC_URL to its
address. deploy/proxy has one for nginx and one for Caddy; a line in it says which site may embed the snapshot.
Without a proxy all of Grafana must allow iframes: [security] allow_embedding = true (docker-compose.yml: GRAFANA_EMBEDDING=true).
Add &theme=light to the address for a light page.`)
	_, err = fmt.Fprintf(p.stdout, "%s\n%s\n", kiosk, iframe)
	return err
}

// dryRun writes the body, and on stderr what is in it and what may be in one. The
// body is written though something in it is private: it stays on this machine.
func (c *snapshotCommand) dryRun(ctx context.Context, p *program, publisher *grafana.Publisher) error {
	draft, err := publisher.Draft(ctx)
	if err != nil {
		return err
	}
	body, err := draft.JSON()
	if err != nil {
		return err
	}
	switch c.Out {
	case "":
	case "-":
		_, err = p.stdout.Write(body)
	default:
		err = os.WriteFile(c.Out, body, 0o600)
	}
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	fmt.Fprintf(p.stderr, "What may be published (privacy.json):\n%s\n", grafana.PrivacyRules)
	say(p.stderr, "%s:", draft.Title)
	list := tabwriter.NewWriter(p.stderr, 0, 0, 2, ' ', 0)
	for _, panel := range draft.Panels {
		fmt.Fprintf(list, "  %s\t%s\t%s\t%s\n", clean.Line(panel.Title), clean.Line(panel.Type), english.Plural(panel.Rows, "row", ""), clean.Line(strings.Join(panel.Fields, ", ")))
	}
	if err := list.Flush(); err != nil {
		return err
	}
	if draft.Masked > 0 {
		fmt.Fprintf(p.stderr, "In %s something private was masked.\n", english.Plural(draft.Masked, "title", ""))
	}
	var violations []error
	for _, violation := range draft.Violations {
		violations = append(violations, fmt.Errorf("private: %s", violation))
	}
	return errors.Join(violations...)
}

// newSnapshot returns the publisher. j tells it the names of devices, and may be
// nil: then none are known. force publishes although Grafana lacks a security fix.
func (c *config) newSnapshot(j *journal.Journal, force bool, log *slog.Logger) (*grafana.Publisher, error) {
	return grafana.New(grafana.Options{
		URL:       c.GrafanaURL,
		PublicURL: c.GrafanaPublicURL,
		Token:     string(c.GrafanaToken),
		ReadToken: secretFrom(c.GrafanaTokenFile),
		Dashboard: c.SnapshotDashboard,
		Account:   c.SnapshotAccount,
		Delay:     c.SnapshotDelay,
		Interval:  c.SnapshotInterval,
		Force:     force,
		Dir:       c.DataDir,
		Location:  c.Zones.of(""),
		Private:   func(ctx context.Context) (grafana.Private, error) { return c.private(ctx, j) },
		UserAgent: userAgent(),
		Log:       log,
	})
}

// private is what no snapshot may have in it.
func (c *config) private(ctx context.Context, j *journal.Journal) (grafana.Private, error) {
	private := grafana.Private{Secrets: []string{string(c.ClientSecret), string(c.InfluxToken), string(c.GrafanaToken)}}
	aliases, err := c.tokens().Aliases()
	if err != nil && len(aliases) == 0 { // else it is about files of no account
		return private, err
	}
	for _, alias := range aliases {
		authorization, err := c.tokens().Load(alias)
		if err != nil {
			return private, err
		}
		private.Secrets = append(private.Secrets, string(authorization.Token.AccessToken), string(authorization.Token.RefreshToken))
		private.Accounts = append(private.Accounts, authorization.AccountID, authorization.UserID)
	}
	if j == nil {
		return private, nil
	}
	private.Devices, err = j.Devices(ctx)
	return private, err
}

// snapshot checks what publishing needs, and what visitors get.
func (c *check) snapshot(ctx context.Context, j *journal.Journal) {
	const subject = "snapshot"
	if c.config.GrafanaURL == "" {
		c.ok(subject, "GRAFANA_URL is not set: none is published")
		return
	}
	if c.config.GrafanaToken == "" && c.config.GrafanaTokenFile == "" {
		c.warning(subject, "none is published", errNoGrafanaToken.Error())
		return
	}
	publisher, err := c.config.newSnapshot(j, false, slog.New(slog.DiscardHandler))
	if err != nil {
		c.failed(subject, err.Error(), "")
		return
	}
	found, err := publisher.Check(ctx)
	if err != nil {
		// Recording goes on without it.
		c.warning(subject, err.Error(), "spotify-exporter snapshot --dry-run tries it")
		return
	}
	c.ok(subject, found)
	if c.config.SnapshotInterval == 0 {
		c.ok(subject, "SNAPSHOT_INTERVAL is not set: run publishes none by itself")
		return
	}
	if err := publisher.Visible(ctx); err != nil {
		c.warning(subject, "visitors do not get it: "+err.Error(), "publish it with spotify-exporter snapshot; see GRAFANA_PUBLIC_URL and the proxy there")
		return
	}
	c.ok(subject, "visitors get it at "+c.config.GrafanaPublicURL)
}
