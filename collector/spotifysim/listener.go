package spotifysim

import (
	"fmt"
	"slices"
	"time"
)

// Moment is a point in time at which a listener does things. Its methods return
// it, or a later one, so that a script reads as a chain:
//
//	u.At(evening).Play(a, b).After(time.Minute).Pause().After(time.Minute).Resume()
//
// Scripts may lie in the future; each thing done must lie behind the ones done
// before and must not change what was shown already (it panics if it would).
type Moment struct {
	user *User
	at   int64
}

// At returns the moment t.
func (u *User) At(t time.Time) Moment { return Moment{u, t.UnixMilli()} }

// Now returns the moment that the clock shows.
func (u *User) Now() Moment { return u.At(u.spotify.now()) }

// After returns the moment that is d later.
func (m Moment) After(d time.Duration) Moment { return Moment{m.user, m.at + d.Milliseconds()} }

// Time returns when the moment is.
func (m Moment) Time() time.Time { return utc(m.at) }

func (m Moment) do(action func(l *timeline)) Moment {
	m.user.spotify.mu.Lock()
	defer m.user.spotify.mu.Unlock()
	l := &m.user.timeline
	if floor := max(l.asked, l.last().at); m.at < floor {
		panic(fmt.Sprintf("spotifysim: something is done at %v, but the story has been told up to %v", utc(m.at), utc(floor)))
	}
	l.advance(m.at)
	action(l)
	return m
}

// Play starts the first item, and the others after it. What plays ends with
// reason "endplay".
func (m Moment) Play(items ...Item) Moment { return m.PlayFrom(0, items...) }

// PlayFrom is Play from a position within the first item.
func (m Moment) PlayFrom(progress time.Duration, items ...Item) Moment {
	return m.do(func(l *timeline) {
		l.finish(m.at, "endplay")
		l.queue, l.next = m.user.spotify.internAll(items), 1
		l.begin(m.at, l.queue[0], progress.Milliseconds(), "clickrow")
	})
}

// Pause stops the sound. A play that is paused for longer than
// Options.Inactivity ends by "logout" at that time.
func (m Moment) Pause() Moment {
	return m.do(func(l *timeline) { l.step(m.at).playing = false })
}

// Resume goes on after a pause. After a logout that is a new play, from where
// the old one was left.
func (m Moment) Resume() Moment {
	return m.do(func(l *timeline) {
		switch s := l.step(m.at); {
		case l.open != nil:
			s.playing = true
		case s.item != nil:
			l.begin(m.at, s.item, s.progress, "playbtn")
		}
	})
}

// Seek goes to a position within the item.
func (m Moment) Seek(progress time.Duration) Moment {
	return m.do(func(l *timeline) { l.step(m.at).progress = progress.Milliseconds() })
}

// Next skips to the next item of the queue ("fwdbtn"); at its end the music stops.
func (m Moment) Next() Moment { return m.skip("fwdbtn", 0) }

// Previous goes back to the item before ("backbtn"), or to the start of the
// first one, which then is a play of its own.
func (m Moment) Previous() Moment { return m.skip("backbtn", -2) }

func (m Moment) skip(reason string, by int) Moment {
	return m.do(func(l *timeline) {
		l.finish(m.at, reason)
		l.next = max(0, l.next+by)
		if l.next == len(l.queue) {
			if l.repeat != "context" || len(l.queue) == 0 {
				return
			}
			l.next = 0
		}
		l.next++
		l.begin(m.at, l.queue[l.next-1], 0, reason)
	})
}

// Stop closes the player: what plays ends with "logout", the answer is 204 at once.
func (m Moment) Stop() Moment {
	return m.do(func(l *timeline) {
		l.finish(m.at, "logout")
		l.last().active = false
	})
}

// Repeat sets the repeat mode: off, track or context.
func (m Moment) Repeat(mode string) Moment {
	return m.do(func(l *timeline) {
		l.repeat = mode
		l.step(m.at).repeat = mode
	})
}

// Shuffle switches shuffle on or off; a play has what was set when it began.
func (m Moment) Shuffle(on bool) Moment {
	return m.do(func(l *timeline) { l.step(m.at).shuffle = on })
}

// Context sets where the following plays are started from; nil is nowhere.
func (m Moment) Context(context *Context) Moment {
	return m.do(func(l *timeline) { l.context = context })
}

// Device hands over to another device. A play that is open goes on there and
// counts for the device on which it ended.
func (m Moment) Device(device Device) Moment {
	return m.do(func(l *timeline) { l.step(m.at).device = &device })
}

// Volume sets the volume of the device in percent.
func (m Moment) Volume(percent int) Moment {
	return m.do(func(l *timeline) {
		s := l.step(m.at)
		device := *s.device
		device.VolumePercent = percent
		s.device = &device
	})
}

// Private switches the private session on or off. A play that was private at
// any moment never appears in recently-played.
func (m Moment) Private(on bool) Moment { return m.do(func(l *timeline) { l.setPrivate(m.at, on) }) }

// Offline takes the device off the network or brings it back. Meanwhile the
// player is gone (204), and the plays that end then appear in recently-played
// when it is back, with the times at which they ended.
func (m Moment) Offline(on bool) Moment { return m.do(func(l *timeline) { l.setOffline(m.at, on) }) }

// Crossfade lets tracks end by themselves that much before their end from now on.
func (m Moment) Crossfade(d time.Duration) Moment {
	return m.do(func(l *timeline) {
		l.step(m.at) // what was played until now is settled
		l.crossfade = d.Milliseconds()
	})
}

// Play starts items now. See Moment.Play.
func (u *User) Play(items ...Item) Moment { return u.Now().Play(items...) }

func (s *Spotify) internAll(items []Item) []*entry {
	entries := make([]*entry, len(items))
	for i, item := range items {
		entries[i] = s.intern(item)
	}
	return entries
}

// Played is what was really played: the truth that a recorder is held against.
type Played struct {
	Item                   Item
	StartedAt, EndedAt     time.Time // in whole ms, UTC
	MSPlayed               int64     // without pauses
	ReasonStart, ReasonEnd string    // as in the extended export
	Skipped                bool      // ended by fwdbtn, backbtn or endplay, as the export has it
	Device                 Device
	Context                *Context
	Shuffle                bool
	Offline                bool // the device was offline when it ended
	Private                bool // at any moment of it
}

// Played returns what had ended by a moment, in the order of the ends. Ads and
// unknown things are no plays.
func (u *User) Played(until time.Time) []Played {
	u.spotify.mu.Lock()
	defer u.spotify.mu.Unlock()
	played := make([]Played, u.timeline.ended(until.UnixMilli()))
	for i := range played {
		p := &u.timeline.plays[i]
		played[i] = Played{
			Item: p.item.Item, StartedAt: utc(p.start), EndedAt: utc(p.end), MSPlayed: p.sounded,
			ReasonStart: p.reasonStart, ReasonEnd: p.reasonEnd, Skipped: skipped(p.reasonEnd),
			Device: *p.device, Context: p.context, Shuffle: p.shuffle, Offline: p.offline, Private: p.private,
		}
	}
	return played
}

// State is what a listener really does at a moment.
type State struct {
	Item     Item // of the zero Kind if there is none
	Playing  bool
	Progress time.Duration
	Device   Device
	Private  bool
	Offline  bool
}

// State returns what u does at a moment, whatever the API shows of it.
func (u *User) State(at time.Time) State {
	u.spotify.mu.Lock()
	defer u.spotify.mu.Unlock()
	s := u.timeline.at(at.UnixMilli())
	state := State{Playing: s.playing, Device: *s.device, Private: s.private, Offline: s.offline}
	if s.item != nil {
		state.Item, state.Progress = s.item.Item, time.Duration(s.progress)*time.Millisecond
	}
	return state
}

// skipped is what the extended export says since November 2022, without exception.
func skipped(reasonEnd string) bool {
	return slices.Contains([]string{"fwdbtn", "backbtn", "endplay"}, reasonEnd)
}
