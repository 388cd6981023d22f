package spotifysim

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Kind is a sort of item.
type Kind string

// The kinds of item. Spotify calls a Chapter (of an audiobook) an episode and a
// Local file a track; an Ad and something Unknown have no item at all in its
// answers and are no plays.
const (
	Track   Kind = "track"
	Episode Kind = "episode"
	Chapter Kind = "chapter"
	Local   Kind = "local"
	Ad      Kind = "ad"
	Unknown Kind = "unknown"
)

// Item is something that can be played. Items are told apart by their URI.
type Item struct {
	Kind     Kind // "" stands for Track
	URI      string
	Name     string
	Artists  []Artist // of a track
	Album    Album    // of a track
	Show     Show     // of an episode or a chapter
	ISRC     string
	Duration time.Duration // 0: not known, such an item ends only when it is made to
	Explicit bool

	ReleaseDate          string // of the album or the episode: "1981", "1981-12" or "1981-12-15"; "" is null
	ReleaseDatePrecision string // year, month or day
	Images               []Image
	DiscNumber           int
	TrackNumber          int
}

// Artist is one who is credited. A local file's artist has no ID.
type Artist struct{ ID, Name string }

// Album is where a track is from. Its release date and images are the Item's.
type Album struct {
	ID, Name    string
	Type        string // album, single or compilation
	Artists     []Artist
	TotalTracks int
}

// Show is a podcast or an audiobook.
type Show struct {
	ID, Name, Publisher string
	TotalEpisodes       int // 0: null, as for audiobooks
}

// Image is a cover.
type Image struct {
	URL    string `json:"url"`
	Height int    `json:"height"`
	Width  int    `json:"width"`
}

// NewTrack returns a track with everything that Spotify would say of it, made
// from its name: the same arguments give the same ids.
func NewTrack(name, artist string, duration time.Duration) Item {
	by := []Artist{{ID: base62("artist", artist), Name: artist}}
	album := base62("album", artist, name)
	return Item{
		Kind:    Track,
		URI:     "spotify:track:" + base62("track", artist, name),
		Name:    name,
		Artists: by,
		Album:   Album{ID: album, Name: name, Type: "single", Artists: by, TotalTracks: 1},
		ISRC:    isrc("QZ", 2024, artist, name), Duration: duration,
		ReleaseDate: "2024-03-08", ReleaseDatePrecision: "day",
		Images: cover(album), DiscNumber: 1, TrackNumber: 1,
	}
}

// NewEpisode returns an episode, made from its name as NewTrack does.
func NewEpisode(name, show string, duration time.Duration) Item {
	id := base62("show", show)
	return Item{
		Kind: Episode, URI: "spotify:episode:" + base62("episode", show, name), Name: name,
		Show:     Show{ID: id, Name: show, Publisher: show, TotalEpisodes: 120},
		Duration: duration, ReleaseDate: "2024-07-26", ReleaseDatePrecision: "day", Images: cover(id),
	}
}

// NewLocal returns a local file: no id, an empty album, the names in the URI.
func NewLocal(name, artist string, duration time.Duration) Item {
	uri := fmt.Sprintf("spotify:local:%s::%s:%d", url.QueryEscape(artist), url.QueryEscape(name), duration/time.Second)
	return Item{Kind: Local, URI: uri, Name: name, Artists: []Artist{{Name: artist}}, Duration: duration}
}

// base62 returns an id of Spotify's form, 22 characters, made from the parts.
func base62(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	id := new(big.Int).SetBytes(sum[:17]).Text(62)
	return (strings.Repeat("0", 22) + id)[len(id):]
}

func isrc(country string, year int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return fmt.Sprintf("%s%s%02d%05d", country, "SX1", year%100, (int(sum[0])<<16|int(sum[1])<<8|int(sum[2]))%100000)
}

func cover(id string) []Image {
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(id)))[:24]
	return []Image{
		{"https://i.scdn.co/image/ab67616d0000b273" + hash, 640, 640},
		{"https://i.scdn.co/image/ab67616d00001e02" + hash, 300, 300},
		{"https://i.scdn.co/image/ab67616d00004851" + hash, 64, 64},
	}
}

// id returns the last part of a Spotify URI.
func id(uri string) string { return uri[strings.LastIndexByte(uri, ':')+1:] }

// entry is an item as it is served: encoded once, since a page of
// recently-played holds fifty of them.
type entry struct {
	Item
	duration int64 // ms
	encoded  json.RawMessage
}

// intern returns the entry of an item and puts it into the catalogue.
func (s *Spotify) intern(item Item) *entry {
	if item.Kind == "" {
		item.Kind = Track
	}
	key := id(item.URI)
	if known := s.items[key]; known != nil && reflect.DeepEqual(known.Item, item) {
		return known
	}
	e := &entry{Item: item, duration: item.Duration.Milliseconds()}
	switch item.Kind {
	case Ad, Unknown:
		e.encoded = json.RawMessage("null")
		return e
	case Episode, Chapter:
		e.encoded = encode(s.episode(item))
	default:
		e.encoded = encode(s.track(item))
	}
	if item.Kind != Local {
		s.items[key] = e
	}
	return e
}

// encode never fails: it is given our own types only.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

type externalURLs struct {
	Spotify string `json:"spotify,omitempty"`
}

type externalIDs struct {
	ISRC string `json:"isrc,omitempty"`
}

// object holds what every object of the Web API has. Of a local file all of it
// is null.
type object struct {
	ExternalURLs externalURLs `json:"external_urls"`
	Href         *string      `json:"href"`
	ID           *string      `json:"id"`
	Type         string       `json:"type"`
	URI          *string      `json:"uri"`
}

func newObject(sort, id string) object {
	if id == "" {
		return object{Type: sort}
	}
	return object{
		ExternalURLs: externalURLs{"https://open.spotify.com/" + sort + "/" + id},
		Href:         new("https://api.spotify.com/v1/" + sort + "s/" + id),
		ID:           &id,
		Type:         sort,
		URI:          new("spotify:" + sort + ":" + id),
	}
}

type artistObject struct {
	object
	Name string `json:"name"`
}

// Fields with omitempty exist either in the Development Mode shapes or in the
// legacy ones, not in both, or are missing from local files and chapters.

type albumObject struct {
	AlbumType        *string        `json:"album_type"`
	Artists          []artistObject `json:"artists"`
	AvailableMarkets *[]string      `json:"available_markets,omitempty"`
	object
	Images               []Image `json:"images"`
	IsPlayable           bool    `json:"is_playable,omitempty"`
	Name                 string  `json:"name"`
	ReleaseDate          *string `json:"release_date"`
	ReleaseDatePrecision *string `json:"release_date_precision"`
	TotalTracks          int     `json:"total_tracks,omitempty"`
}

type trackObject struct {
	Album            albumObject    `json:"album"`
	Artists          []artistObject `json:"artists"`
	AvailableMarkets *[]string      `json:"available_markets,omitempty"`
	DiscNumber       int            `json:"disc_number"`
	DurationMS       int64          `json:"duration_ms"`
	Explicit         bool           `json:"explicit"`
	ExternalIDs      externalIDs    `json:"external_ids"`
	object
	IsLocal     bool            `json:"is_local"`
	IsPlayable  bool            `json:"is_playable,omitempty"`
	Name        string          `json:"name"`
	Popularity  *int            `json:"popularity,omitempty"`
	PreviewURL  json.RawMessage `json:"preview_url,omitempty"`
	TrackNumber int             `json:"track_number"`
}

type showObject struct {
	AvailableMarkets *[]string  `json:"available_markets,omitempty"`
	Copyrights       []struct{} `json:"copyrights"`
	Description      string     `json:"description"`
	Explicit         bool       `json:"explicit"`
	object
	HTMLDescription    string   `json:"html_description"`
	Images             []Image  `json:"images"`
	IsExternallyHosted bool     `json:"is_externally_hosted"`
	Languages          []string `json:"languages"`
	MediaType          string   `json:"media_type"`
	Name               string   `json:"name"`
	Publisher          *string  `json:"publisher,omitempty"`
	TotalEpisodes      *int     `json:"total_episodes"`
}

type episodeObject struct {
	AudioPreviewURL *string `json:"audio_preview_url"`
	Description     string  `json:"description"`
	DurationMS      int64   `json:"duration_ms"`
	Explicit        bool    `json:"explicit"`
	object
	HTMLDescription      string      `json:"html_description"`
	Images               []Image     `json:"images"`
	IsExternallyHosted   bool        `json:"is_externally_hosted"`
	IsPlayable           bool        `json:"is_playable,omitempty"`
	Language             string      `json:"language"`
	Languages            []string    `json:"languages"`
	Name                 string      `json:"name"`
	ReleaseDate          *string     `json:"release_date"`
	ReleaseDatePrecision *string     `json:"release_date_precision"`
	ResumePoint          resumePoint `json:"resume_point"`
	Show                 showObject  `json:"show"`
}

type resumePoint struct {
	FullyPlayed      bool  `json:"fully_played"`
	ResumePositionMS int64 `json:"resume_position_ms"`
}

func (s *Spotify) track(item Item) trackObject {
	local := item.Kind == Local
	t := trackObject{
		Album: albumObject{
			AlbumType:            orNull(item.Album.Type),
			Artists:              artists(item.Album.Artists),
			object:               newObject("album", item.Album.ID),
			Images:               append([]Image{}, item.Images...),
			Name:                 item.Album.Name,
			ReleaseDate:          orNull(item.ReleaseDate),
			ReleaseDatePrecision: orNull(item.ReleaseDatePrecision),
			TotalTracks:          item.Album.TotalTracks,
		},
		Artists:     artists(item.Artists),
		DiscNumber:  item.DiscNumber,
		DurationMS:  item.Duration.Milliseconds(),
		Explicit:    item.Explicit,
		ExternalIDs: externalIDs{item.ISRC},
		IsLocal:     local,
		Name:        item.Name,
		TrackNumber: item.TrackNumber,
	}
	if local {
		t.object = newObject("track", "")
		t.URI = &item.URI
	} else {
		t.object = newObject("track", id(item.URI))
	}
	if s.options.LegacyShapes {
		t.AvailableMarkets, t.Album.AvailableMarkets = markets(local), markets(local)
		t.PreviewURL = json.RawMessage("null")
		t.Popularity = new(50)
	} else {
		t.IsPlayable, t.Album.IsPlayable = true, true
	}
	return t
}

func (s *Spotify) episode(item Item) episodeObject {
	e := episodeObject{
		DurationMS:           item.Duration.Milliseconds(),
		Explicit:             item.Explicit,
		object:               newObject("episode", id(item.URI)),
		Images:               append([]Image{}, item.Images...),
		IsPlayable:           item.Kind == Episode, // a chapter has no such key
		Language:             "en",
		Languages:            []string{"en"},
		Name:                 item.Name,
		ReleaseDate:          orNull(item.ReleaseDate),
		ReleaseDatePrecision: orNull(item.ReleaseDatePrecision),
		Show: showObject{
			Copyrights: []struct{}{},
			object:     newObject("show", item.Show.ID),
			Images:     append([]Image{}, item.Images...),
			Languages:  []string{"en"},
			MediaType:  "audio",
			Name:       item.Show.Name,
		},
	}
	if item.Show.TotalEpisodes > 0 {
		e.Show.TotalEpisodes = &item.Show.TotalEpisodes
	}
	if s.options.LegacyShapes {
		e.Show.AvailableMarkets, e.Show.Publisher = markets(false), &item.Show.Publisher
	}
	return e
}

func artists(credited []Artist) []artistObject {
	objects := make([]artistObject, len(credited))
	for i, a := range credited {
		objects[i] = artistObject{newObject("artist", a.ID), a.Name}
	}
	return objects
}

func markets(none bool) *[]string {
	if none {
		return &[]string{}
	}
	return &[]string{"DE", "NL", "SE", "US"}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Context is where a play was started from.
type Context struct {
	Type string // album, artist, playlist, show or collection
	URI  string
}

type contextObject struct {
	Type         string       `json:"type"`
	Href         string       `json:"href"`
	ExternalURLs externalURLs `json:"external_urls"`
	URI          string       `json:"uri"`
}

func (c *Context) object() *contextObject {
	if c == nil {
		return nil
	}
	if c.Type == "collection" { // Liked Songs; its uri holds the user's id
		return &contextObject{c.Type, "https://api.spotify.com/v1/me/tracks", externalURLs{"https://open.spotify.com/collection/tracks"}, c.URI}
	}
	key := id(c.URI)
	return &contextObject{
		Type:         c.Type,
		Href:         "https://api.spotify.com/v1/" + c.Type + "s/" + key,
		ExternalURLs: externalURLs{"https://open.spotify.com/" + c.Type + "/" + key},
		URI:          c.URI,
	}
}

// Device is what plays. The zero Device stands for the listener's usual one.
type Device struct {
	ID            string // "": null, as for Sonos
	Name          string
	Type          string // Computer, Smartphone, Speaker, …
	Restricted    bool
	FixedVolume   bool // volume_percent is null, supports_volume false
	VolumePercent int
}

type deviceObject struct {
	ID               *string `json:"id"`
	IsActive         bool    `json:"is_active"`
	IsPrivateSession bool    `json:"is_private_session"`
	IsRestricted     bool    `json:"is_restricted"`
	Name             string  `json:"name"`
	SupportsVolume   bool    `json:"supports_volume"`
	Type             string  `json:"type"`
	VolumePercent    *int    `json:"volume_percent"`
}

func (d *Device) object(private bool) *deviceObject {
	o := &deviceObject{
		ID: orNull(d.ID), IsActive: true, IsPrivateSession: private, IsRestricted: d.Restricted,
		Name: d.Name, SupportsVolume: !d.FixedVolume, Type: d.Type,
	}
	if !d.FixedVolume {
		o.VolumePercent = &d.VolumePercent
	}
	return o
}

func usualDevice() *Device {
	return &Device{ID: fmt.Sprintf("%x", sha256.Sum256([]byte("usual device")))[:40], Name: "Desk", Type: "Computer", VolumePercent: 60}
}

func millis(ms int64) string { return strconv.FormatInt(ms, 10) }
