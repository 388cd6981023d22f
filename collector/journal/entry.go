package journal

import "time"

// EntryKind is what an outbox entry is about.
type EntryKind uint8

// The kinds of outbox entries. Their numbers are stored: never renumber.
const (
	EntryPlay        EntryKind = iota + 1 // Play is to be written
	EntryPlayGone                         // the play's point at TimeNS is to be deleted
	EntryArtistTotal                      // Total is to be written, or deleted if it is empty
	EntryAlbumTotal
	EntryTrackTotal
	EntryArtistYear // Ranked are to be written, Left deleted
	EntryGap        // Gap is to be written
	EntryAccount
	EntryClear // all that InfluxDB has of the account is to be deleted
)

// Entry is one thing that is not in InfluxDB yet. An entry names what has
// changed; its content is read when it is taken, so the newest state is sent.
type Entry struct {
	Seq     int64
	Kind    EntryKind
	Account string

	Play   *Play    // EntryPlay
	TimeNS int64    // EntryPlayGone: the point's time, ns since 1970
	Total  *Total   // Entry…Total
	Year   int      // EntryArtistYear
	Ranked []Total  // EntryArtistYear: the year's first artists, by hours, best first
	Left   []string // EntryArtistYear: keys of the artists that are not among them any more
	Gap    *Gap     // EntryGap

	row *playRow // EntryPlay: Play as it was taken, with the keys of its item
}

// Total is all that was ever played of one artist, album or song on one account.
type Total struct {
	Key      string // folded names, see Item.ArtistKey, AlbumKey, SongKey
	ID       string // a Spotify id that the thing has; "" if none is known
	Name     string // as it is written most recently
	Artist   string // of an album or song
	ImageURL string
	Plays    int64     // plays that count: of Options.CountedMS and longer
	MSPlayed int64     // of all plays, the short ones too
	First    time.Time // end of the first play; not set in Entry.Ranked
	Last     time.Time // end of the last play
}

// Empty tells whether nothing of it is left in the journal.
func (t *Total) Empty() bool { return t.Last.IsZero() }

// Gap is a hole in an account's history: Spotify's list of the last 50 plays did
// not reach back to a play that was held, so plays in between may be lost.
type Gap struct {
	ID       int64
	Account  string
	From     time.Time // end of the last play held before the hole
	To       time.Time // end of the oldest play on the page that did not reach back
	FoundAt  time.Time
	ClosedAt time.Time // zero while it is open
	ClosedBy string    // "import 7" or "accepted"; "" while it is open
}

// Open tells whether the gap may still have lost plays in it.
func (g *Gap) Open() bool { return g.ClosedAt.IsZero() }
