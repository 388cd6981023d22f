package journal

import "cmp"

// What a play takes from which of its reports. For every field the witnesses are
// asked in the order written here, and the first that knows decides.
var (
	// To the ms; to the second; between two looks; to the minute.
	trustEnd = []Witness{RecentlyPlayed, ExtendedHistory, Playback, AccountData}
	// While the list has the start, its end is a guess from the length of the item.
	trustEndOfStarted = []Witness{ExtendedHistory, Playback, RecentlyPlayed, AccountData}
	// Spotify's own stamp, if the list has starts; that of the export; our clock minus
	// progress.
	trustStart = []Witness{RecentlyPlayed, ExtendedHistory, Playback}
	// Spotify's own counts; then looks.
	trustMSPlayed = []Witness{ExtendedHistory, AccountData, Playback}
	// Recently-played has the uri that was played, the player may show a relinked one.
	trustItem = []Witness{RecentlyPlayed, ExtendedHistory, Playback, AccountData}
	// The exports know neither context nor device.
	trustContext = []Witness{RecentlyPlayed, Playback}
	trustDevice  = []Witness{Playback}
	// What only Spotify's client knows for sure; the tracker concludes it.
	trustReasons = []Witness{ExtendedHistory, Playback}
)

// first returns what the first of the witnesses that knows says.
func first[T comparable](c *cluster, order []Witness, of func(*reportRow) T) T {
	var none T
	for _, w := range order {
		for _, r := range c.reports {
			if r.witness == w {
				if v := of(r); v != none {
					return v
				}
			}
		}
	}
	return none
}

// item is the item that the most trusted report names which has a uri and all letters
// of the names; else one that has a name.
func (c *cluster) item() *itemRow {
	among := func(fits func(*itemRow) bool) *itemRow {
		return first(c, trustItem, func(r *reportRow) *itemRow {
			if fits(r.item) {
				return r.item
			}
			return nil
		})
	}
	return cmp.Or(
		among(func(i *itemRow) bool { return i.uri != "" && i.title != "" && !i.damaged() }),
		among(func(i *itemRow) bool { return i.title != "" && !i.damaged() }),
		among(func(i *itemRow) bool { return i.title != "" }),
		among(func(i *itemRow) bool { return true }),
	)
}

// derive makes the play of a cluster, all but its id, its point's time and, where
// nobody knows the listening time, its estimate.
func (c *cluster) derive() *playRow {
	p := &playRow{
		item:      c.item(),
		endedMS:   c.ender().endedMS,
		startedMS: first(c, trustStart, func(r *reportRow) int64 { return r.startedMS }),
		circumstances: circumstances{
			contextType: first(c, trustContext, func(r *reportRow) string { return r.contextType }),
			contextURI:  first(c, trustContext, func(r *reportRow) string { return r.contextURI }),
			device:      first(c, trustDevice, func(r *reportRow) string { return r.device }),
			deviceType:  first(c, trustDevice, func(r *reportRow) string { return r.deviceType }),
			platform:    first(c, trustReasons, func(r *reportRow) string { return r.platform }),
			country:     first(c, trustReasons, func(r *reportRow) string { return r.country }),
			reasonStart: first(c, trustReasons, func(r *reportRow) string { return r.reasonStart }),
			reasonEnd:   first(c, trustReasons, func(r *reportRow) string { return r.reasonEnd }),
			shuffle:     first(c, trustReasons, func(r *reportRow) answer { return r.shuffle }),
			offline:     first(c, trustReasons, func(r *reportRow) answer { return r.offline }),
			incognito:   first(c, trustReasons, func(r *reportRow) answer { return r.incognito }),
			skipped:     first(c, trustReasons, func(r *reportRow) answer { return r.skipped }),
		},
	}
	if listed := c.by(RecentlyPlayed); listed != nil {
		p.afterMS = listed.afterMS
	}
	for _, r := range c.reports {
		p.witnesses |= 1 << r.witness
		if r.batch != 0 && (p.batch == 0 || r.batch < p.batch) {
			p.batch = r.batch
		}
	}
	c.deriveMSPlayed(p)
	if p.startedMS > p.endedMS { // by the clock of a listener's device that is ahead
		p.startedMS = 0
	}
	return p
}

// deriveMSPlayed sets the listening time where a witness knows it.
func (c *cluster) deriveMSPlayed(p *playRow) {
	listed := c.by(RecentlyPlayed)
	for _, w := range trustMSPlayed {
		r := c.by(w)
		if r == nil || r.msPlayed < 0 {
			continue
		}
		p.msPlayed, p.msError, p.msSource = r.msPlayed, r.msError, Reported
		if w != Playback {
			return
		}
		p.msSource = Measured
		if listed != nil && !c.starting() {
			p.msPlayed, p.msError = r.playedUntil(listed.endedMS)
		}
		if c.first != nil {
			before := r.playedBefore(c.first.ender().endedMS)
			p.msPlayed = max(0, p.msPlayed-before)
			p.msError += finishMS
			p.startedMS = p.endedMS - p.msPlayed
		}
		return
	}
	p.msSource = Estimated
	if c.rest != nil {
		followed := c.rest.by(Playback)
		p.msSource = Measured
		p.msPlayed, p.msError = followed.playedBefore(p.endedMS), followed.seenError+finishMS
		p.startedMS = followed.startedMS
	}
}

// finishMS is how exactly the end of an item is met: a play whose time left and
// whose time until its end agree to within it was heard to the end.
const finishMS = 2_000

// playedUntil returns the listening time of the tracker's report and its error,
// given the true end: what had been heard at the last look, and what came after.
func (r *reportRow) playedUntil(endedMS int64) (ms, errorMS int64) {
	after := endedMS - r.seenMS
	if r.seenMS == 0 || after < -finishMS {
		return r.msPlayed, r.msError
	}
	after = max(0, after)
	switch {
	case r.seenStillMS != 0: // paused; if it went on, then after the last look
		more := max(0, endedMS-r.seenStillMS)
		if r.seenLeft >= 0 {
			more = min(more, r.seenLeft)
		}
		return r.seenPlayed, r.seenError + max(more, finishMS)
	case r.seenLeft < 0:
		return r.seenPlayed + after, r.seenError + max(after, finishMS)
	case abs(after-r.seenLeft) <= finishMS: // heard to the end without a pause
		return r.seenPlayed + r.seenLeft, r.seenError + finishMS
	case after < r.seenLeft: // left early; a pause in between cannot be ruled out
		return r.seenPlayed + after, r.seenError + max(after, finishMS)
	default: // paused in between, then heard to the end or left
		return r.seenPlayed + r.seenLeft, r.seenError + max(r.seenLeft, finishMS)
	}
}

// playedBefore returns what of the tracker's report was listened in a first play
// that ended at endedMS, in the break.
func (r *reportRow) playedBefore(endedMS int64) int64 {
	return r.breakPlayed + min(r.breakMore, max(0, endedMS-r.breakFromMS))
}

// estimate sets the listening time of a play that only recently-played has seen:
// what fits between the end of the play before and its own, at most the item's
// length, and at least what it takes to be listed; less if the player was seen
// without it meanwhile. previousMS 0: nothing before.
func (p *playRow) estimate(previousMS int64) {
	ms := p.item.DurationMS
	if previousMS != 0 && (ms == 0 || p.endedMS-previousMS < ms) {
		ms = p.endedMS - previousMS
	}
	if p.item.DurationMS == 0 {
		ms = min(max(ms, shortestListedMS), 10*60_000) // of an unknown length: no more than most have
	}
	shortest := int64(shortestListedMS)
	if p.item.DurationMS != 0 {
		shortest = min(shortest, p.item.DurationMS)
	}
	if most := p.endedMS - p.afterMS; p.afterMS != 0 && most > shortest && most < ms {
		// It began at some time after that look, and was not heard to its end; unless
		// its device was offline and unseen, for which the error has room.
		p.msPlayed = (most + shortest) / 2
		p.msError = max(p.msPlayed-shortest, ms-p.msPlayed)
		return
	}
	if p.msPlayed = ms; ms < shortest {
		// The play before cannot have ended so late.
		p.msPlayed = shortest
		ms = max(p.item.DurationMS, shortest)
	}
	p.msError = ms - shortest
}
