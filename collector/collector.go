// Package collector asks Spotify, within its quota, what its accounts play and
// have played, and records it in the journal.
package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	// Recorded is told of every play that is new or has changed, by the goroutine of
	// its account; may be nil.
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
	failed  map[string]error // why there is none yet for an account
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
			added, err := c.add(ctx)
			for _, p := range added {
				group.Go(func() error { return p.run(ctx) })
			}
			if ctx.Err() != nil {
				return nil
			}
			say := ""
			if err != nil {
				say = err.Error()
			}
			if say != told && say != "" {
				c.log.Warn("not every account is polled", "err", say)
			}
			told = say
			if c.options.Clock.Sleep(ctx, loginLook) != nil {
				return nil
			}
		}
	})
	return group.Wait()
}

// errNobody says what to do if there is nobody to poll for.
var errNobody = errors.New("no account is logged in, run `spotify-exporter login`")

// add makes pollers for the accounts that have none yet. An error is about those
// that it could not be made for.
func (c *Collector) add(ctx context.Context) ([]*poller, error) {
	aliases := c.options.Accounts
	var errs []error
	if len(aliases) == 0 {
		found, err := c.options.Tokens.Aliases()
		if err == nil && len(found) == 0 {
			err = errNobody
		}
		aliases, errs = found, append(errs, err)
	}
	var added []*poller
	failed := map[string]error{}
	for _, alias := range aliases {
		c.mu.Lock()
		known := c.pollers[alias] != nil
		c.mu.Unlock()
		if known {
			continue
		}
		p, err := newPoller(ctx, c, alias)
		if err != nil {
			failed[alias] = err
			errs = append(errs, fmt.Errorf("account %s: %w", alias, err))
			continue
		}
		c.mu.Lock()
		c.pollers[alias] = p
		c.mu.Unlock()
		added = append(added, p)
	}
	c.mu.Lock()
	c.failed = failed
	c.mu.Unlock()
	return added, errors.Join(errs...)
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

// State returns what is known now.
func (c *Collector) State() State {
	now := c.options.Clock.Now()
	c.mu.Lock()
	pollers, failed := slices.Collect(maps.Values(c.pollers)), c.failed
	c.mu.Unlock()
	var s State
	for alias, err := range failed {
		account := newAccountState(alias)
		account.Up, account.LastFailure = new(false), err
		s.Accounts = append(s.Accounts, account)
	}
	for _, p := range pollers {
		s.Accounts = append(s.Accounts, p.snapshot(now))
	}
	slices.SortFunc(s.Accounts, func(a, b AccountState) int { return cmp.Compare(a.Account, b.Account) })
	return s
}
