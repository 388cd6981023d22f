package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

type loginCommand struct {
	Account string `placeholder:"NAME" default:"me" help:"What the account is called here, in metrics and dashboards."`
	Force   bool   `help:"Log in even if this name belongs to another person so far."`
}

// Run leads a person through the login. The daemon notices it by itself.
func (c *loginCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(needsClient)
	if err != nil {
		return err
	}
	if err := spotify.CheckAlias(c.Account); err != nil {
		return usageError{fmt.Errorf("--account: %w", err)}
	}
	if err := config.makeDataDir(); err != nil {
		return err
	}
	log := p.newLogger(config.LogLevel, config.LogFormat)
	j, err := config.openJournal(ctx, p.clock)
	if err != nil {
		return err
	}
	defer j.Close()
	quota := collector.NewQuota(j, config.ClientID, config.RequestBudget, p.clock, log)
	app, err := config.newApp(quota, spotify.NewTransport(), p.clock, log)
	if err != nil {
		return err
	}
	// Whoever logs in is there to see what comes of it: a Retry-After that nobody can mean
	// must not keep the login from asking who it is.
	if lifted, err := quota.Lift(ctx, false); err != nil {
		return err
	} else if !lifted.IsZero() {
		fmt.Fprintf(p.stderr, "Spotify had asked to wait for longer than 48 hours. That wait, until %s, has been lifted.\n\n", lifted.UTC().Format(time.RFC3339))
	}
	learn := func(err error) {
		if err := quota.Learn(ctx, err); err != nil {
			log.Error("cannot keep how long Spotify asked to wait", "err", err)
		}
	}
	authorization, err := app.Login(ctx, config.tokens(), spotify.LoginOptions{
		Alias:         c.Account,
		ListenAddress: config.LoginAddress,
		In:            p.stdin,
		Out:           wrapper{p.stderr},
		Force:         c.Force,
		Away:          awayFromBrowser(inContainer()),
		Answered:      learn,
	})
	if err != nil {
		learn(err)
		return err
	}
	expiry := spotify.AuthorizationExpiry(authorization.AuthorizedAt)
	say(p.stderr, "%s is logged in as %q until %s, when Spotify asks for a new login.",
		cmp.Or(authorization.DisplayName, authorization.UserID, "The account"), c.Account, expiry.In(config.Zones.of(c.Account)).Format(time.DateOnly))
	if len(config.Accounts) > 0 && !slices.Contains(config.Accounts, c.Account) {
		say(p.stderr, "SPOTIFY_ACCOUNTS is %s: run will not record %q before it is added.", strings.Join(config.Accounts, ","), c.Account)
		return nil
	}
	say(p.stderr, "A daemon that runs goes on by itself; spotify-exporter check tells whether all is well.")
	return nil
}

// awayFromBrowser says where this process runs if a browser cannot reach its loopback
// address from where the person sits; "" if nothing tells.
func awayFromBrowser(container bool) string {
	switch {
	case container:
		return "in a container"
	case os.Getenv("SSH_CONNECTION") != "":
		return "on another machine, over SSH"
	}
	return ""
}
