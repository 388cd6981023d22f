package collector

import (
	"context"
	"time"
)

const (
	// Looks an hour that are wanted: while something plays, and while nothing does
	// in an hour of the week with the average number of starts.
	looksPlaying = 120.0
	looksIdle    = 45.0
	// Between two looks, whatever the budget.
	shortestPlaying = 30 * time.Second
	longestPlaying  = 3 * time.Minute
	shortestIdle    = 45 * time.Second
	longestIdle     = 10 * time.Minute
	// wakeful is how much more an idle player is looked at right after it stopped.
	wakeful = 15 * time.Minute

	// afterEnd is when behind an item's end the look comes that sees what is next.
	afterEnd = 2500 * time.Millisecond

	// Recently-played: so long after the first play that it has not confirmed, at
	// least so often while there is activity, and so often at all. Fifty plays of
	// 30 s take 25 minutes.
	confirmAfter   = 8 * time.Minute
	listEveryBusy  = 20 * time.Minute
	listEveryQuiet = time.Hour
	// listCost is what of a day's budget recently-played is expected to take.
	listCost = 80.0
)

// horizons are the times ahead for which the budget has to last.
var horizons = [...]time.Duration{time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour}

// pace is how much of the looks that are wanted the budget has room for, now and
// in every horizon: requests that were made age after 24 h and make room again.
// profiles are those of all accounts, which share the budget. Without a limit it
// is 1.
func (q *Quota) pace(ctx context.Context, profiles []*profile, hours []int) (float64, error) {
	state, err := q.State(ctx)
	if err != nil {
		return 0, err
	}
	if state.Limit == 0 || len(profiles) == 0 {
		return 1, nil
	}
	room := float64(state.Limit)*(1-playerReserve) - min(listCost*float64(len(profiles)), float64(state.Limit)/3)
	best := -1.0
	for _, horizon := range horizons {
		used, err := q.within(ctx, 24*time.Hour-horizon)
		if err != nil {
			return 0, err
		}
		var wanted float64
		for i, p := range profiles {
			for h := range int(horizon.Hours()) {
				hour := (hours[i] + h) % hoursOfWeek
				wanted += p.share[hour]*looksPlaying + (1-p.share[hour])*looksIdle*p.curiosity(hour)
			}
		}
		if p := max(0, room-float64(used)) / wanted; best < 0 || p < best {
			best = p
		}
	}
	return best, nil
}

// between is the time from one look to the next.
func between(playing bool, pace, curiosity float64, idle time.Duration) time.Duration {
	if playing {
		return interval(looksPlaying*pace, shortestPlaying, longestPlaying)
	}
	looks := looksIdle * curiosity * pace
	if idle < wakeful {
		looks *= 1.5
	}
	return interval(looks, shortestIdle, longestIdle)
}

func interval(anHour float64, shortest, longest time.Duration) time.Duration {
	if anHour <= 0 {
		return longest
	}
	return min(longest, max(shortest, time.Duration(float64(time.Hour)/anHour)))
}
