package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
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
	// aheadOfUs is how far ahead of our clock the end of a play may be. Of what ended
	// later the device had the time wrong: it would hide for as long that nothing is
	// recorded.
	aheadOfUs = 5 * time.Minute
	// stalePlayback is for how long the last look tells what plays now.
	stalePlayback = 2 * longestIdle
	// oldestListed is how many years ago a listed play may have ended.
	oldestListed = 20
	// quietLog is how often the same failure is logged.
	quietLog = 15 * time.Minute
	// mostSilences is how many looks without sound are remembered: some hours, as
	// long as a play mostly takes to be listed.
	mostSilences = 512
	// listedLate is how old a play is, when a page does not have it, if its device was out
	// of reach: that the player did not show it says nothing then.
	listedLate = 10 * time.Minute
	// journalReason counts failures of our own storage among the poll failures.
	journalReason = spotify.Reason("journal")
)

// poller asks for one account. All but state belongs to the goroutine that polls.
type poller struct {
	*Collector
	alias   string
	api     *spotify.Account
	tracker *tracker
	digest  spotify.Digest // of the page that is recorded
	page    []spotify.Play // which has these plays
	// unreadable are the rows of it that could not be read, and how many are alike.
	unreadable map[spotify.Digest]int
	votes      votes // on what played_at is
	log        *slog.Logger

	profileUntil time.Time

	player, listing duty
	lookedAt        time.Time // the last look, with its monotonic reading
	listedAt        time.Time // the last page
	unlistedSince   time.Time // the first end of a play that no page has confirmed
	quietSince      time.Time // nothing has played since
	silences        []silence // the last ones, oldest first
	loggedAt        time.Time // the last failure that was logged
	loggedReason    spotify.Reason
	logged          bool // and no recovery since

	mu      sync.Mutex
	state   AccountState
	profile *profile
}

// duty is one of the two things that are asked for: each goes on if only the
// other fails.
type duty struct {
	due      time.Time
	reason   PlanReason     // due then
	failures int            // in a row
	failed   spotify.Reason // with PlanFailure: for which
}

func newPoller(ctx context.Context, c *Collector, alias string) (*poller, error) {
	p := &poller{Collector: c, alias: alias, api: c.options.App.Account(c.options.Tokens, alias), log: c.log.With("account", alias), profile: unknownProfile()}
	p.state = newAccountState(alias)
	for play, err := range c.options.Journal.Plays(ctx, journal.Filter{Account: alias, To: c.options.Clock.Now().Add(aheadOfUs), Limit: 1}) {
		if err != nil {
			return nil, err
		}
		p.state.LastListen = play.EndedAt
	}
	var err error
	if p.votes.starts, err = c.options.Journal.ListsStarts(ctx, alias); err != nil {
		return nil, err
	}
	p.state.ListsStarts = p.votes.starts
	if err := c.options.Journal.MarkListed(ctx, alias, false); err != nil {
		return nil, err
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

// run polls until ctx ends.
func (p *poller) run(ctx context.Context) error {
	for p.options.Clock.Sleep(ctx, p.Poll(ctx)) == nil {
	}
	return nil
}

// Poll does what is due and returns how long to wait for the next time.
func (p *poller) Poll(ctx context.Context) time.Duration {
	// What loses plays comes first, should the budget not do for both.
	for _, d := range []*duty{&p.listing, &p.player} {
		if p.options.Clock.Now().Before(d.due) {
			continue
		}
		err := p.ask(ctx, d)
		if ctx.Err() != nil {
			return 0
		}
		p.conclude(ctx, d, err)
	}
	next := p.next()
	if err := p.options.Journal.SetPlan(ctx, p.alias, journal.Plan{At: next.due, Why: next.reason.Words(next.failed)}); err != nil {
		p.log.Debug("cannot tell others the plan", "err", err) // whoever records will say more
	}
	return max(time.Millisecond, next.due.Sub(p.options.Clock.Now()))
}

// ask does what is due and plans the next time.
func (p *poller) ask(ctx context.Context, d *duty) error {
	if d == &p.listing {
		if err := p.list(ctx); err != nil {
			return err
		}
	} else {
		if err := p.look(ctx); err != nil {
			return err
		}
		if err := p.planLook(ctx, p.options.Clock.Now()); err != nil {
			return &journalError{err}
		}
	}
	p.planList(p.options.Clock.Now())
	return nil
}

// next is what is due first.
func (p *poller) next() *duty {
	if p.listing.due.Before(p.player.due) {
		return &p.listing
	}
	return &p.player
}

// list fetches recently-played and records what is new in it.
func (p *poller) list(ctx context.Context) error {
	page, err := call(ctx, p.Collector, func() (spotify.Page, error) { return p.api.RecentlyPlayed(ctx, p.digest) })
	if err != nil {
		return err
	}
	now := p.options.Clock.Now()
	if !page.Unchanged {
		reports := make([]journal.Report, len(page.Plays))
		for i := range page.Plays {
			silences := p.silences
			if page.Plays[i].PlayedAt.Add(listedLate).Before(p.listedAt) {
				silences = nil
			}
			reports[i] = reportOf(&page.Plays[i], silences)
		}
		witnessed := journal.Witnessed{Reports: reports, Page: &journal.Page{FetchedAt: page.ReceivedAt, Full: page.Rows >= pageLimit}}
		recorded, failed := p.options.Journal.Record(ctx, p.alias, witnessed)
		if failed != nil {
			return &journalError{failed}
		}
		p.recorded(reports, recorded)
		p.tellUnreadable(append(page.Unreadable, outOfBounds(page.Plays, now)...))
		if failed := p.vote(ctx, page.Plays, now); failed != nil {
			return &journalError{failed}
		}
		if failed := p.endListed(ctx, p.votes.ends(page.Plays)); failed != nil {
			return &journalError{failed}
		}
		if failed := p.checkHeld(ctx); failed != nil {
			return &journalError{failed}
		}
		p.digest, p.page = page.Digest, page.Plays
	}
	p.listedAt, p.unlistedSince = now, time.Time{}
	return nil
}

// tellUnreadable counts and tells the rows that could not be read, each of them once for
// as long as Spotify lists it.
func (p *poller) tellUnreadable(rows []spotify.UnreadableRow) {
	listed := map[spotify.Digest]int{}
	for _, row := range rows {
		if listed[row.ID]++; listed[row.ID] <= p.unreadable[row.ID] {
			continue
		}
		p.log.Warn("a row of Spotify's list of plays cannot be read as a play; the others are recorded", "why", row.Why)
		p.mu.Lock()
		p.state.Unreadable++
		p.mu.Unlock()
	}
	p.unreadable = listed
}

// outOfBounds returns the plays of a page that ended decades ago or days ahead
// of us. They are passed on: what is recorded of them is the journal's to decide. If all
// are ahead it is our clock that is wrong.
func outOfBounds(plays []spotify.Play, now time.Time) []spotify.UnreadableRow {
	var rows []spotify.UnreadableRow
	early := 0
	for i := range plays {
		switch at := plays[i].PlayedAt; {
		case at.Before(now.AddDate(-oldestListed, 0, 0)):
			early++
		case !at.After(now.Add(24 * time.Hour)):
			continue
		}
		rows = append(rows, spotify.UnreadableRow{
			ID:  spotify.Digest(plays[i].PlayedAt.UnixMilli()),
			Why: "played_at: out of bounds (" + plays[i].PlayedAt.Format(time.RFC3339) + ")",
		})
	}
	if len(rows) == len(plays) && early == 0 {
		return nil
	}
	return rows
}

// endListed records what the player shows no more if the page tells that it has ended.
func (p *poller) endListed(ctx context.Context, page []spotify.Play) error {
	tracker := p.tracker.clone()
	reports := tracker.listed(page)
	if len(reports) == 0 {
		return nil
	}
	recorded, err := p.options.Journal.Record(ctx, p.alias, journal.Witnessed{Reports: reports, Playback: tracker.state()})
	if err != nil {
		return err
	}
	p.recorded(reports, recorded)
	p.tracker = tracker
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
	// The tracker goes on from where it was if the journal cannot take this.
	tracker := p.tracker.clone()
	var elapsed time.Duration
	if !p.lookedAt.IsZero() {
		elapsed = player.ReceivedAt.Sub(p.lookedAt)
	}
	if elapsed < 0 {
		// It tells of a time between two looks that have been taken in. What sounded for
		// long enough then is on Spotify's list.
		return &spotify.Error{Endpoint: "player", Status: http.StatusOK, Reason: spotify.ReasonDecode, Message: "this answer was overtaken by the last one"}
	}
	reports := append(tracker.look(player, elapsed), tracker.listed(p.votes.ends(p.page))...)
	if before := p.tracker.Open; tracker.Open != nil || before != nil {
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
	vanished := tracker.gone() && !p.tracker.gone()
	for i := range reports {
		p.votes.follow(&reports[i])
	}
	p.tracker, p.lookedAt = tracker, player.ReceivedAt
	player.Playing = player.Playing && !tracker.haunted()
	now := p.options.Clock.Now()
	if (len(reports) > 0 || vanished) && p.unlistedSince.IsZero() {
		p.unlistedSince = now
	}
	if tracker.playing() {
		p.quietSince = time.Time{}
	} else {
		if p.quietSince.IsZero() {
			p.quietSince = now
		}
		// A player that is gone at once has perhaps left the network and plays on;
		// what is paused stays in sight until the logout.
		if (player.Item == nil || tracker.haunted()) && now.Sub(p.quietSince) < logout {
			p.show(&player)
			return nil
		}
		if len(p.silences) == mostSilences {
			p.silences = append(p.silences[:0], p.silences[mostSilences/2:]...)
		}
		quiet := silence{at: player.ReceivedAt.Round(0)}
		if player.Item != nil {
			quiet.uri = player.Item.URI
		}
		p.silences = append(p.silences, quiet)
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
	latest := p.options.Clock.Now().Add(aheadOfUs)
	p.mu.Lock()
	for i, outcome := range r.Outcomes {
		if outcome == journal.New {
			p.state.Recorded[reports[i].Witness]++
		}
	}
	for i := range r.Plays {
		if ended := r.Plays[i].EndedAt; ended.After(p.state.LastListen) && ended.Before(latest) {
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
		p.log.Debug("recorded", "play", r.Plays[i].ID, "ended", r.Plays[i].EndedAt, "ms_played", r.Plays[i].MSPlayed) // what it was is private
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

// conclude counts what has come of a duty and, if it failed, puts it off.
func (p *poller) conclude(ctx context.Context, d *duty, err error) {
	now := p.options.Clock.Now()
	refused, locally := errors.AsType[*Refusal](err)
	switch {
	case err == nil:
		d.failures = 0
		if p.logged && p.player.failures+p.listing.failures == 0 {
			p.logged = false
			p.log.Info("polling works again")
		}
	case locally && refused.Reason == refusedBudget:
		// No failure: the plan was too bold.
		d.due, d.reason = now.Add(longestPlaying), PlanBudget
		p.publish(ctx, now, nil, false)
		return
	default:
		d.failures++
		reason := reasonOf(err)
		until := now.Add(backOff(err, d.failures))
		if locally {
			until = refused.Until
		} else if quota, err := p.options.Quota.State(ctx); err == nil && quota.Until.After(until) {
			until = quota.Until // but not sooner than the back-off, as a Retry-After of 0 would have it
		}
		for _, of := range []*duty{&p.player, &p.listing} {
			if of == d || concernsAll(reason) {
				of.due, of.reason, of.failed = until, PlanFailure, reason
			}
		}
		if reason != p.loggedReason || now.Sub(p.loggedAt) >= quietLog {
			p.loggedReason, p.loggedAt, p.logged = reason, now, true
			p.log.Warn("poll failed", "reason", reason, "err", err, "failures", d.failures, "next", until)
		}
	}
	p.publish(ctx, now, err, !locally)
}

// concernsAll tells whether what one request has failed for holds for every other
// one of the account.
func concernsAll(reason spotify.Reason) bool {
	switch reason {
	case spotify.ReasonNetwork, spotify.ReasonServer, spotify.ReasonDecode:
		return false
	}
	return true
}

// backOff is how long to wait after so many failures in a row.
func backOff(err error, failures int) time.Duration {
	switch reason := reasonOf(err); {
	case reason == spotify.ReasonPremium, reason == spotify.ReasonNotRegistered:
		return slowBackOff
	case loginLost(err):
		return loginLook
	}
	wait := firstBackOff
	for range failures - 1 {
		if wait *= 2; wait >= lastBackOff {
			return lastBackOff
		}
	}
	return wait
}

// loginLost tells whether nothing is sent before the token file is a new one.
func loginLost(err error) bool {
	failed, ok := errors.AsType[*spotify.Error](err)
	return errors.Is(err, spotify.ErrLoggedOut) || ok && failed.Reason == spotify.ReasonAuth && failed.Status == 0
}

// publish copies what has come of a duty to where State reads it. asked: it
// reached Spotify, or tried to.
func (p *poller) publish(ctx context.Context, now time.Time, err error, asked bool) {
	var expiry time.Time
	if authorization, err := p.api.Authorization(ctx); err == nil {
		expiry = spotify.AuthorizationExpiry(authorization.AuthorizedAt)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.AuthorizationExpiry = expiry
	if loginLost(err) && loginLost(p.state.LastFailure) {
		asked = false // this was a look at the token file
	}
	if asked {
		p.state.Polls++
	}
	switch {
	case err != nil:
		p.state.Up, p.state.LastFailure = new(false), err
		if asked {
			p.state.Failures[reasonOf(err)]++
		}
	case asked && p.player.failures+p.listing.failures == 0:
		p.state.Up, p.state.LastFailure, p.state.LastSuccess = new(true), nil, now
	}
	next := p.next()
	p.state.NextPoll, p.state.NextReason, p.state.NextFailed = next.due, next.reason, next.failed
}

// snapshot is the account's State.
func (p *poller) snapshot(now time.Time) AccountState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.state
	s.Failures, s.Recorded = maps.Clone(p.state.Failures), maps.Clone(p.state.Recorded)
	if s.Playback != nil && now.Sub(s.Playback.At) > stalePlayback {
		s.Playback = nil
	}
	return s
}
