package collector

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

const (
	// afterLockOut is the share of the requests that led to a lock-out which the
	// budget falls to, and recovery what it gains again in a day without one.
	afterLockOut = 0.8
	recovery     = 1.05
	// sharedBelow: locked out at less than this share of the budget, somebody else
	// must be calling with the same developer account.
	sharedBelow = 0.5
	// sameLockOut is for how long behind the end of a lock-out another one is still
	// the same: whatever was too much, it was before.
	sameLockOut = 5 * time.Minute
	// What to wait when a 429 does not say.
	unnamedRateLimit = time.Minute
	unnamedLockOut   = time.Hour
	// refusedBudget is the reason of a Refusal that is not Spotify's.
	refusedBudget = "budget"
)

// playerReserve is what of a budget the player leaves to recently-played, which is
// what loses no play. Everything that can wait leaves twice as much.
func playerReserve(budget float64) float64 { return min(50, budget/3) }

// Quota is what a client id may ask of the Web API: a budget per rolling 24 h and
// the deadline of the last Retry-After. It lives in the journal, so that it
// outlasts restarts and holds for every process and account.
type Quota struct {
	journal *journal.Journal
	client  string
	budget  int
	clock   clock.Clock
	log     *slog.Logger

	mu     sync.Mutex
	made   []time.Time // requests of the last 24 h, oldest first, as far as known here; unless there is no limit
	synced time.Time   // when made was read from the journal
	last   float64     // the limit at the last request that was allowed
}

// NewQuota returns the quota of a client id with a budget of so many requests per
// rolling 24 h; 0: no limit.
func NewQuota(j *journal.Journal, clientID string, budget int, clk clock.Clock, log *slog.Logger) *Quota {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Quota{journal: j, client: clientID, budget: budget, clock: clk, log: log}
}

// Refusal is the error of a request that is not to be made now.
type Refusal struct {
	Until  time.Time // zero: when requests of the last 24 h have aged
	Reason string    // what Until comes from: rate_limited, quota or server; or budget
}

// Error says what is waited for.
func (r *Refusal) Error() string {
	switch r.Reason {
	case refusedBudget:
		return "the budget of requests for 24 h is used up (SPOTIFY_REQUEST_BUDGET)"
	case string(spotify.ReasonQuota):
		return fmt.Sprintf("locked out by Spotify's quota until %s", r.Until.UTC().Format(time.RFC3339))
	case string(spotify.ReasonServer):
		return fmt.Sprintf("Spotify's servers are not to be asked until %s", r.Until.UTC().Format(time.RFC3339))
	default:
		return fmt.Sprintf("rate-limited by Spotify until %s", r.Until.UTC().Format(time.RFC3339))
	}
}

// Before is asked before each request, see spotify.Options. It returns a *Refusal if
// it does not allow it, and else counts it, unless it is for a token: those do not
// draw on the budget.
func (q *Quota) Before(ctx context.Context, endpoint string) error {
	if endpoint == "token" {
		state, err := q.State(ctx)
		if err == nil && !state.Until.IsZero() {
			err = &Refusal{Until: state.Until, Reason: state.Why}
		}
		return err
	}
	var limit float64
	err := q.journal.Request(ctx, q.client, endpoint, func(state journal.Quota) error {
		if q.clock.Now().Before(state.Until) {
			return &Refusal{Until: state.Until, Reason: state.Why}
		}
		limit = q.limit(state)
		if limit == 0 {
			return nil
		}
		most := limit
		switch endpoint {
		case "recently_played", "me":
		case "player":
			most -= playerReserve(limit)
		default:
			most -= 2 * playerReserve(limit)
		}
		if float64(state.Used)+1 > most {
			return &Refusal{Reason: refusedBudget}
		}
		return nil
	})
	if err == nil && q.budget > 0 {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.last = limit
		q.made = append(q.made, q.clock.Now())
		for q.clock.Now().Sub(q.made[0]) >= 24*time.Hour {
			q.made = q.made[1:]
		}
	}
	return err
}

// within returns how many requests were made in the last d of the last 24 h. The
// journal is read again every hour, for what other processes have asked.
func (q *Quota) within(ctx context.Context, d time.Duration) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.clock.Now()
	if q.synced.IsZero() || now.Sub(q.synced) > time.Hour {
		made, err := q.journal.Requests(ctx, q.client)
		if err != nil {
			return 0, err
		}
		q.made, q.synced = made, now
	}
	first, _ := slices.BinarySearchFunc(q.made, now.Add(-d), time.Time.Compare)
	return len(q.made) - first, nil
}

// lastLimit is limit as of the last request, 0 if there was none: it need not be
// read for every poll.
func (q *Quota) lastLimit() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.last
}

// limit is how many requests a day it takes at this moment; 0: no limit.
func (q *Quota) limit(state journal.Quota) float64 {
	budget := float64(q.budget)
	if q.budget == 0 || state.Budget == 0 {
		return budget
	}
	learned := state.Budget
	for days := int(q.clock.Now().Sub(state.LearnedAt).Hours() / 24); days > 0 && learned < budget; days-- {
		learned *= recovery
	}
	return min(learned, budget)
}

// Learn takes in what a call has returned: a Retry-After binds everybody from now
// on, be it that of a 503, and a lock-out teaches how large the quota really is.
// err is that of any call of package spotify, or nil. What is learned is stored even
// if ctx has ended meanwhile. It returns an error only if that fails.
func (q *Quota) Learn(ctx context.Context, err error) error {
	failed, ok := asSpotifyError(err)
	if !ok {
		return nil
	}
	reason := failed.Reason
	var wait time.Duration
	switch {
	case failed.HasRetryAfter:
		wait = failed.RetryAfter
	case reason == spotify.ReasonQuota:
		wait = unnamedLockOut
	case reason == spotify.ReasonRateLimited:
		wait = unnamedRateLimit
	default:
		return nil
	}
	// Not all at once, and not a moment before: seconds are cut on the way.
	wait += time.Second + time.Duration(rand.Int64N(int64(4*time.Second)))
	return q.journal.SetQuota(context.WithoutCancel(ctx), q.client, func(state *journal.Quota) {
		now := q.clock.Now()
		goesOn := state.Why == string(spotify.ReasonQuota) && now.Sub(state.Until) < sameLockOut
		if until := now.Add(wait); until.After(state.Until) {
			state.Until, state.Why = until, string(reason)
		}
		if reason != spotify.ReasonQuota || q.budget == 0 {
			return
		}
		if goesOn {
			state.LearnedAt = now // no clean day
			return
		}
		limit := q.limit(*state)
		state.Shared = float64(state.Used) < sharedBelow*limit
		state.Budget = max(1, min(limit, afterLockOut*float64(state.Used)))
		if state.Shared {
			// Nothing is known of what the others take: keep a usable minimum, which the
			// next lock-outs of theirs do not lower.
			state.Budget = max(state.Budget, min(limit, sharedBelow*afterLockOut*float64(q.budget)))
		}
		state.LearnedAt = now
		q.log.Warn("locked out by Spotify's quota", "until", state.Until, "requests_24h", state.Used, "budget", int(state.Budget), "shared", state.Shared)
	})
}

// QuotaState is a Quota at one moment.
type QuotaState struct {
	Used   int       // requests in the last 24 h
	Limit  int       // what they may be; 0: no limit
	Until  time.Time // no request before; zero: free to ask
	Why    string    // what Until comes from: rate_limited, quota or server
	Shared bool      // another program seems to use the developer account
}

// State tells how much of the quota is used.
func (q *Quota) State(ctx context.Context) (QuotaState, error) {
	state, err := q.journal.Quota(ctx, q.client)
	if err != nil {
		return QuotaState{}, err
	}
	s := QuotaState{Used: state.Used, Limit: int(q.limit(state))}
	s.Shared = state.Shared && s.Limit < q.budget // and not forgotten since
	if q.clock.Now().Before(state.Until) {
		s.Until, s.Why = state.Until, state.Why
	}
	return s, nil
}
