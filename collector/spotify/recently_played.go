package spotify

import (
	"errors"
	"fmt"
	"hash/maphash"
	"time"
)

// Page is the answer of GET /me/player/recently-played: the last plays of 30 s
// and more, fifty at most, of tracks alone. Local files and private sessions
// are not in it, plays of an offline device come late.
type Page struct {
	Unchanged  bool   // the body is the one of the known digest; Plays was not read
	Plays      []Play // newest first
	Rows       int    // that it has, those that could not be read included
	Digest     Digest
	ReceivedAt time.Time // see Player.ReceivedAt
}

// Play is one row of a Page.
type Play struct {
	Item     Item
	PlayedAt time.Time // END of the play, to the millisecond
	Context  Context
}

// Digest tells one body from another while the App that made it lives. Zero is
// the digest of nothing.
//
// It is a maphash and not a SHA-256: the whole step of an unchanged page may
// cost 0.3 ms, SHA-256 of 450 KB alone takes 0.25 with the CPU's help.
type Digest uint64

func (a *App) digest(body []byte) Digest {
	return Digest(max(maphash.Bytes(a.seed, body), 1))
}

type recentlyPlayedJSON struct {
	Items []struct {
		Track    itemJSON    `json:"track"`
		PlayedAt string      `json:"played_at"`
		Context  contextJSON `json:"context"`
	} `json:"items"`
}

// decodeRecentlyPlayed reads a page and counts its rows. If some lack what makes
// them a play, it returns all others and an error that names what is missing where.
func decodeRecentlyPlayed(body []byte) (plays []Play, rows int, err error) {
	var j recentlyPlayedJSON
	if err := decode(body, &j); err != nil {
		return nil, 0, err
	}
	if j.Items == nil {
		return nil, 0, errors.New("items: missing")
	}
	plays = make([]Play, 0, len(j.Items))
	var errs []error
	for i, row := range j.Items {
		playedAt, err := time.Parse(time.RFC3339, row.PlayedAt)
		if err != nil {
			errs = append(errs, fmt.Errorf("items[%d].played_at: must be a time (got %q)", i, row.PlayedAt))
			continue
		}
		item, ok := row.Track.item()
		if !ok {
			errs = append(errs, fmt.Errorf("items[%d].track: has neither uri nor name", i))
			continue
		}
		plays = append(plays, Play{Item: item, PlayedAt: playedAt.UTC(), Context: row.Context.context()})
	}
	return plays, len(j.Items), errors.Join(errs...)
}
