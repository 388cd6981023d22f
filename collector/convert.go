package collector

import (
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

// reportOf is a row of recently-played as the journal keeps it.
func reportOf(p *spotify.Play) journal.Report {
	return journal.Report{
		Witness: journal.RecentlyPlayed, Item: itemOf(&p.Item), EndedAt: p.PlayedAt, MSPlayed: -1,
		ContextType: p.Context.Type, ContextURI: p.Context.URI,
	}
}
