package spotify_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// TestTokensOfOtherTypes: what can be understood of a token answer is taken, and else
// the error names the field.
func TestTokensOfOtherTypes(t *testing.T) {
	tests := []struct {
		name, answer string
		life         time.Duration
		wrong        string // what the error says; "": none
		refresh      spotify.Secret
	}{
		{"as documented", `{"access_token":"NEW","token_type":"Bearer","expires_in":1800,"refresh_token":"NEXT"}`, 30 * time.Minute, "", "NEXT"},
		{"a float", `{"access_token":"NEW","expires_in":1800.5}`, 30 * time.Minute, "", "REFRESH"},
		{"an exponent", `{"access_token":"NEW","expires_in":1.8e3}`, 30 * time.Minute, "", "REFRESH"},
		{"text", `{"access_token":"NEW","expires_in":"1800"}`, 30 * time.Minute, "", "REFRESH"},
		{"text of a float", `{"access_token":"NEW","expires_in":" 1800.0 "}`, 30 * time.Minute, "", "REFRESH"},
		{"text that is no number", `{"access_token":"NEW","expires_in":"soon"}`, time.Hour, "", "REFRESH"},
		{"null", `{"access_token":"NEW","expires_in":null}`, time.Hour, "", "REFRESH"},
		{"an object", `{"access_token":"NEW","expires_in":{"s":1}}`, time.Hour, "", "REFRESH"},
		{"none", `{"access_token":"NEW"}`, time.Hour, "", "REFRESH"},
		{"in the past", `{"access_token":"NEW","expires_in":-5}`, time.Hour, "", "REFRESH"},
		{"a refresh token that is a number", `{"access_token":"NEW","expires_in":1800,"refresh_token":7}`, 30 * time.Minute, "", "REFRESH"},
		{"a refresh token that is a list", `{"access_token":"NEW","expires_in":1800,"refresh_token":["NEXT"]}`, 30 * time.Minute, "", "REFRESH"},
		{"a refresh token that is null", `{"access_token":"NEW","expires_in":1800,"refresh_token":null}`, 30 * time.Minute, "", "REFRESH"},
		{"a type that is a number", `{"access_token":"NEW","token_type":1,"scope":[],"expires_in":1800}`, 30 * time.Minute, "", "REFRESH"},
		{"an access token that is a number", `{"access_token":7}`, 0, "access_token: must be text (got float64)", ""},
		{"no access token", `{"token_type":"Bearer"}`, 0, "access_token is missing", ""},
		{"a list", `["NEW"]`, 0, "sent no token", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &server{token: http.HandlerFunc(reply(200, test.answer, "Content-Type", "application/json")), accept: func(token string) bool { return token == "NEW" }}
				tokens := newTokens(t, -time.Hour)
				account := newApp(t, s).Account(tokens, "me")
				_, err := account.Player(t.Context())
				if test.wrong != "" {
					if spotify.ReasonOf(err) != spotify.ReasonDecode || !strings.Contains(err.Error(), test.wrong) {
						t.Errorf("got %v, want %q", err, test.wrong)
					}
					return
				}
				auth, loadErr := tokens.Load("me")
				if err != nil || loadErr != nil || auth.Token.RefreshToken != test.refresh || time.Until(auth.Token.Expiry).Round(time.Second) != test.life {
					t.Errorf("got %v, %v, refresh token %q, life %v", err, loadErr, string(auth.Token.RefreshToken), time.Until(auth.Token.Expiry))
				}
			})
		})
	}
}

// TestALeftOutRefreshTokenIsTold: one that was sent and cannot be kept is in the log,
// and its content is not.
func TestALeftOutRefreshTokenIsTold(t *testing.T) {
	var log strings.Builder
	s := &server{token: http.HandlerFunc(reply(200, `{"access_token":"NEW","expires_in":1800,"refresh_token":{"value":"HIDDEN"}}`))}
	app := newApp(t, s, func(o *spotify.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if _, err := app.Account(newTokens(t, -time.Hour), "me").Player(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "field=refresh_token") || strings.Contains(log.String(), "HIDDEN") {
		t.Errorf("logged %q", log.String())
	}
}

// TestAFailureWithTheStatusOfASuccess: "error" decides, whatever the status is.
func TestAFailureWithTheStatusOfASuccess(t *testing.T) {
	s := &server{token: http.HandlerFunc(reply(200, `{"error":"invalid_grant","error_description":"Refresh token revoked"}`))}
	_, err := newApp(t, s).Account(newTokens(t, -time.Hour), "me").Player(t.Context())
	if spotify.ReasonOf(err) != spotify.ReasonAuth || !strings.Contains(err.Error(), "Refresh token revoked") {
		t.Errorf("got %v", err)
	}
}

// TestAnUnknownClient has a reason of its own: a login would fail as well.
func TestAnUnknownClient(t *testing.T) {
	for _, code := range []string{"invalid_client", "unauthorized_client"} {
		for _, status := range []int{400, 401} {
			s := &server{token: http.HandlerFunc(reply(status, `{"error":"`+code+`","error_description":"Invalid client secret"}`))}
			account := newApp(t, s).Account(newTokens(t, -time.Hour), "me")
			_, err := account.Player(t.Context())
			if spotify.ReasonOf(err) != spotify.ReasonClient || strings.Contains(err.Error(), "spotify-exporter login") || !strings.Contains(err.Error(), "developer.spotify.com/dashboard") {
				t.Errorf("%s, %d: %v", code, status, err)
			}
		}
	}
}

// TestLoginNeedsARefreshToken of the right type.
func TestLoginNeedsARefreshToken(t *testing.T) {
	s := &server{token: http.HandlerFunc(reply(200, `{"access_token":"NEW","expires_in":1800,"refresh_token":7}`))}
	app := newApp(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tokens := spotify.Tokens{Dir: t.TempDir()}
	_, err := app.Login(ctx, tokens, spotify.LoginOptions{ListenAddress: "127.0.0.1:0", In: strings.NewReader("CODE-OF-THE-PAGE\n"), Out: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "no refresh token") {
		t.Errorf("got %v", err)
	}
}
