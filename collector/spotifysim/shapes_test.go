package spotifysim_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// shapes is a Spotify whose listener has played one of each.
func shapes(t *testing.T, legacy bool) (*spotifysim.User, client) {
	sim := spotifysim.New(spotifysim.Options{Fail: t.Errorf, LegacyShapes: legacy, AccessTokenLife: 1000 * time.Hour})
	u := sim.AddUser("ann", "Ann")
	u.Now().Context(&spotifysim.Context{Type: "album", URI: "spotify:album:" + lantern.Album.ID}).Play(lantern, harbour)
	return u, newClient(t, sim, u)
}

// answers is where Spotify's answers are in every shape.
const answers = "../spotify/testdata/"

// shape is a question to the simulator, and the file of an answer whose keys its own
// must have.
type shape struct {
	file    string
	legacy  bool
	path    string
	play    spotifysim.Item
	context *spotifysim.Context
}

const (
	playerPath  = "/v1/me/player?additional_types=track,episode"
	currentPath = "/v1/me/player/currently-playing"
	recentPath  = "/v1/me/player/recently-played?limit=2"
	pastPath    = "/v1/me/player/recently-played?before=1&limit=50"
)

var (
	lanternPath, podcastPath = "/v1/tracks/" + lantern.URI[14:], "/v1/episodes/" + podcast.URI[16:]

	ad       = spotifysim.Item{Kind: spotifysim.Ad, Duration: time.Minute}
	mystery  = spotifysim.Item{Kind: spotifysim.Unknown}
	anAlbum  = &spotifysim.Context{Type: "album", URI: "spotify:album:x"}
	aShow    = &spotifysim.Context{Type: "show", URI: "spotify:show:x"}
	aChapter = func() spotifysim.Item {
		chapter := podcast
		chapter.Kind = spotifysim.Chapter
		return chapter
	}()
)

// TestKeysOfAnswers compares the keys of answers, in all depth, with those of
// answers that are known.
func TestKeysOfAnswers(t *testing.T) {
	for _, s := range []shape{
		{"player_track.json", true, playerPath, lantern, anAlbum},
		{"currently_playing.json", true, currentPath, lantern, anAlbum},
		{"player_episode.json", true, playerPath, podcast, aShow},
		{"player_chapter.json", true, playerPath, aChapter, aShow},
		{"player_local.json", true, playerPath, tape, nil},
		{"player_private_session.json", false, playerPath, lantern, nil},
		{"player_ad.json", false, playerPath, ad, nil},
		{"player_unknown.json", false, playerPath, mystery, nil},
		{"recently_played.json", true, recentPath, lantern, anAlbum},
		{"recently_played_2026.json", false, recentPath, lantern, anAlbum},
		{"recently_played_empty.json", true, pastPath, lantern, anAlbum},
		{"current_user.json", true, "/v1/me", lantern, anAlbum},
		{"track.json", false, lanternPath, lantern, anAlbum},
		{"episode.json", true, podcastPath, podcast, aShow},
	} {
		s.check(t, answers)
	}
}

// check asks, and compares the answer with the one in a folder.
func (s *shape) check(t *testing.T, folder string) {
	t.Run(s.file, func(t *testing.T) {
		known := string(read(t, folder+s.file))
		synctest.Test(t, func(t *testing.T) {
			u, c := shapes(t, s.legacy)
			time.Sleep(10 * time.Minute)
			u.Now().Context(s.context).Play(s.play)
			status, _, body := c.get(s.path)
			if status != 200 {
				t.Fatalf("%d %s", status, body)
			}
			want, got := keys(t, known, "disallows"), keys(t, body, "disallows")
			if len(got) < 5 {
				t.Errorf("an answer of %d keys", len(got))
			}
			for _, key := range want {
				if !slices.Contains(got, key) {
					t.Errorf("%s is missing", key)
				}
			}
			for _, key := range got {
				if !slices.Contains(want, key) {
					t.Errorf("%s is not in the known one", key)
				}
			}
		})
	})
}

func TestKeysOfTokens(t *testing.T) {
	for _, rotate := range []bool{true, false} {
		want := []string{".access_token", ".expires_in", ".scope", ".token_type"}
		if rotate {
			want = []string{".access_token", ".expires_in", ".refresh_token", ".scope", ".token_type"}
		}
		if got := keys(t, tokens(t, rotate), ""); !slices.Equal(got, want) {
			t.Errorf("rotated %v: keys %v, want %v", rotate, got, want)
		}
	}
}

// tokens is what a refresh is answered with.
func tokens(t *testing.T, rotate bool) string {
	t.Helper()
	sim := spotifysim.New(spotifysim.Options{Fail: t.Errorf, RotateRefreshTokens: rotate})
	refreshToken, _ := sim.AddUser("ann", "Ann").Token()
	_, body := refresh(t, sim, refreshToken)
	return body
}
