package prom_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

var routes = []string{"/", "/metrics", "/-/healthy", "/-/ready", "/nowhere"}

func TestHosts(t *testing.T) {
	machine, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Hosts = []string{"Music.Example.org", "nas.example.net."}
	handler := prom.New(o).Handler()
	for host, want := range map[string]bool{
		"":                             true, // HTTP/1.0
		"127.0.0.1:10178":              true,
		"192.0.2.7":                    true,
		"[::1]:10178":                  true,
		"[2001:db8::1]":                true,
		"[fe80::1%25eth0]:10178":       true,
		"localhost:10178":              true,
		"LOCALHOST.":                   true,
		"music.localhost:80":           true,
		machine:                        true,
		"spotify-exporter:10178":       true,
		"4f2a9c1b7d3e:10178":           true, // a container's id
		"spotify-exporter.spotify.svc": true,
		"spotify-exporter.spotify.svc.cluster.local:10178": true,
		"nas.local:10178":       true,
		"nas.home.arpa":         true,
		"host.docker.internal":  true,
		"music.example.org":     true,
		"MUSIC.example.ORG:443": true,
		"music.example.org.":    true,
		"nas.example.net:10178": true,

		"evil.example.com":                 false,
		"evil.example.com:10178":           false,
		"other.music.example.org":          false,
		"music.example.org.evil.com":       false,
		"localhost.evil.com":               false,
		"127.0.0.1.evil.com":               false,
		"127.0.0.1.nip.io:10178":           false,
		"spotify-exporter.com":             false,
		"spotify-exporter.svc.evil.com":    false,
		"evil.com.":                        false,
		"evilsvc.com":                      false,
		"evil.notlocal":                    false,
		machine + ".evil.com":              false,
		"evil.com:80:80":                   false,
		"[evil.com]":                       false,
		"evil.com:localhost":               false,
		"evil.example.com@localhost.x.org": false,
	} {
		for _, path := range routes {
			request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			request.Host = host
			recorder := httptest.NewRecorder()
			handler.ServeHTTP(recorder, request)
			if got := recorder.Code != http.StatusMisdirectedRequest; got != want {
				t.Errorf("%s of host %q: %d, want it answered: %v", path, host, recorder.Code, want)
			}
			body := recorder.Body.String()
			if !want && (!strings.Contains(body, "WEB_HOSTS") || strings.Count(body, "\n") != 1 || strings.Contains(body, "spotify_")) {
				t.Errorf("%s of host %q: the refusal is %q", path, host, body)
			}
		}
	}
}

// TestNoSniffing holds every answer, errors and refusals too.
func TestNoSniffing(t *testing.T) {
	handler := prom.New(options()).Handler()
	for _, host := range []string{"localhost", "evil.example.com"} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			for _, path := range routes {
				request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
				request.Host = host
				recorder := httptest.NewRecorder()
				handler.ServeHTTP(recorder, request)
				if got := recorder.Header().Values("X-Content-Type-Options"); len(got) != 1 || got[0] != "nosniff" {
					t.Errorf("%s %s of %s: X-Content-Type-Options is %q", method, path, host, got)
				}
			}
		}
	}
}
