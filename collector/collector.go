// Package collector asks Spotify, within its quota, what its accounts play and
// have played, and records it in the journal.
package collector

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// Options are what a Collector works with. Journal, App and Quota are required.
type Options struct {
	Journal *journal.Journal
	App     *spotify.App
	Tokens  spotify.Tokens
	// Accounts are the aliases to collect; empty: every one that has a token file,
	// one that is logged in while it runs included.
	Accounts      []string
	Quota         *Quota
	Clock         clock.Clock
	RecordPrivate bool
	// Zone is where an account's listener lives; nil: UTC.
	Zone func(account string) *time.Location
	Log  *slog.Logger // nil: nothing is logged
	// Recorded is told of every play that is new or has changed; may be nil.
	Recorded func(account string, play journal.Play)
}

// Collector polls all accounts.
type Collector struct {
	options Options
	log     *slog.Logger

	// calling is held during a request: a Retry-After must reach everybody before
	// the next request is sent.
	calling chan struct{}

	mu      sync.Mutex
	pollers map[string]*poller
}

// New returns a Collector that does nothing until Run.
func New(options Options) *Collector {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Collector{options: options, log: options.Log, calling: make(chan struct{}, 1), pollers: map[string]*poller{}}
}

// Run polls until ctx ends, and returns nil then. It starts without any account
// and takes up those that are logged in later.
func (c *Collector) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		told := ""
		for {
			aliases, err := c.aliases()
			say := ""
			if err != nil {
				say = err.Error()
			} else if len(aliases) == 0 {
				say = "no account is logged in"
			}
			if say != told && say != "" {
				c.log.Warn("nothing to poll", "why", say, "do", "spotify-exporter login")
			}
			told = say
			for _, alias := range aliases {
				p, err := c.add(ctx, alias)
				if err != nil {
					return err
				}
				if p == nil {
					continue
				}
				group.Go(func() error {
					for {
						wait := p.Poll(ctx)
						if c.options.Clock.Sleep(ctx, wait) != nil {
							return nil
						}
					}
				})
			}
			if c.options.Clock.Sleep(ctx, loginLook) != nil {
				return nil
			}
		}
	})
	return group.Wait()
}

// aliases returns the accounts that are to be polled.
func (c *Collector) aliases() ([]string, error) {
	if len(c.options.Accounts) > 0 {
		return c.options.Accounts, nil
	}
	return c.options.Tokens.Aliases()
}

// add makes the poller of an account; nil if there is one.
func (c *Collector) add(ctx context.Context, alias string) (*poller, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pollers[alias] != nil {
		return nil, nil
	}
	p, err := newPoller(ctx, c, alias)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil
		}
		return nil, fmt.Errorf("account %s: %w", alias, err)
	}
	c.pollers[alias] = p
	return p, nil
}

// call makes one call of the Web API, alone, and lets the quota learn from it.
func call[T any](ctx context.Context, c *Collector, do func() (T, error)) (T, error) {
	var none T
	select {
	case c.calling <- struct{}{}:
		defer func() { <-c.calling }()
	case <-ctx.Done():
		return none, context.Cause(ctx)
	}
	answer, err := do()
	if failed := c.options.Quota.Learn(ctx, err); failed != nil {
		return answer, &journalError{failed}
	}
	return answer, err
}

func (c *Collector) zone(alias string) *time.Location {
	if c.options.Zone == nil {
		return time.UTC
	}
	return c.options.Zone(alias)
}

// pace learns the listener's habits anew once a day and returns how much room the
// budget has, see Quota.pace.
func (p *poller) pace(now time.Time) float64 {
	ctx := context.Background()
	if !now.Before(p.profileUntil) {
		learned, err := learnProfile(ctx, p.options.Journal, p.alias, p.zone(p.alias), now)
		if err != nil {
			p.log.Warn("cannot learn when this account listens", "err", err)
			learned = p.profile
		}
		p.Collector.mu.Lock()
		p.profile, p.profileUntil = learned, now.Add(24*time.Hour)
		p.Collector.mu.Unlock()
	}
	var profiles []*profile
	var hours []int
	p.Collector.mu.Lock()
	for _, other := range p.pollers {
		profiles = append(profiles, other.profile)
		hours = append(hours, other.hour(now))
	}
	p.Collector.mu.Unlock()
	pace, err := p.options.Quota.pace(ctx, profiles, hours)
	if err != nil {
		p.log.Warn("cannot tell how much of the budget is left", "err", err)
		return 1
	}
	return pace
}

// State returns what is known now.
func (c *Collector) State() State {
	now := c.options.Clock.Now()
	var s State
	c.mu.Lock()
	pollers := make([]*poller, 0, len(c.pollers))
	for _, p := range c.pollers {
		pollers = append(pollers, p)
	}
	c.mu.Unlock()
	for _, p := range pollers {
		a := p.snapshot(now)
		if authorization, err := c.options.Tokens.Load(p.alias); err == nil {
			a.AuthorizationExpiry = spotify.AuthorizationExpiry(authorization.AuthorizedAt)
		}
		s.Accounts = append(s.Accounts, a)
	}
	slices.SortFunc(s.Accounts, func(a, b AccountState) int {
		if a.Account < b.Account {
			return -1
		}
		return 1
	})
	if quota, err := c.options.Quota.State(context.Background()); err == nil {
		s.BudgetUsed, s.BudgetLimit, s.RateLimitedUntil, s.QuotaShared = quota.Used, quota.Limit, quota.Until, quota.Shared
	} else {
		c.log.Warn("cannot read the budget", "err", err)
	}
	return s
}
