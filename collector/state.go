package collector

import (
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// State is what the collector knows about itself and its accounts at one
// moment, for metrics and the landing page. A State is a copy; times that are
// not known are zero.
type State struct {
	Accounts []AccountState // sorted by alias
}

// AccountState is one account's part of State.
type AccountState struct {
	Account string

	// Up tells whether the last poll worked; nil before the first one.
	Up          *bool
	LastSuccess time.Time // of a poll
	LastFailure error     // nil after a success
	LastListen  time.Time // end of the newest play held that is not in the future
	NextPoll    time.Time
	NextReason  PlanReason     // why then; "" before the first poll
	NextFailed  spotify.Reason // with PlanFailure: what failed

	// AuthorizationExpiry is when Spotify ends the login, six months after it.
	AuthorizationExpiry time.Time

	Polls    uint64
	Failures map[spotify.Reason]uint64  // all reasons are present
	Recorded map[journal.Witness]uint64 // plays that a witness was the first to report
	Gaps     uint64                     // found since start
	// Unreadable counts the rows of Spotify's list that could not be read, each once,
	// since start.
	Unreadable uint64
	// ListsStarts tells that Spotify's list has the starts of plays in played_at, not
	// their ends.
	ListsStarts bool
	HeldRatio   *float64 // share of Spotify's last page that the journal holds; nil: not known

	// Playback is what plays, nil if that is not known (no answer yet, or the
	// last one is too old to mean "now").
	Playback *Playback
}

// newAccountState returns the state of an account that was never polled.
func newAccountState(alias string) AccountState {
	s := AccountState{Account: alias, Failures: map[spotify.Reason]uint64{}, Recorded: map[journal.Witness]uint64{}}
	for _, reason := range Reasons() {
		s.Failures[reason] = 0
	}
	for _, w := range journal.Witnesses {
		s.Recorded[w] = 0
	}
	return s
}

// FailingFor is why the account's last poll failed, or would have if it had been
// made before the end of a Retry-After; "" if it worked.
func (s *AccountState) FailingFor() spotify.Reason {
	if s.LastFailure == nil {
		return ""
	}
	return reasonOf(s.LastFailure)
}

// Playback is what the player showed when it was asked last.
type Playback struct {
	Playing  bool
	Item     *spotify.Item // nil: nothing, an advertisement, or a private session that is not recorded
	Progress time.Duration // at At
	Duration time.Duration
	Shuffle  bool
	Volume   *float64 // 0 to 1; nil if the device does not tell
	At       time.Time
}

// Artists returns all credited names of the item, as points in InfluxDB have them: with
// semicolons between them, since there are commas within names (Tyler, The Creator).
func (p *Playback) Artists() string {
	if p.Item == nil {
		return ""
	}
	names := make([]string, len(p.Item.Artists))
	for i, artist := range p.Item.Artists {
		names[i] = artist.Name
	}
	return strings.Join(names, "; ")
}

// Reasons are what polls fail for: those of package spotify, and "journal" for
// plays that could not be stored.
func Reasons() []spotify.Reason {
	return []spotify.Reason{
		spotify.ReasonAuth, spotify.ReasonClient, spotify.ReasonPremium, spotify.ReasonNotRegistered, spotify.ReasonRateLimited, spotify.ReasonQuota,
		spotify.ReasonNetwork, spotify.ReasonServer, spotify.ReasonDecode, journalReason,
	}
}
