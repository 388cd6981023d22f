package collector

import (
	"slices"
	"time"

	"errors"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// asSpotifyError finds the typed error of a call of package spotify.
func asSpotifyError(err error) (*spotify.Error, bool) {
	return errors.AsType[*spotify.Error](err)
}

// kindOf is the journal's word for the Web API's. What is of an unknown kind but
// has a name is kept as a track, the closest that there is.
func kindOf(kind string) journal.Kind {
	switch kind {
	case spotify.KindEpisode:
		return journal.Episode
	case spotify.KindChapter:
		return journal.Chapter
	case spotify.KindLocal:
		return journal.Local
	default:
		return journal.Track
	}
}

// itemOf is an item of the Web API as the journal keeps it.
func itemOf(i *spotify.Item) journal.Item {
	return journal.Item{
		Kind: kindOf(i.Kind), URI: i.URI, Name: i.Name, Artists: artistsOf(i.Artists),
		Album: i.Album, AlbumID: i.AlbumID, AlbumArtists: artistsOf(i.AlbumArtists),
		ISRC: i.ISRC, ReleaseDate: i.ReleaseDate, DurationMS: i.DurationMS, Explicit: new(i.Explicit), ImageURL: i.ImageURL,
	}
}

func artistsOf(list []spotify.Artist) []journal.Artist {
	artists := make([]journal.Artist, len(list))
	for i, a := range list {
		artists[i] = journal.Artist{ID: a.ID, Name: a.Name}
	}
	return artists
}

// silence is a look at the player at which nothing sounded.
type silence struct {
	at  time.Time
	uri string // of what lay there paused; "" for nothing
}

// reportOf is a row of recently-played as the journal keeps it. silences are in the
// order of time: the play began after the last of them, unless it lay there paused.
func reportOf(p *spotify.Play, silences []silence) journal.Report {
	var after time.Time
	at, _ := slices.BinarySearchFunc(silences, p.PlayedAt, func(s silence, end time.Time) int { return s.at.Compare(end) })
	for ; at > 0 && after.IsZero(); at-- {
		if s := silences[at-1]; s.uri != p.Item.URI {
			after = s.at
		}
	}
	return journal.Report{
		Witness: journal.RecentlyPlayed, Item: itemOf(&p.Item), EndedAt: p.PlayedAt, BeganAfter: after, MSPlayed: -1,
		ContextType: p.Context.Type, ContextURI: p.Context.URI,
	}
}
