//go:build shared

package spotifysim_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// recorded is the folder of recorded answers and real exports, which is not part of the
// repository.
const recorded = "../../../shared/data/"

func TestSharedKeys(t *testing.T) {
	for _, s := range []shape{
		{"api/player_track_multi-scrobbler_2024-12.json", true, playerPath, lantern, anAlbum},
		{"api/currently_playing_track.json", true, currentPath, lantern, anAlbum},
		{"api/player_episode_1.json", true, playerPath, podcast, aShow},
		{"api/player_audiobook_1.json", true, playerPath, aChapter, aShow},
		{"api/player_4.json", true, playerPath, tape, nil},
		{"api/CONSTRUCTED_player_private_session.json", false, playerPath, lantern, nil},
		{"api/CONSTRUCTED_player_ad.json", false, playerPath, ad, nil},
		{"api/CONSTRUCTED_player_unknown.json", false, playerPath, mystery, nil},
		{"api/recently_played_2026-02-25_limit48.json", true, recentPath, lantern, anAlbum},
		{"api/recently_played_empty_past_50.json", true, pastPath, lantern, anAlbum},
		{"api/current_user.json", true, "/v1/me", lantern, anAlbum},
		{"devmode-2026/track.json", false, lanternPath, lantern, anAlbum},
		{"api/episode.json", true, podcastPath, podcast, aShow},
	} {
		s.check(t, recorded)
	}
	extendedKeys(t, recorded+"extended/sample_b_newkeys.json")
	for file, rotate := range map[string]bool{"token_200_refresh_rotated_pkce_before_2026-07.json": true, "token_200_refresh_without_refresh_token.json": false} {
		if want, got := keys(t, string(read(t, recorded+"errors/"+file)), ""), keys(t, tokens(t, rotate), ""); !slices.Equal(got, want) {
			t.Errorf("%s: keys %v, want %v", file, got, want)
		}
	}
}

// TestSharedFaults compares the texts of errors with recorded ones.
func TestSharedFaults(t *testing.T) {
	for file, kind := range map[string]spotifysim.FaultKind{
		"401_expired.json":                    spotifysim.Unauthorized,
		"403_premium_required.txt":            spotifysim.PremiumRequired,
		"403_user_not_registered.txt":         spotifysim.NotRegistered,
		"403_forbidden_removed_endpoint.json": spotifysim.Forbidden,
		"429_rate_limit.json":                 spotifysim.RateLimited,
		"429_too_many_requests.txt":           spotifysim.TooManyRequests,
		"429_quota_exceeded.json":             spotifysim.QuotaExceeded,
		"502_backend.json":                    spotifysim.ServerError,
	} {
		sim := newSim(t)
		c := newClient(t, sim, sim.AddUser("ann", "Ann"))
		sim.Fault(spotifysim.Fault{Kind: kind, Count: 1})
		_, _, body := c.get("/v1/me")
		want := strings.TrimSpace(string(read(t, recorded+"errors/"+file)))
		if strings.HasSuffix(file, ".json") {
			want = strings.NewReplacer("\n", "", "  ", "", `": `, `":`).Replace(want)
		}
		if body != want {
			t.Errorf("%s: %q, recorded was %q", file, body, want)
		}
	}
}

// TestSharedOpenAPI validates answers against Spotify's own description.
// It does not say that what "can be null" in its prose may be null, and still
// requires fields that Development Mode has lost: both are mended before.
func TestSharedOpenAPI(t *testing.T) {
	// One schema (of an image upload) says "required: true", which none may.
	text := strings.Replace(string(read(t, recorded+"openapi/official-spotify-open-api.yml")), "\n              required: true\n", "\n", 1)
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
				fits("/me", "/v1/me")
				fits("/me/player", playerPath)
				fits("/me/player/currently-playing", currentPath)
				fits("/tracks/{id}", lanternPath)
				fits("/me/player/recently-played", "/v1/me/player/recently-played")
				time.Sleep(8 * time.Minute)
				fits("/me/player", playerPath) // stopped
				fits("/me/player/recently-played", "/v1/me/player/recently-played?limit=1")
				u.Play(podcast)
				fits("/me/player", playerPath)
				fits("/me/player", "/v1/me/player") // item null
				fits("/episodes/{id}", podcastPath)
				u.Play(ad)
				fits("/me/player", playerPath)

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

// TestSharedDaysArePlayedAsGiven plays eleven years of a real export: every row
// becomes one play with its listening time, and hardly one has to make room.
func TestSharedDaysArePlayedAsGiven(t *testing.T) {
	export := read(t, recorded+"extended/history_a_2013-2024_oldkeys.my_spotify_data.zip")
	archive, err := zip.NewReader(bytes.NewReader(export), int64(len(export)))
	if err != nil {
		t.Fatal(err)
	}
	var given []spotifysim.Given
	for _, file := range archive.File {
		if !strings.HasSuffix(file.Name, ".json") {
			continue
		}
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		var rows []spotifysim.ExtendedPlay // the old keys have these, too
		if err := json.NewDecoder(r).Decode(&rows); err != nil {
			t.Fatal(err)
		}
		r.Close()
		for _, row := range rows {
			if row.TrackURI != nil {
				item := spotifysim.Item{URI: *row.TrackURI, Name: *row.TrackName}
				given = append(given, spotifysim.Given{Item: item, EndedAt: row.TS, MSPlayed: row.MSPlayed, ReasonEnd: row.ReasonEnd})
			}
		}
	}
	u := newSim(t).AddUser("ann", "Ann")
	u.PlayDays(given)
	end := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	played := u.Played(end)
	if len(played) != len(given) || len(given) < 40_000 {
		t.Fatalf("%d plays of %d given", len(played), len(given))
	}
	sum := func(ms func(i int) int64) (total int64) {
		for i := range given {
			total += ms(i)
		}
		return total
	}
	want, got := sum(func(i int) int64 { return given[i].MSPlayed }), sum(func(i int) int64 { return played[i].MSPlayed })
	if got != want {
		t.Errorf("%d ms played of %d", got, want)
	}
	for i, p := range played {
		if i > 0 && p.StartedAt.Before(played[i-1].EndedAt) {
			t.Fatalf("play %d overlaps the one before", i)
		}
		if s := u.State(p.EndedAt.Add(-time.Millisecond)); s.Progress > s.Item.Duration {
			t.Fatalf("play %d: %v of %v", i, s.Progress, s.Item.Duration)
		}
	}
}
