package main

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// TestDemoPlaysOn looks on for seventy days at what the demo that is filled plays until
// it is stopped.
func TestDemoPlaysOn(t *testing.T) {
	setEnvironment(t, map[string]string{"TIMEZONE": "Europe/Berlin"})
	config, err := demoConfig(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const days = 70
		start := time.Now()
		s := &show{config: config, from: start, until: start}
		past, later := s.past(3, start, usualPerformance)
		s.play(clock.Clock{}, past, usualPerformance, later)
		most := 0
		for time.Since(start) < days*24*time.Hour {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://spotify.invalid/v1/me/player", nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Authorization", "Bearer "+s.listener.AccessToken())
			request.Header.Set("User-Agent", "test")
			response, err := s.spotify.Transport().RoundTrip(request)
			if err != nil || response.StatusCode >= 400 {
				t.Fatal(response, err)
			}
			response.Body.Close()
			time.Sleep(15 * time.Minute)
			most = max(most, len(s.spotify.Requests()))
		}
		if most > 2*24*4+2 {
			t.Errorf("up to %d requests are remembered", most)
		}
		played := s.listener.Played(time.Now())
		weeks := make(map[int]int)
		for i, p := range played {
			weeks[int(p.EndedAt.Sub(start)/(7*24*time.Hour))]++
			if i > 0 && p.StartedAt.Before(played[i-1].EndedAt) {
				t.Fatalf("%v starts before %v ends", p, played[i-1])
			}
		}
		for week := range days / 7 {
			if weeks[week] < 100 {
				t.Errorf("%d plays in week %d", weeks[week], week)
			}
		}
	})
}
