package journal_test

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestRequestsAreCountedForADay makes requests of two clients at random times, with
// a clock that is set back now and then, and counts them by hand.
func TestRequestsAreCountedForADay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), journal.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	made := map[string][]time.Time{}
	used := func(client string) (n int) {
		for _, at := range made[client] {
			if now.Sub(at) < 24*time.Hour {
				n++
			}
		}
		return n
	}
	no := errors.New("no")
	for i := range 3000 {
		now = now.Add(time.Duration(random.IntN(120)) * time.Second)
		switch {
		case i%500 == 250: // for a while the clock is ahead
			now = now.Add(50 * time.Minute)
		case i%500 == 255:
			now = now.Add(-50 * time.Minute)
		case i%500 == 400:
			now = now.Add(25 * time.Hour)
		}
		client := []string{"one", "two"}[random.IntN(2)]
		allow := random.IntN(10) > 0
		err := j.Request(t.Context(), client, "player", func(q journal.Quota) error {
			// What was made by a clock that was ahead counts as made now.
			for k, at := range made[client] {
				if at.After(now) && allow {
					made[client][k] = now
				}
			}
			if q.Used != used(client) {
				t.Fatalf("%d: %d requests, want %d", i, q.Used, used(client))
			}
			if !allow {
				return no
			}
			return nil
		})
		if allow && err != nil || !allow && err != no {
			t.Fatal(err)
		}
		if allow {
			made[client] = append(made[client], now)
		}
		if times, err := j.Requests(t.Context(), client); err != nil || len(times) != used(client) {
			t.Fatalf("%d: %d times, %v, want %d", i, len(times), err, used(client))
		}
	}
}
