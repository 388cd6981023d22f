package collector

import (
	"cmp"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// openPlay is a play that has not ended.
type openPlay struct {
	Item      journal.Item `json:"item"`
	StartedAt time.Time    `json:"started_at"` // zero if nobody can tell

	SeenAt    time.Time     `json:"seen_at"`            // the last look
	Position  time.Duration `json:"position"`           // in the item, then
	Playing   bool          `json:"playing"`            // or paused, then
	PausedAt  time.Time     `json:"paused_at,omitzero"` // at the earliest
	StillAt   time.Time     `json:"still_at,omitzero"`  // the first look that showed it paused
	FrozenAt  time.Time     `json:"frozen_at,omitzero"` // the first look since that showed it playing and unmoved
	MissedAt  time.Time     `json:"missed_at,omitzero"` // the first look since that did not show it
	Entered   bool          `json:"entered,omitempty"`  // first seen in its middle, and not seen to move since
	Gone      bool          `json:"gone,omitempty"`     // missed for so long that only Spotify's list tells whether it has ended
	Listened  time.Duration `json:"listened"`           // until then
	Uncertain time.Duration `json:"uncertain"`          // how far Listened may be off
	Slow      time.Duration `json:"slow,omitzero"`      // how far a time may be off because an answer took long

	Device      string `json:"device"`
	DeviceType  string `json:"device_type"`
	ContextType string `json:"context_type"`
	ContextURI  string `json:"context_uri"`
	Shuffle     bool   `json:"shuffle"`
	Private     bool   `json:"private"`
	ReasonStart string `json:"reason_start"`

	// Break is where it may have been two plays; the longest pause, or the last
	// time that it went back to its start.
	Break journal.Break `json:"break,omitzero"`
}

// circumstances are as of the last look: a play that is handed over counts for
// the device on which it ended.
func (o *openPlay) circumstances(p *spotify.Player) {
	o.Device, o.DeviceType = p.Device.Name, p.Device.Type
	o.ContextType, o.ContextURI = p.Context.Type, p.Context.URI
	o.Shuffle = p.Shuffle
	o.Private = o.Private || p.PrivateSession
}

// left is what was left of the item at the last look, -1 if its length is not
// known.
func (o *openPlay) left() time.Duration {
	length := duration(&o.Item)
	if length == 0 {
		return -1
	}
	return max(0, length-o.Position)
}

// through is when the item is through if nothing happens; zero if it is paused or
// its length is not known.
func (o *openPlay) through() time.Time {
	left := o.left()
	if !o.Playing || left < 0 {
		return time.Time{}
	}
	return o.SeenAt.Add(left)
}

// expected is the position at a time if nothing has happened since the last look.
func (o *openPlay) expected(at time.Time) time.Duration {
	if !o.Playing {
		return o.Position
	}
	position := o.Position + at.Sub(o.SeenAt)
	if length := duration(&o.Item); length > 0 {
		position = min(position, length)
	}
	return position
}

func (o *openPlay) shift(by time.Duration) {
	for _, t := range []*time.Time{&o.StartedAt, &o.SeenAt, &o.PausedAt, &o.StillAt, &o.FrozenAt, &o.MissedAt, &o.Break.From, &o.Break.Until} {
		if !t.IsZero() {
			*t = t.Add(by)
		}
	}
}

// missed is a look at a player that names no item. It tells whether the play is to
// be given up: not at once, since its device may be back in a moment.
func (o *openPlay) missed(now time.Time) bool {
	if o.MissedAt.IsZero() {
		o.MissedAt = now
	}
	through := o.through()
	return now.Sub(o.MissedAt) >= overlook || !through.IsZero() && !through.After(now)
}

// listed tells whether Spotify's list will have the play if it has ended where it was
// seen last. If it goes on from there it stays one play until the list has two.
func (o *openPlay) listed() bool {
	return o.Item.Kind == journal.Track && !o.Private && o.Listened >= listedFrom
}

// pausedLong tells whether the item stood still for so long that Spotify may have
// ended its play. It does not always: in history A 179 of 34,702 plays were paused
// for 12 minutes and more, and went on or ended otherwise.
func (o *openPlay) pausedLong(passed, moved time.Duration) bool {
	still := passed - max(0, moved)
	if !o.StillAt.IsZero() {
		still += o.SeenAt.Sub(o.StillAt)
	}
	return still >= logout && moved > 0
}

// heard is how much sounded since the last look, at one that shows the item further
// by moved, and how far that may be off.
func (o *openPlay) heard(playing bool, passed, moved time.Duration) (listened, unsure time.Duration) {
	ahead := moved > passed+lookError // somebody has moved it; it sounded at most while time has passed
	switch {
	case ahead && o.Playing && playing: // mostly it sounded all along
		return passed, passed
	case ahead && (o.Playing || playing):
		return passed / 2, passed / 2
	case ahead: // mostly while it was paused
		return 0, passed
	case moved < -lookError && o.Playing: // went back
		return passed, passed
	case moved < -lookError && playing: // went back in the pause, or later
		return 0, passed
	case moved > 0 && !o.Playing && !playing && o.Listened == 0:
		// Lies there, and was moved: it has not sounded, mostly. Of what sounded for long
		// enough the list knows.
		return 0, moved
	case moved > lookError && !o.Playing && o.Listened == 0: // lay there, perhaps elsewhere in the end
		return moved, moved
	case moved > lookError && !o.Playing && !playing: // sounded for a while, or was moved
		return moved, moved
	case moved < 0: // or was rounded differently
		return 0, 0
	case passed-moved > lookError && o.Playing && playing:
		// Paused in between; or it went back a little, and sounded all along.
		return moved, passed - moved
	}
	return moved, 0
}

// paused notes the longest pause, unless something else has been noted.
func (o *openPlay) paused(until time.Time) {
	if o.doubtful() || until.Sub(o.PausedAt) <= o.Break.Until.Sub(o.Break.From) {
		return
	}
	o.Break = journal.Break{From: o.PausedAt, Until: until, MSPlayed: o.Listened.Milliseconds()}
}

// doubtful tells whether it may well have been two plays at what is noted.
func (o *openPlay) doubtful() bool {
	return o.Break.MSMore > 0 || o.Break.Until.Sub(o.Break.From) >= logout
}

// divide notes that it may have been two plays from from to until, and how much more
// than what is known can have sounded of the first one. Of three only two can be told.
func (o *openPlay) divide(from, until time.Time, more time.Duration) {
	if from.Equal(o.Break.From) { // the same pause, further on
		o.Break.Until = until
		return
	}
	if o.doubtful() {
		o.Uncertain += time.Duration(o.Break.MSPlayed) * time.Millisecond
		o.StartedAt = time.Time{}
	}
	o.Break = journal.Break{From: from, Until: until, MSPlayed: o.Listened.Milliseconds(), MSMore: more.Milliseconds()}
}

// giveUp ends a play that was missed for too long, or which Spotify's list says to
// have ended by a time.
func (o *openPlay) giveUp(by time.Time) journal.Report {
	if !o.Playing { // Spotify may end it when it gives the device up
		return o.endPaused(later(o.MissedAt.Add(logout), by), "logout")
	}
	ended := o.vanish(o.MissedAt)
	ended.EndedError = max(ended.EndedError, by.Sub(ended.EndedAt))
	return ended
}

// vanish ends a play whose item is not there any more, and nothing else that
// would tell since when.
func (o *openPlay) vanish(now time.Time) journal.Report {
	from, until := o.SeenAt, now
	if through := o.through(); !through.IsZero() && !through.After(now) {
		// It can have been heard to its end, and mostly is; or paused, and given up.
		return o.end(through, max(through.Sub(from), until.Sub(through))+logout, "trackdone", o.left(), max(lookError, o.left()))
	}
	between := until.Sub(from) / 2
	if !o.Playing { // Spotify may end it when it gives the device up
		return o.endPaused(until.Add(logout), "logout")
	}
	// The device may have left the network and play on: until the item is through,
	// or paused and given up.
	sure, late := between, between+logout
	if through := o.through(); !through.IsZero() {
		sure = through.Sub(from.Add(between))
		late = sure + logout
	}
	return o.end(from.Add(between), max(lookError, late), "unknown", between, max(lookError, sure))
}

// giveWay ends a play in whose place another began; zero: when is not known. Of
// the same context that is a skip, as far as the player tells; of another one
// somebody has chosen something else.
func (o *openPlay) giveWay(p *spotify.Player, now, began time.Time) journal.Report {
	if o.Gone {
		return o.giveUp(cmp.Or(began, now))
	}
	if !o.Playing {
		until := later(o.SeenAt, cmp.Or(began, now))
		if o.PausedAt.Add(logout).Before(until) {
			return o.endPaused(until, "logout")
		}
		return o.endPaused(until, "endplay")
	}
	through := o.through()
	if began.IsZero() {
		until := now
		if !through.IsZero() && through.Before(until) {
			until = through
		}
		between := max(0, until.Sub(o.SeenAt)) / 2
		return o.end(o.SeenAt.Add(between), max(lookError, between), "endplay", between, max(lookError, between))
	}
	if began.Before(o.SeenAt) {
		began = o.SeenAt
	}
	sure := lookError
	if !o.MissedAt.IsZero() || !p.Playing {
		// It ended when it was missed first, or sounded on, on a device out of reach. And
		// what is paused began at any time.
		sure = max(sure, began.Sub(o.SeenAt))
	}
	if through.IsZero() { // of unknown length
		return o.end(began, sure, "unknown", began.Sub(o.SeenAt), sure)
	}
	switch early := through.Sub(began); {
	case early > crossfade:
		// Other items may have been skipped in between as well.
		since := began.Sub(o.SeenAt)
		reason := "fwdbtn"
		if p.Context.URI != o.ContextURI {
			reason = "endplay"
		}
		return o.end(began, max(lookError, since), reason, since, since)
	case early >= -lookError:
		return o.end(began, sure, "trackdone", began.Sub(o.SeenAt), sure)
	default:
		// Through, and then nothing for a while; or paused, or left, before.
		return o.end(through, max(sure, -early, o.left()), "trackdone", o.left(), max(lookError, o.left()))
	}
}

// endPaused ends a play that was paused and did not go on. To the listener it
// ended with the pause; Spotify's own end lies between that and until, when
// something else is known to have taken its place.
func (o *openPlay) endPaused(until time.Time, reason string) journal.Report {
	return o.end(o.PausedAt, max(lookError, until.Sub(o.PausedAt)), reason, 0, 0)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// end makes the report of the play: when it ended, how sure that is, why, and
// what was listened since the last look.
func (o *openPlay) end(at time.Time, sure time.Duration, reason string, more, moreError time.Duration) journal.Report {
	seen, still := o.SeenAt, time.Time{}
	if !o.Playing && !o.PausedAt.IsZero() {
		seen, still = o.PausedAt, o.SeenAt
	}
	sure, moreError = sure+o.Slow, moreError+o.Slow
	leftMS := int64(-1)
	if left := o.left(); left >= 0 {
		leftMS = left.Milliseconds()
	}
	var skipped *bool
	switch reason {
	case "fwdbtn", "backbtn", "endplay":
		skipped = new(true)
	case "trackdone":
		skipped = new(false)
	}
	return journal.Report{
		Witness: journal.Playback, Item: o.Item,
		EndedAt: at.Truncate(time.Millisecond), EndedError: sure.Truncate(time.Millisecond), StartedAt: o.StartedAt.Truncate(time.Millisecond),
		MSPlayed: (o.Listened + more).Milliseconds(), MSPlayedError: (o.Uncertain + o.Slow + moreError).Milliseconds(),
		SeenAt: seen.Truncate(time.Millisecond), SeenMSPlayed: o.Listened.Milliseconds(), SeenMSError: (o.Uncertain + o.Slow).Milliseconds(), SeenMSLeft: leftMS, SeenStillAt: still.Truncate(time.Millisecond), Break: o.Break,
		Device: o.Device, DeviceType: o.DeviceType, ContextType: o.ContextType, ContextURI: o.ContextURI,
		Shuffle: new(o.Shuffle), Incognito: new(o.Private), ReasonStart: o.ReasonStart, ReasonEnd: reason,
		Skipped: skipped,
	}
}
