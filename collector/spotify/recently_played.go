package spotify

import (
	"encoding/json"
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
	Unreadable []UnreadableRow
	Digest     Digest
	ReceivedAt time.Time // see Player.ReceivedAt
}

// Play is one row of a Page.
type Play struct {
	Item     Item
	PlayedAt time.Time // END of the play, to the millisecond
	Context  Context
}

// UnreadableRow is a row of a Page that lacks what makes it a play.
type UnreadableRow struct {
	ID  Digest // the same for as long as Spotify lists the row; rows that say nothing at all share one
	Why string // which field is wrong, and how
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
	Items []json.RawMessage `json:"items"`
}

type rowJSON struct {
	Track    itemJSON    `json:"track"`
	PlayedAt any         `json:"played_at"`
	Context  contextJSON `json:"context"`
}

// decodeRecentlyPlayed reads a page. Spotify has listed rows without a track, without a
// time and null; one of them must not stop the others. But if several rows are listed
// and none can be read, Spotify has changed its format: that is an error.
func (a *App) decodeRecentlyPlayed(body []byte) (p Page, err error) {
	var j recentlyPlayedJSON
	if err := decode(body, &j); err != nil {
		return p, err
	}
	if j.Items == nil {
		return p, errors.New("items: missing")
	}
	p.Rows = len(j.Items)
	p.Plays = make([]Play, 0, len(j.Items))
	for _, raw := range j.Items {
		play, err := decodeRow(raw)
		if err != nil {
			p.Unreadable = append(p.Unreadable, UnreadableRow{ID: a.digest(raw), Why: err.Error()})
			continue
		}
		p.Plays = append(p.Plays, play)
	}
	if len(p.Plays) == 0 && len(p.Unreadable) > 1 {
		return p, fmt.Errorf("none of %d rows can be read: %s", p.Rows, p.Unreadable[0].Why)
	}
	return p, nil
}

// decodeRow reads one row of a page. Its error holds nothing of what was played.
func decodeRow(raw []byte) (Play, error) {
	if string(raw) == "null" {
		return Play{}, errors.New("the row is null")
	}
	var row rowJSON
	if err := decode(raw, &row); err != nil {
		return Play{}, err
	}
	text, _ := row.PlayedAt.(string)
	playedAt, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return Play{}, fmt.Errorf("played_at: must be a time (got %q)", fmt.Sprint(row.PlayedAt))
	}
	item, ok := row.Track.item()
	if !ok {
		return Play{}, fmt.Errorf("track: has neither uri nor name (played_at %s)", text)
	}
	return Play{Item: item, PlayedAt: playedAt.UTC(), Context: row.Context.context()}, nil
}
