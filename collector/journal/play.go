package journal

import (
	"fmt"
	"time"
)

// MSPlayedSource is where a play's listening time comes from.
type MSPlayedSource uint8

// The sources of a listening time. Their numbers are stored: never renumber.
const (
	// Estimated: nobody measured it. Recently-played names only an end, so the
	// time is what fits between the plays around it, at most the item's length.
	Estimated MSPlayedSource = iota + 1
	// Measured by our samples of the player.
	Measured
	// Reported by Spotify in an export.
	Reported
)

// String returns the source's name in the schema.
func (s MSPlayedSource) String() string {
	switch s {
	case Estimated:
		return "estimated"
	case Measured:
		return "measured"
	case Reported:
		return "reported"
	}
	return fmt.Sprintf("source %d", s)
}

// Play is one play of one item on one account, derived from the reports of all
// who saw it.
type Play struct {
	ID      int64 // stable over re-derivation
	Account string
	Item    Item // as the catalogue knows it now

	EndedAt   time.Time // UTC, ms
	StartedAt time.Time // zero if not known

	MSPlayed       int64 // ms really listened
	MSPlayedSource MSPlayedSource
	MSPlayedError  int64 // ms the truth may be off, either way

	ContextType, ContextURI string
	Device, DeviceType      string
	Platform, Country       string
	ReasonStart, ReasonEnd  string
	// nil if no witness knows
	Shuffle, Offline, Incognito, Skipped *bool

	Witnesses []Witness // ascending
	Batch     int64     // the import that brought the first of its reports; 0: none

	// PointNS is the time of the play's point in InfluxDB, ns since 1970: the end
	// in ms and a hash of the uri below it. Unique per account.
	PointNS int64
}

// Private tells whether the play was made in a private session (incognito).
func (p *Play) Private() bool { return p.Incognito != nil && *p.Incognito }
