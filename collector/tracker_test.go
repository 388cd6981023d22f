package collector_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// listening is a case of the tracker: what a listener does, and the plays that the
// journal must hold of it, each as "name reason_end" and what is special about it.
// How long they were listened to, and when they began and ended, is held against
// what the simulator says.
type listening struct {
	name   string
	script func(m spotifysim.Moment) // begins ten minutes after the start
	setup  func(w *world, at time.Time)
	lasts  time.Duration   // 0: an hour
	stops  []time.Duration // the daemon is restarted so long after the script's start
	down   time.Duration   // and is away for so long
	// recordPrivate is the setting.
	recordPrivate bool
	want          []string
	// within is how exact the listening times must be called, and be; 0: 2 s.
	within time.Duration
}

var (
	trackA  = spotifysim.NewTrack("A", "Somebody", 3*time.Minute)
	trackB  = spotifysim.NewTrack("B", "Somebody", 4*time.Minute)
	trackC  = spotifysim.NewTrack("C", "Somebody", 150*time.Second)
	trackD  = spotifysim.NewTrack("D", "Somebody", 200*time.Second)
	long    = spotifysim.NewTrack("Long", "Somebody", 25*time.Minute)
	episode = spotifysim.NewEpisode("Episode", "Show", 20*time.Minute)
	local   = spotifysim.NewLocal("Local", "Nobody", 200*time.Second)
	advert  = spotifysim.Item{Kind: spotifysim.Ad, URI: "spotify:ad:1", Duration: 30 * time.Second}
	unknown = spotifysim.Item{Kind: spotifysim.Unknown, URI: "spotify:unknown:1", Duration: 60 * time.Second}
	kitchen = spotifysim.Device{ID: "k", Name: "Kitchen", Type: "Speaker", VolumePercent: 30}
)

func chapter() spotifysim.Item {
	c := spotifysim.NewEpisode("Chapter", "Book", 15*time.Minute)
	c.Kind, c.ReleaseDate, c.ReleaseDatePrecision = spotifysim.Chapter, "0000", "year"
	return c
}

func minutes(n float64) time.Duration { return time.Duration(n * float64(time.Minute)) }

const oneLook = 45 * time.Second // what lies between two looks while something plays

func TestTracker(t *testing.T) {
	type moment = spotifysim.Moment
	cases := []listening{{
		name:   "finished",
		script: func(m moment) { m.Play(trackA) },
		want:   []string{"A trackdone"},
	}, {
		name:   "one after the other",
		script: func(m moment) { m.Play(trackA, trackB, trackC) },
		want:   []string{"A trackdone", "B trackdone", "C trackdone"},
	}, {
		name:   "skipped after 70 s",
		script: func(m moment) { m.Play(trackA, trackB).After(70 * time.Second).Next() },
		want:   []string{"A fwdbtn skipped", "B trackdone"}, within: oneLook,
	}, {
		name:   "skipped after 12 s",
		script: func(m moment) { m.Play(trackA, trackB, trackC).After(minutes(3) + 12*time.Second).Next() },
		want:   []string{"A trackdone", "B fwdbtn skipped", "C trackdone"}, within: oneLook,
	}, {
		name:   "replaced", // by something of the same context: nobody can tell it from a skip
		script: func(m moment) { m.Play(trackA).After(80 * time.Second).Play(trackB) },
		want:   []string{"A fwdbtn skipped", "B trackdone"}, within: oneLook,
	}, {
		name: "replaced by something of another album",
		script: func(m moment) {
			m.Context(&spotifysim.Context{Type: "album", URI: "spotify:album:a"}).Play(trackA).After(80 * time.Second).
				Context(&spotifysim.Context{Type: "album", URI: "spotify:album:b"}).Play(trackB)
		},
		want: []string{"A endplay skipped", "B trackdone"}, within: oneLook,
	}, {
		name:   "replaced while paused",
		script: func(m moment) { m.Play(trackA).After(80 * time.Second).Pause().After(minutes(4)).Play(trackB) },
		want:   []string{"A endplay skipped", "B trackdone"},
	}, {
		name:   "replaced by the middle of something",
		script: func(m moment) { m.Play(trackA).After(80*time.Second).PlayFrom(minutes(2), trackB) },
		want:   []string{"A endplay skipped", "B trackdone"}, within: oneLook,
	}, {
		name:   "begun out of reach",
		script: func(m moment) { m.Offline(true).Play(long).After(minutes(7)).Offline(false) },
		want:   []string{"Long trackdone"}, within: minutes(7.5),
	}, {
		name:   "paused and never resumed",
		script: func(m moment) { m.Play(long).After(minutes(5)).Pause() },
		want:   []string{"Long logout"},
	}, {
		name: "paused, and its device vanished", // listed when Spotify gives it up
		script: func(m moment) {
			m.Play(trackB).After(minutes(2)).Pause().After(minutes(1.5)).Offline(true).After(minutes(15)).Offline(false)
		},
		want: []string{"B logout"}, lasts: 2 * time.Hour,
	}, {
		name: "paused while its device was away",
		script: func(m moment) {
			m.Play(trackB).After(minutes(2)).Offline(true).After(time.Second).Pause().After(minutes(15)).Offline(false)
		},
		want: []string{"B unknown"}, lasts: 2 * time.Hour, within: minutes(2),
	}, {
		name:   "paused right before its end",
		script: func(m moment) { m.Play(trackA).After(minutes(3) - time.Second).Pause() },
		want:   []string{"A trackdone"},
	}, {
		name:   "paused and resumed",
		script: func(m moment) { m.Play(trackA).After(minutes(1)).Pause().After(minutes(4)).Resume() },
		want:   []string{"A trackdone"},
	}, {
		name: "paused for a moment between two looks",
		script: func(m moment) {
			m.Play(long).After(minutes(5)).Pause().After(9 * time.Second).Resume()
		},
		want: []string{"Long trackdone"}, within: 15 * time.Second,
	}, {
		name: "paused twice",
		script: func(m moment) {
			m.Play(trackB).After(minutes(1)).Pause().After(minutes(4)).Resume().After(minutes(1)).Pause().After(minutes(8)).Resume()
		},
		want: []string{"B trackdone"},
	}, {
		name:   "seek forward",
		script: func(m moment) { m.Play(trackB).After(minutes(1)).Seek(minutes(3)) },
		want:   []string{"B trackdone"}, within: 5 * time.Second,
	}, {
		name:   "seek back",
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Seek(minutes(1)) },
		want:   []string{"B trackdone"}, within: oneLook,
	}, {
		name:   "seek forward while paused",
		script: func(m moment) { m.Play(long).After(minutes(2)).Pause().After(minutes(4)).Seek(minutes(20)) },
		want:   []string{"Long logout"}, within: oneLook,
	}, {
		name: "seek back while paused", // listed once, at its end
		script: func(m moment) {
			m.Play(trackB).After(minutes(2)).Pause().After(minutes(1.5)).Seek(30 * time.Second).After(minutes(2)).Play(trackC)
		},
		want: []string{"B endplay skipped", "C trackdone"}, within: oneLook,
	}, {
		name:   "seek forward while paused for long",
		script: func(m moment) { m.Play(long).After(minutes(2)).Pause().After(minutes(9)).Seek(minutes(20)) },
		want:   []string{"Long logout"}, within: oneLook,
	}, {
		name:   "seek back to the start", // listed once: one play
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Seek(0) },
		want:   []string{"B trackdone"}, within: oneLook,
	}, {
		name:   "seek back to the start, shortly before the end",
		script: func(m moment) { m.Play(trackB).After(230 * time.Second).Seek(0) },
		want:   []string{"B trackdone"}, within: oneLook,
	}, {
		name:   "previous twice", // of the first two only the list tells
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Previous().After(minutes(2)).Previous() },
		want:   []string{"B", "B", "B trackdone"}, within: minutes(2.5),
	}, {
		name:   "previous", // listed twice: two plays
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Previous() },
		want:   []string{"B", "B trackdone"}, within: oneLook,
	}, {
		name: "previous within 20 s", // the first is too short to be listed
		script: func(m moment) {
			m.Play(trackA, trackB).After(minutes(3)).After(20 * time.Second).Previous()
		},
		want: []string{"A trackdone", "B fwdbtn skipped", "A trackdone", "B trackdone"}, within: oneLook,
	}, {
		name:   "on repeat",
		script: func(m moment) { m.Repeat("track").Play(trackA).After(minutes(11)).Repeat("off") },
		want:   []string{"A trackdone", "A trackdone", "A trackdone", "A trackdone"},
	}, {
		name:   "twice in a row",
		script: func(m moment) { m.Play(trackA, trackA, trackB) },
		want:   []string{"A trackdone", "A trackdone", "B trackdone"},
	}, {
		name:   "resumed after hours",
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Pause().After(3 * time.Hour).Resume() },
		want:   []string{"B logout", "B trackdone"}, lasts: 4 * time.Hour,
	}, {
		name:   "resumed after a quarter of an hour", // Spotify has ended the first one
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Pause().After(minutes(15)).Resume() },
		want:   []string{"B logout", "B trackdone"},
	}, {
		name:   "resumed after Spotify has ended it, and before it is listed",
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Pause().After(minutes(10.5)).Resume() },
		want:   []string{"B", "B trackdone"}, within: 5 * time.Second,
	}, {
		name:  "paused for a quarter of an hour, and not ended",
		setup: func(w *world, at time.Time) { w.goesOn(at, trackB, minutes(15)) },
		want:  []string{"B trackdone"},
	}, {
		name:  "paused for hours, and not ended",
		setup: func(w *world, at time.Time) { w.goesOn(at, trackB, 5*time.Hour) },
		want:  []string{"B trackdone"}, lasts: 6 * time.Hour,
	}, {
		name:  "paused for hours and not ended, and we were restarted",
		setup: func(w *world, at time.Time) { w.goesOn(at, trackB, 2*time.Hour) },
		want:  []string{"B trackdone"}, lasts: 3 * time.Hour, stops: []time.Duration{minutes(40)}, down: 5 * time.Minute,
	}, {
		name: "paused for long twice", // ended both times, and one of them cannot be told
		script: func(m moment) {
			m.Play(trackB).After(minutes(1)).Pause().After(minutes(10.5)).Resume().After(minutes(1)).Pause().After(minutes(10.5)).Resume()
		},
		want: []string{"B", "B", "B trackdone"}, within: minutes(3.5),
	}, {
		name:   "moved to its start in a pause", // listed once, at its end
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Pause().After(minutes(3)).Seek(0).Resume() },
		want:   []string{"B trackdone"}, within: oneLook,
	}, {
		name:   "chosen again in a pause", // listed twice
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Pause().After(minutes(3)).Play(trackB) },
		want:   []string{"B", "B trackdone"}, within: oneLook,
	}, {
		name:   "chosen again from elsewhere", // listed twice
		script: func(m moment) { m.Play(long).After(minutes(5)).PlayFrom(minutes(9), long) },
		want:   []string{"Long", "Long trackdone"}, within: oneLook,
	}, {
		name: "moved while it lies there after its end",
		script: func(m moment) {
			m.Play(trackA).After(minutes(5)).Seek(20 * time.Second).After(minutes(3)).Seek(minutes(1)).After(minutes(20)).Play(trackC)
		},
		want: []string{"A trackdone", "C trackdone"},
	}, {
		name:   "left paused, and another one entered in its middle",
		script: func(m moment) { m.Play(trackB).After(minutes(1)).Pause().After(minutes(4)).PlayFrom(minutes(10), long) },
		want:   []string{"B endplay skipped", "Long trackdone"}, within: minutes(2),
	}, {
		name: "resumed for its last seconds between two looks",
		script: func(m moment) {
			m.Play(trackA).After(minutes(2) + 50*time.Second).Pause().After(minutes(4)).Resume()
		},
		want: []string{"A trackdone"}, within: 15 * time.Second,
	}, {
		name:   "resumed after its end",
		script: func(m moment) { m.Play(trackA).After(minutes(8)).Resume() },
		want:   []string{"A trackdone", "A trackdone"},
	}, {
		name:   "handed over to another device",
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Device(kitchen) },
		want:   []string{"B trackdone on Kitchen"},
	}, {
		name:   "crossfade",
		script: func(m moment) { m.Crossfade(8*time.Second).Play(trackA, trackB, trackC) },
		want:   []string{"A trackdone", "B trackdone", "C trackdone"},
	}, {
		name:   "stopped",
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Stop() },
		want:   []string{"B unknown"}, within: minutes(2),
	}, {
		name: "stopped, and something else when it would have ended",
		script: func(m moment) {
			m.Play(trackB).After(minutes(2) + 15*time.Second).Stop().After(minutes(1.75) - 3*time.Second).Play(trackC)
		},
		want: []string{"B trackdone", "C trackdone"}, within: oneLook,
	}, {
		name:   "stopped, and gone on from there",
		script: func(m moment) { m.Play(trackB).After(minutes(2)).Stop().After(minutes(5)).Resume() },
		want:   []string{"B unknown", "B trackdone"}, within: oneLook,
	}, {
		name:   "private",
		script: func(m moment) { m.Private(true).Play(trackA, trackB).After(minutes(10)).Private(false).Play(trackC) },
		want:   []string{"C trackdone"},
	}, {
		name:   "private for a moment",
		script: func(m moment) { m.Play(long).After(minutes(5)).Private(true).After(minutes(2)).Private(false) },
	}, {
		name:          "private, to be recorded",
		script:        func(m moment) { m.Private(true).Play(trackA).After(minutes(10)).Private(false).Play(trackC) },
		want:          []string{"A trackdone private", "C trackdone"},
		recordPrivate: true,
	}, {
		name:   "episode",
		script: func(m moment) { m.Play(episode) },
		want:   []string{"Episode trackdone"},
	}, {
		name:   "chapter",
		script: func(m moment) { m.Play(chapter()).After(minutes(8)).Pause().After(minutes(3)).Resume() },
		want:   []string{"Chapter trackdone"},
	}, {
		name:   "local file",
		script: func(m moment) { m.Play(trackA, local, trackB) },
		want:   []string{"A trackdone", "Local trackdone", "B trackdone"}, within: 3 * time.Second,
	}, {
		name:   "local file without a uri",
		script: func(m moment) { m.Play(trackA, local, trackB) },
		setup:  func(w *world, _ time.Time) { w.alter(`"uri":"spotify:local:[^"]*"`, `"uri":null`) },
		want:   []string{"A trackdone", "Local trackdone", "B trackdone"}, within: 3 * time.Second,
	}, {
		name:   "advertisement and something unknown in between",
		script: func(m moment) { m.Play(trackA, advert, trackB, unknown, trackC) },
		want:   []string{"A trackdone", "B trackdone", "C trackdone"},
	}, {
		name:   "restart in the middle of a play",
		script: func(m moment) { m.Play(trackA, episode, trackB) },
		stops:  []time.Duration{minutes(1), minutes(8)}, down: 50 * time.Second,
		want: []string{"A trackdone", "Episode trackdone", "B trackdone"},
	}, {
		name:   "away while several were played",
		script: func(m moment) { m.Play(trackA, trackB, trackC, trackD) },
		stops:  []time.Duration{minutes(2)}, down: minutes(9),
		want: []string{"A trackdone", "B", "C", "D trackdone"}, within: minutes(4),
	}, {
		name: "away while others were played between two plays on repeat",
		script: func(m moment) {
			m.Repeat("track").Play(trackA).After(minutes(2)).Play(trackB).After(minutes(9)).Play(trackA).After(minutes(2.5)).Repeat("off")
		},
		stops: []time.Duration{minutes(1.5)}, down: minutes(10),
		want: []string{"A trackdone", "B", "B", "B", "A trackdone"}, within: minutes(4),
	}, {
		name:   "an episode on repeat while we were away",
		script: func(m moment) { m.Repeat("track").Play(episode).After(minutes(50)).Repeat("off") },
		stops:  []time.Duration{minutes(10)}, down: minutes(35),
		want: []string{"Episode trackdone", "Episode trackdone", "Episode trackdone"}, lasts: 2 * time.Hour,
	}, {
		name:   "away while it was paused",
		script: func(m moment) { m.Play(trackB).After(minutes(1)).Pause().After(minutes(6)).Resume() },
		stops:  []time.Duration{minutes(2)}, down: minutes(2),
		want: []string{"B trackdone"},
	}, {
		name: "offline in the middle", // and nothing is lost that ended there
		script: func(m moment) {
			m.Play(trackA, trackB, trackC).After(minutes(4)).Offline(true).After(minutes(15)).Offline(false)
		},
		want: []string{"A trackdone", "B unknown", "C"}, within: minutes(4), lasts: 2 * time.Hour,
	}, {
		name:   "offline in the middle of it", // for longer than is overlooked
		script: func(m moment) { m.Play(long).After(minutes(5)).Offline(true).After(minutes(8)).Offline(false) },
		want:   []string{"Long trackdone"},
	}, {
		name:   "nothing for a look or two",
		script: func(m moment) { m.Play(episode) },
		setup:  func(w *world, at time.Time) { w.flap(at.Add(minutes(4)), time.Minute) },
		want:   []string{"Episode trackdone"},
	}, {
		name:   "something without an item for a look or two",
		script: func(m moment) { m.Play(trackB, trackC) },
		setup:  func(w *world, at time.Time) { w.blank(at.Add(90*time.Second), time.Minute) },
		want:   []string{"B trackdone", "C trackdone"},
	}, {
		name:   "old answers for two minutes",
		script: func(m moment) { m.Play(trackB, trackC) },
		setup: func(w *world, at time.Time) {
			w.sim.Fault(spotifysim.Fault{Kind: spotifysim.Stale, Endpoint: spotifysim.EndpointPlayer, From: at.Add(minutes(2)), Until: at.Add(minutes(4))})
		},
		// By the first old answer it was paused, and nothing tells that it was not.
		want: []string{"B fwdbtn skipped", "C trackdone"}, within: oneLook,
	}, {
		name:   "no progress",
		script: func(m moment) { m.Play(trackA, trackB, trackC) },
		setup:  func(w *world, _ time.Time) { w.alter(`"progress_ms":\d+`, `"progress_ms":null`) },
		want:   []string{"A trackdone", "B trackdone", "C trackdone"}, within: oneLook,
	}, {
		name:   "progress beyond the duration",
		script: func(m moment) { m.Play(trackA, trackB, trackC) },
		setup:  func(w *world, _ time.Time) { w.alter(`"progress_ms":\d{6}`, `"progress_ms":999999`) },
		want:   []string{"A trackdone", "B trackdone", "C trackdone"},
	}, {
		name:   "duration 0",
		script: func(m moment) { m.Play(trackA, trackB, trackC) },
		setup:  func(w *world, _ time.Time) { w.alter(`"duration_ms":\d+`, `"duration_ms":0`) },
		want:   []string{"A unknown", "B unknown", "C logout"}, within: 10 * time.Second,
	}, {
		name:   "duration missing",
		script: func(m moment) { m.Play(trackA, trackB, trackC) },
		setup:  func(w *world, _ time.Time) { w.alter(`"duration_ms":\d+,`, ``) },
		want:   []string{"A unknown", "B unknown", "C logout"}, within: 10 * time.Second,
	}}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, c.test)
		})
	}
}

func (c *listening) test(t *testing.T) {
	w := newWorld(t)
	w.journalOptions.RecordPrivate = c.recordPrivate
	begin := time.Now().Add(10 * time.Minute)
	if c.setup != nil {
		c.setup(w, begin)
	}
	if c.script != nil {
		c.script(w.user.At(begin))
	}
	if c.lasts == 0 {
		c.lasts = time.Hour
	}
	for _, stop := range append(c.stops, c.lasts) {
		j := w.journal()
		w.run(j, begin.Add(stop), collector.Options{RecordPrivate: c.recordPrivate})
		if stop == c.lasts {
			c.hold(w, j)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(c.down)
	}
}

// hold holds the journal against the case and against what was played.
func (c *listening) hold(w *world, j *journal.Journal) {
	t := w.t
	t.Helper()
	var plays []journal.Play
	defer func() {
		if t.Failed() && testing.Verbose() {
			w.around(time.Now().Add(-c.lasts+10*time.Minute), recorded(t, j))
			for i := range plays {
				reports, err := j.Reports(t.Context(), plays[i].ID)
				t.Logf("%d: %v %+v", i, err, reports)
			}
		}
	}()
	var got []string
	for p, err := range j.Plays(t.Context(), journal.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		plays = append(plays, p)
		line := strings.TrimSpace(p.Item.Name + " " + p.ReasonEnd)
		if p.Skipped != nil && *p.Skipped {
			line += " skipped"
		}
		if p.Private() {
			line += " private"
		}
		if p.Device != "Desk" && p.Device != "" {
			line += " on " + p.Device
		}
		got = append(got, line)
	}
	if !slices.Equal(got, c.want) {
		t.Errorf("got  %q\nwant %q", got, c.want)
	}
	truth := slices.DeleteFunc(w.user.Played(time.Now()), func(p spotifysim.Played) bool { return p.Private && !c.recordPrivate })
	if len(truth) != len(plays) {
		t.Errorf("%d plays for %d", len(plays), len(truth))
		return
	}
	within := max(c.within, 2*time.Second)
	for i := range plays {
		p, real := &plays[i], &truth[i]
		what := fmt.Sprintf("%d: %s", i, p.Item.Name)
		if string(real.Item.Kind) != p.Item.Kind.String() {
			t.Errorf("%s is of kind %s", what, p.Item.Kind)
		}
		off := abs(p.MSPlayed - real.MSPlayed)
		if time.Duration(off)*time.Millisecond > within || off > max(p.MSPlayedError, 1) {
			t.Errorf("%s has %d ms ± %d instead of %d", what, p.MSPlayed, p.MSPlayedError, real.MSPlayed)
		}
		bound := endError(t, j, p)
		if apart := p.EndedAt.Sub(real.EndedAt).Abs(); apart > bound {
			t.Errorf("%s ended %v ± %v, %v away", what, p.EndedAt, bound, p.EndedAt.Sub(real.EndedAt))
		}
		if apart := p.StartedAt.Sub(real.StartedAt).Abs(); !p.StartedAt.IsZero() && apart > 2*time.Second {
			t.Errorf("%s started %v, %v away", what, p.StartedAt, p.StartedAt.Sub(real.StartedAt))
		}
	}
}

// TestLongPauses: what is paused for so long that Spotify may have ended it is in the end
// one play or two as Spotify has it. Of an episode, which it never lists, that is so
// once its own history is imported; until then either part has room for both.
func TestLongPauses(t *testing.T) {
	for _, item := range []spotifysim.Item{trackB, episode} {
		for _, pause := range []time.Duration{minutes(5), minutes(12), minutes(25), 2 * time.Hour} {
			for _, ended := range []bool{false, true} {
				name := fmt.Sprintf("%s, paused for %v", item.Name, pause)
				if ended {
					if pause < minutes(10) {
						continue
					}
					name += ", ended"
				}
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { holdPaused(t, item, pause, ended) })
				})
			}
		}
	}
}

func holdPaused(t *testing.T, item spotifysim.Item, pause time.Duration, ended bool) {
	time.Sleep(time.Until(time.Date(2024, 3, 2, 0, 0, 0, 0, time.UTC))) // since 2022 exports tell when a play began
	w := newWorld(t)
	if at := w.began.Add(10 * time.Minute); ended {
		w.user.At(at).Play(item).After(item.Duration / 2).Pause().After(pause).Resume()
	} else {
		w.goesOn(at, item, pause)
	}
	j := w.open()
	w.run(j, w.began.Add(pause+2*time.Hour), collector.Options{})
	truth := w.played()
	pairs, lost, extra := match(truth, recorded(t, j))
	for _, p := range pairs {
		if abs(p.record.ms-p.truth.ms) > p.record.errorMS {
			t.Errorf("%d ms are recorded as %d ± %d", p.truth.ms, p.record.ms, p.record.errorMS)
		}
	}
	if len(lost) > 0 || len(extra) > 0 && item.Kind == spotifysim.Track {
		t.Errorf("lost %+v, one too many %+v", lost, extra)
	}
	if added := w.importHistory(j); len(added) > 0 {
		t.Errorf("the import adds %+v", added)
	}
	w.exact(j, truth)
}

// goesOn lets a track be paused in its middle for so long, and go on as one play
// whatever Spotify does with most.
func (w *world) goesOn(at time.Time, item spotifysim.Item, pause time.Duration) {
	w.user.PlayDays([]spotifysim.Given{{Item: item, StartedAt: at, EndedAt: at.Add(item.Duration + pause), MSPlayed: item.Duration.Milliseconds(), ReasonStart: "clickrow", ReasonEnd: "trackdone"}})
}

// endError is how far a play's end may be off, by what its witnesses say.
func endError(t testing.TB, j *journal.Journal, p *journal.Play) time.Duration {
	t.Helper()
	reports, err := j.Reports(t.Context(), p.ID)
	if err != nil {
		t.Fatal(err)
	}
	bound := time.Hour
	for _, r := range reports {
		bound = min(bound, r.EndedError)
	}
	return bound
}

// flap lets the player be gone for a while.
func (w *world) flap(from time.Time, d time.Duration) {
	w.during(from, d, func(r *http.Response) { r.StatusCode, r.Body, r.ContentLength = http.StatusNoContent, http.NoBody, 0 })
}

// blank lets the player play for a while what it does not name.
func (w *world) blank(from time.Time, d time.Duration) {
	w.during(from, d, func(r *http.Response) {
		replace(w.t, r, func([]byte) []byte {
			return []byte(`{"is_playing":true,"currently_playing_type":"unknown","item":null,"progress_ms":0,"device":{"name":"Desk","type":"Computer"}}`)
		})
	})
}

// during changes what the player answers for a while.
func (w *world) during(from time.Time, d time.Duration, change func(r *http.Response)) {
	w.tamper = func(endpoint string, r *http.Response) {
		if now := time.Now(); endpoint == spotifysim.EndpointPlayer && !now.Before(from) && now.Before(from.Add(d)) {
			change(r)
		}
	}
}
