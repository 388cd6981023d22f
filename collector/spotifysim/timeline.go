package spotifysim

import (
	"math"
	"sort"
	"time"
)

// never is a time in ms that does not come.
const never = math.MaxInt64

// timeline is all that one listener does. Its two lists only grow, in the order
// of time, so that whatever is asked is found by binary search. All times are
// Unix ms.
//
// The last state may still run on (a track that will end, a queue): advance
// brings it up to the moment that is asked about.
type timeline struct {
	delay, minimum, inactivity int64 // Options
	usual                      *Device

	states []state
	plays  []play // closed ones, in the order of their end
	recent []int  // of plays, those that recently-played shows one day

	open      *play // sounding or paused now
	queue     []*entry
	next      int // of queue, what comes after the open play
	repeat    string
	crossfade int64
	context   *Context
	pending   []int // of plays, those to be told of when the device is online again
	asked     int64 // the latest moment that anybody asked about: what was shown is not rewritten
}

// state is what the player shows from a moment on.
type state struct {
	at       int64
	progress int64 // at that moment
	item     *entry
	device   *Device
	context  *Context
	repeat   string
	playing  bool
	active   bool // false: the player is gone, 204
	shuffle  bool
	private  bool
	offline  bool
}

// play is one item from its first sound until it gives way.
type play struct {
	item                   *entry
	device                 *Device
	context                *Context
	start, end             int64
	sounded                int64 // how long it really played
	visible                int64 // since when recently-played may show it
	reasonStart, reasonEnd string
	shuffle                bool
	offline                bool // when it ended
	private                bool // at any moment
}

func newTimeline(options Options) timeline {
	usual := usualDevice()
	return timeline{
		usual:      usual,
		delay:      options.RecentlyPlayedDelay.Milliseconds(),
		minimum:    options.RecentlyPlayedMinimum.Milliseconds(),
		inactivity: options.Inactivity.Milliseconds(),
		states:     []state{{at: math.MinInt64, device: usual, repeat: "off"}},
		repeat:     "off",
	}
}

// at returns the state at a moment, its progress as of then.
func (l *timeline) at(now int64) state {
	l.advance(now)
	l.asked = max(l.asked, now)
	i := sort.Search(len(l.states), func(i int) bool { return l.states[i].at > now })
	s := l.states[i-1]
	if s.playing {
		s.progress += now - s.at
	} else if s.active && now-s.at >= l.inactivity {
		s.active = false
	}
	s.active = s.active && !s.offline
	return s
}

// ended returns how many plays have ended by now.
func (l *timeline) ended(now int64) int {
	l.advance(now)
	l.asked = max(l.asked, now)
	return sort.Search(len(l.plays), func(i int) bool { return l.plays[i].end > now })
}

// recentlyPlayed returns the plays (newest first, at most 50, as there are no
// more) that recently-played knows of at a moment.
func (l *timeline) recentlyPlayed(now int64) []*play {
	n := l.ended(now)
	known := make([]*play, 0, 50)
	for i := sort.SearchInts(l.recent, n) - 1; i >= 0 && len(known) < cap(known); i-- {
		if p := &l.plays[l.recent[i]]; p.visible <= now {
			known = append(known, p)
		}
	}
	return known
}

// advance lets happen what happens by itself until now: items end and give way
// to the next, a paused player is logged out.
func (l *timeline) advance(now int64) {
	for l.open != nil {
		s := l.last()
		switch {
		case s.playing:
			length := s.item.duration
			if l.crossfade < length {
				length -= l.crossfade
			}
			end := s.at + max(0, length-s.progress)
			if length == 0 || end > now {
				return
			}
			item := s.item
			l.finish(end, "trackdone")
			switch {
			case l.repeat == "track":
				l.begin(end, item, 0, "trackdone")
			case l.next < len(l.queue) || l.repeat == "context" && len(l.queue) > 0:
				l.next %= len(l.queue)
				l.next++
				l.begin(end, l.queue[l.next-1], 0, "trackdone")
			}
		default:
			end := s.at + l.inactivity
			if end > now {
				return
			}
			l.finish(end, "logout")
			l.last().active = false
		}
	}
}

func (l *timeline) last() *state { return &l.states[len(l.states)-1] }

// step starts a new state at a moment, the old one's continuation, and returns
// it to be changed.
func (l *timeline) step(at int64) *state {
	s := *l.last()
	if s.playing {
		s.progress += at - s.at
		if l.open != nil {
			l.open.sounded += at - s.at
		}
	}
	if s.at == at {
		*l.last() = s
	} else {
		s.at = at
		l.states = append(l.states, s)
	}
	return l.last()
}

func (l *timeline) begin(at int64, item *entry, progress int64, reason string) {
	s := l.step(at)
	s.item, s.progress, s.playing, s.active, s.context, s.repeat = item, progress, true, true, l.context, l.repeat
	l.open = &play{
		item: item, start: at, reasonStart: reason,
		device: s.device, context: s.context, shuffle: s.shuffle, private: s.private,
	}
}

// finish closes the open play, if there is one. The player stays on the item,
// stopped at its start if it was played to its end.
func (l *timeline) finish(at int64, reason string) {
	s := l.step(at)
	s.playing = false
	if reason == "trackdone" {
		s.progress = 0
	}
	if l.open == nil {
		return
	}
	p := l.open
	l.open = nil
	p.end, p.reasonEnd, p.offline, p.device = at, reason, s.offline, s.device
	if p.item.Kind == Ad || p.item.Kind == Unknown {
		return
	}
	p.visible = at + l.delay
	if p.offline {
		p.visible = never
		l.pending = append(l.pending, len(l.plays))
	}
	if p.item.Kind == Track && !p.private && p.sounded >= l.minimum {
		l.recent = append(l.recent, len(l.plays))
	}
	l.plays = append(l.plays, *p)
}

func (l *timeline) setPrivate(at int64, on bool) {
	l.step(at).private = on
	if l.open != nil {
		l.open.private = l.open.private || on
	}
}

func (l *timeline) setOffline(at int64, on bool) {
	l.step(at).offline = on
	if on {
		return
	}
	for _, i := range l.pending {
		l.plays[i].visible = at + l.delay
	}
	l.pending = l.pending[:0]
}

func utc(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
