package journal

import (
	"cmp"
	"slices"
)

// How reports become plays.
//
// The reports of one account and one title (titles.go) whose times touch are a chain; the
// plays of a chain are a function of its reports alone, in whatever order they
// came:
//
//  1. Each report of the most trusted witness is a play.
//  2. The reports of every further witness are assigned to the plays, all of the
//     chain at once: as many pairs as possible, and among those assignments the
//     one whose times agree best. Every play is claimed by at most one report of
//     each witness, and what no play is left for becomes a play of its own.
//  3. What the tracker alone has seen in the time of a play of the extended history,
//     which misses nothing, is a part of that one.
//
// So a track on repeat maps one to one, and a witness that saw more than another
// adds just what it saw more. Whether a report may be a play at all is
// (*cluster).cost; it has the cases and where their numbers come from.

// trusted is the order in which witnesses make plays. Spotify's own accounts
// come first: they miss nothing and see nothing twice.
var trusted = [...]Witness{ExtendedHistory, RecentlyPlayed, Playback, AccountData}

const (
	// slackMS is how far two witnesses' ends of one play may lie apart, beyond
	// what they say of their own errors. Peers use 60 to 90 s between the export
	// and recently-played (spotify-web-api.md §3.2).
	slackMS = 90_000
	// shortestListedMS: recently-played does not show shorter plays, as a rule.
	// It is not documented, so it only makes such a pair less likely.
	shortestListedMS = 30_000
	// repeatMS: two entries of recently-played with one uri that end within it
	// are one play whose time was shifted, as an item has to play for 30 s to
	// appear at all.
	repeatMS = 15_000
	// breakMS is how far a play's end may lie outside of the break at which the
	// tracker saw it go on.
	breakMS = 5_000
	// otherURIMS is what it costs, against a difference in time, to take two uris
	// for one song (relinking).
	otherURIMS = 10_000
	// durationMS is how far the lengths of one recording may differ between uris.
	durationMS = 2_000
	// logoutMS is after what pause Spotify gives a play up: 634 s (median) in real
	// exports.
	logoutMS = 600_000
	// vagueMS: a report whose end is less certain is found by an index of its own.
	vagueMS = 600_000
	// farMS is the farthest that a report has to do with others from its end: an
	// upload is believed up to 30 days after the play (the latest one in three real
	// exports came after 173 h), and so is an end that the tracker does not know.
	farMS = 31 * 24 * 3_600_000
)

// cluster is a play in the making: the reports that are one play.
type cluster struct {
	reports []*reportRow // in the order of trusted
	// first is the play that the first part of what the tracker followed was, when
	// another witness says that there were two; rest is the play whose first part
	// this one is, likewise. See Break.
	first, rest *cluster
}

// by returns the cluster's report of a witness, nil if it made none.
func (c *cluster) by(w Witness) *reportRow {
	for _, r := range c.reports {
		if r.witness == w {
			return r
		}
	}
	return nil
}

// ender returns the report whose end is believed: to the millisecond in
// recently-played, to the second in the extended history.
func (c *cluster) ender() *reportRow {
	order := trustEnd
	if c.starting() {
		order = trustEndOfStarted
	}
	for _, w := range order {
		if r := c.by(w); r != nil {
			return r
		}
	}
	panic("a play without reports")
}

// cost tells whether r may be one more report of the play c, and how badly their
// times agree (ms, 0 is best).
func (c *cluster) cost(r *reportRow) (int64, bool) {
	if !c.reports[0].item.sameSong(r.item) {
		return 0, false
	}
	// Account data is the extended history cut to the minute and without uris, so
	// the two agree exactly or not at all.
	if r.witness == AccountData {
		if extended := c.by(ExtendedHistory); extended != nil {
			return 0, extended.uploadedMS()/60_000 == r.endedMS/60_000 && extended.msPlayed == r.msPlayed
		}
	}
	end := c.ender()
	from, until := end.window()
	otherFrom, otherUntil := r.window()
	apart := max(0, otherFrom-until, from-otherUntil)
	if apart > slackMS {
		return 0, false
	}
	if end.before(r) || r.before(end) {
		return 0, false
	}
	cost := apart + end.off(r)/16
	if end.item != r.item && end.item.uri != "" && r.item.uri != "" {
		cost += otherURIMS
	}
	for _, have := range c.reports {
		if have.msPlayed < 0 || r.msPlayed < 0 {
			if known := max(have.msPlayed, r.msPlayed); known >= 0 && known+max(have.msError, r.msError) < shortestListedMS {
				cost += shortestListedMS
			}
			continue
		}
		differ := have.differ(r)
		// What the tracker saw as one play may be two of Spotify's, so times that
		// disagree only matter if the ends do as well.
		if differ > slackMS && end.off(r) > breakMS {
			return 0, false
		}
		cost += differ / 4
	}
	return cost, true
}

// before tells whether the play had ended when the tracker saw the other one begin:
// on repeat, the end of one is the start of the next.
func (r *reportRow) before(other *reportRow) bool {
	if other.witness != Playback || other.startedMS == 0 {
		return false
	}
	sure := min(finishMS, (other.endedMS-other.startedMS)/2)
	return r.endedMS <= other.startedMS+sure && r.endedMS < other.endedMS
}

// covers returns for how long (ms) the tracker followed a play of the extended
// history in what it took for a play of its own: one that went on after a pause or
// back to its start, or one that it believed to go on when another had begun. ok is
// false unless it began in the other's time, and either ended in it too, or began
// together with it or so long before its end that it cannot be the next on repeat.
func (r *reportRow) covers(tracked *reportRow) (ms int64, ok bool) {
	began := tracked.beganMS()
	if tracked.startedMS == 0 { // as little as was heard, if that is not known either
		began = max(began, min(began+tracked.msError, r.startedMS, tracked.lastMS()))
	}
	if began < r.startedMS-breakMS || began > r.endedMS || !r.item.sameSong(tracked.item) {
		return 0, false
	}
	within := tracked.lastMS() <= r.endedMS+breakMS
	if !within && tracked.breakFromMS != 0 && r.endedMS >= tracked.breakFromMS-breakMS && r.endedMS <= tracked.breakUntilMS+breakMS {
		return 0, false // the first of two plays: see Break
	}
	together := tracked.startedMS != 0 && abs(began-r.startedMS) <= breakMS
	return min(tracked.lastMS(), r.endedMS) - began, together || within || began <= r.endedMS-slackMS
}

// beganMS is when the play began, as far as its witness tells; else its end.
func (r *reportRow) beganMS() int64 {
	began := cmp.Or(r.startedMS, r.endedMS)
	if r.witness == Playback && r.startedMS == 0 && r.msPlayed > 0 {
		began = r.endedMS - r.msPlayed
	}
	return max(began, r.endedMS-farMS)
}

// lastMS is until when the tracker followed the play: where it ended after that may be
// a guess.
func (r *reportRow) lastMS() int64 { return cmp.Or(r.seenMS, r.endedMS) }

// window is within which ms the play ended, by this report alone.
func (r *reportRow) window() (from, until int64) {
	switch r.witness {
	case ExtendedHistory: // whole seconds
		return r.endedMS - 1_000, r.endedMS + 1_000
	case AccountData: // the minute's start
		return r.endedMS, r.endedMS + 59_999
	default: // not before it was seen last
		from = r.endedMS - r.endedErrorMS
		if r.seenMS != 0 {
			from = max(from, r.seenMS-finishMS)
		}
		return from, max(from, r.endedMS+r.endedErrorMS)
	}
}

// differ is how far two listening times disagree beyond what they say of their own
// errors. Where the tracker's play may have been two, the second part may be meant.
func (r *reportRow) differ(other *reportRow) int64 {
	differ := max(0, abs(r.msPlayed-other.msPlayed)-r.msError-other.msError)
	for _, pair := range [2][2]*reportRow{{r, other}, {other, r}} {
		if followed := pair[0]; followed.breakFromMS != 0 {
			rest := followed.msPlayed - followed.breakPlayed
			differ = min(differ, max(0, abs(rest-pair[1].msPlayed)-followed.msError-followed.breakMore-pair[1].msError))
		}
	}
	return differ
}

// off is how far the likeliest ends of two reports lie apart. A play that was left
// paused ended when it was, or when Spotify gave it up.
func (r *reportRow) off(other *reportRow) int64 {
	best := int64(-1)
	for _, a := range r.ends() {
		for _, b := range other.ends() {
			if d := abs(a - b); best < 0 || d < best {
				best = d
			}
		}
	}
	return best
}

func (r *reportRow) ends() []int64 {
	switch {
	case r.witness == AccountData:
		return []int64{r.endedMS + 30_000}
	case r.witness == Playback && r.seenStillMS != 0:
		return []int64{r.endedMS, r.seenMS, max(r.seenMS+logoutMS, r.seenStillMS)}
	}
	return []int64{r.endedMS}
}

// reach is the widest time in which the report may have to do with others.
func (r *reportRow) reach() span {
	from, until := r.window()
	if r.stampMS != 0 { // account data has the time of the upload
		from, until = min(from, r.stampMS), max(until, r.stampMS+59_999)
	}
	if r.breakFromMS != 0 { // a play may have ended there
		from = min(from, r.breakFromMS)
	}
	// The tracker may have seen as several plays what was one, or the other way round.
	from = min(from, r.beganMS())
	return span{from - slackMS, until + slackMS}
}

// vague tells whether a look at the reports of ten minutes around would miss it.
func (r *reportRow) vague() bool {
	return r.witness == RecentlyPlayed && r.item.DurationMS > vagueMS || // which listed.go may move
		r.endedErrorMS > vagueMS || r.stampMS != 0 || r.breakFromMS != 0 && r.endedMS-r.breakFromMS > vagueMS ||
		r.endedMS-r.beganMS() > vagueMS
}

// uploadedMS is the export's ts: the end of the play, or of old plays the time
// at which the client reported them.
func (r *reportRow) uploadedMS() int64 { return cmp.Or(r.stampMS, r.endedMS) }

// sameSong tells whether two items may be one: the same uri; two uris of one
// recording (Spotify relinks tracks by market and over the years); or names only,
// on either side, that agree.
func (i *itemRow) sameSong(other *itemRow) bool {
	if i == other {
		return true
	}
	if i.Kind != other.Kind && !(i.spoken() && other.spoken()) {
		return false
	}
	if i.ISRC != "" && i.ISRC == other.ISRC {
		return true
	}
	if !i.sharesTitle(other) && !sameName(i.Name, other.Name) {
		return false
	}
	if i.DurationMS != 0 && other.DurationMS != 0 && abs(i.DurationMS-other.DurationMS) > durationMS {
		return false
	}
	return i.hasArtist(other.artistKey) || other.hasArtist(i.artistKey) || i.sharesDamaged(&other.Item)
}

// merge derives the plays of one chain.
func merge(chain []*reportRow) []*cluster {
	slices.SortFunc(chain, compareReports)
	chain, plays := takeUnknown(chain)
	for _, w := range trusted {
		groups := groupsOf(chain, w)
		if len(groups) == 0 {
			continue
		}
		slices.SortFunc(plays, func(a, b *cluster) int { return compareReports(a.ender(), b.ender()) })
		if w == AccountData {
			groups = joinExtended(plays, groups)
		}
		assigned := assign(plays, groups)
		for i, group := range groups {
			if c := assigned[i]; c != nil {
				c.reports = append(c.reports, group...)
			} else {
				plays = append(plays, &cluster{reports: group})
			}
		}
	}
	slices.SortFunc(plays, func(a, b *cluster) int { return compareReports(a.ender(), b.ender()) })
	plays = joinCovered(plays)
	for _, play := range plays {
		r := play.by(Playback)
		if r == nil || r.breakFromMS == 0 {
			continue
		}
		for _, other := range plays {
			ended := other.ender().endedMS
			if other != play && other.by(Playback) == nil && other.rest == nil && other.reports[0].item.sameSong(r.item) &&
				ended >= r.breakFromMS-breakMS && ended <= r.breakUntilMS+breakMS {
				play.first, other.rest = other, play
				break
			}
		}
	}
	return plays
}

// joinCovered adds what the tracker alone has seen as a play to the play of the
// extended history, which misses nothing, that it is a part of: Spotify does not end
// every play that is paused for long, and ends some that look as if they went on.
// plays are in order, and stay so.
func joinCovered(plays []*cluster) []*cluster {
	var history []*cluster
	for _, play := range plays {
		if e := play.by(ExtendedHistory); e != nil && e.startedMS != 0 {
			history = append(history, play)
		}
	}
	if len(history) == 0 {
		return plays
	}
	return slices.DeleteFunc(plays, func(play *cluster) bool {
		r := play.reports[0]
		if len(play.reports) > 1 || r.witness != Playback || r.item.Kind == Unknown {
			return false
		}
		var best *cluster
		var most int64
		first, _ := slices.BinarySearchFunc(history, r.beganMS()-slackMS, func(c *cluster, ms int64) int { return cmp.Compare(c.ender().endedMS, ms) })
		for _, other := range history[first:] {
			e := other.by(ExtendedHistory)
			if ms, ok := e.covers(r); ok && (best == nil || ms > most) {
				best, most = other, ms
			}
			if e.endedMS-r.lastMS() > farMS {
				break
			}
		}
		if best == nil {
			return false
		}
		best.reports = append(best.reports, r)
		return true
	})
}

// takeUnknown takes the reports out of a chain that do not say what was played, and
// makes plays of them. Nothing tells that two such plays are the same, but rows of
// exports that are the same to the letter.
func takeUnknown(chain []*reportRow) (rest []*reportRow, plays []*cluster) {
	isUnknown := func(r *reportRow) bool { return r.item.Kind == Unknown }
	if !slices.ContainsFunc(chain, isUnknown) {
		return chain, nil
	}
	var unknown []*reportRow
	for _, r := range chain {
		if isUnknown(r) {
			unknown = append(unknown, r)
		} else {
			rest = append(rest, r)
		}
	}
	for _, w := range trusted {
		groups := groupsOf(unknown, w)
		if w == AccountData {
			groups = joinExtended(plays, groups)
		}
		for _, group := range groups {
			plays = append(plays, &cluster{reports: group})
		}
	}
	return rest, plays
}

// joinExtended adds rows of the account data to the plays of which they are the
// rows of the extended history, cut to the minute, and returns the others. It is
// not for assign: the plays of one minute are in any order in the account data.
func joinExtended(plays []*cluster, groups [][]*reportRow) [][]*reportRow {
	type cut struct{ minute, msPlayed int64 }
	byCut := map[cut][]*cluster{}
	for _, play := range plays {
		if extended := play.by(ExtendedHistory); extended != nil {
			key := cut{extended.uploadedMS() / 60_000, extended.msPlayed}
			byCut[key] = append(byCut[key], play)
		}
	}
	return slices.DeleteFunc(groups, func(group []*reportRow) bool {
		for _, play := range byCut[cut{group[0].endedMS / 60_000, group[0].msPlayed}] {
			if _, ok := play.cost(group[0]); ok && play.by(AccountData) == nil {
				play.reports = append(play.reports, group...)
				return true
			}
		}
		return false
	})
}

// groupsOf returns the reports of one witness, those together that are one play.
// chain is in order.
func groupsOf(chain []*reportRow, w Witness) [][]*reportRow {
	var groups [][]*reportRow
	for _, r := range chain {
		if r.witness != w {
			continue
		}
		at := len(groups) - 1
		for at >= 0 && !r.repeats(groups[at]) {
			if at--; at >= 0 && r.endedMS-groups[at][0].endedMS > farMS {
				at = -1
			}
		}
		switch {
		case at < 0:
			groups = append(groups, []*reportRow{r})
		case w == RecentlyPlayed && groups[at][0].startedMS != 0 && r.startedMS == 0:
			groups[at] = slices.Insert(groups[at], 0, r) // the end is what is asked for
		case w != RecentlyPlayed && groups[at][0].startedMS == 0 && r.startedMS != 0:
			groups[at] = slices.Insert(groups[at], 0, r) // the one that knows more is asked first
		default:
			groups[at] = append(groups[at], r)
		}
	}
	return groups
}

// repeats reports whether r is about the play of a group of its own witness: a
// listed play whose time was shifted a little, or a row that two exports have, each
// without something that the other one says.
func (r *reportRow) repeats(group []*reportRow) bool {
	switch r.witness {
	case RecentlyPlayed:
		if r.item != group[0].item || r.item.Kind == Unknown {
			return false
		}
		for _, have := range group { // of its own kind, if there is one
			if (have.startedMS == 0) == (r.startedMS == 0) {
				return r.endedMS-have.endedMS < repeatMS
			}
		}
		return r.listedOtherwise(group[0])
	case ExtendedHistory, AccountData:
		for _, have := range group {
			if !r.sameRow(have) {
				return false
			}
		}
		return true
	}
	return false
}

// sameRow reports whether two rows of exports of one sort are one: of the same time,
// listening time and names. One may lack the start, which the new keys have left out,
// and the uri, which exports of 2020 have not; it may have lost letters of its names.
// Two rows of which neither lacks anything are two plays.
func (r *reportRow) sameRow(other *reportRow) bool {
	if r.uploadedMS() != other.uploadedMS() || r.msPlayed != other.msPlayed || r.startedMS != 0 && other.startedMS != 0 && r.startedMS != other.startedMS {
		return false
	}
	if r.item == other.item {
		return (r.startedMS == 0) != (other.startedMS == 0)
	}
	lacks := (r.item.uri == "") != (other.item.uri == "") || r.item.damaged() != other.item.damaged()
	return lacks && (r.item.uri == "" || other.item.uri == "") && r.item.sameSong(other.item)
}

// compareReports orders reports by their end and then by content, never by when
// they came.
func compareReports(a, b *reportRow) int {
	if a.endedMS != b.endedMS {
		return cmp.Compare(a.endedMS, b.endedMS)
	}
	return slices.Compare(a.digest[:], b.digest[:])
}

// match is the value of an assignment: more pairs are better, then a lower cost.
type match struct {
	pairs int
	cost  int64
}

func (m match) better(other match) bool {
	return m.pairs > other.pairs || m.pairs == other.pairs && m.cost < other.cost
}

// assign gives every group of reports (one play of one witness each) the play
// that it is part of, or nil. Both are in the order of time, and pairs do not
// cross, so this is an alignment of two sequences: best[j] of a play is the value
// of all plays up to it and the first j groups. Only what lies within reach can
// be a pair; a row holds just those columns and stays at its last value behind
// them.
func assign(plays []*cluster, groups [][]*reportRow) []*cluster {
	type row struct {
		first int // column of best[0]
		best  []match
	}
	at := func(r *row, j int) match { return r.best[min(j-r.first, len(r.best)-1)] }

	playSpans := make([]span, len(plays))
	for i, play := range plays {
		playSpans[i] = reachOf(play.reports)
	}
	groupSpans := make([]span, len(groups))
	for j, group := range groups {
		groupSpans[j] = reachOf(group)
	}
	widen(playSpans)
	widen(groupSpans)

	rows := make([]row, len(plays)+1)
	rows[0] = row{best: []match{{}}}
	lowest, highest := 0, 0 // groups [lowest, highest) are within reach of the play
	for i, play := range plays {
		for lowest < len(groups) && groupSpans[lowest].until < playSpans[i].from {
			lowest++
		}
		highest = max(highest, lowest)
		for highest < len(groups) && groupSpans[highest].from <= playSpans[i].until {
			highest++
		}
		above, current := &rows[i], &rows[i+1]
		current.first = lowest
		current.best = append(make([]match, 0, highest-lowest+1), at(above, lowest))
		for j := lowest + 1; j <= highest; j++ {
			best := at(above, j)
			if left := at(current, j-1); left.better(best) {
				best = left
			}
			if cost, ok := play.cost(groups[j-1][0]); ok {
				pair := at(above, j-1)
				pair.pairs++
				pair.cost += cost
				if pair.better(best) {
					best = pair
				}
			}
			current.best = append(current.best, best)
		}
	}

	assigned := make([]*cluster, len(groups))
	j := len(groups)
	for i := len(plays); i > 0; i-- {
		above, current := &rows[i-1], &rows[i]
		j = min(j, current.first+len(current.best)-1)
		for j > current.first && at(current, j) != at(above, j) && at(current, j) == at(current, j-1) {
			j--
		}
		if j > current.first && at(current, j) != at(above, j) {
			assigned[j-1] = plays[i-1]
			j--
		}
	}
	return assigned
}

// span is a stretch of time, ms since 1970.
type span struct{ from, until int64 }

// has tells whether all of another span is within s.
func (s span) has(other span) bool { return s.from <= other.from && other.until <= s.until }

// touches tells whether the spans have a time in common.
func (s span) touches(other span) bool { return s.until >= other.from && s.from <= other.until }

// and is the span from the earlier start to the later end.
func (s span) and(other span) span {
	return span{min(s.from, other.from), max(s.until, other.until)}
}

// reachOf returns the widest time that the reports may have to do with.
func reachOf(reports []*reportRow) span {
	reach := reports[0].reach()
	for _, r := range reports[1:] {
		reach = reach.and(r.reach())
	}
	return reach
}

// widen makes starts and ends rise along the list, so that what is within reach
// of each member is one run of the other list.
func widen(spans []span) {
	for i := len(spans) - 2; i >= 0; i-- {
		spans[i].from = min(spans[i].from, spans[i+1].from)
	}
	for i := 1; i < len(spans); i++ {
		spans[i].until = max(spans[i].until, spans[i-1].until)
	}
}

func abs(v int64) int64 {
	if v < 0 {
		return -v
	}
	return v
}
