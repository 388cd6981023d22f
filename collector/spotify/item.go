package spotify

import (
	"cmp"
	"strings"

	zmb3 "github.com/zmb3/spotify/v2"
)

// The kinds of an Item.
const (
	KindTrack   = "track"
	KindEpisode = "episode"
	KindChapter = "chapter" // of an audiobook
	KindLocal   = "local"   // a file of the listener's own
	KindUnknown = "unknown" // a type that did not exist when this was written
)

// Artist is a credited artist. Those of local files have no ID.
type Artist struct{ ID, Name string }

// Item is what can be played. It has a URI or at least a Name; all else may be
// empty, since Development Mode drops fields and local files have few.
type Item struct {
	Kind string
	URI  string
	ID   string // "" for a local file
	Name string

	// Of an episode or chapter the one artist is the show (or audiobook),
	// which stands in for the album too.
	Artists      []Artist
	Album        string
	AlbumID      string
	AlbumArtists []Artist

	ISRC        string
	ReleaseDate string // 1981, 1981-12 or 1981-12-15
	DurationMS  int64  // 0 if not known
	Explicit    bool
	ImageURL    string // of the smallest cover of at least 300 pixels
}

// itemJSON is a track or an episode as the Web API shows it, without the lists
// of markets that are most of its bytes.
type itemJSON struct {
	Type        string       `json:"type"`
	URI         string       `json:"uri"`
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	IsLocal     bool         `json:"is_local"`
	DurationMS  any          `json:"duration_ms"`
	Explicit    bool         `json:"explicit"`
	Artists     []artistJSON `json:"artists"`
	ExternalIDs struct {
		ISRC string `json:"isrc"`
	} `json:"external_ids"`
	Album struct {
		ID          string       `json:"id"`
		Name        string       `json:"name"`
		ReleaseDate string       `json:"release_date"`
		Artists     []artistJSON `json:"artists"`
		Images      []imageJSON  `json:"images"`
	} `json:"album"`

	// Of episodes.
	ReleaseDate string      `json:"release_date"`
	Images      []imageJSON `json:"images"`
	Show        struct {
		ID     string      `json:"id"`
		Name   string      `json:"name"`
		Images []imageJSON `json:"images"`
	} `json:"show"`
}

type artistJSON struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type imageJSON struct {
	URL   string `json:"url"`
	Width any    `json:"width"`
}

// item returns what j says; ok is false if it has neither a uri nor a name.
func (j itemJSON) item() (item Item, ok bool) {
	item = Item{URI: j.URI, ID: j.ID, Name: j.Name, Explicit: j.Explicit}
	item.DurationMS, _ = wholeMilliseconds(j.DurationMS)

	// The type of a uri is a type too, should "type" be missing.
	uriType, uriID, _ := strings.Cut(strings.TrimPrefix(j.URI, "spotify:"), ":")
	switch itemType := cmp.Or(j.Type, uriType); {
	case j.IsLocal || uriType == "local":
		item.Kind = KindLocal
	case itemType == "track":
		item.Kind = KindTrack
	case itemType == "chapter", itemType == "episode" && j.ReleaseDate == "0000":
		// The player shows the chapters of audiobooks as episodes; this
		// date is all that tells them.
		item.Kind = KindChapter
	case itemType == "episode":
		item.Kind = KindEpisode
	default:
		item.Kind = KindUnknown
	}
	switch item.Kind {
	case KindTrack, KindEpisode, KindChapter:
		if item.URI == "" && item.ID != "" {
			item.URI = "spotify:" + j.Type + ":" + item.ID
		}
		item.ID = cmp.Or(item.ID, uriID)
	}

	switch item.Kind {
	case KindEpisode, KindChapter:
		item.AlbumID, item.Album = j.Show.ID, j.Show.Name
		if j.Show.Name != "" {
			item.Artists = []Artist{{ID: j.Show.ID, Name: j.Show.Name}}
		}
		item.AlbumArtists = item.Artists
		if j.ReleaseDate != "0000" {
			item.ReleaseDate = j.ReleaseDate
		}
		item.ImageURL = cmp.Or(imageURL(j.Images), imageURL(j.Show.Images))
	default:
		item.AlbumID, item.Album = j.Album.ID, j.Album.Name
		item.Artists = artists(j.Artists)
		item.AlbumArtists = artists(j.Album.Artists)
		item.ISRC = j.ExternalIDs.ISRC
		item.ReleaseDate = j.Album.ReleaseDate
		item.ImageURL = imageURL(j.Album.Images)
	}
	return item, item.URI != "" || item.Name != ""
}

func artists(list []artistJSON) []Artist {
	var named []Artist
	for _, a := range list {
		if a.Name != "" {
			named = append(named, Artist(a))
		}
	}
	return named
}

func imageURL(images []imageJSON) string {
	var best string
	var bestWidth float64
	for _, image := range images {
		width, _ := image.Width.(float64)
		if best == "" || bestWidth < 300 && width > bestWidth || width >= 300 && width < bestWidth {
			best, bestWidth = image.URL, width
		}
	}
	return best
}

// fullTrack returns an answer to zmb3's GetTrack as the Item that our own
// decoding makes of the same track.
func fullTrack(t *zmb3.FullTrack) (item Item, ok bool) {
	j := itemJSON{
		Type:       t.Type,
		URI:        string(t.URI),
		ID:         string(t.ID),
		Name:       t.Name,
		DurationMS: float64(t.Duration),
		Explicit:   t.Explicit,
		Artists:    simpleArtists(t.Artists),
	}
	j.ExternalIDs.ISRC = t.ExternalIDs["isrc"]
	j.Album.ID = string(t.Album.ID)
	j.Album.Name = t.Album.Name
	j.Album.ReleaseDate = t.Album.ReleaseDate
	j.Album.Artists = simpleArtists(t.Album.Artists)
	for _, image := range t.Album.Images {
		j.Album.Images = append(j.Album.Images, imageJSON{URL: image.URL, Width: float64(image.Width)})
	}
	return j.item()
}

func simpleArtists(list []zmb3.SimpleArtist) []artistJSON {
	var plain []artistJSON
	for _, a := range list {
		plain = append(plain, artistJSON{ID: string(a.ID), Name: a.Name})
	}
	return plain
}

// Context is where the listener plays from. It is empty if Spotify does not
// say.
type Context struct {
	Type string // album, artist, playlist, show, collection (Liked Songs), …
	URI  string // never with a user id
}

type contextJSON struct {
	Type string `json:"type"`
	URI  string `json:"uri"`
}

// context takes the user out of spotify:user:<id>:collection, which is Liked
// Songs, and out of the old spotify:user:<id>:playlist:<id>.
func (j contextJSON) context() Context {
	c := Context(j)
	if rest, ok := strings.CutPrefix(c.URI, "spotify:user:"); ok {
		_, rest, _ = strings.Cut(rest, ":")
		c.URI = ""
		if rest != "" {
			c.URI = "spotify:" + rest
		}
	}
	return c
}
