package collector

import (
	"context"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// votesToDecide is how many plays in a row have to agree on what played_at is.
const votesToDecide = 5

const (
	// voteError is how far played_at may lie from the start or end that the tracker saw.
	voteError = 5 * time.Second
	// shortestVote is what a play must last to tell its start from its end.
	shortestVote = time.Minute
	// Of a play that ended, the list is believed to tell from voteAfter on, and is not
	// waited for any longer than voteWithin.
	voteAfter  = 3 * time.Minute
	voteWithin = 3 * time.Hour
)

// votes find out whether Spotify's played_at is the end of a play or its start, which it
// has been for some time before (spotify/web-api#613, #1083). Only plays vote that the
// player was seen to begin and to end: whoever listens offline has none. One alone may
// be a coincidence, such as an offline play of the same item that ended when the one that
// was seen began; so five have to agree.
type votes struct {
	starts   bool       // as decided last
	followed []followed // plays that have not voted yet, oldest first
	against  int        // votes in a row for the opposite
}

// followed is a play whose start and end the tracker has seen.
type followed struct {
	item         string // its key
	began, ended time.Time
}

// follow takes in a report of the tracker.
func (v *votes) follow(r *journal.Report) {
	if r.Item.Kind != journal.Track || r.ReasonEnd != "trackdone" || r.StartedAt.IsZero() ||
		r.EndedError > voteError || time.Duration(r.MSPlayedError)*time.Millisecond > 2*voteError || r.EndedAt.Sub(r.StartedAt) < shortestVote {
		return
	}
	v.followed = append(v.followed, followed{key(&r.Item), r.StartedAt, r.EndedAt})
}

// count lets the plays vote that a page tells of. It reports whether some have agreed
// with what is decided, and none disagreed, and whether played_at is read the other way
// from now on.
func (v *votes) count(page []spotify.Play, now time.Time) (agreed, changed bool) {
	left := v.followed[:0:0]
	for _, f := range v.followed {
		if now.Sub(f.ended) < voteAfter {
			left = append(left, f)
			continue
		}
		start, end := false, false
		for i := range page {
			item := itemOf(&page[i].Item)
			if key(&item) != f.item {
				continue
			}
			if page[i].PlayedAt.Sub(f.began).Abs() <= voteError {
				start = true
			}
			if page[i].PlayedAt.Sub(f.ended).Abs() <= voteError {
				end = true
			}
		}
		switch {
		case start && end: // on repeat: they tell nothing
		case start != end && start == v.starts:
			v.against, agreed = 0, true
		case start != end:
			v.against, agreed = v.against+1, false
		case now.Sub(f.ended) < voteWithin:
			left = append(left, f)
		}
	}
	v.followed = left
	if v.against < votesToDecide {
		return agreed, false
	}
	v.starts, v.against = !v.starts, 0
	return false, true
}

// vote lets the plays of a page vote, and reads the list the other way if they say so.
func (p *poller) vote(ctx context.Context, page []spotify.Play, now time.Time) error {
	votes := p.votes // stays as it is if the journal cannot store what comes of it
	agreed, changed := votes.count(page, now)
	if agreed {
		if err := p.options.Journal.MarkListed(ctx, p.alias, true); err != nil {
			return err
		}
	}
	if changed {
		if err := p.options.Journal.SetListsStarts(ctx, p.alias, votes.starts); err != nil {
			return err
		}
		if votes.starts {
			p.log.Warn("Spotify's list has the starts of plays in played_at, not their ends, as five plays in a row have shown; it is read so from now on, and the plays that it was read wrongly for are corrected")
		} else {
			p.log.Warn("Spotify's list has the ends of plays in played_at again, as five plays in a row have shown; it is read so from now on, and the plays that it was read wrongly for are corrected")
		}
	}
	p.votes = votes
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.ListsStarts = votes.starts
	return nil
}

// ends are the plays of a page with their likely ends in PlayedAt.
func (v *votes) ends(page []spotify.Play) []spotify.Play {
	if !v.starts {
		return page
	}
	moved := make([]spotify.Play, len(page))
	for i, play := range page {
		play.PlayedAt = play.PlayedAt.Add(time.Duration(play.Item.DurationMS) * time.Millisecond)
		moved[i] = play
	}
	return moved
}
