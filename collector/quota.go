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
	// mostJitter is what is added to a Retry-After at most.
	mostJitter = 5 * time.Second
	// inStep is how far the journal's clock and the one of this process may differ over
	// a Retry-After before one of them has been set.
	inStep = time.Second
	// refusedBudget is the reason of a Refusal that is not Spotify's.
	refusedBudget = "budget"
)

// playerReserve is what of a budget the player leaves to recently-played, which is
// what loses no play. Everything that can wait leaves twice as much.
func playerReserve(budget float64) float64 { return min(50, budget/3) }

// Quota is what a client id may ask of the Web API: a budget per rolling 24 h and
// the deadline of the last Retry-After. It lives in the journal, so that it
// outlasts restarts and holds for every process and account.
//
// The journal goes by the time of day, which may be set while we run: hours ahead
// after the boot of a machine without a clock, and back. So what this process has
// seen it remembers with its own readings of the clock as well, which are compared
// by the time that has really passed, and it allows nothing that either forbids. A
// process that starts knows no better than the journal. The time that a machine was
// suspended for is none to it: from here that looks like a clock that was set ahead.
type Quota struct {
	journal *journal.Journal
	client  string
	budget  int
	clock   clock.Clock
	log     *slog.Logger

	mu       sync.Mutex
	synced   bool        // made has what the journal had at the start; never if there is no limit
	made     []time.Time // requests of the last 24 h that are known here, oldest first
	number   int         // of the last of them
	deadline int         // which deadline over is of; -1: none is known
	given    time.Time   // when it was learned, by the journal's clock
	over     time.Time   // when it is over
	sure     bool        // that it is: the journal cannot know better
	last     float64     // the limit at the last request that was allowed
}

// NewQuota returns the quota of a client id with a budget of so many requests per
// rolling 24 h; 0: no limit.
func NewQuota(j *journal.Journal, clientID string, budget int, clk clock.Clock, log *slog.Logger) *Quota {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Quota{journal: j, client: clientID, budget: budget, clock: clk, log: log, deadline: -1}
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
	if err := q.sync(ctx); err != nil {
		return err
	}
	var limit float64
	var now journal.Quota
	var wasSet bool
	err := q.journal.Request(ctx, q.client, endpoint, func(state journal.Quota) error {
		now, wasSet = q.known(state), q.clockSet(state)
		if !now.Until.IsZero() {
			return &Refusal{Until: now.Until, Reason: now.Why}
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
		if float64(now.Used)+1 > most {
			return &Refusal{Reason: refusedBudget}
		}
		return nil
	})
	if wasSet {
		if err := q.restate(ctx); err != nil {
			return err
		}
	}
	if err == nil && q.budget > 0 {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.last = limit
		q.add(now.Last + 1)
	}
	return err
}

// sync reads, once, what the journal knows of the last 24 h.
func (q *Quota) sync(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.synced || q.budget == 0 {
		return nil
	}
	state, err := q.journal.Quota(ctx, q.client)
	if err != nil {
		return err
	}
	made, err := q.journal.Requests(ctx, q.client)
	if err != nil {
		return err
	}
	now := q.clock.Now()
	for i, at := range made {
		made[i] = now.Add(at.Sub(state.Now))
	}
	q.made, q.number, q.synced = made, state.Last, true
	return nil
}

// add counts the requests up to a number as made now, but for those that are known:
// those of other processes are, since the last one of this.
func (q *Quota) add(number int) {
	now := q.clock.Now()
	for ; q.number < number; q.number++ {
		q.made = append(q.made, now)
	}
	for len(q.made) > 0 && now.Sub(q.made[0]) >= 24*time.Hour {
		q.made = q.made[1:]
	}
}

// known is what the journal says together with what is known here: Used is what
// either knows of, and Until is zero if nothing is to be waited for, and else by the
// clock of this process.
func (q *Quota) known(state journal.Quota) journal.Quota {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.synced {
		q.add(state.Last)
		state.Used = max(state.Used, len(q.made))
	}
	now := q.clock.Now()
	left := q.left(state, now)
	if state.Until = (time.Time{}); left > 0 {
		// The journal knows no less than milliseconds.
		state.Until = now.Add(left - time.Duration(now.Nanosecond())%time.Millisecond)
	}
	return state
}

// left is how long nobody may ask. q is locked.
func (q *Quota) left(state journal.Quota, now time.Time) time.Duration {
	told := max(0, believed(state).Sub(state.Now))
	if state.Deadline > q.deadline {
		q.deadline, q.given, q.over, q.sure = state.Deadline, state.Given, now.Add(told), false
	}
	if state.Deadline == q.deadline && !q.given.Equal(state.Given) {
		// It is counted from now on, since it was given by a clock that was ahead. When
		// it became known here it was that clock's as well.
		q.given, q.sure = state.Given, true
	}
	left := max(0, q.over.Sub(now))
	if (left-told).Abs() < inStep || left < told && !q.sure {
		return told
	}
	return left
}

// believed is when the journal's deadline is over: LongestRetryAfter behind when it was
// given at the latest. A journal may have a longer one of an older version.
func believed(state journal.Quota) time.Time {
	if state.Given.IsZero() {
		return state.Until
	}
	return earlier(state.Until, state.Given.Add(spotify.LongestRetryAfter+mostJitter))
}

// Lift ends the wait for a Retry-After, for every process that uses the journal, and
// returns until when it would have been; zero: there was none. Unless always is set it
// only ends one that was cut to LongestRetryAfter. Whoever asks before Spotify's time may
// be locked out for longer.
func (q *Quota) Lift(ctx context.Context, always bool) (time.Time, error) {
	state, err := q.State(ctx)
	if err != nil || state.Until.IsZero() {
		return time.Time{}, err
	}
	deadline, given, lifted := -1, time.Time{}, time.Time{}
	err = q.journal.SetQuota(ctx, q.client, func(stored *journal.Quota) {
		if !always && stored.Until.Sub(stored.Given) < spotify.LongestRetryAfter {
			return
		}
		lifted, deadline, given = state.Until, stored.Deadline+1, stored.Now
		stored.Until = stored.Now
	})
	if err != nil || lifted.IsZero() {
		return time.Time{}, err
	}
	q.log.Warn("the wait for Spotify's Retry-After was lifted", "until", lifted, "why", state.Why)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deadline, q.given, q.over, q.sure = deadline, given, q.clock.Now(), true
	return lifted, nil
}

// restate tells the journal when the deadline is over by its clock, if that has been
// set: for the next start, and for other processes.
func (q *Quota) restate(ctx context.Context) error {
	deadline, given := -1, time.Time{}
	err := q.journal.SetQuota(ctx, q.client, func(state *journal.Quota) {
		if !q.clockSet(*state) {
			return
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		state.Until = state.Now.Add(q.left(*state, q.clock.Now()))
		deadline, given = state.Deadline+1, state.Now
	})
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil && deadline > q.deadline {
		q.deadline, q.given = deadline, given
	}
	return err
}

// clockSet tells whether the journal's clock has been set since the deadline is known
// here, and the journal is wrong about it.
func (q *Quota) clockSet(state journal.Quota) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return (q.left(state, q.clock.Now()) - max(0, state.Until.Sub(state.Now))).Abs() >= inStep
}

// within returns how many requests were made in the last d of the last 24 h.
func (q *Quota) within(ctx context.Context, d time.Duration) (int, error) {
	if err := q.sync(ctx); err != nil {
		return 0, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	first, _ := slices.BinarySearchFunc(q.made, q.clock.Now().Add(-d), time.Time.Compare)
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
	for days := int(state.Now.Sub(state.LearnedAt).Hours() / 24); days > 0 && learned < budget; days-- {
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
		if wait = failed.RetryAfter; failed.RetryAfterAsked != "" {
			q.log.Warn("Spotify asks to wait for longer than is believed; `spotify-exporter check --lift` or a login ends the wait",
				"retry_after", failed.RetryAfterAsked, "counts_as", wait, "reason", reason)
		}
	case reason == spotify.ReasonQuota:
		wait = unnamedLockOut
	case reason == spotify.ReasonRateLimited:
		wait = unnamedRateLimit
	default:
		return nil
	}
	// Not all at once, and not a moment before: seconds are cut on the way.
	wait += time.Second + time.Duration(rand.Int64N(int64(mostJitter-time.Second)))
	deadline, given, over := -1, time.Time{}, q.clock.Now().Add(wait)
	failure := q.journal.SetQuota(context.WithoutCancel(ctx), q.client, func(state *journal.Quota) {
		known := q.known(*state)
		goesOn := state.Why == string(spotify.ReasonQuota) && state.Now.Sub(state.Until) < sameLockOut
		if known.Until.IsZero() || over.After(known.Until) {
			state.Until, state.Why = state.Now.Add(wait), string(reason)
			deadline, given = state.Deadline+1, state.Now
		}
		if reason != spotify.ReasonQuota || q.budget == 0 {
			return
		}
		if goesOn {
			state.LearnedAt = state.Now // no clean day
			return
		}
		limit := q.limit(*state)
		state.Shared = float64(known.Used) < sharedBelow*limit
		state.Budget = max(1, min(limit, afterLockOut*float64(known.Used)))
		if state.Shared {
			// Nothing is known of what the others take: keep a usable minimum, which the
			// next lock-outs of theirs do not lower.
			state.Budget = max(state.Budget, min(limit, sharedBelow*afterLockOut*float64(q.budget)))
		}
		state.LearnedAt = state.Now
		q.log.Warn("locked out by Spotify's quota", "until", state.Until, "requests_24h", known.Used, "budget", int(state.Budget), "shared", state.Shared)
	})
	if failure == nil && deadline >= 0 {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.deadline, q.given, q.over, q.sure = deadline, given, over, true
	}
	return failure
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
	if err := q.sync(ctx); err != nil {
		return QuotaState{}, err
	}
	state, err := q.journal.Quota(ctx, q.client)
	if err != nil {
		return QuotaState{}, err
	}
	return q.tell(state, q.known(state)), nil
}

// Peek is State for somebody who only looks: it never writes to the journal. What a
// clock has stored that was ahead it takes as known here, until a request puts it right.
func (q *Quota) Peek(ctx context.Context) (QuotaState, error) {
	state, ahead, err := q.journal.PeekQuota(ctx, q.client)
	if err != nil {
		return QuotaState{}, err
	}
	if !ahead {
		return q.tell(state, q.known(state)), nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	known := state
	if q.synced {
		known.Used = len(q.made)
	}
	now, over := q.clock.Now(), q.over
	if state.Deadline > q.deadline { // another process was told of it, by that clock
		over = now.Add(believed(state).Sub(state.Given))
	}
	if known.Until = over; !over.After(now) {
		known.Until = time.Time{}
	}
	return q.tell(state, known), nil
}

// tell makes a QuotaState of what the journal says, and what is known.
func (q *Quota) tell(state, known journal.Quota) QuotaState {
	s := QuotaState{Used: known.Used, Limit: int(q.limit(state))}
	s.Shared = state.Shared && s.Limit < q.budget // and not forgotten since
	if !known.Until.IsZero() {
		s.Until, s.Why = known.Until, known.Why
	}
	return s
}
