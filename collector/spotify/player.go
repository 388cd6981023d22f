package spotify

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Player is what GET /me/player says of one moment.
type Player struct {
	Active         bool // false: 204, nothing plays or has lately; only the last two fields are set
	Playing        bool // false: paused
	PrivateSession bool
	Kind           string // currently_playing_type: track, episode, ad, unknown, or one that is new
	Item           *Item  // nil for an ad and for what Spotify does not show
	ProgressMS     *int64 // nil is usual, even while playing (spotify/web-api#748)
	Shuffle        bool
	Repeat         string // off, track, context
	Device         Device
	Context        Context

	// ReceivedAt is by our clock, the middle of request and answer.
	// Spotify's own "timestamp" is not kept: it may be minutes old
	// (spotify/web-api#640, #1073).
	ReceivedAt time.Time
	RoundTrip  time.Duration
}

// Device is where it plays. Its id is left out: it does not last.
type Device struct {
	Name, Type    string
	VolumePercent *int // 0–100; nil if it cannot be told
}

type playerJSON struct {
	IsPlaying            any         `json:"is_playing"`
	CurrentlyPlayingType string      `json:"currently_playing_type"`
	Item                 *itemJSON   `json:"item"`
	ProgressMS           any         `json:"progress_ms"`
	ShuffleState         bool        `json:"shuffle_state"`
	RepeatState          string      `json:"repeat_state"`
	Context              contextJSON `json:"context"`
	Device               struct {
		Name             string `json:"name"`
		Type             string `json:"type"`
		VolumePercent    any    `json:"volume_percent"`
		IsPrivateSession any    `json:"is_private_session"`
	} `json:"device"`
}

// decodePlayer reads the body of a 200. It insists on what a listen depends
// on: whether it plays, what, and that it is not known to be private.
func decodePlayer(body []byte) (Player, error) {
	var j playerJSON
	if err := decode(body, &j); err != nil {
		return Player{}, err
	}
	p := Player{
		Active:  true,
		Kind:    j.CurrentlyPlayingType,
		Shuffle: j.ShuffleState,
		Repeat:  j.RepeatState,
		Device:  Device{Name: j.Device.Name, Type: j.Device.Type},
		Context: j.Context.context(),
	}
	var ok bool
	if p.Playing, ok = j.IsPlaying.(bool); !ok {
		return Player{}, fmt.Errorf("is_playing: must be true or false (got %T)", j.IsPlaying)
	}
	if p.PrivateSession, ok = j.Device.IsPrivateSession.(bool); !ok && j.Device.IsPrivateSession != nil {
		return Player{}, fmt.Errorf("device.is_private_session: must be true or false (got %T)", j.Device.IsPrivateSession)
	}
	if progress, ok := wholeMilliseconds(j.ProgressMS); ok {
		p.ProgressMS = &progress
	}
	if volume, ok := j.Device.VolumePercent.(float64); ok && volume >= 0 && volume <= 100 {
		p.Device.VolumePercent = new(int(volume))
	}
	if j.Item != nil && p.Kind != "ad" {
		item, ok := j.Item.item()
		if !ok {
			return Player{}, errors.New("item: has neither uri nor name")
		}
		p.Item = &item
		p.Kind = cmp.Or(p.Kind, j.Item.Type) // bodies of 2017 do not have it
	}
	return p, nil
}
