package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

const (
	// pageLimit is how many plays Spotify keeps.
	pageLimit = 50
	// Back-off after failures of the network and of Spotify's servers.
	firstBackOff = 30 * time.Second
	lastBackOff  = 15 * time.Minute
	// What only a person, or Spotify's accounting, can mend heals by itself.
	slowBackOff = 15 * time.Minute
	// loginLook is how often the token file is looked at after the login was lost.
	loginLook = 15 * time.Second
	// stalePlayback is for how long the last look tells what plays now.
	stalePlayback = 2 * longestIdle
	// quietLog is how often the same failure is logged.
	quietLog = 15 * time.Minute
	// journalReason counts failures of our own storage among the poll failures.
	journalReason = spotify.Reason("journal")
)

// poller asks for one account.
type poller struct {
	*Collector
	alias   string
	api     *spotify.Account
	tracker *tracker
	digest  spotify.Digest // of the page that is recorded
	log     *slog.Logger

	profile      *profile
	profileUntil time.Time

	lookDue, listDue   time.Time
	listedAt           time.Time // the last page
	unlistedSince      time.Time // the first end of a play that no page has confirmed
	quietSince         time.Time // nothing has played since
	lookReason         string
	failures           int // in a row
	loggedAt           time.Time
	loggedReason       spotify.Reason
	authorizationUntil time.Time

	mu    sync.Mutex
	state AccountState
}

func newPoller(ctx context.Context, c *Collector, alias string) (*poller, error) {
	p := &poller{Collector: c, alias: alias, api: c.options.App.Account(c.options.Tokens, alias), log: c.log.With("account", alias), profile: unknownProfile()}
	p.state = AccountState{Account: alias, Failures: map[spotify.Reason]uint64{}, Recorded: map[journal.Witness]uint64{}}
	for _, reason := range Reasons() {
		p.state.Failures[reason] = 0
	}
	for _, w := range journal.Witnesses {
		p.state.Recorded[w] = 0
	}
	for play, err := range c.options.Journal.Plays(ctx, journal.Filter{Account: alias, Limit: 1}) {
		if err != nil {
			return nil, err
		}
		p.state.LastListen = play.EndedAt
	}
	open, err := c.options.Journal.Playback(ctx, alias)
	if err != nil {
		return nil, err
	}
	if p.tracker, err = restoreTracker(open, c.options.RecordPrivate); err != nil {
		p.log.Warn("what was playing before the restart is lost; Spotify's list will have it", "err", err)
	}
	return p, nil
}

// Poll does what is due and returns how long to wait for the next time.
func (p *poller) Poll(ctx context.Context) time.Duration {
	now := p.options.Clock.Now()
	var err error
	asked := false
	if !now.Before(p.listDue) {
		asked = true
		err = p.list(ctx)
	}
	if err == nil && !p.options.Clock.Now().Before(p.lookDue) {
		asked = true
		err = p.look(ctx)
	}
	if ctx.Err() != nil {
		return 0
	}
	now = p.options.Clock.Now()
	if asked {
		p.conclude(now, err)
	}
	return max(time.Millisecond, p.next().Sub(now))
}

func (p *poller) next() time.Time { return earlier(p.lookDue, p.listDue) }

// list fetches recently-played and records what is new in it.
func (p *poller) list(ctx context.Context) error {
	page, err := call(ctx, p.Collector, func() (spotify.Page, error) { return p.api.RecentlyPlayed(ctx, p.digest) })
	if err != nil && len(page.Plays) == 0 {
		return err
	}
	now := p.options.Clock.Now()
	if !page.Unchanged {
		reports := make([]journal.Report, len(page.Plays))
		for i := range page.Plays {
			reports[i] = reportOf(&page.Plays[i])
		}
		witnessed := journal.Witnessed{Reports: reports}
		if err == nil { // a page that could be read in part says nothing of gaps
			witnessed.Page = &journal.Page{FetchedAt: page.ReceivedAt, Full: len(reports) >= pageLimit}
		}
		recorded, failed := p.options.Journal.Record(ctx, p.alias, witnessed)
		if failed != nil {
			return &journalError{failed}
		}
		p.recorded(reports, recorded)
		if err != nil {
			return err
		}
		if failed := p.checkHeld(ctx); failed != nil {
			return &journalError{failed}
		}
		p.digest = page.Digest
	}
	p.listedAt, p.unlistedSince = now, time.Time{}
	return nil
}

// checkHeld asks the journal for the plays of the page, after the commit.
func (p *poller) checkHeld(ctx context.Context) error {
	page, err := p.options.Journal.LastPage(ctx, p.alias)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.HeldRatio = nil
	if page.Listed > 0 {
		p.state.HeldRatio = new(float64(len(page.Held)) / float64(page.Listed))
	}
	return nil
}

// look asks what plays and records what has ended since the last look.
func (p *poller) look(ctx context.Context) error {
	player, err := call(ctx, p.Collector, func() (spotify.Player, error) { return p.api.Player(ctx) })
	if err != nil {
		return err
	}
	tracker := *p.tracker
	if tracker.Open != nil {
		tracker.Open = new(*tracker.Open)
	}
	before := p.tracker.Open
	reports := tracker.look(player)
	if tracker.Open != nil || before != nil {
		witnessed := journal.Witnessed{Reports: reports, Playback: tracker.state()}
		if tracker.Open != nil && (before == nil || !same(&before.Item, &tracker.Open.Item)) {
			witnessed.Items = []journal.Item{tracker.Open.Item}
		}
		recorded, err := p.options.Journal.Record(ctx, p.alias, witnessed)
		if err != nil {
			return &journalError{err}
		}
		p.recorded(reports, recorded)
	}
	p.tracker = &tracker
	now := p.options.Clock.Now()
	if len(reports) > 0 && p.unlistedSince.IsZero() {
		p.unlistedSince = now
	}
	if tracker.Open != nil && tracker.Open.Playing {
		p.quietSince = time.Time{}
	} else if p.quietSince.IsZero() {
		p.quietSince = now
	}
	p.show(&player)
	return nil
}

// show keeps what the player said for the metrics.
func (p *poller) show(player *spotify.Player) {
	playback := &Playback{Playing: player.Active && player.Playing, Shuffle: player.Shuffle, At: player.ReceivedAt}
	if player.Active && player.Device.VolumePercent != nil {
		playback.Volume = new(float64(*player.Device.VolumePercent) / 100)
	}
	if player.PrivateSession && !p.options.RecordPrivate {
		playback = &Playback{At: player.ReceivedAt}
	} else if player.Active && player.Item != nil {
		playback.Item = player.Item
		playback.Duration = time.Duration(player.Item.DurationMS) * time.Millisecond
		if player.ProgressMS != nil {
			playback.Progress = time.Duration(*player.ProgressMS) * time.Millisecond
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.Playback = playback
}

// recorded counts and tells what was recorded.
func (p *poller) recorded(reports []journal.Report, r journal.Recorded) {
	p.mu.Lock()
	for i, outcome := range r.Outcomes {
		if outcome == journal.New {
			p.state.Recorded[reports[i].Witness]++
		}
	}
	for i := range r.Plays {
		if ended := r.Plays[i].EndedAt; ended.After(p.state.LastListen) {
			p.state.LastListen = ended
		}
	}
	if r.Gap != nil {
		p.state.Gaps++
	}
	p.mu.Unlock()
	if g := r.Gap; g != nil {
		p.log.Warn("plays may be lost: Spotify's list does not reach back to the last play held; import your extended history when you have it, or accept the gap",
			"gap", g.ID, "from", g.From, "to", g.To, "accept", fmt.Sprintf("spotify-exporter gaps --accept %d", g.ID))
	}
	if p.options.Recorded != nil {
		for _, play := range r.Plays {
			p.options.Recorded(p.alias, play)
		}
	}
	for i := range r.Plays {
		p.log.Debug("recorded", "track", r.Plays[i].Item.Name, "artist", r.Plays[i].Item.Artist(), "ended", r.Plays[i].EndedAt, "ms_played", r.Plays[i].MSPlayed)
	}
}

// journalError is a failure of our own storage.
type journalError struct{ error }

func (e *journalError) Unwrap() error { return e.error }

// reasonOf tells what a poll failed for.
func reasonOf(err error) spotify.Reason {
	if refused, ok := errors.AsType[*Refusal](err); ok {
		return spotify.Reason(refused.Reason)
	}
	if reason := spotify.ReasonOf(err); reason != "" {
		return reason
	}
	return journalReason
}

// conclude counts a poll and plans the next.
func (p *poller) conclude(now time.Time, err error) {
	refused, locally := errors.AsType[*Refusal](err)
	if locally && refused.Reason == "budget" {
		// Not a failure: the plan was too bold. The list may still be asked.
		p.plan(now)
		p.lookDue, p.lookReason = now.Add(longestPlaying), "the budget is used up"
		if !now.Before(p.listDue) {
			p.listDue = now.Add(longestPlaying)
		}
		p.publish(nil, now, false)
		return
	}
	if err == nil {
		if p.failures > 0 {
			p.log.Info("polling works again", "failures", p.failures)
		}
		p.failures, p.loggedReason = 0, ""
		p.plan(now)
		p.publish(nil, now, true)
		return
	}
	reason := reasonOf(err)
	p.failures++
	until := now.Add(backOff(reason, p.failures))
	if locally {
		until = refused.Until
	} else if reason == spotify.ReasonRateLimited || reason == spotify.ReasonQuota {
		if state, failed := p.options.Quota.State(context.Background()); failed == nil && state.Until.After(now) {
			until = state.Until
		}
	}
	p.lookDue, p.listDue = until, until
	p.lookReason = "after a failure: " + string(reason)
	if reason != p.loggedReason || now.Sub(p.loggedAt) >= quietLog {
		p.loggedReason, p.loggedAt = reason, now
		p.log.Warn("poll failed", "reason", reason, "err", err, "failures", p.failures, "next", until)
	}
	p.publish(err, now, !locally)
}

// backOff is how long to wait after so many failures in a row.
func backOff(reason spotify.Reason, failures int) time.Duration {
	switch reason {
	case spotify.ReasonAuth:
		return loginLook
	case spotify.ReasonPremium, spotify.ReasonNotRegistered:
		return slowBackOff
	}
	wait := firstBackOff
	for range failures - 1 {
		if wait *= 2; wait >= lastBackOff {
			return lastBackOff
		}
	}
	return wait
}

// plan sets when to look and to list next, after a success.
func (p *poller) plan(now time.Time) {
	open := p.tracker.Open
	playing := open != nil && open.Playing
	pace := p.pace(now)
	idle := time.Duration(0)
	if !p.quietSince.IsZero() {
		idle = now.Sub(p.quietSince)
	}
	wait := between(playing, pace, p.profile.curiosity(p.hour(now)), idle)
	p.lookDue, p.lookReason = now.Add(wait), "idle"
	if playing {
		p.lookReason = "playing"
		if through := open.through(); !through.IsZero() {
			if look := through.Add(afterEnd); look.After(now) && look.Before(p.lookDue.Add(shortestPlaying/3)) {
				p.lookDue, p.lookReason = look, "the item's end"
			}
		}
	}
	every := listEveryQuiet
	if playing || idle > 0 && idle < listEveryBusy {
		every = listEveryBusy
	}
	p.listDue = p.listedAt.Add(every)
	if !p.unlistedSince.IsZero() {
		confirm := p.unlistedSince.Add(confirmAfter)
		if idle >= time.Minute { // the session is over
			confirm = earlier(confirm, p.quietSince.Add(90*time.Second))
		}
		p.listDue = earlier(p.listDue, confirm)
	}
	if p.listDue.Before(now) {
		p.listDue = now
	}
}

// hour is the hour of the week where the listener lives.
func (p *poller) hour(now time.Time) int { return hourOfWeek(now.In(p.zone(p.alias))) }

// publish copies what has come of a poll to where State reads it.
func (p *poller) publish(err error, now time.Time, polled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if polled {
		p.state.Polls++
	}
	if err != nil {
		p.state.Up = new(false)
		p.state.LastFailure = err
		if polled {
			p.state.Failures[reasonOf(err)]++
		}
	} else if polled {
		p.state.Up = new(true)
		p.state.LastFailure = nil
		p.state.LastSuccess = now
	}
	p.state.NextPoll = p.next()
	p.state.NextReason = p.lookReason
	if p.listDue.Before(p.lookDue) {
		p.state.NextReason = "recently played"
	}
}

// snapshot is the account's State.
func (p *poller) snapshot(now time.Time) AccountState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.state
	s.Failures, s.Recorded = map[spotify.Reason]uint64{}, map[journal.Witness]uint64{}
	for reason, n := range p.state.Failures {
		s.Failures[reason] = n
	}
	for w, n := range p.state.Recorded {
		s.Recorded[w] = n
	}
	if s.Playback != nil && now.Sub(s.Playback.At) > stalePlayback {
		s.Playback = nil
	}
	return s
}
