package collector

import (
	"context"
	"math"
	"time"
)

const (
	// Looks an hour that are wanted: while something plays, and while nothing does
	// in an hour of the week with the average number of starts.
	looksPlaying = 120.0
	looksIdle    = 45.0
	// Between two looks; the longest ones if the budget does for what is wanted.
	shortestPlaying = 30 * time.Second
	longestPlaying  = 3 * time.Minute
	shortestIdle    = 45 * time.Second
	longestIdle     = 10 * time.Minute
	longestShort    = 3 * time.Hour // with a budget that does for next to nothing
	// wakeful is how much more an idle player is looked at right after it stopped.
	wakeful = 15 * time.Minute

	// afterEnd is when behind an item's end the look comes that sees what is next.
	afterEnd = 2500 * time.Millisecond

	// Recently-played: so long after the first play that it has not confirmed, and
	// when a session is over; at least so often while there is activity, and so
	// often at all. Fifty plays of 30 s take 25 minutes.
	confirmAfter        = 8 * time.Minute
	sessionOver         = time.Minute
	confirmAfterSession = 90 * time.Second
	listEveryBusy       = 20 * time.Minute
	listEveryQuiet      = time.Hour
	// listCost is what of a day's budget recently-played is expected to take for an
	// account, and listShare the share of the budget that it may take for all.
	listCost  = 80.0
	listShare = 0.6
)

// horizons are the times ahead for which the budget has to last.
var horizons = [...]time.Duration{time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// wish is what an account would like to ask: its habits, and the hour of the week
// that it is where the listener lives.
type wish struct {
	profile *profile
	hour    int
}

// pace is how much of the looks that are wanted the budget has room for, now and
// in every horizon: requests that were made age after 24 h and make room again.
// The accounts share the budget. Without a limit it is 1.
func (q *Quota) pace(ctx context.Context, wishes []wish) (float64, error) {
	if q.budget == 0 {
		return 1, nil
	}
	state, err := q.State(ctx)
	if err != nil {
		return 0, err
	}
	limit := float64(state.Limit)
	room := limit - playerReserve(limit) - min(listCost*float64(len(wishes)), limit/3)
	best := math.Inf(1)
	for _, horizon := range horizons {
		used, err := q.within(ctx, 24*time.Hour-horizon)
		if err != nil {
			return 0, err
		}
		var wanted float64
		for _, w := range wishes {
			for h := range int(horizon.Hours()) {
				wanted += w.profile.wanted((w.hour + h) % hoursOfWeek)
			}
		}
		best = min(best, max(0, room-float64(used))/wanted)
	}
	return best, nil
}

// planLook sets when to look at the player next.
func (p *poller) planLook(ctx context.Context, now time.Time) error {
	pace, err := p.pace(ctx, now)
	if err != nil {
		return err
	}
	playing := p.tracker.playing()
	wait := between(playing, pace, p.profile.curiosity(p.hour(now)), p.idle(now))
	p.player.due, p.player.reason = now.Add(wait), PlanIdle
	if !playing {
		return nil
	}
	p.player.reason = PlanPlaying
	// With no room for looks every few minutes there is none for all ends either:
	// they would leave recently-played nothing for the rest of the day.
	if through := p.tracker.Open.through(); !through.IsZero() && wait <= longestPlaying {
		if look := through.Add(afterEnd); look.After(now) && look.Before(p.player.due.Add(shortestPlaying/3)) {
			p.player.due, p.player.reason = look, PlanItemEnd
		}
	}
	return nil
}

// planList sets when to fetch recently-played next, unless that is put off by a
// failure.
func (p *poller) planList(now time.Time) {
	if p.listing.failures > 0 && p.listing.due.After(now) {
		return
	}
	idle := p.idle(now)
	every := listEveryQuiet
	if idle < listEveryBusy {
		every = listEveryBusy
	}
	p.listing.due, p.listing.reason = p.listedAt.Add(every), PlanRecentlyPlayed
	if !p.unlistedSince.IsZero() {
		confirm := p.unlistedSince.Add(confirmAfter)
		if idle >= sessionOver {
			confirm = earlier(confirm, p.quietSince.Add(confirmAfterSession))
		}
		p.listing.due = earlier(p.listing.due, confirm)
	}
	if soonest := p.listedAt.Add(p.listEvery()); soonest.After(p.listing.due) {
		p.listing.due = soonest
	}
}

// listEvery is how often the budget has room for recently-played.
func (p *poller) listEvery() time.Duration {
	limit := p.options.Quota.lastLimit()
	if limit == 0 {
		return 0
	}
	p.Collector.mu.Lock()
	defer p.Collector.mu.Unlock()
	return time.Duration(24 * float64(time.Hour) * float64(len(p.pollers)) / (listShare * limit))
}

// idle is for how long nothing has played, 0 if something does.
func (p *poller) idle(now time.Time) time.Duration {
	if p.quietSince.IsZero() {
		return 0
	}
	return now.Sub(p.quietSince)
}

// hour is the hour of the week where the listener lives.
func (p *poller) hour(now time.Time) int { return hourOfWeek(now.In(p.zone(p.alias))) }

// pace learns the listener's habits anew once a day and returns how much room the
// budget has, see Quota.pace.
func (p *poller) pace(ctx context.Context, now time.Time) (float64, error) {
	if !now.Before(p.profileUntil) {
		learned, err := learnProfile(ctx, p.options.Journal, p.alias, p.zone(p.alias), now)
		if err != nil {
			return 0, err
		}
		p.Collector.mu.Lock()
		p.profile, p.profileUntil = learned, now.Add(profileLife)
		p.Collector.mu.Unlock()
	}
	p.Collector.mu.Lock()
	wishes := make([]wish, 0, len(p.pollers))
	for _, other := range p.pollers {
		wishes = append(wishes, wish{other.profile, other.hour(now)})
	}
	p.Collector.mu.Unlock()
	return p.options.Quota.pace(ctx, wishes)
}

// between is the time from one look to the next.
func between(playing bool, pace, curiosity float64, idle time.Duration) time.Duration {
	looks, shortest, longest := looksPlaying, shortestPlaying, longestPlaying
	if !playing {
		looks, shortest, longest = looksIdle*curiosity, shortestIdle, longestIdle
		if idle < wakeful {
			looks *= 1.5
		}
	}
	wait := min(longest.Seconds(), time.Hour.Seconds()/looks) / pace // pace 0: infinite
	return time.Duration(min(longestShort.Seconds(), max(shortest.Seconds(), wait)) * float64(time.Second))
}
