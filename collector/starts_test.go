package collector_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// album plays n different tracks of 2 to 4 minutes, one after the other, from a moment on,
// and returns when they are through.
func (w *world) album(from time.Time, n, first int) time.Time {
	items := make([]spotifysim.Item, n)
	until := from
	for i := range items {
		length := time.Duration(120+(37*(first+i))%120) * time.Second
		items[i] = spotifysim.NewTrack(fmt.Sprint("Song ", first+i), "Somebody", length)
		until = until.Add(length)
	}
	w.user.At(from).Play(items...)
	return until
}

// TestPlayedAtIsTheStart: from one day on Spotify's list has the starts of plays, and a
// day later the ends again. After five plays that is noticed and told, and in the end
// every play is there once, with its own end, over a restart; the reports of what Spotify
// said stay as they were.
func TestPlayedAtIsTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		var log lines
		day := w.began.Add(time.Hour)
		w.sim.Fault(spotifysim.Fault{Kind: spotifysim.ListsStarts, Endpoint: spotifysim.EndpointRecentlyPlayed, From: day.Add(10 * time.Hour), Until: day.Add(34 * time.Hour)})
		// Each day begins with a page of its own.
		w.album(day, 6, 0)
		w.album(day.Add(11*time.Hour), 12, 100)
		w.album(day.Add(20*time.Hour), 6, 200)
		w.album(day.Add(35*time.Hour), 12, 300)
		w.album(day.Add(44*time.Hour), 6, 400)

		c := w.start(j, collector.Options{Log: log.logger()})
		sleepUntil := func(at time.Duration) { time.Sleep(time.Until(day.Add(at))) }
		told := func(text string, want int, state bool) {
			t.Helper()
			if got := log.with(text); len(got) != want {
				t.Errorf("after %v: logged %q", time.Since(day), got)
			}
			starts, err := j.ListsStarts(t.Context(), "me")
			if a := c.account(t, "me"); err != nil || starts != state || a.ListsStarts != state || a.HeldRatio == nil {
				t.Errorf("after %v: the list has starts: %v, %v, state %+v", time.Since(day), starts, err, a)
			}
		}
		sleepUntil(9 * time.Hour)
		told("has the starts of plays", 0, false)
		sleepUntil(19 * time.Hour)
		told("has the starts of plays", 1, true)
		c.stop()
		c = w.start(j, collector.Options{Log: log.logger()})
		sleepUntil(33 * time.Hour)
		told("has the starts of plays", 1, true)
		if a := c.account(t, "me"); *a.HeldRatio != 1 {
			t.Errorf("held: %v", *a.HeldRatio)
		}
		sleepUntil(43 * time.Hour)
		told("has the ends of plays", 1, false)
		sleepUntil(50 * time.Hour)
		told("has the ends of plays", 1, false)
		w.check(j)
	})
}

// TestListeningOfflineDecidesNothing: somebody listens offline and online in turns, to
// the same few songs, and no play says that played_at is a start.
func TestListeningOfflineDecidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		var log lines
		song := spotifysim.NewTrack("Again and again", "Somebody", 3*time.Minute)
		m := w.user.At(w.began.Add(time.Hour))
		for range 20 {
			// Offline to its end, and the same once more when the device is back, from right
			// then on: that one's start is where the other one ended.
			m = m.Offline(true).Play(song, song).After(3*time.Minute - time.Second).Offline(false).After(3 * time.Minute).Pause()
			m = m.After(20 * time.Minute)
		}
		w.start(j, collector.Options{Log: log.logger()})
		time.Sleep(14 * time.Hour)
		if got := log.with("has the starts of plays"); len(got) != 0 {
			t.Errorf("logged %q", got)
		}
	})
}
