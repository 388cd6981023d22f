package collector_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// TestARetryAfterThatNobodyCanMean: one answer asks to wait for centuries, in every form
// that the header has. Polling goes on after 48 h, and the log says what was asked for.
func TestARetryAfterThatNobodyCanMean(t *testing.T) {
	for _, value := range []string{"9999999999", "99999999999999999999", "172801", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		for _, status := range []int{503, 429} {
			t.Run(fmt.Sprint(status, " ", value), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					j := w.open()
					var asked atomic.Int64 // of two collectors
					w.tamper = func(_ string, r *http.Response) {
						if asked.Add(1) == 1 {
							r.StatusCode = status
							r.Header.Set("Retry-After", value)
						}
					}
					var log lines
					c := w.start(j, collector.Options{Log: log.logger()})
					// A restart in between changes nothing.
					time.Sleep(20 * time.Hour)
					c.stop()
					c = w.start(j, collector.Options{Log: log.logger()})
					time.Sleep(28 * time.Hour)
					if n := asked.Load(); n != 1 {
						t.Errorf("%d requests within 48 h", n)
					}
					time.Sleep(time.Minute)
					if a := c.account(t, "me"); asked.Load() < 2 || !*a.Up {
						t.Errorf("%d requests, state %+v", asked.Load(), a)
					}
					if told := log.with("longer than is believed"); len(told) != 1 || !strings.Contains(told[0], value) || !strings.Contains(told[0], "check --lift") {
						t.Errorf("logged %q", told)
					}
				})
			})
		}
	}
}

// TestAnOldJournalWithSuchADeadline: an older version has stored a century.
func TestAnOldJournalWithSuchADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		err := j.SetQuota(t.Context(), clientID, func(q *journal.Quota) {
			q.Until, q.Why = q.Now.AddDate(100, 0, 0), string(spotify.ReasonServer)
		})
		if err != nil {
			t.Fatal(err)
		}
		c := w.start(j, collector.Options{})
		time.Sleep(48*time.Hour - time.Minute)
		if n := w.sim.Requests().ByEndpoint()[spotifysim.EndpointPlayer]; n != 0 {
			t.Errorf("%d looks within 48 h", n)
		}
		time.Sleep(2 * time.Hour)
		if a := c.account(t, "me"); !*a.Up {
			t.Errorf("state %+v", a)
		}
	})
}

// TestLift: the wait ends for the process that lifts it and for one that runs, at once
// and only once.
func TestLift(t *testing.T) {
	ask := func(t *testing.T, q *collector.Quota) error {
		t.Helper()
		err := q.Before(t.Context(), "recently_played")
		if _, refused := errors.AsType[*collector.Refusal](err); err != nil && !refused {
			t.Fatal(err)
		}
		return err
	}
	tests := []struct {
		name           string
		wait           time.Duration
		asked          string // if it was cut
		always, lifted bool
	}{
		{"check, of one that was cut", spotify.LongestRetryAfter, "9999999999", true, true},
		{"check, of any other", 13 * time.Hour, "", true, true},
		{"a login, of one that was cut", spotify.LongestRetryAfter, "9999999999", false, true},
		{"a login, of any other", 13 * time.Hour, "", false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newWorld(t).open()
				quota := func() *collector.Quota { return collector.NewQuota(j, clientID, budget, clock.Clock{}, nil) }
				run, other := quota(), quota()
				if err := run.Learn(t.Context(), &spotify.Error{Status: 503, Reason: spotify.ReasonServer, RetryAfter: test.wait, HasRetryAfter: true, RetryAfterAsked: test.asked}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				if ask(t, run) == nil || ask(t, other) == nil {
					t.Fatal("allowed before the end")
				}
				until, err := other.Lift(t.Context(), test.always)
				if err != nil || until.IsZero() == test.lifted {
					t.Fatalf("got %v, %v", until, err)
				}
				for name, q := range map[string]*collector.Quota{"run": run, "the one that lifts": other, "a new one": quota()} {
					if err := ask(t, q); (err == nil) != test.lifted {
						t.Errorf("%s: %v", name, err)
					}
				}
				if again, err := other.Lift(t.Context(), test.always); err != nil || !again.IsZero() {
					t.Errorf("again: %v, %v", again, err)
				}
				// The next one binds as before.
				if err := run.Learn(t.Context(), &spotify.Error{Status: 429, Reason: spotify.ReasonRateLimited, RetryAfter: 72 * time.Hour / 2, HasRetryAfter: true}); err != nil {
					t.Fatal(err)
				}
				if ask(t, run) == nil || ask(t, other) == nil || ask(t, quota()) == nil {
					t.Error("the next Retry-After is not kept")
				}
			})
		})
	}
}
