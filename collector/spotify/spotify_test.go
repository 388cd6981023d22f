package spotify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// handler is a Spotify in memory: an http.RoundTripper that needs no socket and
// so lives in a synctest bubble.
type handler func(http.ResponseWriter, *http.Request)

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	h(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// requests remembers what was asked for.
type requests struct {
	mu  sync.Mutex
	all []string // method, path and query, and of a token request its form
}

func (s *requests) add(r *http.Request) {
	line := r.Method + " " + r.URL.RequestURI()
	if r.Body != nil {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		line += " " + string(body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, line)
}

// count returns how many requests have part in their line.
func (s *requests) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, line := range s.all {
		if strings.Contains(line, part) {
			n++
		}
	}
	return n
}

// reply is a constant answer.
func reply(status int, body string, header ...string) handler {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// newApp returns an app whose requests go to h.
func newApp(t testing.TB, h http.RoundTripper, change ...func(*spotify.Options)) *spotify.App {
	t.Helper()
	o := spotify.Options{ClientID: "client", Base: h, UserAgent: "test/1"}
	for _, c := range change {
		c(&o)
	}
	app, err := spotify.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return app
}

// newTokens returns a folder with one account "me", logged in, whose access
// token lives for life.
func newTokens(t testing.TB, life time.Duration) spotify.Tokens {
	t.Helper()
	tokens := spotify.Tokens{Dir: t.TempDir()}
	writeToken(t, tokens, "me", authorization(life))
	return tokens
}

func authorization(life time.Duration) spotify.Authorization {
	return spotify.Authorization{
		ClientID:     "client",
		Scopes:       spotify.Scopes(),
		AuthorizedAt: time.Now(),
		Profile:      spotify.Profile{AccountID: "account-1", UserID: "user-1", DisplayName: "Ada"},
		Token:        spotify.Token{AccessToken: "ACCESS", RefreshToken: "REFRESH", TokenType: "Bearer", Expiry: time.Now().Add(life)},
	}
}

// writeToken replaces a token file as another process would.
func writeToken(t testing.TB, tokens spotify.Tokens, alias string, auth spotify.Authorization) {
	t.Helper()
	content, err := json.Marshal(auth)
	if err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(tokens.Dir, "new")
	if err := errors.Join(os.WriteFile(temp, content, 0o600), os.Rename(temp, tokens.Path(alias))); err != nil {
		t.Fatal(err)
	}
}

// newAccount returns a logged-in account whose requests go to h.
func newAccount(t testing.TB, h http.RoundTripper, change ...func(*spotify.Options)) *spotify.Account {
	t.Helper()
	return newApp(t, h, change...).Account(newTokens(t, time.Hour), "me")
}

func TestNewNamesEveryMistake(t *testing.T) {
	_, err := spotify.New(spotify.Options{APIURL: "localhost:9090", AccountsURL: "https://"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"client id", `API URL`, `"localhost:9090"`, "accounts URL", "https://accounts.spotify.com/"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestURLsAndHeaders(t *testing.T) {
	var got *http.Request
	account := newAccount(t, handler(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.WriteHeader(http.StatusNoContent)
	}), func(o *spotify.Options) { o.APIURL = "http://sim.example/v1" }) // no slash
	if _, err := account.Player(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "http://sim.example/v1/me/player?additional_types=track,episode"; got.URL.String() != want {
		t.Errorf("got %s, want %s", got.URL, want)
	}
	if got.Header.Get("Authorization") != "Bearer ACCESS" || got.Header.Get("User-Agent") != "test/1" {
		t.Errorf("headers: %v", got.Header)
	}
}

func TestBaseSeesTheEndpoint(t *testing.T) {
	var endpoints []string
	h := handler(func(w http.ResponseWriter, r *http.Request) {
		endpoints = append(endpoints, spotify.EndpointFromContext(r.Context()))
		switch r.URL.Path {
		case "/api/token":
			io.WriteString(w, `{"access_token":"ACCESS2","token_type":"Bearer","expires_in":3600}`)
		case "/v1/me/player":
			w.WriteHeader(http.StatusNoContent)
		case "/v1/me/player/recently-played":
			io.WriteString(w, `{"items":[]}`)
		case "/v1/me":
			io.WriteString(w, `{"id":"user-1"}`)
		case "/v1/tracks/57bgtoPSgt236HzfBOd8kj":
			io.WriteString(w, `{"type":"track","id":"57bgtoPSgt236HzfBOd8kj","name":"x"}`)
		}
	})
	account := newApp(t, h).Account(newTokens(t, -time.Hour), "me")
	_, err1 := account.Player(t.Context())
	_, err2 := account.RecentlyPlayed(t.Context(), 0)
	_, err3 := account.Me(t.Context())
	_, err4 := account.Track(t.Context(), "57bgtoPSgt236HzfBOd8kj")
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	if want := []string{"token", "player", "recently_played", "me", "track"}; !slices.Equal(endpoints, want) {
		t.Errorf("got %v, want %v", endpoints, want)
	}
	if got := spotify.EndpointFromContext(t.Context()); got != "" {
		t.Errorf("a context of somebody else: %q", got)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	for _, text := range []string{
		sprint("%v", authorization(time.Hour)), sprint("%+v", authorization(time.Hour)), sprint("%#v", authorization(time.Hour)),
		sprint("%s", spotify.Secret("ACCESS")), sprint("%q", spotify.Secret("ACCESS")),
	} {
		if strings.Contains(text, "ACCESS") || strings.Contains(text, "REFRESH") {
			t.Errorf("a token in %s", text)
		}
	}
}
