package spotifysim

import (
	"encoding/json"
	"io"
	"slices"
	"sort"
	"strings"
	"time"
)

// ExtendedPlay is a row of Spotify's extended streaming history, in the form
// with the new keys (since November 2024).
type ExtendedPlay struct {
	TS               time.Time `json:"ts"` // the end, whole seconds
	Platform         string    `json:"platform"`
	MSPlayed         int64     `json:"ms_played"`
	ConnCountry      string    `json:"conn_country"`
	IPAddr           string    `json:"ip_addr"`
	TrackName        *string   `json:"master_metadata_track_name"`
	AlbumArtistName  *string   `json:"master_metadata_album_artist_name"`
	AlbumName        *string   `json:"master_metadata_album_album_name"`
	TrackURI         *string   `json:"spotify_track_uri"`
	EpisodeName      *string   `json:"episode_name"`
	EpisodeShowName  *string   `json:"episode_show_name"`
	EpisodeURI       *string   `json:"spotify_episode_uri"`
	AudiobookTitle   *string   `json:"audiobook_title"`
	AudiobookURI     *string   `json:"audiobook_uri"`
	ChapterURI       *string   `json:"audiobook_chapter_uri"`
	ChapterTitle     *string   `json:"audiobook_chapter_title"`
	ReasonStart      string    `json:"reason_start"`
	ReasonEnd        string    `json:"reason_end"`
	Shuffle          bool      `json:"shuffle"`
	Skipped          bool      `json:"skipped"`
	Offline          bool      `json:"offline"`
	OfflineTimestamp int64     `json:"offline_timestamp"` // the start, in s
	IncognitoMode    bool      `json:"incognito_mode"`
}

// ExtendedHistory returns what was really played and ended in [from, to), as an
// extended export tells it: every play however short, in the order of the ends.
// A local file has no metadata at all.
func (u *User) ExtendedHistory(from, to time.Time) []ExtendedPlay {
	played := u.Played(to)
	played = played[sort.Search(len(played), func(i int) bool { return !played[i].EndedAt.Before(from) }):]
	history := make([]ExtendedPlay, 0, len(played))
	for _, p := range played {
		if p.EndedAt.Equal(to) {
			break
		}
		history = append(history, extended(p))
	}
	return history
}

func extended(p Played) ExtendedPlay {
	e := ExtendedPlay{
		TS:               p.EndedAt.Truncate(time.Second),
		Platform:         platform(p.Device),
		MSPlayed:         p.MSPlayed,
		ConnCountry:      "NL",
		IPAddr:           "0.0.0.0",
		ReasonStart:      p.ReasonStart,
		ReasonEnd:        p.ReasonEnd,
		Shuffle:          p.Shuffle,
		Skipped:          p.Skipped,
		Offline:          p.Offline,
		OfflineTimestamp: p.StartedAt.Unix(),
		IncognitoMode:    p.Private,
	}
	item := p.Item
	switch item.Kind {
	case Track:
		e.TrackName, e.AlbumName, e.TrackURI = &item.Name, &item.Album.Name, &item.URI
		if credited := slices.Concat(item.Album.Artists, item.Artists); len(credited) > 0 {
			e.AlbumArtistName = &credited[0].Name
		}
	case Episode:
		e.EpisodeName, e.EpisodeShowName, e.EpisodeURI = &item.Name, &item.Show.Name, &item.URI
	case Chapter:
		e.ChapterTitle, e.ChapterURI, e.AudiobookTitle = &item.Name, &item.URI, &item.Show.Name
		e.AudiobookURI = new("spotify:show:" + item.Show.ID)
	}
	return e
}

func platform(d Device) string {
	switch strings.ToLower(d.Type) {
	case "smartphone":
		return "android"
	case "speaker":
		return "Partner sonos_ppc Sonos;" + d.Name
	default:
		return "linux"
	}
}

// WriteExtendedHistory writes ExtendedHistory as the files of an export are: a JSON
// array, indented by two.
func (u *User) WriteExtendedHistory(w io.Writer, from, to time.Time) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(u.ExtendedHistory(from, to))
}
