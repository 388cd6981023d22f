package spotifysim

import (
	"cmp"
	"slices"
	"time"
)

// offlineUpload is how long after its last play an offline device is online
// again, if nothing is played online before.
const offlineUpload = 6 * time.Hour

// Given is a play that a listener is to play exactly so, as an export or
// GenerateDays gives it. At least one of StartedAt and EndedAt must be set.
type Given struct {
	Item                   Item
	StartedAt, EndedAt     time.Time
	MSPlayed               int64
	ReasonStart, ReasonEnd string
	Shuffle                bool
	Offline                bool
	Private                bool
	Device                 Device // the zero Device is the usual one
	Context                *Context
}

// PlayDays plays a list. Every item of it becomes one play with exactly its
// MSPlayed:
//
//   - It lasts from StartedAt to EndedAt; if one is missing, or if they leave
//     less room than MSPlayed, EndedAt (else StartedAt) and MSPlayed decide.
//   - If they leave more room, the rest is a pause: in the middle if the play
//     went on afterwards (trackdone, fwdbtn, backbtn), at its end otherwise.
//   - They are played in the order of their starts; one that would start before
//     the one before has ended starts when that has ended, unshortened.
//   - A trackdone that is shorter than the item began within it; a play that is
//     longer than the item was taken back three quarters through.
//   - An item without Duration gets the MSPlayed that is commonest among its
//     trackdone plays in the list if several have it, else the longest one.
//   - Offline plays are uploaded when the next online play starts, or six hours
//     after the last of them.
//
// Whatever the pauses, none of these plays is logged out: a list says itself
// what is one play. The list comes after all that was told or shown before
// (plays that would not are moved behind it), and what is told next comes after
// the list, an upload at its end included.
func (u *User) PlayDays(given []Given) {
	u.spotify.mu.Lock()
	defer u.spotify.mu.Unlock()
	u.playDays(given)
}

// PlayOn plays for ever: next is asked for a list, which is played as by PlayDays, when
// what was told before ends within a day. Each list has to end later than the one before;
// an empty one is the last. next must not call anything of this Spotify.
func (u *User) PlayOn(next func() []Given) {
	u.spotify.mu.Lock()
	defer u.spotify.mu.Unlock()
	u.next = next
}

// goOn asks for what is played until a day after now.
func (u *User) goOn(now int64) {
	for u.next != nil && u.timeline.last().at < now+24*time.Hour.Milliseconds() {
		given := u.next()
		if len(given) == 0 {
			u.next = nil
			return
		}
		u.playDays(given)
	}
}

func (u *User) playDays(given []Given) {
	l := &u.timeline
	durations := usualDurations(given)
	starts := make([]int64, len(given))
	order := make([]int, len(given))
	for i, g := range given {
		starts[i], order[i] = g.start(), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(starts[a], starts[b]) })

	free := max(l.asked, l.last().at) // nothing can be done before
	online := int64(never)            // when an offline device comes back by itself
	for _, i := range order {
		g := given[i]
		start := max(starts[i], free)
		if online <= start {
			l.setOffline(online, false)
			online = never
		}
		l.advance(start)
		l.finish(start, "endplay")
		if g.Offline {
			l.setOffline(start, true)
		} else if l.last().offline {
			l.setOffline(start, false)
			online = never
		}
		g.Item.Duration = cmp.Or(g.Item.Duration, durations[g.Item.URI])
		free = l.playGiven(start, g, u.spotify.intern(g.Item))
		if g.Offline {
			online = free + offlineUpload.Milliseconds()
		}
	}
	if online != never {
		l.setOffline(online, false)
	}
}

// start returns when a given play starts, if nothing is in its way.
func (g *Given) start() int64 {
	if g.EndedAt.IsZero() {
		return g.StartedAt.UnixMilli()
	}
	start := g.EndedAt.UnixMilli() - g.MSPlayed
	if !g.StartedAt.IsZero() {
		start = min(start, g.StartedAt.UnixMilli())
	}
	return start
}

// room returns how long a given play lasts, pauses included.
func (g *Given) room() int64 {
	if g.EndedAt.IsZero() {
		return g.MSPlayed
	}
	return g.EndedAt.UnixMilli() - g.start()
}

// playGiven plays g from start on and returns when it ends.
func (l *timeline) playGiven(start int64, g Given, item *entry) int64 {
	s := l.step(start)
	s.shuffle = g.Shuffle
	if device := cmp.Or(g.Device, *l.usual); device != *s.device {
		s.device = &device
	}
	l.setPrivate(start, g.Private)
	l.context, l.queue, l.next = g.Context, nil, 0

	duration, left := item.duration, g.MSPlayed
	progress := int64(0)
	if g.ReasonEnd == "trackdone" && left < duration {
		progress = duration - left
	}
	l.begin(start, item, progress, g.ReasonStart)

	at := start
	sound := func(ms int64) {
		at += ms
		left -= ms
		progress += ms
		l.step(at)
	}
	pause := g.room() - g.MSPlayed
	goesOn := g.ReasonEnd == "trackdone" || g.ReasonEnd == "fwdbtn" || g.ReasonEnd == "backbtn"
	if pause > 0 && goesOn && left > 0 {
		sound(min(left, max(0, duration-progress)) / 2)
		l.last().playing = false
		at += pause
		l.step(at).playing = true
		pause = 0
	}
	for duration > 0 && progress+left > duration {
		sound(max(0, duration*3/4-progress))
		back := min(progress+left-duration, progress)
		if back <= 0 {
			break // an item of a few ms
		}
		progress -= back
		l.step(at).progress = progress
	}
	sound(left)
	if pause > 0 {
		l.last().playing = false
		at += pause
	}
	l.finish(at, g.ReasonEnd)
	if g.ReasonEnd == "logout" {
		l.last().active = false
	}
	return at
}

// usualDurations guesses, by URI, durations that are not known: what several
// plays to the end agree on, else the longest play.
func usualDurations(given []Given) map[string]time.Duration {
	done := map[string]map[int64]int{} // how many plays to the end took how long
	durations := map[string]time.Duration{}
	for _, g := range given {
		uri := g.Item.URI
		if g.Item.Duration > 0 {
			continue
		}
		durations[uri] = max(durations[uri], time.Duration(g.MSPlayed)*time.Millisecond)
		if g.ReasonEnd == "trackdone" {
			if done[uri] == nil {
				done[uri] = map[int64]int{}
			}
			done[uri][g.MSPlayed]++
		}
	}
	for uri, plays := range done {
		most := 1
		for ms, n := range plays {
			if duration := time.Duration(ms) * time.Millisecond; n > most || n == most && n > 1 && duration > durations[uri] {
				most, durations[uri] = n, duration
			}
		}
	}
	return durations
}
