package spotify_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

const noScope = `{"error":{"status":403,"message":"Insufficient client scope"}}`

// TestInsufficientScope: Spotify says so now and then of a token that it takes at the
// next try. It is a lost login at the third time in a row, and of one endpoint.
func TestInsufficientScope(t *testing.T) {
	refuse := map[string]bool{}
	account := newAccount(t, handler(func(w http.ResponseWriter, r *http.Request) {
		switch list := strings.HasSuffix(r.URL.Path, "recently-played"); {
		case list && refuse["list"], !list && refuse["player"]:
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, noScope)
		case list:
			io.WriteString(w, `{"items":[]}`)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	player := func() error { _, err := account.Player(t.Context()); return err }
	list := func() error { _, err := account.RecentlyPlayed(t.Context(), 0); return err }
	expect := func(step string, err error, reason spotify.Reason) {
		t.Helper()
		if spotify.ReasonOf(err) != reason || (reason == spotify.ReasonAuth) != (err != nil && strings.Contains(err.Error(), "spotify-exporter login")) {
			t.Errorf("%s: got %v, want the reason %q", step, err, reason)
		}
	}
	refuse["list"] = true
	expect("once", list(), spotify.ReasonServer)
	expect("the player, meanwhile", player(), "")
	expect("twice", list(), spotify.ReasonServer)
	refuse["list"] = false
	expect("and it passes", list(), "")
	refuse["list"] = true
	for _, reason := range []spotify.Reason{spotify.ReasonServer, spotify.ReasonServer, spotify.ReasonAuth, spotify.ReasonAuth} {
		expect("the player works", player(), "")
		expect("in a row", list(), reason)
	}
	refuse["player"] = true
	expect("another endpoint counts for itself", player(), spotify.ReasonServer)
	refuse["list"] = false
	expect("in the end", list(), "")
	refuse["list"] = true
	expect("from the start", list(), spotify.ReasonServer)
}

// TestOtherRefusalsAreBelievedAtOnce: the other reasons of a 403 are believed at once.
func TestOtherRefusalsAreBelievedAtOnce(t *testing.T) {
	account := newAccount(t, reply(403, "User not registered in the Developer Dashboard"))
	for range 2 {
		if _, err := account.Player(t.Context()); spotify.ReasonOf(err) != spotify.ReasonNotRegistered {
			t.Errorf("got %v", err)
		}
	}
}
