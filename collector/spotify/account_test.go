package spotify_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// server is a Spotify whose player is idle. Its token endpoint hands out
// ACCESS2, ACCESS3, …; the Web API takes what accept takes.
type server struct {
	requests
	mu     sync.Mutex
	issued int
	rotate bool // give new refresh tokens: REFRESH2, …

	accept func(token string) bool // nil: any
	token  http.HandlerFunc        // nil: as above
}

func (s *server) RoundTrip(r *http.Request) (*http.Response, error) {
	s.add(r)
	return handler(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/api/token" && s.token != nil:
			s.token(w, r)
		case r.URL.Path == "/api/token":
			s.issue(w)
		case s.accept != nil && !s.accept(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")):
			w.WriteHeader(http.StatusUnauthorized)
			io.WriteString(w, `{"error":{"status":401,"message":"The access token expired"}}`)
		default:
			w.WriteHeader(http.StatusNoContent)
		}
	}).RoundTrip(r)
}

func (s *server) issue(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	n := string(rune('1' + s.issued))
	answer := map[string]any{"access_token": "ACCESS" + n, "token_type": "Bearer", "expires_in": 3600}
	if s.rotate {
		answer["refresh_token"] = "REFRESH" + n
	}
	json.NewEncoder(w).Encode(answer)
}

func TestNothingActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		account := newAccount(t, handler(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(3 * time.Second)
			w.WriteHeader(http.StatusNoContent)
		}))
		start := time.Now()
		p, err := account.Player(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if p.Active || p.Item != nil || p.Playing {
			t.Errorf("got %+v", p)
		}
		if p.RoundTrip != 3*time.Second || !p.ReceivedAt.Equal(start.Add(1500*time.Millisecond)) {
			t.Errorf("received at %v after %v", p.ReceivedAt.Sub(start), p.RoundTrip)
		}
	})
}

func TestBeforeIsAskedForEveryRequest(t *testing.T) {
	var asked []string
	no := errors.New("not before 12:00")
	s := &server{accept: func(token string) bool { return token != "ACCESS2" }}
	account := newApp(t, s, func(o *spotify.Options) {
		o.Before = func(_ context.Context, endpoint string) error {
			asked = append(asked, endpoint)
			if endpoint == "recently_played" || endpoint == "track" {
				return no
			}
			return nil
		}
	}).Account(newTokens(t, -time.Hour), "me")

	// Two tokens, two tries: both tries count.
	if _, err := account.Player(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"token", "player", "token", "player"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v", asked)
	}
	if _, err := account.RecentlyPlayed(t.Context(), 0); err != no {
		t.Errorf("got %v", err)
	}
	if _, err := account.Track(t.Context(), "x"); err != no {
		t.Errorf("got %v", err)
	}
	if n := s.count("recently-played") + s.count("tracks"); n != 0 {
		t.Errorf("%d requests were sent all the same", n)
	}
}

func TestBeforeRefusesANewToken(t *testing.T) {
	no := errors.New("not before 12:00")
	s := &server{}
	account := newApp(t, s, func(o *spotify.Options) {
		o.Before = func(context.Context, string) error { return no }
	}).Account(newTokens(t, -time.Hour), "me")
	if _, err := account.Player(t.Context()); err != no || s.issued > 0 {
		t.Errorf("got %v and %d tokens", err, s.issued)
	}
}

func TestRefresh(t *testing.T) {
	tests := []struct {
		name   string
		secret spotify.Secret
		rotate bool
		stored spotify.Secret
	}{
		{"keeps the refresh token if none comes", "", false, "REFRESH"},
		{"stores the refresh token that comes", "", true, "REFRESH2"},
		{"with a client secret", "hush", false, "REFRESH"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tokens := newTokens(t, -time.Hour)
			before, err := tokens.Load("me")
			if err != nil {
				t.Fatal(err)
			}
			s := &server{rotate: test.rotate}
			s.token = func(w http.ResponseWriter, r *http.Request) {
				form, _ := io.ReadAll(r.Body)
				values, _ := url.ParseQuery(string(form))
				if values.Get("grant_type") != "refresh_token" || values.Get("refresh_token") != "REFRESH" {
					t.Errorf("asked with %s", form)
				}
				id, secret, basic := r.BasicAuth()
				if test.secret == "" && (basic || values.Get("client_id") != "client") {
					t.Errorf("without a secret: header %v, form %s", basic, form)
				}
				if test.secret != "" && (id != "client" || secret != "hush" || values.Has("client_secret")) {
					t.Errorf("with a secret: %q, form %s", id, form)
				}
				s.issue(w)
			}
			// What is used must be on the disk by then: this is the kill
			// between the answer and its use.
			s.accept = func(token string) bool {
				auth, err := tokens.Load("me")
				if err != nil || token != "ACCESS2" || auth.Token.AccessToken != "ACCESS2" || auth.Token.RefreshToken != test.stored {
					t.Errorf("%s is used while the file has %v, %v", token, string(auth.Token.RefreshToken), err)
				}
				return true
			}
			epoch := time.Now().Add(1000 * time.Hour)
			account := newApp(t, s, func(o *spotify.Options) { o.ClientSecret, o.Clock = test.secret, clock.New(epoch, 1) }).Account(tokens, "me")
			for range 3 {
				if _, err := account.Player(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if n := s.count("/api/token"); n != 1 {
				t.Errorf("%d token requests", n)
			}
			after, err := tokens.Load("me")
			if err != nil {
				t.Fatal(err)
			}
			if life := after.Token.Expiry.Sub(epoch); life < time.Hour || life > time.Hour+time.Minute {
				t.Errorf("expires %v after the epoch of its clock", life)
			}
			if !after.AuthorizedAt.Equal(before.AuthorizedAt) || after.Profile != before.Profile || !slices.Equal(after.Scopes, before.Scopes) {
				t.Errorf("a refresh has changed the rest: %+v", after)
			}
			if info, err := os.Stat(tokens.Path("me")); err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestRotatedTokenThatCannotBeStored(t *testing.T) {
	tokens := newTokens(t, -time.Hour)
	s := &server{rotate: true}
	s.token = func(w http.ResponseWriter, _ *http.Request) {
		if err := os.Rename(tokens.Dir, tokens.Dir+".away"); err != nil {
			t.Error(err)
		}
		s.issue(w)
	}
	account := newApp(t, s).Account(tokens, "me")
	if _, err := account.Player(t.Context()); err == nil || !strings.Contains(err.Error(), "write token file") {
		t.Errorf("got %v", err)
	}
	if n := s.count("/me/player"); n != 0 {
		t.Error("a token that is on no disk was used")
	}
	if err := os.Rename(tokens.Dir+".away", tokens.Dir); err != nil {
		t.Fatal(err)
	}
	if _, err := account.Player(t.Context()); err != nil {
		t.Fatal(err)
	}
	if auth, err := tokens.Load("me"); err != nil || auth.Token.RefreshToken != "REFRESH2" {
		t.Errorf("stored %q, %v", string(auth.Token.RefreshToken), err)
	}
	if n := s.count("/api/token"); n != 1 {
		t.Errorf("%d token requests: the old refresh token may be dead by now", n)
	}
}

func TestAccessTokenThatDiedEarly(t *testing.T) {
	s := &server{accept: func(token string) bool { return token == "ACCESS2" }}
	account := newAccount(t, s)
	for range 2 {
		if _, err := account.Player(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if api, token := s.count("/me/player"), s.count("/api/token"); api != 3 || token != 1 {
		t.Errorf("%d requests, %d refreshes", api, token)
	}

	s = &server{accept: func(string) bool { return false }}
	account = newAccount(t, s)
	_, err := account.Player(t.Context())
	if spotify.ReasonOf(err) != spotify.ReasonAuth || !strings.Contains(err.Error(), "login --account me") {
		t.Errorf("got %v", err)
	}
	if api, token := s.count("/me/player"), s.count("/api/token"); api != 2 || token != 1 {
		t.Errorf("no token is good: %d requests, %d refreshes", api, token)
	}
}

func TestInvalidGrantLatchesUntilANewLogin(t *testing.T) {
	tokens := newTokens(t, -time.Hour)
	s := &server{token: http.HandlerFunc(reply(400, `{"error":"invalid_grant","error_description":"Refresh token expired"}`))}
	account := newApp(t, s).Account(tokens, "me")
	for range 3 {
		_, err := account.Player(t.Context())
		if !errors.Is(err, spotify.ErrLoggedOut) || spotify.ReasonOf(err) != spotify.ReasonAuth {
			t.Fatalf("got %v", err)
		}
		if want := "spotify token: 400 Bad Request: invalid_grant: Refresh token expired, run `spotify-exporter login --account me`"; err.Error() != want {
			t.Errorf("got %q", err)
		}
	}
	if len(s.all) != 1 {
		t.Fatalf("after invalid_grant: %q", s.all)
	}
	if auth, err := tokens.Load("me"); err != nil || auth.Token.RefreshToken != "REFRESH" {
		t.Errorf("the file was touched: %v", err)
	}

	// A login in another process is all it takes.
	writeToken(t, tokens, "me", authorization(time.Hour))
	if _, err := account.Player(t.Context()); err != nil {
		t.Errorf("after a new login: %v", err)
	}
	if s.count("/api/token") != 1 {
		t.Errorf("requests: %q", s.all)
	}
}

func TestTroubleOfTheAccountsServiceIsNoLatch(t *testing.T) {
	tests := []struct {
		name   string
		answer handler
		reason spotify.Reason
	}{
		{"503", reply(503, ""), spotify.ReasonServer},
		{"HTML", reply(502, "<html>", "Content-Type", "text/html"), spotify.ReasonServer},
		{"429", reply(429, "Too many requests", "Content-Type", "text/plain", "Retry-After", "30"), spotify.ReasonRateLimited},
		{"another 400", reply(400, `{"error":"invalid_request"}`), spotify.ReasonServer},
		{"wrong client", reply(400, `{"error":"invalid_client","error_description":"Invalid client"}`), spotify.ReasonClient},
		{"captive portal", reply(200, "<html>", "Content-Type", "text/html"), spotify.ReasonDecode},
		{"text", reply(200, "hello", "Content-Type", "text/plain"), spotify.ReasonDecode},
		{"half of a token", reply(200, `{"access_token":"SECR`), spotify.ReasonDecode},
		{"a redirect", reply(307, "", "Location", "https://elsewhere.example/"), spotify.ReasonServer},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &server{token: http.HandlerFunc(test.answer)}
			tokens := newTokens(t, -time.Hour)
			account := newApp(t, s).Account(tokens, "me")
			_, err := account.Player(t.Context())
			if spotify.ReasonOf(err) != test.reason || errors.Is(err, spotify.ErrLoggedOut) {
				t.Errorf("got %v", err)
			}
			if e, ok := errors.AsType[*spotify.Error](err); !ok || e.Endpoint != "token" || e.HasRetryAfter != (test.name == "429") {
				t.Errorf("got %+v", e)
			}
			if strings.Contains(err.Error(), "SECR") {
				t.Errorf("a secret in %v", err)
			}
			s.token = nil
			if _, err := account.Player(t.Context()); err != nil {
				t.Errorf("the next call: %v", err)
			}
			if n := len(s.all); n != 3 {
				t.Errorf("%d requests: %q", n, s.all)
			}
		})
	}
}

func TestConcurrentCallersRefreshOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(t, -time.Hour)
		s := &server{rotate: true}
		s.token = func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(3 * time.Second)
			s.issue(w)
		}
		// Two processes, as far as files and locks know: `run` and `check`.
		run, check := newApp(t, s).Account(tokens, "me"), newApp(t, s).Account(tokens, "me")
		var all sync.WaitGroup
		for range 8 {
			for _, account := range []*spotify.Account{run, check} {
				all.Go(func() {
					if _, err := account.Player(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
		}
		// One who will not wait does not disturb the others.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := run.Player(ctx); !errors.Is(err, context.DeadlineExceeded) || spotify.ReasonOf(err) != "" {
			t.Errorf("got %v", err)
		}
		all.Wait()
		if n := s.count("/api/token"); n != 1 {
			t.Errorf("%d refreshes: the first refresh token is dead after one", n)
		}
		if n := s.count("/me/player"); n != 16 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestARefreshUnderWayIsNotCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(t, -time.Hour)
		s := &server{rotate: true}
		s.token = func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(3 * time.Second)
			s.issue(w)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := newApp(t, s).Account(tokens, "me").Player(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if auth, err := tokens.Load("me"); err != nil || auth.Token.RefreshToken != "REFRESH2" {
			t.Errorf("Spotify has rotated, the file has %q, %v", string(auth.Token.RefreshToken), err)
		}
		if n := s.count("/me/player"); n != 0 {
			t.Error("the request was sent all the same")
		}
	})
}

func TestLockedByAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(t, -time.Hour)
		s := &server{}
		stuck := newApp(t, s).Account(tokens, "me")
		s.token = func(w http.ResponseWriter, r *http.Request) { time.Sleep(14 * time.Second); s.issue(w) }
		go stuck.Player(t.Context())
		synctest.Wait()
		impatient := newApp(t, s, func(o *spotify.Options) { o.Timeout = time.Second }).Account(tokens, "me")
		start := time.Now()
		_, err := impatient.Player(t.Context())
		if err == nil || !strings.Contains(err.Error(), "another process") || time.Since(start) > 4*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		time.Sleep(20 * time.Second)
	})
}

func TestTokenFilesThatAreRefused(t *testing.T) {
	other := authorization(time.Hour)
	other.ClientID = "other"
	unrefreshable := authorization(time.Hour)
	unrefreshable.Token.RefreshToken = ""
	tests := []struct {
		name  string
		spoil func(t *testing.T, tokens spotify.Tokens) error
		want  []string
	}{
		{"none", func(_ *testing.T, tokens spotify.Tokens) error { return os.Remove(tokens.Path("me")) }, []string{"none yet", "login --account me"}},
		{"loose mode", func(_ *testing.T, tokens spotify.Tokens) error { return os.Chmod(tokens.Path("me"), 0o640) }, []string{"0640", "chmod 600"}},
		{"broken JSON", func(_ *testing.T, tokens spotify.Tokens) error {
			return os.WriteFile(tokens.Path("me"), []byte(`{"token":{"access_token":"ACCESS"`), 0o600)
		}, []string{"not the JSON", "login --account me"}},
		{"empty", func(_ *testing.T, tokens spotify.Tokens) error { return os.WriteFile(tokens.Path("me"), nil, 0o600) }, []string{"not the JSON", "login --account me"}},
		{"other client id", func(t *testing.T, tokens spotify.Tokens) error { writeToken(t, tokens, "me", other); return nil }, []string{`"other"`, `"client"`, "login --account me"}},
		{"no refresh token", func(t *testing.T, tokens spotify.Tokens) error {
			writeToken(t, tokens, "me", unrefreshable)
			return nil
		}, []string{"no refresh_token", "login --account me"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &server{}
			tokens := newTokens(t, time.Hour)
			account := newApp(t, s).Account(tokens, "me")
			if _, err := account.Player(t.Context()); err != nil { // it has been good
				t.Fatal(err)
			}
			if err := test.spoil(t, tokens); err != nil {
				t.Fatal(err)
			}
			_, err := account.Player(t.Context())
			if spotify.ReasonOf(err) != spotify.ReasonAuth {
				t.Fatalf("got %v", err)
			}
			for _, want := range append(test.want, tokens.Path("me")) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "ACCESS") {
				t.Errorf("a secret in %v", err)
			}
			if got := errors.Is(err, spotify.ErrLoggedOut); got != (test.name == "none") {
				t.Errorf("ErrLoggedOut: %v", got)
			}
			if len(s.all) != 1 {
				t.Errorf("requests: %q", s.all)
			}

			// And mended while it runs.
			if test.name != "loose mode" {
				writeToken(t, tokens, "me", authorization(time.Hour))
			} else if err := os.Chmod(tokens.Path("me"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := account.Player(t.Context()); err != nil {
				t.Errorf("mended: %v", err)
			}
		})
	}
}

func TestAuthorizationFollowsTheFile(t *testing.T) {
	tokens := newTokens(t, time.Hour)
	s := &server{}
	account := newApp(t, s).Account(tokens, "me")
	auth, err := account.Authorization(t.Context())
	if err != nil || auth.DisplayName != "Ada" {
		t.Errorf("got %v, %v", auth, err)
	}
	next := authorization(time.Hour)
	next.DisplayName = "Grace"
	writeToken(t, tokens, "me", next)
	if auth, err = account.Authorization(t.Context()); err != nil || auth.DisplayName != "Grace" {
		t.Errorf("got %v, %v", auth, err)
	}
	if len(s.all) != 0 {
		t.Errorf("requests: %q", s.all)
	}
}

func TestMe(t *testing.T) {
	tests := []struct {
		body string
		want spotify.Profile
	}{
		{`{"account_id":"a","id":"u","display_name":"Ada","type":"user"}`, spotify.Profile{AccountID: "a", UserID: "u", DisplayName: "Ada"}},
		{`{"id":"u","display_name":null,"followers":{"total":3.0},"country":7}`, spotify.Profile{UserID: "u"}},
	}
	for _, test := range tests {
		got, err := newAccount(t, reply(200, test.body)).Me(t.Context())
		if err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v", test.body, got, err)
		}
	}
}

func TestAliases(t *testing.T) {
	tokens := spotify.Tokens{Dir: t.TempDir() + "/tokens"}
	if got, err := tokens.Aliases(); err != nil || len(got) != 0 {
		t.Errorf("no folder: %v, %v", got, err)
	}
	if err := os.Mkdir(tokens.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, alias := range []string{"me", "ada-2", ".me.lock", ".x.json.123", "._me"} {
		writeToken(t, tokens, alias, authorization(time.Hour))
	}
	if got, err := tokens.Aliases(); err != nil || !slices.Equal(got, []string{"ada-2", "me"}) {
		t.Errorf("got %v, %v", got, err)
	}
	// A file that somebody has put there is no reason to forget the others.
	writeToken(t, tokens, "Bob", authorization(time.Hour))
	got, err := tokens.Aliases()
	if !slices.Equal(got, []string{"ada-2", "me"}) || err == nil || !strings.Contains(err.Error(), "a-z") || !strings.Contains(err.Error(), "Bob.json") {
		t.Errorf("got %v, %v", got, err)
	}
	for _, alias := range []string{"", "Me", "../me", "a.b", "a b", "-x", "é", strings.Repeat("x", 33), "me\n"} {
		if _, err := tokens.Load(alias); err == nil || !strings.Contains(err.Error(), "1 to 32 of a-z") {
			t.Errorf("%q: %v", alias, err)
		}
	}
}

func TestAuthorizationExpiry(t *testing.T) {
	for given, want := range map[string]string{
		"2026-06-18": "2026-12-18",
		"2026-08-31": "2027-02-28",
		"2027-08-30": "2028-02-29",
		"2026-10-31": "2027-04-30",
	} {
		at, err := time.Parse(time.DateOnly, given)
		if err != nil {
			t.Fatal(err)
		}
		if got := spotify.AuthorizationExpiry(at.Add(13 * time.Hour)).Format(time.DateOnly + " 15"); got != want+" 13" {
			t.Errorf("%s: got %s", given, got)
		}
	}
}
