package collector_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// evening plays four hours of tracks.
func evening(m spotifysim.Moment) {
	var tracks []spotifysim.Item
	for i := range 80 {
		tracks = append(tracks, spotifysim.NewTrack(fmt.Sprintf("Track %d", i), "Somebody", 3*time.Minute))
	}
	m.Play(tracks...)
}

// about allows for the time that other requests take.
func about(a, b time.Duration) bool { return (a - b).Abs() < 5*time.Second }

// TestFailures lets requests fail in every way for two hours of listening, and then
// no more.
func TestFailures(t *testing.T) {
	const outage = 2 * time.Hour
	tests := []struct {
		name   string
		kind   spotifysim.FaultKind
		reason spotify.Reason
	}{
		{"502", spotifysim.ServerError, spotify.ReasonServer},
		{"502 with a page", spotifysim.ServerErrorHTML, spotify.ReasonServer},
		{"502 without a body", spotifysim.ServerErrorEmpty, spotify.ReasonServer},
		{"403", spotifysim.Forbidden, spotify.ReasonServer},
		{"captive portal", spotifysim.HTML, spotify.ReasonDecode},
		{"truncated", spotifysim.Truncated, spotify.ReasonDecode},
		{"aborted", spotifysim.Aborted, spotify.ReasonNetwork},
		{"reset", spotifysim.Reset, spotify.ReasonNetwork},
		{"hanging", spotifysim.Hang, spotify.ReasonNetwork},
		{"401 again and again", spotifysim.Unauthorized, spotify.ReasonAuth},
		{"no Premium", spotifysim.PremiumRequired, spotify.ReasonPremium},
		{"not registered", spotifysim.NotRegistered, spotify.ReasonNotRegistered},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				other := w.sim.AddUser("other", "Other")
				w.login("other", other)
				from := time.Now().Add(30 * time.Minute)
				w.sim.Fault(spotifysim.Fault{Kind: test.kind, User: w.user, From: from, Until: from.Add(outage)})
				evening(w.user.Now())
				j := w.open()
				var log lines
				c := w.start(j, collector.Options{Log: log.logger()})

				time.Sleep(30*time.Minute - time.Second)
				before := c.account(t, "me")
				if before.Up == nil || !*before.Up || before.LastFailure != nil || before.LastSuccess.Before(from.Add(-time.Minute)) {
					t.Errorf("before the outage: %+v", before)
				}
				time.Sleep(outage)
				during := c.account(t, "me")
				if *during.Up || spotify.ReasonOf(during.LastFailure) != test.reason || during.Failures[test.reason] == 0 ||
					during.LastSuccess.After(from) || during.NextReason != collector.PlanFailure || during.NextFailed != test.reason {
					t.Errorf("during the outage: %+v", during)
				}
				for reason, n := range during.Failures {
					if reason != test.reason && n > 0 {
						t.Errorf("%d failures of reason %s", n, reason)
					}
				}
				if a := c.account(t, "other"); !*a.Up || time.Since(a.LastSuccess) > 15*time.Minute {
					t.Errorf("the other account: %+v", a)
				}
				// Two duties, each from 30 s doubling to 15 min.
				var apart []time.Duration
				var last time.Time
				for _, r := range w.sim.Requests() {
					if r.User == w.user && r.Endpoint == spotifysim.EndpointPlayer && !r.At.Before(from) && r.At.Before(from.Add(outage)) {
						if !last.IsZero() && r.At != last {
							apart = append(apart, r.At.Sub(last))
						}
						last = r.At
						if test.kind == spotifysim.Hang {
							last = last.Add(15 * time.Second) // which is how long it is waited for
						}
					}
				}
				doubling := []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute}
				slow := test.reason == spotify.ReasonPremium || test.reason == spotify.ReasonNotRegistered
				if !slow && test.reason != spotify.ReasonAuth && !slices.EqualFunc(apart[:len(doubling)], doubling, about) || slices.Max(append(apart, 0)) > 20*time.Minute || len(apart) > 14 {
					t.Errorf("the player was asked in intervals of %v", apart)
				}

				time.Sleep(150 * time.Minute)
				after := c.account(t, "me")
				if !*after.Up || after.LastFailure != nil || time.Since(after.LastSuccess) > 15*time.Minute {
					t.Errorf("after the outage: %+v", after)
				}
				w.check(j)
				if n := len(log.with("poll failed")); n == 0 || n > int(outage/(15*time.Minute))+1 {
					t.Errorf("the failure is logged %d times", n)
				}
				if n := len(log.with("works again")); n != 1 {
					t.Errorf("the recovery is logged %d times", n)
				}
			})
		})
	}
}

// TestOneRequestFails lets one of the two requests fail for hours: the other goes
// on, and the account is not called sound.
func TestOneRequestFails(t *testing.T) {
	for _, endpoint := range []string{spotifysim.EndpointPlayer, spotifysim.EndpointRecentlyPlayed} {
		t.Run(endpoint, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				from := time.Now().Add(10 * time.Minute)
				w.sim.Fault(spotifysim.Fault{Kind: spotifysim.ServerError, Endpoint: endpoint, From: from, Until: from.Add(3 * time.Hour)})
				evening(w.user.Now())
				j := w.open()
				c := w.start(j, collector.Options{})
				time.Sleep(3 * time.Hour)
				count := w.sim.Requests().ByEndpoint()
				if count[spotifysim.EndpointPlayer] < 14 || endpoint != spotifysim.EndpointPlayer && count[spotifysim.EndpointPlayer] < 150 || count[spotifysim.EndpointRecentlyPlayed] < 8 {
					t.Errorf("requests: %v", count)
				}
				if a := c.account(t, "me"); *a.Up || a.LastSuccess.After(from.Add(20*time.Minute)) {
					t.Errorf("called sound: %+v", a)
				}
				time.Sleep(3 * time.Hour)
				if a := c.account(t, "me"); !*a.Up || a.LastFailure != nil {
					t.Errorf("not called sound: %+v", a)
				}
				w.check(j)
			})
		})
	}
}

// TestFlapping lets every second request fail: that is one message in a quarter of
// an hour, not thousands.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		evening(w.user.Now())
		for i := range 60 {
			from := time.Now().Add(time.Duration(2*i) * time.Minute)
			w.sim.Fault(spotifysim.Fault{Kind: spotifysim.ServerError, From: from, Until: from.Add(time.Minute)})
		}
		j := w.open()
		var log lines
		c := w.start(j, collector.Options{Log: log.logger()})
		time.Sleep(2 * time.Hour)
		if a := c.account(t, "me"); a.Failures[spotify.ReasonServer] < 20 {
			t.Errorf("only %d failures", a.Failures[spotify.ReasonServer])
		}
		if n := len(log.with("poll failed")) + len(log.with("works again")); n > 2*9 {
			t.Errorf("%d messages", n)
		}
		time.Sleep(4 * time.Hour)
		w.check(j)
	})
}

// TestRateLimit: whatever a 429 says, or a Retry-After, nobody asks before it is
// over: not the other account, not after a restart, not another process.
func TestRateLimit(t *testing.T) {
	tests := []struct {
		name   string
		fault  spotifysim.Fault
		wait   time.Duration
		reason spotify.Reason
	}{
		{"429", spotifysim.Fault{Kind: spotifysim.RateLimited, RetryAfter: 10 * time.Minute}, 10 * time.Minute, spotify.ReasonRateLimited},
		{"429 in plain text", spotifysim.Fault{Kind: spotifysim.TooManyRequests, RetryAfter: 19056 * time.Second}, 19056 * time.Second, spotify.ReasonRateLimited},
		{"429 without Retry-After", spotifysim.Fault{Kind: spotifysim.RateLimited}, time.Minute, spotify.ReasonRateLimited},
		{"503 with Retry-After", spotifysim.Fault{Kind: spotifysim.ServerError, Status: 503, RetryAfter: 10 * time.Minute}, 10 * time.Minute, spotify.ReasonServer},
		{"quota", spotifysim.Fault{Kind: spotifysim.QuotaExceeded, RetryAfter: 48925 * time.Second}, 48925 * time.Second, spotify.ReasonQuota},
		{"quota without Retry-After", spotifysim.Fault{Kind: spotifysim.QuotaExceeded}, time.Hour, spotify.ReasonQuota},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				other := w.sim.AddUser("other", "Other")
				w.login("other", other)
				evening(w.user.Now())
				evening(other.Now())
				test.fault.Count = 1
				test.fault.From = time.Now().Add(20 * time.Minute)
				w.sim.Fault(test.fault)
				j := w.journal()
				quota := collector.NewQuota(j, clientID, budget, clock.Clock{}, nil)
				c := w.start(j, collector.Options{Quota: quota})
				time.Sleep(20*time.Minute + 50*time.Second)
				until := untilOf(t, quota)
				refused := w.sim.Requests()[len(w.sim.Requests())-1]
				if refused.Status != 429 && refused.Status != 503 {
					t.Fatalf("the last request is %+v", refused)
				}
				over := refused.At.Add(test.wait)
				if late := until.Sub(over); late < time.Second || late > 5*time.Second {
					t.Errorf("nobody is to ask before %v, which is %v after the end of Retry-After", until, late)
				}
				failed := uint64(0)
				for _, a := range c.State().Accounts {
					failed += a.Failures[test.reason]
				}
				if failed != 1 {
					t.Errorf("%d failures", failed)
				}
				c.stop()
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}

				j = w.open()
				process := collector.NewQuota(j, clientID, budget, clock.Clock{}, nil)
				refusal, ok := errors.AsType[*collector.Refusal](process.Before(t.Context(), "me"))
				if !ok || !refusal.Until.Equal(until) || refusal.Reason != string(test.reason) {
					t.Errorf("another process is told %v", refusal)
				}
				quota = collector.NewQuota(j, clientID, budget, clock.Clock{}, nil)
				c = w.start(j, collector.Options{Quota: quota})
				time.Sleep(time.Until(over))
				if last := w.sim.Requests()[len(w.sim.Requests())-1]; last != refused {
					t.Errorf("somebody has asked: %+v", last)
				}
				time.Sleep(30 * time.Second)
				for _, a := range c.State().Accounts {
					if a.Up == nil || !*a.Up {
						t.Errorf("it does not go on: %+v", a)
					}
				}
				if until := untilOf(t, quota); !until.IsZero() {
					t.Errorf("it is still rate-limited until %v", until)
				}
			})
		})
	}
}

// TestRateLimitOfTokens: no token is renewed before a Retry-After is over either, be
// it that the accounts service has named it.
func TestRateLimitOfTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.login("other", w.sim.AddUser("other", "Other"))
		j := w.open()
		c := w.start(j, collector.Options{})
		time.Sleep(50 * time.Minute)
		// The access tokens live for an hour.
		w.sim.Fault(spotifysim.Fault{Kind: spotifysim.RateLimited, Endpoint: spotifysim.EndpointToken, RetryAfter: 3 * time.Hour, Count: 1})
		asked := w.sim.TokenRequests()
		for range 3 {
			time.Sleep(time.Hour)
			c.stop()
			c = w.start(j, collector.Options{})
		}
		if n := w.sim.TokenRequests() - asked; n != 1 {
			t.Errorf("%d requests for tokens within a Retry-After", n-1)
		}
		time.Sleep(time.Hour)
		for _, a := range c.State().Accounts {
			if !*a.Up {
				t.Errorf("it does not go on: %+v", a)
			}
		}
	})
}

// TestRateLimitThatGoesOn: a 429 that names no time, or none to speak of, is asked
// about less and less often, like every other failure.
func TestRateLimitThatGoesOn(t *testing.T) {
	for _, header := range []string{"", "0", "1"} {
		t.Run("Retry-After "+header, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				evening(w.user.Now())
				from, until := w.began.Add(20*time.Minute), w.began.Add(140*time.Minute)
				asked := 0
				w.tamper = func(_ string, r *http.Response) {
					if now := time.Now(); now.Before(from) || now.After(until) {
						return
					}
					asked++
					r.StatusCode = http.StatusTooManyRequests
					if header != "" {
						r.Header.Set("Retry-After", header)
					}
				}
				j := w.open()
				c := w.start(j, collector.Options{})
				time.Sleep(140 * time.Minute)
				if a := c.account(t, "me"); asked > 14 || a.Failures[spotify.ReasonRateLimited] != uint64(asked) {
					t.Errorf("%d requests in two hours of 429: %+v", asked, a)
				}
				time.Sleep(4 * time.Hour)
				if a := c.account(t, "me"); !*a.Up {
					t.Errorf("afterwards: %+v", a)
				}
				w.check(j)
			})
		})
	}
}

// TestQuotaExceeded: a lock-out teaches how large the quota is.
func TestQuotaExceeded(t *testing.T) {
	tests := []struct {
		name         string
		budget, used int
		want         []int // budget at once, and after 1, 2 and 60 clean days
		shared       bool
	}{
		{"most was used", 1000, 900, []int{720, 756, 793, 1000}, false},
		{"all was used", 1000, 1000, []int{800, 840, 882, 1000}, false},
		{"little was used: somebody else calls", 1000, 100, []int{400, 420, 441, 1000}, true},
		{"none was used", 1000, 0, []int{400, 420, 441, 1000}, true},
		{"no limit", 0, 900, []int{0, 0, 0, 0}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := newWorld(t).open()
				quota := collector.NewQuota(j, clientID, test.budget, clock.Clock{}, nil)
				for range test.used {
					time.Sleep(80 * time.Second)
					if err := quota.Before(t.Context(), "recently_played"); err != nil {
						t.Fatal(err)
					}
				}
				lockOut := &spotify.Error{Status: 429, Reason: spotify.ReasonQuota, HasRetryAfter: true, RetryAfter: 5 * time.Hour}
				if err := quota.Learn(t.Context(), lockOut); err != nil {
					t.Fatal(err)
				}
				for i, days := range []int{0, 1, 1, 58} {
					time.Sleep(time.Duration(days) * 24 * time.Hour)
					// Another process knows it too.
					state, err := collector.NewQuota(j, clientID, test.budget, clock.Clock{}, nil).State(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if state.Limit != test.want[i] || state.Shared != (test.shared && i < 3) {
						t.Errorf("%d days later: %+v, want a limit of %d", days, state, test.want[i])
					}
				}
			})
		})
	}
}

// TestQuotaExceededAgain: lock-outs that say nothing new take nothing more of the
// budget, which would need months to recover.
func TestQuotaExceededAgain(t *testing.T) {
	const pause = 13 * time.Hour
	tests := []struct {
		name   string
		first  int           // requests before the first lock-out
		idle   time.Duration // from the end of each lock-out to the first request
		then   int           // requests before the next one
		limit  int           // after all of them
		shared bool
	}{
		{"it goes on", 900, time.Second, 1, 720, false},
		{"somebody else uses all of it every day", 100, 10 * time.Minute, 60, 400, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				quota := collector.NewQuota(newWorld(t).open(), clientID, budget, clock.Clock{}, nil)
				ask := func(n int, every time.Duration) {
					for range n {
						time.Sleep(every)
						if err := quota.Before(t.Context(), "recently_played"); err != nil {
							t.Fatal(err)
						}
					}
					lockOut := &spotify.Error{Status: 429, Reason: spotify.ReasonQuota, HasRetryAfter: true, RetryAfter: pause}
					if err := quota.Learn(t.Context(), lockOut); err != nil {
						t.Fatal(err)
					}
				}
				ask(test.first, 80*time.Second)
				for range 8 {
					state, err := quota.State(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Until(state.Until) + test.idle)
					ask(test.then, time.Minute)
				}
				state, err := quota.State(t.Context())
				if err != nil || state.Limit != test.limit || state.Shared != test.shared {
					t.Errorf("%+v, %v; want a limit of %d", state, err, test.limit)
				}
			})
		})
	}
}

// TestBudget: however small the budget and however much is listened to, it is never
// exceeded, and it is recently-played that is asked while there is any.
func TestBudget(t *testing.T) {
	limits := []int{60, 200, 1000}
	if testing.Short() {
		limits = limits[:1]
	}
	for _, limit := range limits {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				other := w.sim.AddUser("other", "Other")
				w.login("other", other)
				for day := range 3 {
					evening(w.user.At(w.began.AddDate(0, 0, day).Add(18 * time.Hour)))
					evening(other.At(w.began.AddDate(0, 0, day).Add(17 * time.Hour)))
				}
				j := w.open()
				quota := collector.NewQuota(j, clientID, limit, clock.Clock{}, nil)
				w.start(j, collector.Options{Quota: quota})
				time.Sleep(3*24*time.Hour + time.Hour)
				requests := w.sim.Requests()
				if most := requests.Max(24 * time.Hour); most > limit || most < limit/2 {
					t.Errorf("%d requests in 24 h with a budget of %d", most, limit)
				}
				if state, err := quota.State(t.Context()); err != nil || state.Limit != limit || state.Used > limit {
					t.Errorf("%+v, %v", state, err)
				}
				// An hour without a list loses nothing; 50 plays of 3 min take 2.5 h.
				last := map[*spotifysim.User]time.Time{w.user: w.began, other: w.began}
				for _, r := range requests {
					if r.Endpoint == spotifysim.EndpointRecentlyPlayed {
						if gap := r.At.Sub(last[r.User]); gap > 2*time.Hour {
							t.Errorf("no list of %s for %v until %v", r.User.ID(), gap, r.At)
						}
						last[r.User] = r.At
					}
				}
				if gaps, err := j.Gaps(t.Context(), ""); err != nil || len(gaps) > 0 {
					t.Errorf("gaps: %v, %v", gaps, err)
				}
			})
		})
	}
}

// TestBudgetOfHeavyListeners: who listens all day and night, on a budget that does
// not do for a look at every item, loses nothing to the looks.
func TestBudgetOfHeavyListeners(t *testing.T) {
	tests := []struct {
		name     string
		accounts int
		budget   int
		learned  float64
		lasts    time.Duration // until long after the budget would be used up
	}{
		{"a family of five", 5, 1000, 0, 13 * time.Hour},
		{"a small budget", 1, 100, 0, 20 * time.Hour},
		{"a small budget that a lock-out has taught", 1, 1000, 100, 20 * time.Hour},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				users := []*spotifysim.User{w.user}
				for n := range test.accounts - 1 {
					alias := fmt.Sprint("other", n)
					user := w.sim.AddUser(alias, alias)
					w.login(alias, user)
					users = append(users, user)
				}
				for _, user := range users {
					user.Now().Repeat("context").Play(trackA, trackB, trackC, trackD)
				}
				j := w.open()
				if err := j.SetQuota(t.Context(), clientID, func(q *journal.Quota) { q.Budget, q.LearnedAt = test.learned, time.Now() }); err != nil {
					t.Fatal(err)
				}
				w.start(j, collector.Options{Quota: collector.NewQuota(j, clientID, test.budget, clock.Clock{}, nil)})
				time.Sleep(test.lasts)
				last := map[*spotifysim.User]time.Time{}
				for _, r := range w.sim.Requests() {
					if r.Endpoint == spotifysim.EndpointRecentlyPlayed {
						last[r.User] = r.At
					}
				}
				// They use up a budget for a day in half of one, if they are not held back.
				for _, user := range users {
					if since := time.Since(last[user]); since > time.Hour {
						t.Errorf("%s: no list for %v", user.ID(), since)
					}
				}
			})
		})
	}
}

// TestLoggedOut: a login that has ended is not tried again and again, its state is
// kept, and a new login is picked up.
func TestLoggedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		evening(w.user.Now())
		j := w.open()
		var log lines
		c := w.start(j, collector.Options{Log: log.logger()})
		time.Sleep(10 * time.Minute)
		first := c.account(t, "me")
		if want := w.began.AddDate(0, 6, 0); !first.AuthorizationExpiry.Equal(want) {
			t.Errorf("the authorization ends %v, want %v", first.AuthorizationExpiry, want)
		}
		w.user.Revoke()
		time.Sleep(time.Minute)
		asked, tokens := len(w.sim.Requests()), w.sim.TokenRequests()
		time.Sleep(2 * time.Hour)
		if more := len(w.sim.Requests()) - asked; more > 0 || w.sim.TokenRequests() != tokens {
			t.Errorf("%d requests and %d for tokens after the end of the login", more, w.sim.TokenRequests()-tokens)
		}
		out := c.account(t, "me")
		if *out.Up || !errors.Is(out.LastFailure, spotify.ErrLoggedOut) || !strings.Contains(out.LastFailure.Error(), "spotify-exporter login --account me") {
			t.Errorf("logged out: %+v", out)
		}
		// That the token file is looked at is no poll.
		if n := out.Failures[spotify.ReasonAuth]; n != 1 {
			t.Errorf("%d failed polls, want the one that Spotify has refused", n)
		}
		if n := len(log.with("poll failed")); n < 2 || n > 10 {
			t.Errorf("logged %d times", n)
		}
		w.login("me", w.user)
		time.Sleep(20 * time.Second)
		if a := c.account(t, "me"); !*a.Up || !a.AuthorizationExpiry.After(first.AuthorizationExpiry) {
			t.Errorf("logged in again: %+v", a)
		}
		time.Sleep(3 * time.Hour)
		w.check(j)
	})
}

// TestAccounts: accounts turn up while it runs, unless they are named.
func TestAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		other := w.sim.AddUser("other", "Other")
		named := w.start(j, collector.Options{Accounts: []string{"me", "absent"}})
		time.Sleep(time.Minute)
		w.login("other", other)
		time.Sleep(time.Minute)
		accounts := named.State().Accounts
		if len(accounts) != 2 || accounts[0].Account != "absent" || *accounts[0].Up || accounts[1].Account != "me" || !*accounts[1].Up {
			t.Errorf("named accounts: %+v", accounts)
		}
		named.stop()

		var log lines
		c := w.start(j, collector.Options{Log: log.logger()})
		third := w.sim.AddUser("third", "Third")
		time.Sleep(time.Minute)
		if accounts := c.State().Accounts; len(accounts) != 2 {
			t.Errorf("accounts: %+v", accounts)
		}
		w.login("third", third)
		time.Sleep(20 * time.Second)
		if a := c.account(t, "third"); a.Up == nil || !*a.Up {
			t.Errorf("the new account: %+v", a)
		}
	})
}

// untilOf is before which time a scrape says that nobody is to ask.
func untilOf(t *testing.T, quota *collector.Quota) time.Time {
	t.Helper()
	state, err := quota.Peek(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.Until
}

// TestNobody: without a login it waits for one, and says so once.
func TestNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tokens := w.tokens
		w.tokens.Dir = filepath.Join(w.dir, "none yet")
		var log lines
		c := w.start(w.open(), collector.Options{Log: log.logger()})
		time.Sleep(time.Hour)
		if n := len(log.with("spotify-exporter login")); n != 1 || len(log.text) != 1 {
			t.Errorf("logged: %q", log.text)
		}
		if state := c.State(); len(state.Accounts) != 0 {
			t.Errorf("state: %+v", state)
		}
		_ = tokens
		w.login("me", w.user)
		time.Sleep(20 * time.Second)
		if a := c.account(t, "me"); a.Up == nil || !*a.Up {
			t.Errorf("after the login: %+v", a)
		}
	})
}

// TestJournalFailsAtStart: an account of which the journal cannot be read is there all the
// same, failing, until it can be.
func TestJournalFailsAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		w.sql("ALTER TABLE play RENAME TO lost")
		c := w.start(j, collector.Options{})
		time.Sleep(time.Minute)
		a := c.account(t, "me")
		if a.Up == nil || *a.Up || a.FailingFor() != "journal" || len(a.Failures) != len(collector.Reasons()) {
			t.Errorf("while it cannot be read: %+v", a)
		}
		w.sql("ALTER TABLE lost RENAME TO play")
		time.Sleep(time.Minute)
		if a := c.account(t, "me"); a.Up == nil || !*a.Up || len(c.State().Accounts) != 1 {
			t.Errorf("afterwards: %+v", c.State().Accounts)
		}
	})
}

// TestJournalFails: what cannot be stored is a failure of its own kind, and what
// plays is not forgotten.
func TestJournalFails(t *testing.T) {
	for _, trigger := range []string{
		"BEFORE UPDATE OF playback ON account",
		"BEFORE INSERT ON report",
		"BEFORE INSERT ON request",
	} {
		t.Run(trigger, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				j := w.open()
				w.user.At(w.began.Add(time.Minute)).Play(trackA, episode, trackB)
				c := w.start(j, collector.Options{})
				// The episode plays from minute 4 to 24, and no list has it.
				time.Sleep(6 * time.Minute)
				w.sql("CREATE TRIGGER fails " + trigger + " BEGIN SELECT RAISE(FAIL, 'the disk is full'); END")
				time.Sleep(20 * time.Minute)
				broken := c.account(t, "me")
				if *broken.Up || broken.Failures["journal"] == 0 || !strings.Contains(fmt.Sprint(broken.LastFailure), "the disk is full") {
					t.Errorf("while it fails: %+v", broken)
				}
				for reason, n := range broken.Failures {
					if reason != "journal" && n > 0 {
						t.Errorf("%d failures of reason %s", n, reason)
					}
				}
				w.sql("DROP TRIGGER fails")
				time.Sleep(time.Hour)
				if a := c.account(t, "me"); !*a.Up {
					t.Errorf("afterwards: %+v", a)
				}
				w.check(j)
			})
		})
	}
}

// sql changes the journal behind its back.
func (w *world) sql(statement string) {
	w.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "journal.db"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		w.t.Fatal(err)
	}
}

// TestBrokenPlayback: what was open cannot be read after a restart; it goes on
// without.
func TestBrokenPlayback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		w.user.Now().Play(trackA, trackB)
		if _, err := j.Record(t.Context(), "me", journal.Witnessed{Playback: []byte(`{"open": 5`)}); err != nil {
			t.Fatal(err)
		}
		var log lines
		w.run(j, w.began.Add(time.Hour), collector.Options{Log: log.logger()})
		if len(log.with("before the restart is lost")) != 1 {
			t.Errorf("logged: %q", log.text)
		}
		w.check(j)
	})
}

// TestOvertaken: an answer that was overtaken by the last one is a failure, which is
// counted and told, and changes nothing that the last one has shown.
func TestOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		w.user.Now().Play(trackA)
		var log lines
		c := w.collector(j, collector.Options{Log: log.logger()})
		p, err := c.Poller(t.Context(), "me")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(minutes(1))
		p.PollPlayer(t.Context())
		before := c.State().Accounts[0].Playback
		time.Sleep(minutes(1))
		p.Overtaken(10 * time.Second)
		p.PollPlayer(t.Context())
		a := c.State().Accounts[0]
		if a.Failures[spotify.ReasonDecode] != 1 || a.Playback != before || len(log.with("overtaken")) != 1 {
			t.Errorf("%d failures, it shows %+v, logged: %q", a.Failures[spotify.ReasonDecode], a.Playback, log.text)
		}
		p.Overtaken(-10 * time.Second)
		p.PollPlayer(t.Context())
		if a := c.State().Accounts[0]; a.Failures[spotify.ReasonDecode] != 1 || a.Playback == before {
			t.Errorf("and then %d failures, it shows %+v", a.Failures[spotify.ReasonDecode], a.Playback)
		}
	})
}

// TestPlaybackState: what plays is shown, but not what plays in private or long ago.
func TestPlaybackState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := w.open()
		w.user.Now().Shuffle(true).Play(trackA, trackB).After(minutes(4)).Pause().After(minutes(2)).Private(true).Resume().After(minutes(2)).Private(false).Play(episode)
		c := w.start(j, collector.Options{})
		if a := c.State().Accounts; len(a) > 0 && a[0].Playback != nil {
			t.Errorf("at the start: %+v", a[0].Playback)
		}
		time.Sleep(minutes(1))
		p := c.account(t, "me").Playback
		if p == nil || !p.Playing || !p.Shuffle || p.Item.Name != "A" || p.Artists() != "Somebody" || p.Duration != 3*time.Minute || p.Progress != p.At.Sub(w.began).Truncate(time.Millisecond) || p.Volume == nil || *p.Volume != 0.6 {
			t.Errorf("A plays: %+v", p)
		}
		time.Sleep(minutes(4.5))
		if p := c.account(t, "me").Playback; p == nil || p.Playing || p.Item.Name != "B" {
			t.Errorf("B is paused: %+v", p)
		}
		time.Sleep(minutes(2))
		if p := c.account(t, "me").Playback; p == nil || p.Playing || p.Item != nil || p.Volume != nil || p.Shuffle {
			t.Errorf("private: %+v", p)
		}
		time.Sleep(minutes(3))
		if p := c.account(t, "me").Playback; p == nil || !p.Playing || p.Item.Name != "Episode" {
			t.Errorf("the episode plays: %+v", p)
		}
		w.sim.Fault(spotifysim.Fault{Kind: spotifysim.Reset})
		time.Sleep(minutes(30))
		if p := c.account(t, "me").Playback; p != nil {
			t.Errorf("shown after half an hour: %+v", p)
		}
	})
}

// TestShutdown: it ends at once, even in the middle of a request.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		other := w.sim.AddUser("other", "Other")
		w.login("other", other)
		w.sim.Fault(spotifysim.Fault{Kind: spotifysim.Hang, From: time.Now().Add(10 * time.Minute)})
		j := w.open()
		c := w.collector(j, collector.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		var asked time.Time
		for len(w.sim.Requests()) == 0 || w.sim.Requests()[len(w.sim.Requests())-1].Status != 0 {
			time.Sleep(time.Second)
		}
		asked = time.Now()
		cancel()
		if err := <-done; err != nil || time.Now() != asked {
			t.Errorf("ended after %v: %v", time.Since(asked), err)
		}
	})
}

// TestShutdownAtARetryAfter: what Spotify asks for is kept although the process is
// stopped at that moment.
func TestShutdownAtARetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.sim.Fault(spotifysim.Fault{Kind: spotifysim.QuotaExceeded, RetryAfter: 13 * time.Hour, From: time.Now().Add(10 * time.Minute)})
		ctx, cancel := context.WithCancel(t.Context())
		w.tamper = func(_ string, r *http.Response) {
			if r.StatusCode == http.StatusTooManyRequests {
				cancel()
			}
		}
		j := w.open()
		if err := w.collector(j, collector.Options{}).Run(ctx); err != nil {
			t.Error(err)
		}
		next, err := collector.NewQuota(j, clientID, budget, clock.Clock{}, nil).State(t.Context())
		if err != nil || time.Until(next.Until) < 13*time.Hour {
			t.Errorf("the next process may ask from %v on, %v", next.Until, err)
		}
	})
}
