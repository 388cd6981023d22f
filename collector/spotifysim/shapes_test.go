package spotifysim_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// shapes is a Spotify whose listener has played one of each.
func shapes(t *testing.T, legacy bool) (*spotifysim.User, client) {
	sim := spotifysim.New(spotifysim.Options{Fail: t.Errorf, LegacyShapes: legacy, AccessTokenLife: 1000 * time.Hour})
	u := sim.AddUser("ann", "Ann")
	u.Now().Context(&spotifysim.Context{Type: "album", URI: "spotify:album:" + lantern.Album.ID}).Play(lantern, harbour)
	return u, newClient(t, sim, u)
}

// TestKeysOfRecordedAnswers compares the keys of answers, in all depth, with
// those of recorded ones.
func TestKeysOfRecordedAnswers(t *testing.T) {
	const player = "/v1/me/player?additional_types=track,episode"
	ad := spotifysim.Item{Kind: spotifysim.Ad, Duration: time.Minute}
	chapter := podcast
	chapter.Kind = spotifysim.Chapter
	album := &spotifysim.Context{Type: "album", URI: "spotify:album:x"}
	show := &spotifysim.Context{Type: "show", URI: "spotify:show:x"}
	tests := []struct {
		recorded string
		legacy   bool
		path     string
		play     spotifysim.Item
		context  *spotifysim.Context
	}{
		{"api/player_track_multi-scrobbler_2024-12.json", true, player, lantern, album},
		{"api/currently_playing_track.json", true, "/v1/me/player/currently-playing", lantern, album},
		{"api/player_episode_1.json", true, player, podcast, show},
		{"api/player_audiobook_1.json", true, player, chapter, show},
		{"api/player_4.json", true, player, tape, nil},
		{"api/CONSTRUCTED_player_private_session.json", false, player, lantern, nil},
		{"api/CONSTRUCTED_player_ad.json", false, player, ad, nil},
		{"api/CONSTRUCTED_player_unknown.json", false, player, spotifysim.Item{Kind: spotifysim.Unknown}, nil},
		{"api/recently_played_2026-02-25_limit48.json", true, "/v1/me/player/recently-played?limit=2", lantern, album},
		{"api/recently_played_empty_past_50.json", true, "/v1/me/player/recently-played?before=1&limit=50", lantern, album},
		{"api/current_user.json", true, "/v1/me", lantern, album},
		{"devmode-2026/track.json", false, "/v1/tracks/" + lantern.URI[14:], lantern, album},
		{"api/episode.json", true, "/v1/episodes/" + podcast.URI[16:], podcast, show},
	}
	for _, test := range tests {
		t.Run(test.recorded, func(t *testing.T) {
			recorded := string(shared(t, test.recorded))
			synctest.Test(t, func(t *testing.T) {
				u, c := shapes(t, test.legacy)
				time.Sleep(10 * time.Minute)
				u.Now().Context(test.context).Play(test.play)
				status, _, body := c.get(test.path)
				if status != 200 {
					t.Fatalf("%d %s", status, body)
				}
				want, got := keys(t, recorded, "disallows"), keys(t, body, "disallows")
				if len(got) < 5 || !slices.Equal(got, want) {
					for _, key := range want {
						if !slices.Contains(got, key) {
							t.Errorf("%s is missing", key)
						}
					}
					for _, key := range got {
						if !slices.Contains(want, key) {
							t.Errorf("%s is not in the recorded one", key)
						}
					}
				}
			})
		})
	}
}

func TestKeysOfRecordedTokens(t *testing.T) {
	for _, test := range []struct {
		recorded string
		rotate   bool
	}{
		{"errors/token_200_refresh_rotated_pkce_before_2026-07.json", true},
		{"errors/token_200_refresh_without_refresh_token.json", false},
	} {
		t.Run(test.recorded, func(t *testing.T) {
			sim := spotifysim.New(spotifysim.Options{Fail: t.Errorf, RotateRefreshTokens: test.rotate})
			refreshToken, _ := sim.AddUser("ann", "Ann").Token()
			_, body := refresh(t, sim, refreshToken)
			if want, got := keys(t, string(shared(t, test.recorded)), ""), keys(t, body, ""); !slices.Equal(got, want) {
				t.Errorf("keys %v, want %v", got, want)
			}
		})
	}
}

// TestAnswersFitTheOpenAPI validates answers against Spotify's own description.
// It does not say that what "can be null" in its prose may be null, and still
// requires fields that Development Mode has lost: both are mended before.
func TestAnswersFitTheOpenAPI(t *testing.T) {
	// One schema (of an image upload) says "required: true", which none may.
	text := strings.Replace(string(shared(t, "openapi/official-spotify-open-api.yml")), "\n              required: true\n", "\n", 1)
	document, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, legacy := range []bool{true, false} {
		name := "Development Mode"
		if legacy {
			name = "legacy"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u, c := shapes(t, legacy)
				fits := func(route, path string) {
					t.Helper()
					status, _, body := c.get(path)
					if status != 200 {
						t.Errorf("%s: %d %s", path, status, body)
						return
					}
					var v any
					decode(t, body, &v)
					mend(v, legacy)
					schema := document.Paths.Value(route).Get.Responses.Value("200").Value.Content["application/json"].Schema.Value
					if err := schema.VisitJSON(v, openapi3.MultiErrors(), openapi3.EnableFormatValidation()); err != nil {
						t.Errorf("%s: %v", path, err)
					}
				}
				const player = "/v1/me/player?additional_types=track,episode"
				fits("/me", "/v1/me")
				fits("/me/player", player)
				fits("/me/player/currently-playing", "/v1/me/player/currently-playing")
				fits("/tracks/{id}", "/v1/tracks/"+lantern.URI[14:])
				fits("/me/player/recently-played", "/v1/me/player/recently-played")
				time.Sleep(8 * time.Minute)
				fits("/me/player", player) // stopped
				fits("/me/player/recently-played", "/v1/me/player/recently-played?limit=1")
				u.Play(podcast)
				fits("/me/player", player)
				fits("/me/player", "/v1/me/player") // item null
				fits("/episodes/{id}", "/v1/episodes/"+podcast.URI[16:])
				u.Play(spotifysim.Item{Kind: spotifysim.Ad, Duration: time.Minute})
				fits("/me/player", player)

				// A schema that lets anything pass would prove nothing.
				status, _, body := c.get("/v1/tracks/" + lantern.URI[14:])
				broken := strings.Replace(body, `"track_number":1`, `"track_number":"one"`, 1)
				var v any
				if err := json.Unmarshal([]byte(broken), &v); err != nil || status != 200 || broken == body {
					t.Fatal(status, err)
				}
				mend(v, legacy)
				schema := document.Paths.Value("/tracks/{id}").Get.Responses.Value("200").Value.Content["application/json"].Schema.Value
				if schema.VisitJSON(v) == nil {
					t.Error("a wrong type passes")
				}
			})
		})
	}
}

// mend takes out what may be null without the schema saying so, and puts in what
// Development Mode has lost.
func mend(v any, legacy bool) {
	switch v := v.(type) {
	case []any:
		for _, value := range v {
			mend(value, legacy)
		}
	case map[string]any:
		for _, name := range []string{"context", "item", "progress_ms", "cursors", "next"} {
			if value, ok := v[name]; ok && value == nil {
				delete(v, name)
			}
		}
		if sort := v["type"]; !legacy && (sort == "album" || sort == "show") {
			v["available_markets"] = []any{}
			if sort == "show" {
				v["publisher"] = ""
			}
		}
		for _, value := range v {
			mend(value, legacy)
		}
	}
}
