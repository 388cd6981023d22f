//go:build shared

package spotify_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// recorded is the folder of recorded answers, which is not part of the repository.
const recorded = "../../../shared/data/"

// players are the recorded answers of the player.
func players(t *testing.T) map[string][]byte {
	all := answers(t, recorded+"api/*player_*.json")
	delete(all, "player_available_devices.json") // of another endpoint
	return all
}

func TestSharedPlayers(t *testing.T) {
	all := players(t)
	maps.Copy(all, answers(t, recorded+"api/currently_playing_track.json"))
	got := map[string]string{}
	for name, body := range all {
		got[name] = seen(t, name, body)
	}
	for name, want := range map[string]string{
		"player_3.json":           "track track Speaker false",
		"player_4.json":           "track local Computer false",
		"player_episode_1.json":   "episode episode Speaker false",
		"player_audiobook_1.json": "episode chapter Smartphone false",
		"player_episode_item_null_without_additional_types.json": "episode - Computer false",
		"CONSTRUCTED_player_ad.json":                             "ad - Computer false",
		"CONSTRUCTED_player_unknown.json":                        "unknown - Computer false",
		"CONSTRUCTED_player_private_session.json":                "track track Smartphone true",
		"currently_playing_track.json":                           "track track  false",
		"player_state_2017.json":                                 "track track Smartphone false",
	} {
		if got[name] != want {
			t.Errorf("%s: got %q, want %q", name, got[name], want)
		}
	}
}

func TestSharedPages(t *testing.T) {
	all := answers(t, recorded+"api/recently_played_*.json")
	for name, want := range map[string]int{
		"recently_played_2026-02-25_limit48.json": 48,
		"recently_played_2024-10-06_limit20.json": 20,
		"recently_played_2017-05-27_limit20.json": 20,
		"recently_played_empty_past_50.json":      0,
	} {
		if got := plays(t, name, all[name]); got != want {
			t.Errorf("%s: %d plays, want %d", name, got, want)
		}
	}
}

func TestSharedTracks(t *testing.T) {
	for name, body := range answers(t, recorded+"*/track*.json") {
		sameTrack(t, name, body)
	}
}

func TestSharedTruncatedBodies(t *testing.T) {
	cutPlayers(t, players(t))
	cutPages(t, answers(t, recorded+"api/recently_played_*.json"))
}

func TestSharedSwappedTypes(t *testing.T) {
	swapPlayers(t, players(t))
	swapPages(t, answers(t, recorded+"api/recently_played_*.json"))
}

func TestSharedErrors(t *testing.T) {
	tests := map[string]struct {
		status int
		reason spotify.Reason
	}{
		"401_expired.json":                    {401, spotify.ReasonAuth},
		"403_forbidden_removed_endpoint.json": {403, spotify.ReasonServer},
		"403_insufficient_scope.json":         {403, spotify.ReasonServer}, // once: TestInsufficientScope has three in a row
		"403_premium_required.txt":            {403, spotify.ReasonPremium},
		"403_user_not_registered.txt":         {403, spotify.ReasonNotRegistered},
		"403_user_not_registered_old.txt":     {403, spotify.ReasonNotRegistered},
		"404_not_found.json":                  {404, spotify.ReasonServer},
		"429_quota_exceeded.json":             {429, spotify.ReasonQuota},
		"429_rate_limit.json":                 {429, spotify.ReasonRateLimited},
		"429_too_many_requests.txt":           {429, spotify.ReasonRateLimited},
		"502_backend.json":                    {502, spotify.ReasonServer},
		"token_400_code_expired.json":         {400, spotify.ReasonAuth},
		"token_400_code_invalid.json":         {400, spotify.ReasonAuth},
		"token_400_refresh_expired.json":      {400, spotify.ReasonAuth},
		"token_400_refresh_revoked.json":      {400, spotify.ReasonAuth},
	}
	for name, body := range answers(t, recorded+"errors/*") {
		if strings.HasPrefix(name, "token_200") {
			continue // no error; TestRefresh has the same
		}
		want, ok := tests[name]
		if !ok {
			t.Errorf("%s: new and not looked at", name)
			continue
		}
		life := time.Hour
		if strings.HasPrefix(name, "token_") {
			life = -time.Hour
		}
		h := handler(func(w http.ResponseWriter, r *http.Request) {
			if life > 0 && r.URL.Path == "/api/token" {
				io.WriteString(w, `{"access_token":"ACCESS2","token_type":"Bearer","expires_in":3600}`)
				return
			}
			w.WriteHeader(want.status)
			w.Write(body)
		})
		_, err := newApp(t, h).Account(newTokens(t, life), "me").Player(t.Context())
		e, ok := errors.AsType[*spotify.Error](err)
		if !ok || e.Status != want.status || e.Reason != want.reason || e.Message == "" {
			t.Errorf("%s: got %v, reason %q", name, err, spotify.ReasonOf(err))
		}
	}
}
