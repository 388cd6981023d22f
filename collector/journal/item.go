package journal

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Kind is what sort of thing was listened to.
type Kind uint8

// The kinds of items. The zero value is an item of which nothing is known: rows
// of an export whose content has been removed. Such plays are kept and counted,
// and never leave the journal.
const (
	Unknown Kind = iota
	Track
	Episode
	Chapter // of an audiobook
	Local   // a file on the listener's device
)

// spoken reports whether the item is an episode or a chapter: the Web API calls most
// chapters episodes, exports do not.
func (i *Item) spoken() bool { return i.Kind == Episode || i.Kind == Chapter }

var kindNames = [...]string{"unknown", "track", "episode", "chapter", "local"}

// String returns the kind's name in the schema: track, episode, chapter, local
// or unknown.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", k)
}

// Artist is one credited artist. Exports know no ids.
type Artist struct {
	ID   string `json:"id,omitempty"` // Spotify id, "" if not known
	Name string `json:"name"`
}

// Item is what a witness says of the thing played. Of an episode, the artist and
// the album are its show; of an audiobook's chapter, its book (and author, where
// that is known, as artist).
type Item struct {
	Kind         Kind     `json:"kind"`
	URI          string   `json:"uri,omitempty"`     // "" if only the names are known
	Name         string   `json:"name,omitempty"`    // title
	Artists      []Artist `json:"artists,omitempty"` // all credited, first one first
	Album        string   `json:"album,omitempty"`
	AlbumID      string   `json:"album_id,omitempty"`
	AlbumArtists []Artist `json:"album_artists,omitempty"`
	ISRC         string   `json:"isrc,omitempty"`
	ReleaseDate  string   `json:"release_date,omitempty"` // "1981", "1981-12" or "1981-12-15"; "" if not known
	DurationMS   int64    `json:"duration_ms,omitempty"`  // 0 if not known
	Explicit     *bool    `json:"explicit,omitempty"`     // nil if not known
	ImageURL     string   `json:"image_url,omitempty"`    // the cover
}

// Source is how much may be believed of what a witness says of an item: the Web
// API knows all artists and ids, the exports only names and the album's artist.
type Source uint8

// The sources of facts about items, the most trusted one first.
const (
	FromAPI Source = iota + 1
	FromExtendedHistory
	FromAccountData
)

// ID returns the Spotify id in the URI, "" for local files and unknown items.
func (i Item) ID() string {
	if i.Kind == Local {
		return ""
	}
	return i.URI[strings.LastIndexByte(i.URI, ':')+1:]
}

// Artist returns the name of the first credited artist, "" if none is known.
func (i Item) Artist() string {
	if len(i.Artists) == 0 {
		return ""
	}
	return i.Artists[0].Name
}

// ArtistKey is what plays are grouped by to count an artist: the folded name of
// the first credited artist. Exports carry no ids, so names decide.
func (i Item) ArtistKey() string { return Fold(i.Artist()) }

// AlbumKey is what plays are grouped by to count an album: folded artist and
// name. "" if the album is not known.
func (i Item) AlbumKey() string {
	if i.Album == "" {
		return ""
	}
	artist := i.Artist()
	if len(i.AlbumArtists) > 0 {
		artist = i.AlbumArtists[0].Name
	}
	return Fold(artist) + keySeparator + Fold(i.Album)
}

// SongKey is what plays are grouped by to count a song, whatever its uris:
// folded first artist and title. "" if the title is not known.
func (i Item) SongKey() string {
	if i.Name == "" {
		return ""
	}
	return Fold(i.Artist()) + keySeparator + Fold(i.Name)
}

// keySeparator stands between the parts of a key; it is no part of a folded name.
const keySeparator = "\x1f"

// Fold returns the form of a name that is compared: compatibility-normalised,
// case-folded, white space collapsed, and without the invisible characters that
// Spotify puts into titles (U+2060 among them). Accents stay: they tell names
// apart.
func Fold(name string) string {
	if folded, ok := foldASCII(name); ok {
		return folded
	}
	name = cases.Fold().String(norm.NFKC.String(name))
	name = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, name)
	return strings.Join(strings.Fields(norm.NFC.String(name)), " ")
}

// foldASCII is Fold for the names, most of them, that need no tables.
func foldASCII(name string) (string, bool) {
	space, changed := true, false
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 0x7f || c < ' ':
			return "", false
		case c == ' ':
			if space {
				changed = true
			}
			space = true
			continue
		case 'A' <= c && c <= 'Z':
			changed = true
		}
		space = false
	}
	if space && name != "" {
		changed = true
	}
	if !changed {
		return name, true
	}
	return strings.Join(strings.Fields(strings.ToLower(name)), " "), true
}

// hasArtist tells whether an artist of that folded name is credited on the item or
// its album.
func (i Item) hasArtist(folded string) bool {
	for _, list := range [][]Artist{i.Artists, i.AlbumArtists} {
		for _, a := range list {
			if Fold(a.Name) == folded {
				return true
			}
		}
	}
	return false
}

func encodeArtists(artists []Artist) string {
	if len(artists) == 0 {
		return ""
	}
	text, err := json.Marshal(artists)
	if err != nil {
		panic(err) // strings only: cannot happen
	}
	return string(text)
}

func decodeArtists(text string) ([]Artist, error) {
	if text == "" {
		return nil, nil
	}
	var artists []Artist
	if err := json.Unmarshal([]byte(text), &artists); err != nil {
		return nil, fmt.Errorf("read artists of an item: %w", err)
	}
	return artists, nil
}
