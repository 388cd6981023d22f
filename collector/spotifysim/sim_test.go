package spotifysim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

var (
	lantern = spotifysim.NewTrack("Lantern", "The Paper Orchard", 200*time.Second)
	harbour = spotifysim.NewTrack("Harbour", "The Paper Orchard", 180*time.Second)
	heron   = spotifysim.NewTrack("Heron", "Åkervind", 240*time.Second)
	podcast = spotifysim.NewEpisode("On Moss", "Slow Things", time.Hour)
	tape    = spotifysim.NewLocal("Side B", "Uncle Jo", 45*time.Minute)
)

// newSim returns a Spotify whose access tokens outlive the test.
func newSim(t *testing.T) *spotifysim.Spotify {
	return spotifysim.New(spotifysim.Options{Fail: t.Errorf, AccessTokenLife: 1000 * time.Hour})
}

// client is a well-mannered client of a Spotify, in memory.
type client struct {
	t     *testing.T
	http  *http.Client
	base  string
	token string
}

func newClient(t *testing.T, s *spotifysim.Spotify, u *spotifysim.User) client {
	return client{t, &http.Client{Transport: s.Transport()}, "http://spotify.test", u.AccessToken()}
}

func (c client) do(path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.base+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("User-Agent", "test")
	r.Header.Set("Authorization", "Bearer "+c.token)
	return c.http.Do(r)
}

// get returns status, headers and body of an answer.
func (c client) get(path string) (int, http.Header, string) {
	c.t.Helper()
	response, err := c.do(path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(b)
}

type item struct {
	URI        string `json:"uri"`
	Name       string `json:"name"`
	DurationMS int64  `json:"duration_ms"`
}

// player is what /me/player shows.
type player struct {
	Status int `json:"-"`
	Device struct {
		ID               *string `json:"id"`
		Name             string  `json:"name"`
		IsPrivateSession bool    `json:"is_private_session"`
		VolumePercent    *int    `json:"volume_percent"`
	} `json:"device"`
	ShuffleState bool   `json:"shuffle_state"`
	RepeatState  string `json:"repeat_state"`
	Timestamp    int64  `json:"timestamp"`
	Context      *struct {
		URI string `json:"uri"`
	} `json:"context"`
	ProgressMS *int64 `json:"progress_ms"`
	Item       *item  `json:"item"`
	Type       string `json:"currently_playing_type"`
	IsPlaying  bool   `json:"is_playing"`
}

func (p player) String() string {
	if p.Status != http.StatusOK {
		return fmt.Sprint(p.Status)
	}
	name, progress, verb := "nothing", "-", "paused"
	if p.Item != nil {
		name = p.Item.Name
	}
	if p.ProgressMS != nil {
		progress = fmt.Sprint(*p.ProgressMS)
	}
	if p.IsPlaying {
		verb = "playing"
	}
	return name + " " + verb + " at " + progress
}

func (c client) player() player {
	c.t.Helper()
	status, _, body := c.get("/v1/me/player?additional_types=track,episode")
	p := player{Status: status}
	if status == http.StatusOK {
		decode(c.t, body, &p)
	}
	return p
}

type recentlyPlayed struct {
	Items []struct {
		Track    item   `json:"track"`
		PlayedAt string `json:"played_at"`
		Context  *struct {
			URI string `json:"uri"`
		} `json:"context"`
	} `json:"items"`
	Next    *string `json:"next"`
	Cursors *struct {
		After, Before string
	} `json:"cursors"`
	Limit int `json:"limit"`
}

func (c client) recentlyPlayed(query string) recentlyPlayed {
	c.t.Helper()
	status, _, body := c.get("/v1/me/player/recently-played" + query)
	if status != http.StatusOK {
		c.t.Fatalf("recently-played: %d %s", status, body)
	}
	var page recentlyPlayed
	decode(c.t, body, &page)
	return page
}

// names returns the tracks of the newest 50 plays, the newest first.
func (c client) names() (names []string) {
	c.t.Helper()
	for _, i := range c.recentlyPlayed("?limit=50").Items {
		names = append(names, i.Track.Name)
	}
	return names
}

func decode(t *testing.T, body string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), v); err != nil {
		t.Fatalf("%v in %.200s", err, body)
	}
}
