package spotifysim

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// catalogue is all the music there is in generated days. None of it exists.
type catalogue struct {
	albums  [][]Item // each in the order of its tracks, the favourites first
	reissue map[string]Item
	shows   [][]Item // the episodes of podcasts
}

// style is how an artist names things and how long they take.
type style struct {
	albums, tracks    []string // with %s for a word
	words             []string
	shortest, longest time.Duration
}

func styles() map[string]style {
	return map[string]style{
		"english": {
			[]string{"The %s Years", "%s & Other Weather", "A Field Guide to %s", "%s", "Letters from the %s", "Slow %s"},
			[]string{"%s", "%s in March", "Paper %s", "When the %s Comes Home", "Half a %s", "Old %s, New Coat", "%s Again", "Nobody's %s", "Twelve Ways to Fold a %s", "%s (Interlude)", "Goodnight, %s", "Under the %s"},
			[]string{"Lantern", "Orchard", "Harbour", "Kettle", "Meadow", "Compass", "Ferry", "Windowsill", "Juniper", "Thimble", "Heron", "Postcard", "Ladder", "Snowdrift", "Umbrella", "Attic", "Marble", "Sparrow", "Staircase", "Lighthouse", "Almanac", "Tangerine"},
			150 * time.Second, 300 * time.Second,
		},
		"nordic": {
			[]string{"%s og stille", "Under %s", "%s"},
			[]string{"%s", "%s om natten", "Lille %s", "Farvel, %s", "Når %s synger", "Den sidste %s"},
			[]string{"Måne", "Sjø", "Ørn", "Skog", "Brød", "Høst", "Fjære", "Vår", "Tåge", "Birk", "Ærlig", "Snø"},
			160 * time.Second, 330 * time.Second,
		},
		"french": {
			[]string{"Été %s", "La Maison %s", "%s de papier"},
			[]string{"%s", "Rue %s", "Le %s à vélo", "Bonsoir, %s", "Mon %s imaginaire", "Où va le %s ?"},
			[]string{"Citron", "Nuage", "Hérisson", "Parapluie", "Château", "Forêt", "Écluse", "Bateau", "Cerisier", "Métro", "Réveil"},
			140 * time.Second, 260 * time.Second,
		},
		"german": {
			[]string{"%s und Übermut", "Zimmer mit %s"},
			[]string{"%s", "Kleine %smusik", "%s im Regen", "Gute Nacht, %s", "Für %s", "Kein %s mehr"},
			[]string{"Käfer", "Straßenbahn", "Löwenzahn", "Fähre", "Tür", "Großmut", "Nebel", "Südwind", "Brücke", "Kürbis"},
			150 * time.Second, 290 * time.Second,
		},
		"japanese": {
			[]string{"%sの記憶", "夜の%s"},
			[]string{"%s", "%sの歌", "青い%s", "さよなら、%s", "%sと雨", "小さな%s"},
			[]string{"灯台", "猫", "風車", "汽車", "窓", "海", "紙飛行機", "雪", "月見草", "坂道"},
			170 * time.Second, 310 * time.Second,
		},
		"polish": {
			[]string{"%s nad rzeką", "Cień i %s"},
			[]string{"%s", "Mały %s", "%s o świcie", "Gdzie jest %s?", "Dobranoc, %s"},
			[]string{"Młyn", "Żuraw", "Księżyc", "Śnieg", "Dąb", "Świerszcz", "Wóz", "Łabędź", "Jeż"},
			150 * time.Second, 280 * time.Second,
		},
		"spanish": {
			[]string{"Casa de %s", "%s y sal"},
			[]string{"%s", "Mi %s", "%s al mediodía", "La niña y el %s", "Adiós, %s", "¿Dónde está el %s?"},
			[]string{"Limón", "Tranvía", "Caracol", "Abanico", "Corazón", "Balcón", "Nogal", "Girasol", "Ratón"},
			150 * time.Second, 270 * time.Second,
		},
		"long": {
			[]string{"Studies for %s", "%s Suite", "Ambient Works for %s"},
			[]string{"%s I", "%s II", "%s III", "Drone for %s", "Slow Movement: %s", "%s, Reprise", "Variations on a %s"},
			[]string{"Organ", "Tide", "Glacier", "Valley", "Copper", "Dusk", "Low Strings", "Empty Hall"},
			7 * time.Minute, 26 * time.Minute,
		},
	}
}

// artistNames lists the artists by style; the earlier, the better liked.
func artistNames() [][2]string {
	return [][2]string{
		{"The Paper Orchard", "english"}, {"Björn Åkervind", "nordic"}, {"Lanternfish Parade", "english"}, {"Été Indigo", "french"},
		{"Marlow Quill", "english"}, {"夜の灯台", "japanese"}, {"Copper Kettle Club", "english"}, {"Frau Löwenzahn", "german"},
		{"Tiny Weather Office", "english"}, {"Młyn Orkiestra", "polish"}, {"Saltmarsh Telegraph", "english"}, {"Hollow Tide Ensemble", "long"},
		{"Los Tranvías del Sur", "spanish"}, {"Ida & the Umbrellas", "english"}, {"Søndag Atlas", "nordic"}, {"Velvet Abacus", "english"},
		{"Odile Brisefer", "french"}, {"Grandmother's Radio", "english"}, {"Käferkapelle", "german"}, {"Old Ferry Company", "english"},
		{"紙飛行機", "japanese"}, {"Quiet Arithmetic", "english"}, {"Kõrv ja Kivi", "nordic"}, {"The Thimble Brothers", "english"},
		{"Ondine Vasseur-Lamy", "french"}, {"Nine Dry Rivers", "english"}, {"Pola Żurawska", "polish"}, {"Glasshouse Athletics", "english"},
		{"Esteban Caracol", "spanish"}, {"North Window", "long"}, {"Juniper & Sons", "english"}, {"Doctor Meadowlark", "english"},
		{"Ástríður Vey", "nordic"}, {"The Sunday Cartographers", "english"}, {"Zimmer Sieben", "german"}, {"Low Lamp Trio", "long"},
	}
}

func newCatalogue(seed uint64) *catalogue {
	rng := rand.New(rand.NewPCG(seed, 1))
	c := &catalogue{reissue: map[string]Item{}}
	names, styles := artistNames(), styles()
	for i, name := range names {
		guest := names[rng.IntN(len(names))][0]
		if guest == name[0] {
			guest = names[(i+1)%len(names)][0]
		}
		year := 1968 + rng.IntN(50)
		for range 1 + rng.IntN(3) {
			c.albums = append(c.albums, c.album(rng, name[0], guest, styles[name[1]], year))
			year = min(2026, year+1+rng.IntN(6))
		}
	}
	for _, show := range []string{"Slow Things", "The Bridge Keepers", "Ein Stuhl für zwei", "Ordinary Maps"} {
		var episodes []Item
		for n := range 40 {
			title := fmt.Sprintf("%d: %s", n+1, word(rng, styles["english"]))
			episode := NewEpisode(title, show, (18*time.Minute + time.Duration(rng.IntN(55*60_000))*time.Millisecond).Truncate(time.Millisecond))
			episodes = append(episodes, episode)
		}
		c.shows = append(c.shows, episodes)
	}
	return c
}

// album makes a record; some of its songs exist under a second URI.
func (c *catalogue) album(rng *rand.Rand, artist, guest string, style style, year int) []Item {
	name := fmt.Sprintf(style.albums[rng.IntN(len(style.albums))], word(rng, style))
	by := []Artist{{base62("artist", artist), artist}}
	album := Album{ID: base62("album", artist, name, fmt.Sprint(year)), Name: name, Type: "album", Artists: by}
	date, precision := releaseDate(rng, year)

	seen := map[string]bool{}
	var tracks []Item
	for range 6 + rng.IntN(7) {
		title := fmt.Sprintf(style.tracks[rng.IntN(len(style.tracks))], word(rng, style))
		credited := by
		if rng.IntN(10) == 0 {
			credited = append(by[:1:1], Artist{base62("artist", guest), guest})
			if rng.IntN(2) == 0 {
				title += " (feat. " + guest + ")"
			}
		}
		if seen[title] {
			continue
		}
		seen[title] = true
		tracks = append(tracks, Item{
			Kind: Track, URI: "spotify:track:" + base62("track", album.ID, title), Name: title, Artists: credited, Album: album,
			ISRC:     isrc("QZ", year, artist, title),
			Duration: style.shortest + time.Duration(rng.Int64N(int64((style.longest-style.shortest)/time.Millisecond)))*time.Millisecond,
			Explicit: rng.IntN(12) == 0, ReleaseDate: date, ReleaseDatePrecision: precision,
			Images: cover(album.ID), DiscNumber: 1, TrackNumber: len(tracks) + 1,
		})
	}
	for i := range tracks {
		tracks[i].Album.TotalTracks = len(tracks)
		if rng.IntN(8) == 0 {
			c.reissue[tracks[i].URI] = reissued(tracks[i], min(2026, year+rng.IntN(12)))
		}
	}
	return tracks
}

// reissued returns the same recording on a compilation: same names and ISRC,
// another URI, album and date.
func reissued(item Item, year int) Item {
	various := []Artist{{base62("artist", "Various Artists"), "Various Artists"}}
	name := fmt.Sprintf("Small Hours, Vol. %d", year%7+1)
	item.Album = Album{ID: base62("album", name), Name: name, Type: "compilation", Artists: various, TotalTracks: 40}
	item.URI = "spotify:track:" + base62("track", item.Album.ID, item.URI)
	item.ReleaseDate, item.ReleaseDatePrecision = fmt.Sprint(year), "year"
	item.Images = cover(item.Album.ID)
	return item
}

func word(rng *rand.Rand, style style) string { return style.words[rng.IntN(len(style.words))] }

// releaseDate is less precise the older it is.
func releaseDate(rng *rand.Rand, year int) (date, precision string) {
	date = fmt.Sprintf("%d-%02d-%02d", year, 1+rng.IntN(12), 1+rng.IntN(28))
	switch age := 2026 - year; {
	case rng.IntN(60) < age:
		return date[:4], "year"
	case rng.IntN(20) == 0:
		return date[:7], "month"
	default:
		return date, "day"
	}
}

// playlistURI returns the URI of the listener's n-th playlist.
func playlistURI(n int) string { return "spotify:playlist:" + base62("playlist", fmt.Sprint(n)) }
