package journal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Witness is who saw a play.
type Witness uint8

// The witnesses. Their numbers are stored: never renumber.
const (
	// Playback is our own tracker, from samples of the player: live, knows skips,
	// pauses and the device; its times have an error bound.
	Playback Witness = iota + 1
	// RecentlyPlayed is Spotify's list of the last 50 plays: the end to the
	// millisecond, no listening time, minutes to days late.
	RecentlyPlayed
	// ExtendedHistory is the extended streaming history of a privacy export: true
	// listening time and reasons, months late.
	ExtendedHistory
	// AccountData is the last year's history in the account data export: to the
	// minute, names only, equal rows merged.
	AccountData
)

var witnessNames = [...]string{"", "playback", "recently_played", "extended_history", "account_data"}

// Witnesses are all of them, in the order of their numbers.
var Witnesses = [...]Witness{Playback, RecentlyPlayed, ExtendedHistory, AccountData}

// String returns the witness' name in the schema.
func (w Witness) String() string {
	if w > 0 && int(w) < len(witnessNames) {
		return witnessNames[w]
	}
	return fmt.Sprintf("witness %d", w)
}

// source is what a witness' words about items are worth.
func (w Witness) source() Source {
	switch w {
	case ExtendedHistory:
		return FromExtendedHistory
	case AccountData:
		return FromAccountData
	default:
		return FromAPI
	}
}

// Report is what one witness says of one play. Reports are kept for good and
// never change; plays are derived from them. Times have a resolution of one
// millisecond.
type Report struct {
	Witness Witness
	Item    Item

	// EndedAt is when the play ended. AccountData: the minute's start.
	EndedAt time.Time
	// EndedError is how far the true end may lie from EndedAt, either way. It
	// matters for Playback only; the other witnesses' errors are known.
	EndedError time.Duration
	// StartedAt is when the play started, zero if the witness does not know.
	StartedAt time.Time

	// MSPlayed is the time really listened, in milliseconds; -1 if the witness
	// does not know (RecentlyPlayed).
	MSPlayed int64
	// MSPlayedError is how far the truth may lie from MSPlayed, either way.
	MSPlayedError int64

	// BeganAfter is a moment at which the player was seen without the play, zero if
	// there is none: RecentlyPlayed names no start, and the time listened cannot be
	// longer than what has passed since.
	BeganAfter time.Time

	// Playback only: until when the play was followed (the last look at it, or when
	// it was paused), what had been listened until then and what was left of the
	// item to be heard, both in milliseconds (SeenMSLeft
	// -1: not known).
	// With an end from another witness they give a better time than MSPlayed, which
	// was guessed from the looks alone.
	SeenAt       time.Time
	SeenMSPlayed int64
	SeenMSError  int64 // how far SeenMSPlayed may be off, either way
	SeenMSLeft   int64
	// SeenStillAt is the last look if the play was paused at SeenAt and stood still
	// until then; zero if it sounded at SeenAt.
	SeenStillAt time.Time

	// Break is where one play may have been two.
	Break Break

	// Stamp is a time that tells reports apart which are otherwise alike and is
	// not the end of the play: the export's ts where that is the time of the
	// upload. Zero otherwise.
	Stamp time.Time

	ContextType, ContextURI string
	Device, DeviceType      string
	Platform, Country       string
	ReasonStart, ReasonEnd  string // Spotify's words: trackdone, fwdbtn, …
	// nil: the witness does not know
	Shuffle, Offline, Incognito, Skipped *bool
}

// Break is a moment at which, by the looks alone, a play went on or another one of
// the same item began: it was seen back at its start ("previous" makes a new play,
// moving the position does not), or it went on after a pause. If another witness
// has a play of the item that ended in that time, there were two.
type Break struct {
	From, Until time.Time // it lies between
	MSPlayed    int64     // listened until From
	MSMore      int64     // how much more can have sounded of the first play; 0: it was paused
}

// identity is what makes two reports of one witness the same report: whoever
// reads an export a second time, or a page that overlaps the last one, adds
// nothing. Descriptive fields are left out, since a later export of the same
// play spells some of them differently (skipped null became false).
func (r *Report) identity() [16]byte {
	var fixed [33]byte
	fixed[0] = byte(r.Witness)
	for i, v := range []int64{unixMilli(r.EndedAt), unixMilli(r.StartedAt), r.MSPlayed, unixMilli(r.Stamp)} {
		binary.BigEndian.PutUint64(fixed[1+8*i:], uint64(v))
	}
	content := fixed[:]
	if r.Item.URI != "" {
		content = append(content, r.Item.URI...)
	} else {
		content = append(content, 0)
		content = append(content, r.Item.Artist()...)
		content = append(content, 0)
		content = append(content, r.Item.Name...)
	}
	sum := sha256.Sum256(content)
	return [16]byte(sum[:16])
}

// unixMilli is t in milliseconds since 1970, 0 for the zero time. Points count
// nanoseconds in 64 bits: a time outside of the years 1678 to 2261 becomes the
// nearest one within.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return min(max(t.UnixMilli(), -latestMS), latestMS)
}

// latestMS is the latest end that a play can have.
const latestMS = math.MaxInt64/1_000_000 - 366*24*3_600_000

// fromMilli is the reverse of unixMilli.
func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
