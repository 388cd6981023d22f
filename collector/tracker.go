package collector

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

const (
	// lookError is how well a look tells the position within an item: the time
	// that the answer took, unless that is longer, and Spotify's own rounding.
	lookError = 2 * time.Second
	// crossfade is how much before its end an item may give way to the next one
	// by itself (Spotify's longest setting).
	crossfade = 12 * time.Second
	// logout is after what pause Spotify ends a play; when it goes on after that
	// it is another one. In history A the plays that end with "logout" do so 634 s
	// (median) after the sound stopped.
	logout = 10 * time.Minute
	// overlook is for how long an item may be missing from the player's answers, as
	// it is while a device changes its network, or when Spotify does not name it for
	// a moment, before its play is given up.
	overlook = 2 * time.Minute
	// unlisted is after what time it is given up if Spotify's list will tell whether
	// it has ended, and does not.
	unlisted = 24 * time.Hour
	// listedFrom is what a play must have to be in recently-played, as a rule.
	listedFrom = 30 * time.Second
)

// tracker makes plays of looks at the player. It believes our own clock and the
// position within the item; Spotify's "timestamp" may be minutes old.
//
// A look tells three things for sure: which item was there, how far it had come,
// and whether it moved. What lay between two looks follows from both:
//
//   - Same item, further by as much as time has passed: it played.
//   - Same item, further by less: it was paused for the difference.
//   - Same item, further by more: somebody skipped ahead.
//   - Same item, back by what it takes to finish and begin again: a repeat.
//   - Same item, back at a position that a start from zero would have reached: it
//     was restarted. Spotify counts "previous" as a new play and a seek to zero
//     not, and both look the same; see restart and journal.Break.
//   - Another item, whose own position tells when it began: the first one ended
//     then, or when it was through, whichever is earlier.
type tracker struct {
	// Open is what plays, or is paused, as of the last look; nil: nothing. It is
	// kept in the journal, so that a play outlives a restart.
	Open *openPlay `json:"open"`
	// LookedAt is when the player was looked at last, whatever it showed, and ShownAt when
	// it last showed anything at all.
	LookedAt time.Time `json:"looked_at"`
	ShownAt  time.Time `json:"shown_at,omitzero"`
	// Left is what was given up last, or paused when another item took its place: it
	// may go on from there.
	Left left `json:"left,omitzero"`
	// Ghost is what the player goes on to show although it is over: see isGhost.
	Ghost ghost `json:"ghost,omitzero"`

	recordPrivate bool
	hidden        string // what plays and was private at a moment, as key has it; never stored
}

// left is an item and where it was left.
type left struct {
	Item     string        `json:"item"` // its key
	Position time.Duration `json:"position"`
	// Heard is what had been heard of it by then if its play may go on, too.
	Heard time.Duration `json:"heard,omitempty"`
}

// ghost is an item and a position at which it stands still.
type ghost struct {
	Item     string        `json:"item"`     // its key
	Position time.Duration `json:"position"` // -1 if the player tells none
}

// isGhost reports whether a look shows something that is over. When all devices are
// switched off the player may say for hours that an item plays, at one position
// (spotify/web-api#623), or at none. What has not moved when it should have ended is a
// ghost, and stays one until it moves; an item of unknown length has as long as Spotify
// lets a paused player stay.
func (t *tracker) isGhost(p *spotify.Player, item *journal.Item, position time.Duration, known bool, now time.Time) bool {
	shown := ghost{key(item), position}
	if !known {
		shown.Position = -1
	}
	if !p.Playing {
		return false
	}
	if t.Ghost == shown {
		return true
	}
	o := t.Open
	if o == nil || !o.Playing || !same(&o.Item, item) {
		return false
	}
	over := o.through()
	if over.IsZero() {
		over = o.SeenAt.Add(logout)
	}
	still := known && position == o.Position
	if !known { // on repeat it begins again, which cannot be seen
		still = p.Repeat != "track" && duration(item) > 0
	}
	if !still || now.Before(over.Add(crossfade)) {
		return false
	}
	t.Ghost = shown
	return true
}

// restoreTracker returns the tracker that stored its state in the journal.
func restoreTracker(state []byte, recordPrivate bool) (*tracker, error) {
	t := &tracker{recordPrivate: recordPrivate}
	if len(state) == 0 {
		return t, nil
	}
	if err := json.Unmarshal(state, t); err != nil {
		return t, fmt.Errorf("read what was open: %w", err)
	}
	return t, nil
}

// state returns what restoreTracker takes.
func (t *tracker) state() []byte {
	state, err := json.Marshal(t)
	if err != nil {
		panic(err) // plain values only: cannot happen
	}
	return state
}

// clone is a copy that goes on by itself.
func (t *tracker) clone() *tracker {
	copied := *t
	if t.Open != nil {
		copied.Open = new(*t.Open)
	}
	return &copied
}

// playing tells whether something played at the last look.
func (t *tracker) playing() bool { return t.Open != nil && t.Open.Playing && !t.Open.Gone }

// haunted tells whether the last look showed a ghost.
func (t *tracker) haunted() bool { return t.Ghost.Item != "" }

// gone tells whether something is open that the player does not show any more.
func (t *tracker) gone() bool { return t.Open != nil && t.Open.Gone }

// look takes in what the player showed and returns the plays that have ended
// since the last look, oldest first. What was only ever seen paused is no play: it
// may lie there since yesterday.
//
// elapsed is the time since the last look by a clock that nobody sets, 0 if there
// is none: not after a restart. It is negative if the answer was overtaken by the
// last one.
func (t *tracker) look(p spotify.Player, elapsed time.Duration) []journal.Report {
	if elapsed < 0 {
		return nil
	}
	now := p.ReceivedAt.Round(0).UTC()
	set := now.Sub(t.LookedAt) - elapsed // by so much the clock was set meanwhile
	if set < 0 {
		t.shift(set)
	}
	if set < 0 || elapsed == 0 {
		set = 0
	}
	// When within a slow answer's round trip the position was read is not known.
	slow := max(0, p.RoundTrip-lookError) / 2
	t.slow(slow)
	reports := t.see(&p, now, set)
	t.slow(slow)
	t.LookedAt = now
	if p.Active {
		t.ShownAt = now
	}
	return slices.DeleteFunc(reports, func(r journal.Report) bool { return r.MSPlayed <= 0 })
}

// slow notes by how much more than usual a look at what is open may be off.
func (t *tracker) slow(by time.Duration) {
	if t.Open != nil {
		t.Open.Slow = max(t.Open.Slow, by)
	}
}

func (t *tracker) see(p *spotify.Player, now time.Time, set time.Duration) []journal.Report {
	var position time.Duration
	known := p.ProgressMS != nil
	if known {
		position = time.Duration(*p.ProgressMS) * time.Millisecond
	}
	var item journal.Item
	visible := p.Active && p.Item != nil
	if visible {
		item = itemOf(p.Item)
		if length := duration(&item); length > 0 && position > length {
			known = known && position <= length+lookError
			position = length
		}
	}
	open := t.Open
	// Private for a moment is private: Spotify lists such a play nowhere.
	private := p.Active && p.PrivateSession && !t.recordPrivate
	switch {
	case visible && private:
		t.hidden = key(&item)
	case visible && t.hidden == key(&item):
		private = true
	case visible:
		t.hidden = ""
	}
	if visible && private {
		if open != nil && same(&open.Item, &item) {
			t.Open = nil
			return nil
		}
		visible = false
	}
	haunted := visible && t.isGhost(p, &item, position, known, now)
	if haunted {
		visible = false
		if open != nil && open.MissedAt.IsZero() {
			open.MissedAt = cmp.Or(open.FrozenAt, now)
		}
	} else {
		t.Ghost = ghost{}
	}
	switch {
	case open == nil && !visible:
		return nil
	case open == nil:
		t.begin(p, item, now, position, known, false)
		return nil
	case !visible:
		if haunted && (open.Entered || t.Ghost.Position < 0 && open.listed()) {
			// It was never seen to move: it may stand there since yesterday. If it did sound,
			// Spotify's list has it.
			t.leave()
			return nil
		}
		if haunted || p.Item == nil && p.Kind != "ad" {
			if !open.missed(now) {
				return nil
			}
			if open.listed() && now.Sub(open.MissedAt) < unlisted {
				open.Gone = true // it may go on; a paused player is shown for ten minutes only
				return nil
			}
		}
		t.leave()
		t.Left = left{Item: key(&open.Item), Position: open.Position, Heard: open.Listened}
		if !open.MissedAt.IsZero() {
			return []journal.Report{open.giveUp(now)}
		}
		return []journal.Report{open.vanish(now)}
	case same(&open.Item, &item):
		if !known {
			position = open.expected(now)
		}
		return t.proceed(p, item, now, position, set)
	}
	began := now.Add(-position)
	if through := open.through(); !known {
		began = time.Time{}
		if !through.IsZero() && !through.After(now) {
			began = through
		}
	} else if began.Before(open.SeenAt.Add(-lookError)) {
		// It did not begin at its start: when is not known.
		began = time.Time{}
	}
	ended := open.giveWay(p, now, began)
	t.leave()
	// Of another context it was chosen, and may have been entered in its middle.
	next := open.Playing && (p.Context.URI == open.ContextURI || ended.ReasonEnd == "trackdone")
	t.begin(p, item, now, position, known, next)
	if ended.ReasonEnd == "trackdone" && !t.Open.StartedAt.IsZero() {
		t.Open.ReasonStart = "trackdone"
		if gap := began.Sub(open.through()); gap > lookError && gap < overlook {
			t.Open.Uncertain += gap // it may have begun right then, and was moved back
		}
	}
	return []journal.Report{ended}
}

// listed takes in what Spotify's list has, which tells whether what is gone has
// ended, and returns it then.
func (t *tracker) listed(plays []spotify.Play) []journal.Report {
	o := t.Open
	if !t.gone() {
		return nil
	}
	since := o.SeenAt
	if !o.Playing {
		since = o.PausedAt
	}
	for i := range plays {
		p := &plays[i]
		if item := itemOf(&p.Item); same(&item, &o.Item) && p.PlayedAt.After(since.Add(-lookError)) {
			t.leave()
			if o.Playing { // where it was left is not known
				t.Left = left{Item: key(&o.Item), Position: -1}
			}
			return []journal.Report{o.giveUp(p.PlayedAt)}
		}
	}
	return nil
}

// same tells whether two looks show one item. Relinked uris of one play do not
// occur: Spotify decides the uri when a play begins.
func same(a, b *journal.Item) bool { return key(a) == key(b) }

// key tells items apart: by the uri, or the names of a file that has none.
func key(i *journal.Item) string { return cmp.Or(i.URI, i.SongKey()) }

func duration(i *journal.Item) time.Duration {
	return time.Duration(i.DurationMS) * time.Millisecond
}

// leave closes the open play.
func (t *tracker) leave() {
	if o := t.Open; !o.Playing {
		t.Left = left{Item: key(&o.Item), Position: o.Position}
	}
	t.Open = nil
}

// begin opens a play that the player shows at position (if that is known), and did
// not show at the last look. next tells whether it came after what sounded then.
func (t *tracker) begin(p *spotify.Player, item journal.Item, now time.Time, position time.Duration, known, next bool) {
	o := &openPlay{Item: item, SeenAt: now, Position: position, Playing: p.Playing, Uncertain: lookError}
	o.Entered = t.LookedAt.IsZero() || known && position > now.Sub(t.LookedAt)+lookError
	began, since := now.Add(-position), now.Sub(t.LookedAt) // if that was never: centuries
	further, again := position-t.Left.Position, t.Left.Item == key(&item)
	switch {
	case !p.Playing:
		o.Uncertain = max(lookError, position)
	case !known: // somewhere in it
		o.Position = min(since, duration(&item)) / 2
		o.Listened, o.Uncertain = o.Position, max(lookError, o.Position)
	case t.LookedAt.IsZero():
		// We have just come; it may have been paused, or entered in its middle.
		o.StartedAt, o.Listened, o.Uncertain = began, position, max(lookError, position)
	case position <= since+lookError:
		o.StartedAt, o.Listened = began, position // from its start
		if !next {
			// Or from where it was left, some time ago.
			o.Uncertain = max(lookError, position)
		}
	case again && further >= 0 && further <= since+lookError:
		o.StartedAt, o.Listened = now.Add(-further), further
	case item.Kind == journal.Track && !again && t.LookedAt.After(t.ShownAt) && !began.Before(t.ShownAt.Add(-lookError)):
		// Spotify showed nothing at all when it should have played already, as it does now
		// and then in the middle of a play (spotify/web-api#895), or while the device was out
		// of reach. Unless it was entered in its middle, all of it was heard. (What was left
		// last is likely to be entered there.)
		o.StartedAt, o.Listened, o.Uncertain = began, position, max(lookError, position)
	default:
		// Entered in its middle after the last look, or paused since; or all of it was
		// heard, on a device that was out of reach.
		o.Listened = min(position, since/2)
		o.Uncertain = max(lookError, position)
	}
	if again && further >= -lookError { // it may be the same play
		o.Uncertain += t.Left.Heard
	}
	t.Left.Heard = 0
	if !p.Playing {
		o.PausedAt, o.StillAt = now, now
	}
	o.circumstances(p)
	t.Open = o
}

// shift moves all times, after the clock was set.
func (t *tracker) shift(by time.Duration) {
	t.LookedAt, t.ShownAt = t.LookedAt.Add(by), t.ShownAt.Add(by)
	if t.Open != nil {
		t.Open.shift(by)
	}
}

// proceed is a look that shows the open item again.
func (t *tracker) proceed(p *spotify.Player, item journal.Item, now time.Time, position, set time.Duration) []journal.Report {
	o := t.Open
	missed, gone := !o.MissedAt.IsZero(), o.Gone
	o.MissedAt, o.Gone = time.Time{}, false
	passed, moved := now.Sub(o.SeenAt), position-o.Position
	still := moved == 0 && p.ProgressMS != nil || p.ProgressMS == nil && o.left() == 0 && p.Repeat != "track"
	if o.Playing && p.Playing && still && passed > lookError {
		// Nothing that plays stands still: an old answer from a cache, or a ghost one day.
		if o.FrozenAt.IsZero() {
			o.FrozenAt = now
		}
		return nil
	}
	o.FrozenAt = time.Time{}
	if moved != 0 && p.ProgressMS != nil {
		o.Entered = false
	}
	if set > lookError && (moved-(passed-set)).Abs() <= lookError {
		// The clock was set forward. (After a suspend it is elapsed that is wrong.)
		o.shift(set)
		passed -= set
	}
	left := o.left()

	var ended []journal.Report
	switch {
	case o.Playing && !gone && left >= 0 && moved < -lookError && passed >= left-crossfade && position <= passed-left+crossfade+lookError:
		began := now.Add(-position)
		if !p.Playing && position == 0 { // it has stopped at its end, and shows its start
			began = o.SeenAt.Add(left)
		}
		if left-began.Sub(o.SeenAt) > lookError {
			// Crossfaded into itself, or moved back before its end.
			ended = t.restart(p, now, position)
			o = t.Open
			break
		}
		ended = t.again(p, began)
		o = t.Open
		o.Listened = position
	case moved < -lookError && position <= passed+lookError:
		ended = t.restart(p, now, position)
		o = t.Open
	case !o.pausedLong(passed, moved) || o.listed():
		listened, unsure := o.heard(p.Playing, passed, moved)
		paused, until := !o.PausedAt.IsZero(), now.Add(-max(0, moved))
		switch jumped := moved < -lookError || moved > passed+lookError; {
		case jumped && (o.doubtful() || o.Listened == 0):
		case jumped && paused: // moved, or chosen again from there
			o.divide(o.PausedAt, now, 0)
		case jumped:
			o.divide(o.SeenAt, now, passed)
		case passed-moved <= lookError:
		case paused && (missed || until.Sub(o.PausedAt) >= logout):
			o.divide(o.PausedAt, until, 0)
		case paused:
			o.paused(until)
		case missed || passed-moved >= logout:
			o.divide(o.SeenAt, now, max(0, moved))
		}
		if length := duration(&item); length > 0 && (gone || passed-moved >= logout) {
			unsure = min(unsure, length) // mostly it was paused
		}
		o.Listened += max(0, listened)
		o.Uncertain += unsure
		if o.StartedAt.IsZero() && p.Playing && o.Listened == listened {
			o.StartedAt = now.Add(-max(0, listened))
		}
	default:
		// Paused for so long that Spotify may have ended the play. If it has not, an
		// export tells that what goes on is no other one.
		stopped, uncertain := o.SeenAt, lookError
		if !o.PausedAt.IsZero() {
			stopped = o.PausedAt
		}
		listened, unsure := o.heard(p.Playing, passed, moved)
		if !o.Playing {
			uncertain = max(uncertain, unsure)
		}
		uncertain += o.Listened
		resumed := now.Add(-max(0, listened))
		ended = append(ended, o.end(stopped, max(lookError, resumed.Sub(stopped)), "logout", 0, max(0, moved)))
		t.Open = &openPlay{Item: item, SeenAt: o.SeenAt, Position: o.Position, Listened: max(0, listened), Uncertain: uncertain, ReasonStart: "appload"}
		o = t.Open
		if p.Playing {
			o.StartedAt = resumed
		}
	}
	if p.Playing {
		o.PausedAt, o.StillAt = time.Time{}, time.Time{}
	} else if o.PausedAt.IsZero() || moved > lookError {
		o.PausedAt, o.StillAt = earlier(now, o.SeenAt.Add(max(0, position-o.Position))), now
	}
	o.Item, o.SeenAt, o.Position, o.Playing = item, now, position, p.Playing
	o.circumstances(p)
	if length := duration(&item); !p.Playing && length > 0 && position >= length-lookError && o.Listened > 0 {
		// It has stopped at its end, and lies there until the player is gone.
		// Or it was paused just before, and ends with the logout.
		ended = append(ended, o.end(o.PausedAt, logout+overlook, "trackdone", 0, 0))
		o.StartedAt, o.PausedAt, o.Listened, o.Uncertain, o.Break = time.Time{}, now, 0, lookError, journal.Break{}
	}
	return ended
}

// again is a look that shows the open item, which must be through, at its start
// again, since began. What was not looked at in between are further plays of it if
// it is set to repeat; but of a track recently-played tells them, and that it was
// all something else.
func (t *tracker) again(p *spotify.Player, began time.Time) []journal.Report {
	var ended []journal.Report
	o := t.Open
	for {
		left := o.left()
		end := o.SeenAt.Add(left)
		gap := began.Sub(end)
		sure, moreError := lookError, lookError
		switch {
		case !p.Playing: // or paused before its end and moved to its start, as the list will tell
			sure, moreError = logout, left
		case gap.Abs() > crossfade: // or left before its end, and chosen again
			sure, moreError = max(left, gap), left
		}
		if gap.Abs() <= crossfade {
			end = began
		}
		ended = append(ended, o.end(end, sure, "trackdone", min(left, max(0, end.Sub(o.SeenAt))), moreError))
		next := *o
		next.StartedAt, next.SeenAt, next.Position, next.Listened, next.Uncertain = end, end, 0, 0, lookError
		next.ReasonStart, next.Break = "trackdone", journal.Break{}
		o = &next
		if p.Repeat != "track" || o.Item.Kind == journal.Track || gap < duration(&o.Item)-crossfade || gap > time.Hour {
			break
		}
	}
	o.StartedAt = began
	if !p.Playing { // at any time since, or not yet
		o.StartedAt = time.Time{}
	}
	t.Open = o
	return ended
}

// restart is a look that shows the item back at what a start from zero would have
// reached. Who pressed "previous" has begun a new play, who has moved the
// position to zero has not, and nobody can tell. Spotify's list will, if what was
// listened before is enough to be listed: until then it stays one play, which
// knows when it was restarted. What is too short to be listed would be lost, so it
// becomes a play of its own.
func (t *tracker) restart(p *spotify.Player, now time.Time, position time.Duration) []journal.Report {
	o := t.Open
	if !o.Playing && !p.Playing {
		// Moved back while it was paused, or heard from the start and paused again; or
		// heard to its end, and stopped at its start.
		o.divide(o.PausedAt, now, 0)
		o.Uncertain += max(position, min(now.Sub(o.SeenAt), o.left()))
		o.StillAt = now
		return nil
	}
	began := now.Add(-position)
	if !o.Playing && o.listed() { // chosen again, or moved back in the pause
		o.divide(o.PausedAt, now, 0)
		o.Listened, o.Uncertain = o.Listened+position, o.Uncertain+position
		return nil
	}
	if !o.Playing {
		ended := o.giveWay(p, now, began)
		t.begin(p, o.Item, now, position, true, false)
		t.Open.Uncertain += o.Listened
		return []journal.Report{ended}
	}
	more, most := max(0, began.Sub(o.SeenAt)), now.Sub(o.SeenAt)
	if left := o.left(); left >= 0 {
		more, most = min(more, left), min(most, left)
	}
	if !p.Playing { // and stopped there, at any time since the last look
		more /= 2
	}
	o.Uncertain += more // unless it was paused
	if o.Listened+more >= listedFrom {
		o.divide(o.SeenAt, now, most)
		o.Listened += more + position
		return nil
	}
	ended := o.end(began, lookError, "backbtn", more, lookError)
	next := *o
	next.StartedAt, next.Listened, next.Uncertain, next.ReasonStart = began, position, lookError+o.Listened+more, "backbtn"
	t.Open = &next
	return []journal.Report{ended}
}
