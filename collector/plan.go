package collector

import "github.com/spotify-exporter/spotify-exporter/collector/spotify"

// PlanReason is why an account is polled next at the time that is planned.
type PlanReason string

// The reasons of a plan.
const (
	PlanIdle           PlanReason = "idle"            // nothing plays: see whether something does
	PlanPlaying        PlanReason = "playing"         // something plays: see whether it still does
	PlanItemEnd        PlanReason = "item_end"        // what plays should have ended
	PlanRecentlyPlayed PlanReason = "recently_played" // Spotify's list of the last plays
	PlanBudget         PlanReason = "budget"          // the request budget is used up
	PlanFailure        PlanReason = "failure"         // the last poll failed
)

// Words says the reason in a few words, "" for none; failed is what PlanFailure is
// about.
func (r PlanReason) Words(failed spotify.Reason) string {
	switch r {
	case PlanItemEnd:
		return "the item's end"
	case PlanRecentlyPlayed:
		return "recently played"
	case PlanBudget:
		return "the budget is used up"
	case PlanFailure:
		return "after a failure: " + string(failed)
	}
	return string(r)
}
