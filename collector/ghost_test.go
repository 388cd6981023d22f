package collector_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// freeze lets the player go on to show, from a moment on, what it showed then: as a
// ghost that plays and does not move.
func (w *world) freeze(from, until time.Time) {
	w.sim.Fault(spotifysim.Fault{Kind: spotifysim.Stale, Endpoint: spotifysim.EndpointPlayer, From: from, Until: until})
}

// TestGhosts: all devices are switched off while an item plays, and the player says for
// hours that it plays on. Some time after it should have ended nothing plays any more,
// it is looked at no more than any idle player, and what was heard is recorded once.
func TestGhosts(t *testing.T) {
	track := spotifysim.NewTrack("Switched off", "Somebody", 3*time.Minute)
	podcast := spotifysim.NewEpisode("Switched off, too", "Show", 20*time.Minute)
	local := spotifysim.NewLocal("Mine", "Myself", 4*time.Minute)
	tests := []struct {
		name   string
		item   spotifysim.Item
		came   time.Duration // when we come, behind its start
		frozen time.Duration // likewise
		over   time.Duration // by then nothing plays
		plays  int
	}{
		{"a track", track, -time.Hour, 100 * time.Second, 8 * time.Minute, 1},
		{"a track that hardly began", track, -time.Hour, 10 * time.Second, 8 * time.Minute, -1},
		{"a track near its end", track, -time.Hour, 178 * time.Second, 8 * time.Minute, 1},
		{"a podcast", podcast, -time.Hour, 5 * time.Minute, 25 * time.Minute, 1},
		{"a local file", local, -time.Hour, time.Minute, 10 * time.Minute, 1},
		{"a track that we find standing", track, 2 * time.Hour, 100 * time.Second, 2*time.Hour + 8*time.Minute, 1},
		{"a podcast that we find standing", podcast, 2 * time.Hour, 5 * time.Minute, 2*time.Hour + 25*time.Minute, 0},
	}
	for _, test := range tests {
		for _, progress := range []bool{true, false} {
			t.Run(fmt.Sprint(test.name, ", progress told: ", progress), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					j := w.open()
					if !progress {
						w.alter(`"progress_ms":\d+`, `"progress_ms":null`)
					}
					start := w.began.Add(time.Hour)
					m := w.user.At(start).Play(test.item)
					off := start.Add(test.frozen)
					w.freeze(off, off.Add(12*time.Hour))
					m.After(test.frozen + time.Millisecond).Stop()
					time.Sleep(time.Hour + test.came)
					c := w.start(j, collector.Options{})
					time.Sleep(time.Until(start.Add(test.over)))
					if a := c.account(t, "me"); a.Playback == nil || a.Playback.Playing {
						t.Errorf("it plays on: %+v", a.Playback)
					}
					// As idle as any other player.
					before := w.sim.Requests().ByEndpoint()[spotifysim.EndpointPlayer]
					time.Sleep(2 * time.Hour)
					if n := w.sim.Requests().ByEndpoint()[spotifysim.EndpointPlayer] - before; n > 100 {
						t.Errorf("%d looks in two hours", n)
					}
					if a := c.account(t, "me"); a.Playback == nil || a.Playback.Playing {
						t.Errorf("it plays again: %+v", a.Playback)
					}
					// A restart, the next day, and what plays then.
					c.stop()
					c = w.start(j, collector.Options{})
					time.Sleep(30 * time.Hour)
					n := len(recorded(t, j))
					if test.plays >= 0 && progress && n != test.plays || n > 1 {
						t.Errorf("%d plays, want %d: %+v", n, test.plays, recorded(t, j))
					}
					w.user.Play(spotifysim.NewTrack("The next one", "Somebody", 3*time.Minute))
					time.Sleep(45 * time.Minute)
					if again := len(recorded(t, j)); again != n+1 {
						t.Errorf("%d plays with the next one: %+v", again, recorded(t, j))
					}
				})
			})
		}
	}
}

// TestAGhostOfUnknownLength ends as a paused player would.
func TestAGhostOfUnknownLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		w.alter(`"duration_ms":\d+`, `"duration_ms":null`)
		start := w.began.Add(time.Hour)
		m := w.user.At(start).Play(spotifysim.NewTrack("Of any length", "Somebody", 30*time.Minute))
		w.freeze(start.Add(100*time.Second), start.Add(12*time.Hour))
		m.After(101 * time.Second).Stop()
		time.Sleep(time.Hour)
		c := w.start(j, collector.Options{})
		time.Sleep(20 * time.Minute)
		if a := c.account(t, "me"); a.Playback == nil || a.Playback.Playing {
			t.Errorf("it plays on: %+v", a.Playback)
		}
	})
}

// TestAGhostThatMoves is none any more: who comes back to a podcast goes on with it.
func TestAGhostThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		start := w.began.Add(time.Hour)
		m := w.user.At(start).Play(spotifysim.NewEpisode("Resumed", "Show", 20*time.Minute))
		w.freeze(start.Add(5*time.Minute), start.Add(time.Hour))
		m = m.After(5*time.Minute + time.Millisecond).Pause()
		m.After(54 * time.Minute).Resume()
		time.Sleep(time.Hour)
		c := w.start(j, collector.Options{})
		time.Sleep(40 * time.Minute)
		if a := c.account(t, "me"); a.Playback.Playing {
			t.Errorf("it plays on: %+v", a.Playback)
		}
		time.Sleep(30 * time.Minute)
		if a := c.account(t, "me"); !a.Playback.Playing {
			t.Errorf("it does not play: %+v", a.Playback)
		}
		time.Sleep(2 * time.Hour)
		var ms int64
		for _, r := range recorded(t, j) {
			ms += r.ms
		}
		if ms < 18*60_000 || ms > 22*60_000 {
			t.Errorf("%d ms of 20 minutes: %+v", ms, recorded(t, j))
		}
	})
}

// TestAnAnswerWithoutContent in the middle of a play that we have not seen before it: the
// list confirms it, and its end tells that it was heard from its start.
func TestAnAnswerWithoutContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		start := w.began.Add(time.Hour)
		w.user.At(start).Play(spotifysim.NewTrack("Hidden at first", "Somebody", 150*time.Second))
		w.tamper = func(endpoint string, r *http.Response) {
			if endpoint == spotifysim.EndpointPlayer && time.Since(start) < 70*time.Second {
				replace(t, r, func([]byte) []byte { return nil })
				r.StatusCode, r.Status = http.StatusNoContent, "204 No Content"
			}
		}
		time.Sleep(time.Hour + 5*time.Second)
		w.start(j, collector.Options{})
		time.Sleep(20 * time.Minute)
		records := recorded(t, j)
		if len(records) != 1 || abs(records[0].ms-150_000) > 2_000 {
			t.Errorf("got %+v", records)
		}
	})
}
