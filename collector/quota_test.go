package collector_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

// steps is a journal whose time of day is set now and then, and a client of it.
type steps struct {
	t       *testing.T
	journal *journal.Journal
	quota   *collector.Quota
	set     time.Duration // how far the time of day is ahead
}

// small is its budget.
const small = 200

func newSteps(t *testing.T) *steps {
	s := &steps{t: t}
	w := newWorld(t)
	w.journalOptions.Now = func() time.Time { return time.Now().Add(s.set) }
	s.journal = w.open()
	s.restart()
	return s
}

// restart is what a new process knows.
func (s *steps) restart() {
	s.quota = collector.NewQuota(s.journal, clientID, small, clock.Clock{}, nil)
}

// ask asks n times, a second apart, and returns how often it was allowed.
func (s *steps) ask(n int) (allowed int) {
	s.t.Helper()
	for range n {
		time.Sleep(time.Second)
		err := s.quota.Before(s.t.Context(), "recently_played")
		if _, refused := errors.AsType[*collector.Refusal](err); err != nil && !refused {
			s.t.Fatal(err)
		}
		if err == nil {
			allowed++
		}
	}
	return allowed
}

// TestBudgetWhileTheClockIsSet: whatever the time of day is set to, no more than the
// budget is asked for in a day, and as much again in the next one.
func TestBudgetWhileTheClockIsSet(t *testing.T) {
	const hour = time.Hour
	tests := []struct {
		name string
		sets []time.Duration // one after the other, a request at each
	}{
		{"never", nil},
		{"ahead", []time.Duration{48 * hour}},
		{"ahead and back", []time.Duration{48 * hour, 0}},
		{"years ahead and back", []time.Duration{9 * 8766 * hour, 0}},
		{"back", []time.Duration{-5 * hour}},
		{"to 1970 and back", []time.Duration{-30 * 8766 * hour, 0}},
		{"here and there", []time.Duration{48 * hour, -hour, 30 * hour, 9 * 8766 * hour, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSteps(t)
				sent := s.ask(small / 2)
				s.restart() // half of it was asked by another process
				sent += s.ask(small / 2)
				if sent != small {
					t.Fatalf("%d of %d were allowed", sent, small)
				}
				for _, set := range test.sets {
					s.set = set
					sent += s.ask(1)
				}
				time.Sleep(hour)
				if sent += s.ask(10); sent != small {
					t.Errorf("%d in a day, the budget is %d", sent, small)
				}
				time.Sleep(23 * hour)
				if state, err := s.quota.State(t.Context()); err != nil || state.Used > 20 {
					t.Errorf("a day later: %+v, %v", state, err)
				}
			})
		})
	}
}

// TestRestartAfterAWrongClock: what was asked before the clock was ahead for a moment
// is not forgotten, although the process that knew it has ended.
func TestRestartAfterAWrongClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSteps(t)
		sent := s.ask(small - 50)
		s.set = 48 * time.Hour
		s.restart() // it cannot know
		sent += s.ask(10)
		s.set = 0
		s.restart()
		if sent += s.ask(200); sent != small {
			t.Errorf("%d were allowed, the budget is %d", sent, small)
		}
	})
}

// TestRetryAfterWhileTheClockIsSet: it is over when the time has passed that Spotify
// named, not sooner and not later, and those who start meanwhile are told.
func TestRetryAfterWhileTheClockIsSet(t *testing.T) {
	for _, set := range []time.Duration{11 * time.Hour, -11 * time.Hour, 48 * time.Hour, 9 * 8766 * time.Hour, -time.Hour, -30 * 8766 * time.Hour} {
		t.Run(set.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const wait = 10 * time.Hour
				s := newSteps(t)
				s.ask(1)
				if err := s.quota.Learn(t.Context(), &spotify.Error{Status: 429, Reason: spotify.ReasonQuota, HasRetryAfter: true, RetryAfter: wait}); err != nil {
					t.Fatal(err)
				}
				over := time.Now().Add(wait)
				within := func(what string) {
					t.Helper()
					// A scrape sees the same, and changes nothing.
					if late := untilOf(t, s.quota).Sub(over); late < time.Second || late > 6*time.Second {
						t.Errorf("%s: a scrape says that it is over %v late", what, late)
					}
					state, err := s.quota.State(t.Context())
					if late := state.Until.Sub(over); err != nil || late < time.Second || late > 6*time.Second {
						t.Errorf("%s: it is said to be over %v late, %v", what, late, err)
					}
					if s.ask(1) != 0 {
						t.Errorf("%s: allowed %v before the end", what, time.Until(over))
					}
				}
				s.set = set
				within("after a second")
				s.restart()
				within("in another process")
				time.Sleep(4 * time.Hour)
				s.set = 0
				within("set right again")
				// One that is shorter changes nothing.
				s.set = set
				if err := s.quota.Learn(t.Context(), &spotify.Error{Status: 429, Reason: spotify.ReasonRateLimited, HasRetryAfter: true, RetryAfter: time.Minute}); err != nil {
					t.Fatal(err)
				}
				within("after a shorter one")
				time.Sleep(time.Until(over) - time.Second)
				within("at the end")
				time.Sleep(6 * time.Second)
				if s.ask(1) != 1 {
					t.Error("not allowed after the end")
				}
			})
		})
	}
}
