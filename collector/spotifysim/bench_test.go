package spotifysim_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// BenchmarkRequest is what a request in virtual time costs, with 60 days behind
// the listener: a bench of 60 days makes tens of thousands of them an account.
func BenchmarkRequest(b *testing.B) {
	for _, test := range []struct{ name, path string }{
		{"player", "/v1/me/player?additional_types=track,episode"},
		{"recently-played", "/v1/me/player/recently-played?limit=50"},
	} {
		b.Run(test.name, func(b *testing.B) {
			start := time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)
			sim := spotifysim.New(spotifysim.Options{})
			u := sim.AddUser("ann", "Ann")
			u.PlayDays(spotifysim.GenerateDays(1, start, 60, spotifysim.Habits{}))
			u.Now().Play(lantern).Pause()
			client := &http.Client{Transport: sim.Transport()}
			r, err := http.NewRequest(http.MethodGet, "http://spotify.test"+test.path, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("User-Agent", "test")
			r.Header.Set("Authorization", "Bearer "+u.AccessToken())
			b.ReportAllocs()
			for b.Loop() {
				response, err := client.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.Copy(io.Discard, response.Body)
				if err != nil || response.StatusCode != http.StatusOK || n < 500 {
					b.Fatal(response.Status, n, err)
				}
			}
		})
	}
}
