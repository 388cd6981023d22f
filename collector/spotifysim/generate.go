package spotifysim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// Habits are how a generated listener listens. A zero field is its default.
type Habits struct {
	PlaysPerDay float64 // about; default 45, skips included
	Skips       float64 // share of the plays that are skipped; default 0.25
}

// GenerateDays returns days of listening that never were, of the person that
// the seed stands for: sessions at the hours of a week (in from's time zone),
// albums, playlists on shuffle and podcasts, with skips, repeats and pauses, and
// every ninth day a late evening offline. The same arguments give the same
// days; the plays do not overlap and are in the order of time.
func GenerateDays(seed uint64, from time.Time, days int, habits Habits) []Given {
	return NewDays(seed, from, habits).Next(days)
}

// Days is listening that goes on for ever, see GenerateDays.
type Days struct {
	generator
	from time.Time
	day  int // the next one, counted from from
}

// NewDays begins at from.
func NewDays(seed uint64, from time.Time, habits Habits) *Days {
	if habits.PlaysPerDay == 0 {
		habits.PlaysPerDay = 45
	}
	if habits.Skips == 0 {
		habits.Skips = 0.25
	}
	return &Days{from: from, generator: generator{
		rng:       rand.New(rand.NewPCG(seed, 2)),
		catalogue: newCatalogue(seed),
		habits:    habits,
		free:      from,
	}}
}

// Next returns what is played on the next so many days.
func (d *Days) Next(days int) []Given {
	d.given = nil
	year, month, day := d.from.Date()
	for range days {
		midnight := time.Date(year, month, day+d.day, 0, 0, 0, 0, d.from.Location())
		d.oneDay(midnight, d.day%9 == 8)
		d.day++
	}
	return d.given
}

type generator struct {
	rng       *rand.Rand
	catalogue *catalogue
	habits    Habits
	given     []Given
	free      time.Time // when the play before has ended
	episode   int       // episodes heard so far
}

// playsPerSession is about what day's sessions come to.
const playsPerSession = 13

// oneDay adds the sessions of a day.
func (g *generator) oneDay(midnight time.Time, offlineEvening bool) {
	sessions := g.habits.PlaysPerDay / playsPerSession * (0.4 + 1.2*g.rng.Float64())
	var starts []time.Time
	for ; g.rng.Float64() < sessions; sessions-- {
		hour := g.hour(midnight.Weekday())
		starts = append(starts, midnight.Add(time.Duration(hour)*time.Hour+g.between(0, time.Hour)))
	}
	slices.SortFunc(starts, time.Time.Compare)
	for _, start := range starts {
		if offlineEvening && start.Sub(midnight) >= 20*time.Hour {
			break
		}
		g.session(start, false)
	}
	if offlineEvening {
		g.session(midnight.Add(21*time.Hour+g.between(0, time.Hour)), true)
	}
}

// hour draws an hour of the day by how much is listened at it.
func (g *generator) hour(weekday time.Weekday) int {
	//                   0        3        6        9        12       15       18       21
	weights := [24]int{1, 0, 0, 0, 0, 1, 4, 9, 7, 5, 5, 4, 3, 5, 5, 4, 5, 7, 8, 7, 8, 9, 6, 3}
	if weekday == time.Saturday || weekday == time.Sunday {
		weights = [24]int{3, 2, 0, 0, 0, 0, 0, 1, 2, 5, 8, 8, 6, 5, 5, 6, 6, 6, 7, 6, 7, 9, 8, 6}
	}
	total := 0
	for _, w := range weights {
		total += w
	}
	n := g.rng.IntN(total)
	for hour, w := range weights {
		if n -= w; n < 0 {
			return hour
		}
	}
	return 0
}

// session adds plays from a start on, or from when the session before is over.
func (g *generator) session(start time.Time, offline bool) {
	if earliest := g.free.Add(g.between(3*time.Minute, 20*time.Minute)); start.Before(earliest) {
		start = earliest
	}
	g.free = start.Truncate(time.Millisecond)
	if !offline && g.rng.IntN(12) == 0 {
		g.podcast()
		return
	}
	plays := 4 + int(g.rng.ExpFloat64()*(playsPerSession-4))
	plays = min(plays, 60)
	if offline {
		plays = 10 + g.rng.IntN(14)
	}
	items, base := g.music(plays)
	base.Offline = offline
	base.Device = device(start.Hour(), offline)

	reason := "clickrow"
	for i := range items {
		play := base
		play.Item, play.ReasonStart = items[i], reason
		last := i == len(items)-1
		switch {
		case g.rng.Float64() < g.habits.Skips:
			g.skip(&play)
		case last && g.rng.IntN(2) == 0: // paused for good: logged out ten minutes later
			g.add(play, g.between(10*time.Second, play.Item.Duration), 10*time.Minute, "logout")
			return
		case g.rng.IntN(25) == 0:
			g.add(play, play.Item.Duration, g.between(15*time.Second, 8*time.Minute), "trackdone")
		default:
			g.add(play, play.Item.Duration, 0, "trackdone")
			if g.rng.IntN(40) == 0 { // once more
				play.ReasonStart = "trackdone"
				g.add(play, play.Item.Duration, 0, "trackdone")
			}
		}
		if reason = g.given[len(g.given)-1].ReasonEnd; reason == "endplay" {
			reason = "clickrow"
		}
	}
}

// music draws what a session plays, and what is the same for all of it.
func (g *generator) music(plays int) ([]Item, Given) {
	var items []Item
	if g.rng.IntN(5) < 2 { // albums, from their start
		for len(items) < plays {
			album := g.album()
			items = append(items, album[:min(len(album), plays-len(items))]...)
		}
		return items, Given{Context: &Context{"album", "spotify:album:" + items[0].Album.ID}}
	}
	playlist := &Context{"playlist", playlistURI(g.rng.IntN(9))}
	if g.rng.IntN(4) == 0 {
		playlist = &Context{"collection", "spotify:user:listener:collection"}
	}
	for range plays {
		album := g.album()
		item := album[g.rng.IntN(len(album))]
		if again, ok := g.catalogue.reissue[item.URI]; ok && g.rng.IntN(2) == 0 {
			item = again
		}
		items = append(items, item)
	}
	return items, Given{Context: playlist, Shuffle: g.rng.IntN(4) > 0}
}

// album draws an album, the favourites more often.
func (g *generator) album() []Item {
	n := len(g.catalogue.albums)
	r := g.rng.Float64()
	return g.catalogue.albums[int(r*r*float64(n))]
}

func (g *generator) podcast() {
	show := g.catalogue.shows[g.episode%len(g.catalogue.shows)]
	episode := show[g.episode/len(g.catalogue.shows)%len(show)]
	g.episode++
	play := Given{
		Item: episode, ReasonStart: "clickrow", Device: device(8, false),
		Context: &Context{"show", "spotify:show:" + episode.Show.ID},
	}
	if g.rng.IntN(2) == 0 {
		g.add(play, episode.Duration, 0, "trackdone")
	} else {
		g.add(play, g.between(time.Minute, episode.Duration), 0, "endplay")
	}
}

// skip adds a play that is given up, mostly at once.
func (g *generator) skip(play *Given) {
	heard := g.between(500*time.Millisecond, 12*time.Second)
	switch n := g.rng.IntN(100); {
	case n < 15:
		heard = g.between(45*time.Second, play.Item.Duration*7/10)
	case n < 45:
		heard = g.between(12*time.Second, 45*time.Second)
	}
	reason := "fwdbtn"
	switch n := g.rng.IntN(100); {
	case n < 12:
		reason = "endplay"
	case n < 20:
		reason = "backbtn"
	}
	g.add(*play, heard, 0, reason)
	g.free = g.free.Add(g.between(0, 900*time.Millisecond))
}

// add appends a play that starts now, sounds for heard and is paused for paused.
func (g *generator) add(play Given, heard, paused time.Duration, reason string) {
	play.StartedAt = g.free
	play.MSPlayed = heard.Milliseconds()
	play.EndedAt = g.free.Add(heard + paused)
	play.ReasonEnd = reason
	g.given = append(g.given, play)
	g.free = play.EndedAt
}

// between draws a length of time, in whole ms.
func (g *generator) between(low, high time.Duration) time.Duration {
	if high <= low {
		return low
	}
	return (low + time.Duration(g.rng.Int64N(int64(high-low)))).Truncate(time.Millisecond)
}

// device is what one listens on at an hour.
func device(hour int, offline bool) Device {
	switch {
	case offline || hour < 9:
		return Device{ID: base62("device", "phone"), Name: "Phone", Type: "Smartphone", VolumePercent: 100}
	case hour < 18:
		return Device{} // the usual one
	default: // a speaker that Spotify knows no id of
		return Device{Name: "Kitchen", Type: "Speaker", Restricted: true, VolumePercent: 34}
	}
}
