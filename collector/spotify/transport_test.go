package spotify_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// Everything over real HTTP once, with the transport that an App makes itself.
func TestOwnTransport(t *testing.T) {
	var agents []string
	mux := http.NewServeMux()
	mux.HandleFunc("POST /accounts/api/token", func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"access_token":"ACCESS2","token_type":"Bearer","expires_in":3600}`)
	})
	mux.HandleFunc("GET /v1/me/player", func(w http.ResponseWriter, r *http.Request) {
		agents = append(agents, r.UserAgent())
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /v1/me/player/recently-played", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" || r.URL.RawQuery != "limit=50" {
			t.Errorf("%s, accepting %q", r.URL, r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		zip.Write(fullPage())
		zip.Close()
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	app := newApp(t, nil, func(o *spotify.Options) {
		o.APIURL, o.AccountsURL = server.URL+"/v1/", server.URL+"/accounts/"
		o.UserAgent = ""
	})
	account := app.Account(newTokens(t, -time.Hour), "me")
	if p, err := account.Player(t.Context()); err != nil || p.Active || p.RoundTrip <= 0 {
		t.Errorf("got %+v, %v", p, err)
	}
	page, err := account.RecentlyPlayed(t.Context(), 0)
	if err != nil || len(page.Plays) != 50 {
		t.Errorf("%d plays, %v", len(page.Plays), err)
	}
	if again, err := account.RecentlyPlayed(t.Context(), page.Digest); err != nil || !again.Unchanged {
		t.Errorf("got %+v, %v", again, err)
	}
	if len(agents) != 2 || agents[0] != "spotify-exporter" || agents[1] != "spotify-exporter" {
		t.Errorf("user agents %q", agents)
	}

	server.Close()
	if _, err := account.Player(t.Context()); spotify.ReasonOf(err) != spotify.ReasonNetwork {
		t.Errorf("a server that is gone: %v", err)
	}
}
