package spotify_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// TestWhatServersRepeat: a server or a proxy repeats what it was sent, in any form; no
// secret of it is in the error, nor in a log. Over real HTTP, since the transport
// quotes an answer that is no HTTP.
func TestWhatServersRepeat(t *testing.T) {
	const access, refresh, key = "BQDaccess-Token_1", "AQDrefresh/Token+2=", "clientSecret3"
	secrets := []string{access, refresh, key, url.QueryEscape(refresh), base64.StdEncoding.EncodeToString([]byte("client:" + key)), base64.StdEncoding.EncodeToString([]byte(refresh))}
	said := func(r *http.Request) string {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		return fmt.Sprintf("you sent %s and %s that is %v, %s", r.Header.Get("Authorization"), body, form, base64.StdEncoding.EncodeToString([]byte(form.Get("refresh_token"))))
	}
	quoted := func(text string) string { b, _ := json.Marshal(text); return string(b) }
	answers := map[string]func(w http.ResponseWriter, text string, status int){
		"as text": func(w http.ResponseWriter, text string, status int) { w.WriteHeader(status); io.WriteString(w, text) },
		"as API JSON": func(w http.ResponseWriter, text string, status int) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":{"message":%s}}`, quoted(text))
		},
		"as OAuth": func(w http.ResponseWriter, text string, status int) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"error":%s,"error_description":%[1]s}`, quoted(text))
		},
		"far behind": func(w http.ResponseWriter, text string, status int) {
			w.WriteHeader(status)
			io.WriteString(w, strings.Repeat("x", 190-len("you sent Bearer "))+text)
		},
		"Retry-After": func(w http.ResponseWriter, text string, status int) {
			w.Header().Set("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")
			w.WriteHeader(status)
			io.WriteString(w, text)
		},
		"as no HTTP": func(w http.ResponseWriter, text string, _ int) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 %s\r\n\r\n", text)
		},
		"as played_at": func(w http.ResponseWriter, text string, _ int) {
			fmt.Fprintf(w, `{"items":[{"played_at":%s},{"played_at":%[1]s}]}`, quoted(text))
		},
		"as is_playing": func(w http.ResponseWriter, text string, _ int) { fmt.Fprintf(w, `{"is_playing":%s}`, quoted(text)) },
	}
	for name, answer := range answers {
		for _, status := range []int{400, 401, 403, 407, 500} {
			for _, where := range []string{"/api/token", "/v1/"} {
				t.Run(fmt.Sprint(name, " ", status, " ", where), func(t *testing.T) {
					real := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Content-Type", "application/json")
						if strings.Contains(r.URL.Path, where) {
							answer(w, said(r), status)
							return
						}
						fmt.Fprintf(w, `{"access_token":%q,"expires_in":3600}`, access)
					}))
					defer real.Close()
					var log strings.Builder
					tokens := spotify.Tokens{Dir: t.TempDir()}
					stored := authorization(-time.Hour)
					stored.Token.RefreshToken = refresh
					writeToken(t, tokens, "me", stored)
					account := newApp(t, spotify.NewTransport(), func(o *spotify.Options) {
						o.ClientSecret, o.APIURL, o.AccountsURL = key, real.URL+"/v1/", real.URL
						o.Log = slog.New(slog.NewTextHandler(&log, nil))
					}).Account(tokens, "me")
					for call, do := range map[string]func() error{
						"player": func() error { _, err := account.Player(t.Context()); return err },
						"list":   func() error { _, err := account.RecentlyPlayed(t.Context(), 0); return err },
						"track":  func() error { _, err := account.Track(t.Context(), "x"); return err },
						"me":     func() error { _, err := account.Me(t.Context()); return err },
					} {
						err := do()
						if err == nil {
							t.Fatalf("%s: no error", call)
						}
						for _, s := range secrets {
							if text := fmt.Sprintf("%v %+v %s", err, err, log.String()); strings.Contains(text, s) || strings.Contains(text, s[:12]) {
								t.Errorf("%s: %q is in %s", call, s, text)
							}
						}
					}
				})
			}
		}
	}
}
