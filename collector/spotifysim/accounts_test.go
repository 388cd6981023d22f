package spotifysim_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

const redirectURI = "http://127.0.0.1:8888/callback"

// browser asks the authorize page and returns where it redirects to.
func browser(t *testing.T, s *spotifysim.Spotify, address string) (int, *url.URL) {
	t.Helper()
	response, err := s.Transport().RoundTrip(newRequest(t, http.MethodGet, address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	location, err := response.Location()
	if err != nil {
		return response.StatusCode, nil
	}
	return response.StatusCode, location
}

func newRequest(t *testing.T, method, address string, form url.Values) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r
}

// token posts a form to the token endpoint.
func token(t *testing.T, s *spotifysim.Spotify, form url.Values) (int, string) {
	t.Helper()
	c := client{t: t, http: &http.Client{Transport: s.Transport()}}
	response, err := c.http.Do(newRequest(t, http.MethodPost, "http://spotify.test/accounts/api/token", form))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(b)
}

func refresh(t *testing.T, s *spotifysim.Spotify, refreshToken string) (int, string) {
	t.Helper()
	return token(t, s, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {"client"}})
}

// TestLoginByOAuth2 goes the whole way with the library that the daemon uses,
// with a secret and without.
func TestLoginByOAuth2(t *testing.T) {
	for _, secret := range []string{"", "s3cret"} {
		t.Run("secret "+secret, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sim := spotifysim.New(spotifysim.Options{Fail: t.Errorf, ClientID: "abc", ClientSecret: secret})
				sim.AddUser("ann", "Ann")
				sim.LogIn(sim.AddUser("bob", "Bob"))
				_, accounts := spotifysim.URLs("http://spotify.test")
				config := oauth2.Config{
					ClientID: "abc", ClientSecret: secret, RedirectURL: redirectURI,
					Scopes:   []string{"user-read-playback-state", "user-read-currently-playing"},
					Endpoint: oauth2.Endpoint{AuthURL: accounts + "authorize", TokenURL: accounts + "api/token", AuthStyle: oauth2.AuthStyleInParams},
				}
				if secret != "" {
					config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
				}
				ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: sim.Transport()})
				verifier := oauth2.GenerateVerifier()
				address := config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("show_dialog", "true"))
				status, back := browser(t, sim, address)
				if status != http.StatusFound || back.Host != "127.0.0.1:8888" || back.Query().Get("state") != "state" {
					t.Fatalf("%d %v", status, back)
				}
				first, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
				if err != nil {
					t.Fatal(err)
				}
				if got := first.Extra("scope"); got != "user-read-currently-playing user-read-playback-state" {
					t.Errorf("scope %v", got)
				}
				if _, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier)); err == nil || !strings.Contains(err.Error(), "Invalid authorization code") {
					t.Errorf("a code served twice: %v", err)
				}
				c := client{t, &http.Client{Transport: sim.Transport()}, "http://spotify.test", first.AccessToken}
				if status, _, body := c.get("/v1/me"); status != 200 || !strings.Contains(body, `"display_name":"Bob"`) {
					t.Errorf("/me: %d %s", status, body)
				}
				if status, _, body := c.get("/v1/me/player/recently-played"); status != 403 || body != `{"error":{"status":403,"message":"Insufficient client scope"}}` {
					t.Errorf("without the scope: %d %s", status, body)
				}
				time.Sleep(time.Hour)
				if status, _, body := c.get("/v1/me"); status != 401 || body != `{"error":{"status":401,"message":"The access token expired"}}` {
					t.Errorf("after an hour: %d %s", status, body)
				}
				second, err := config.TokenSource(ctx, first).Token()
				if err != nil {
					t.Fatal(err)
				}
				if second.AccessToken == first.AccessToken || second.RefreshToken != first.RefreshToken {
					t.Errorf("refreshed %v to %v", first, second)
				}
				c.token = second.AccessToken
				if status, _, _ := c.get("/v1/me"); status != 200 {
					t.Errorf("with the new token: %d", status)
				}
				if got := sim.TokenRequests(); got != 3 {
					t.Errorf("%d token requests", got)
				}
			})
		})
	}
}

func TestDenial(t *testing.T) {
	sim := newSim(t)
	sim.AddUser("ann", "Ann")
	sim.Deny()
	address := "http://spotify.test/accounts/authorize?" + authorize(nil).Encode()
	if status, back := browser(t, sim, address); status != http.StatusFound || back.Query().Get("error") != "access_denied" || back.Query().Get("state") != "x" {
		t.Errorf("%d %v", status, back)
	}
}

// authorize returns right parameters for the authorize page, some changed.
func authorize(change map[string]string) url.Values {
	query := url.Values{
		"client_id": {"client"}, "response_type": {"code"}, "redirect_uri": {redirectURI}, "state": {"x"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier("v")}, "code_challenge_method": {"S256"}, "scope": {"user-read-playback-state"},
	}
	for name, value := range change {
		query.Set(name, value)
	}
	return query
}

func TestAuthorizeRefuses(t *testing.T) {
	for name, value := range map[string]string{
		"client_id": "other", "response_type": "token", "redirect_uri": "http://localhost:8888/callback", "state": "",
		"code_challenge_method": "plain", "code_challenge": "short", "prompt": "none",
	} {
		complaints := 0
		sim := spotifysim.New(spotifysim.Options{Fail: func(string, ...any) { complaints++ }})
		sim.AddUser("ann", "Ann")
		status, _ := browser(t, sim, "http://spotify.test/accounts/authorize?"+authorize(map[string]string{name: value}).Encode())
		if status != http.StatusBadRequest || complaints != 1 {
			t.Errorf("%s=%s: %d, %d complaints", name, value, status, complaints)
		}
	}
	for uri, want := range map[string]int{
		"http://127.0.0.1/callback": 302, "http://[::1]:9/callback": 302, "https://me.example/spotify-callback": 302,
		"http://127.0.0.1:1/spotify-callback": 400, "http://192.168.1.5:1/callback": 400, "callback": 400,
	} {
		sim := spotifysim.New(spotifysim.Options{})
		sim.AddUser("ann", "Ann")
		if status, _ := browser(t, sim, "http://spotify.test/accounts/authorize?"+authorize(map[string]string{"redirect_uri": uri}).Encode()); status != want {
			t.Errorf("%s: %d, want %d", uri, status, want)
		}
	}
}

func TestRefreshTokenLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		time.Sleep(time.Until(time.Date(2000, 8, 31, 12, 0, 0, 0, time.UTC)))
		old, authorizedAt := u.Token()
		if !authorizedAt.Equal(time.Now()) {
			t.Errorf("authorized at %v", authorizedAt)
		}
		// Six calendar months on, that is February 31st, or March 3rd, 2001.
		time.Sleep(time.Until(time.Date(2001, 3, 3, 11, 59, 59, 0, time.UTC)))
		if status, body := refresh(t, sim, old); status != 200 || strings.Contains(body, "refresh_token") {
			t.Errorf("a second before: %d %s", status, body)
		}
		time.Sleep(time.Second)
		if status, body := refresh(t, sim, old); status != 400 || body != `{"error":"invalid_grant","error_description":"Refresh token expired"}` {
			t.Errorf("after six months: %d %s", status, body)
		}
		fresh, _ := u.Token()
		if status, _ := refresh(t, sim, fresh); status != 200 {
			t.Errorf("a new authorization: %d", status)
		}
		access := client{t, &http.Client{Transport: sim.Transport()}, "http://spotify.test", u.AccessToken()}
		u.Revoke()
		if status, body := refresh(t, sim, fresh); status != 400 || body != `{"error":"invalid_grant","error_description":"Refresh token revoked"}` {
			t.Errorf("revoked: %d %s", status, body)
		}
		if status, _, _ := access.get("/v1/me"); status != 401 {
			t.Errorf("an access token that was revoked: %d", status)
		}
		if status, body := refresh(t, sim, "made up"); status != 400 || !strings.Contains(body, "invalid_grant") {
			t.Errorf("unknown: %d %s", status, body)
		}
	})
}

func TestRotatedRefreshTokenIsDead(t *testing.T) {
	sim := spotifysim.New(spotifysim.Options{Fail: t.Errorf, RotateRefreshTokens: true})
	first, _ := sim.AddUser("ann", "Ann").Token()
	_, body := refresh(t, sim, first)
	var answer struct {
		RefreshToken string `json:"refresh_token"`
	}
	decode(t, body, &answer)
	if answer.RefreshToken == "" || answer.RefreshToken == first {
		t.Fatalf("no new refresh token: %s", body)
	}
	if status, body := refresh(t, sim, first); status != 400 || !strings.Contains(body, "Refresh token revoked") {
		t.Errorf("the old one: %d %s", status, body)
	}
	if status, _ := refresh(t, sim, answer.RefreshToken); status != 200 {
		t.Errorf("the new one: %d", status)
	}
}

func TestAuthorizationCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var complaints []string
		sim := spotifysim.New(spotifysim.Options{Fail: func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }})
		sim.AddUser("ann", "Ann")
		code := func() string {
			_, back := browser(t, sim, "http://spotify.test/accounts/authorize?"+authorize(nil).Encode())
			return back.Query().Get("code")
		}
		form := func(code string) url.Values {
			return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {"v"}, "client_id": {"client"}}
		}
		tests := []struct {
			name       string
			form       url.Values
			wait       time.Duration
			status     int
			body       string
			complaints int
		}{
			{"right", form(code()), 0, 200, `"refresh_token":"sim`, 0},
			{"made up", form("made up"), 0, 400, `"Invalid authorization code"`, 0},
			{"wrong verifier", func() url.Values { f := form(code()); f.Set("code_verifier", "w"); return f }(), 0, 400, "code_verifier", 1},
			{"another redirect URI", func() url.Values { f := form(code()); f.Set("redirect_uri", "http://127.0.0.1:1/"); return f }(), 0, 400, "redirect", 1},
			{"neither header nor client_id", func() url.Values { f := form(code()); f.Del("client_id"); return f }(), 0, 400, "invalid_client", 1},
			{"another client", func() url.Values { f := form(code()); f.Set("client_id", "x"); return f }(), 0, 400, "invalid_client", 0},
			{"unknown parameter", func() url.Values { f := form(code()); f.Set("scope", "x"); return f }(), 0, 400, "invalid_request", 1},
			{"unknown grant type", url.Values{"grant_type": {"password"}}, 0, 400, "unsupported_grant_type", 1},
			{"too late", form(code()), 10 * time.Minute, 400, `"Authorization code expired"`, 0},
		}
		for _, test := range tests {
			complaints = nil
			time.Sleep(test.wait)
			if status, body := token(t, sim, test.form); status != test.status || !strings.Contains(body, test.body) || len(complaints) != test.complaints {
				t.Errorf("%s: %d %s, complaints %q", test.name, status, body, complaints)
			}
		}
	})
}
