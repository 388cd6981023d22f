package spotifysim

import (
	"math/rand/v2"
	"time"
)

// PlayDemo plays what the demo shows, from a time on for a length of time: full
// tracks, skips (one before and one after 30 s), a track on repeat, a pause, and
// a play on a phone that was offline and tells of it later. All of that comes
// within the first quarter of an hour and then again and again, about 30 plays
// an hour. At the end a long track goes on beyond the length, begun early
// enough (four minutes, or a sixth of the length) for the plays before it to be
// in recently-played.
func (u *User) PlayDemo(seed uint64, from time.Time, length time.Duration) {
	rng := rand.New(rand.NewPCG(seed, 3))
	var tracks []Item
	for _, album := range newCatalogue(seed).albums {
		for _, item := range album {
			item.Duration = 80*time.Second + time.Duration(rng.IntN(60_000))*time.Millisecond
			tracks = append(tracks, item)
		}
	}
	rng.Shuffle(len(tracks), func(i, j int) { tracks[i], tracks[j] = tracks[j], tracks[i] })
	next := 0
	track := func() Item {
		next++
		return tracks[next%len(tracks)]
	}

	desk := *usualDevice()
	phone := Device{ID: base62("device", "phone"), Name: "Phone", Type: "Smartphone", VolumePercent: 100}
	kitchen := Device{ID: base62("device", "kitchen"), Name: "Kitchen", Type: "Speaker", VolumePercent: 35}
	evening := &Context{"playlist", playlistURI(0)}

	// full plays a track to its end. What is begun at the very moment of an end
	// follows by itself.
	full := func(m Moment) Moment {
		item := track()
		return m.Play(item).After(item.Duration)
	}
	acts := []func(m Moment) Moment{
		full,
		func(m Moment) Moment {
			return m.Play(track(), track()).After(12 * time.Second).Next().After(48 * time.Second)
		},
		func(m Moment) Moment { // on repeat: two plays of one track
			item := track()
			return m.Repeat("track").Play(item).After(2*item.Duration - time.Second).Repeat("off").After(time.Second)
		},
		func(m Moment) Moment { // a pause within a track
			item := track()
			return m.Device(kitchen).Play(item).After(40 * time.Second).Pause().After(50 * time.Second).Resume().After(item.Duration - 40*time.Second)
		},
		func(m Moment) Moment { // on the phone, out of reach
			item := track()
			return m.Device(phone).Offline(true).Play(item).After(item.Duration + 5*time.Second).Offline(false).Device(desk)
		},
		full,
	}
	m := u.At(from).Context(evening)
	end := u.At(from.Add(length - min(4*time.Minute, length/6)))
	for i := 0; m.at < end.at; i++ {
		m = acts[i%len(acts)](m)
	}
	// Not one of those above: with another length it would no longer be the same track.
	item := NewTrack("The Long Way Round", "Old Ferry Company", time.Hour)
	m.Context(&Context{"album", "spotify:album:" + item.Album.ID}).Play(item)
}
