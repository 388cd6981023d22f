package spotifysim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// strict returns a Spotify and the list in which its complaints gather.
func strict(options spotifysim.Options) (*spotifysim.Spotify, *[]string) {
	complaints := []string{}
	options.Fail = func(format string, args ...any) { complaints = append(complaints, fmt.Sprintf(format, args...)) }
	return spotifysim.New(options), &complaints
}

func TestBadMannersFail(t *testing.T) {
	tests := []struct {
		name, method, path string
		change             func(r *http.Request)
		status             int
	}{
		{"no User-Agent", "GET", "/v1/me", func(r *http.Request) { r.Header.Del("User-Agent") }, 400},
		{"Go's User-Agent", "GET", "/v1/me", func(r *http.Request) { r.Header.Set("User-Agent", "Go-http-client/1.1") }, 400},
		{"no Authorization", "GET", "/v1/me", func(r *http.Request) { r.Header.Del("Authorization") }, 400},
		{"Basic Authorization", "GET", "/v1/me", func(r *http.Request) { r.SetBasicAuth("a", "b") }, 400},
		{"wrong method", "PUT", "/v1/me/player", nil, 400},
		{"unknown path", "GET", "/v1/me/playr", nil, 400},
		{"no prefix", "GET", "/me/player", nil, 400},
		{"base URL lost", "GET", "/", nil, 400},
		{"batch endpoint", "GET", "/v1/tracks?ids=a,b", nil, 403},
		{"removed endpoint", "GET", "/v1/users/ann", nil, 403},
		{"unknown parameter", "GET", "/v1/me/player?additional_type=episode", nil, 400},
		{"unknown parameter of /me", "GET", "/v1/me?market=SE", nil, 400},
		{"unknown type", "GET", "/v1/me/player?additional_types=track,chapter", nil, 400},
		{"twice", "GET", "/v1/me/player?market=SE&market=DE", nil, 200},
		{"limit too large", "GET", "/v1/me/player/recently-played?limit=51", nil, 400},
		{"limit 0", "GET", "/v1/me/player/recently-played?limit=0", nil, 400},
		{"limit is no number", "GET", "/v1/me/player/recently-played?limit=all", nil, 400},
		{"seconds", "GET", "/v1/me/player/recently-played?after=1714590000", nil, 400},
		{"both cursors", "GET", "/v1/me/player/recently-played?after=1&before=2", nil, 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			sim, complaints := strict(spotifysim.Options{})
			u := sim.AddUser("ann", "Ann")
			u.Play(lantern)
			r := newRequest(t, test.method, "http://spotify.test"+test.path, nil)
			r.Header.Set("User-Agent", "test")
			r.Header.Set("Authorization", "Bearer "+u.AccessToken())
			if test.change != nil {
				test.change(r)
			}
			response, err := sim.Transport().RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.status || len(*complaints) != 1 {
				t.Errorf("%d, complaints %q", response.StatusCode, *complaints)
			}
		})
	}
}

func TestRealHostFails(t *testing.T) {
	sim, complaints := strict(spotifysim.Options{})
	c := newClient(t, sim, sim.AddUser("ann", "Ann"))
	c.base = "https://api.spotify.com"
	if response, err := c.do("/v1/me"); err == nil {
		response.Body.Close()
		t.Error("the real Spotify answers")
	}
	if len(*complaints) != 1 {
		t.Errorf("complaints %q", *complaints)
	}
}

func TestRequestBeforeRetryAfterIsOverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, complaints := strict(spotifysim.Options{})
		ann, bob := newClient(t, sim, sim.AddUser("ann", "Ann")), newClient(t, sim, sim.AddUser("bob", "Bob"))
		sim.Fault(spotifysim.Fault{Kind: spotifysim.QuotaExceeded, Count: 1, RetryAfter: 10 * time.Minute})
		status, header, body := ann.get("/v1/me/player")
		if status != 429 || header.Get("Retry-After") != "600" || body != `{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}` {
			t.Errorf("%d %v %s", status, header, body)
		}
		if len(*complaints) != 0 {
			t.Errorf("complaints %q", *complaints)
		}
		// The deadline is the client id's: another user and endpoint do not escape it.
		time.Sleep(10*time.Minute - time.Millisecond)
		if status, header, _ := bob.get("/v1/me"); status != 429 || header.Get("Retry-After") != "1" || len(*complaints) != 1 {
			t.Errorf("early: %d %v, complaints %q", status, header, *complaints)
		}
		time.Sleep(time.Millisecond)
		if status, _, _ := bob.get("/v1/me"); status != 200 || len(*complaints) != 1 {
			t.Errorf("on time: %d, complaints %q", status, *complaints)
		}
		requests := sim.Requests()
		if len(requests) != 3 || requests.Early() != 1 || !requests[1].Early || requests[1].Status != 429 || requests[1].User.ID() != "bob" {
			t.Errorf("requests %+v", requests)
		}
		if got := requests.ByEndpoint(); !maps.Equal(got, map[string]int{"player": 1, "me": 2}) {
			t.Errorf("by endpoint %v", got)
		}
	})
}

func TestQuotaAndRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim, complaints := strict(spotifysim.Options{DailyQuota: 100, RateLimit: 5, AccessTokenLife: 1000 * time.Hour})
		c := newClient(t, sim, sim.AddUser("ann", "Ann"))
		for range 5 {
			time.Sleep(time.Second)
			if status, _, _ := c.get("/v1/me"); status != 200 {
				t.Errorf("within the rate: %d", status)
			}
		}
		time.Sleep(time.Second)
		status, header, body := c.get("/v1/me")
		if status != 429 || header.Get("Retry-After") != "26" || !strings.Contains(body, "API rate limit exceeded") {
			t.Errorf("sixth in 30 s: %d %v %s", status, header, body)
		}
		time.Sleep(26 * time.Second)
		for i := 6; i < 100; i++ {
			if status, _, _ := c.get("/v1/me"); status != 200 {
				t.Errorf("request %d: %d", i, status)
			}
			time.Sleep(10 * time.Second)
		}
		status, header, body = c.get("/v1/me")
		// The refused one counts: the second of all has to be out, which came after 2 s.
		if wait := time.Until(time.Date(2000, 1, 2, 0, 0, 2, 0, time.UTC)); status != 429 || header.Get("Retry-After") != fmt.Sprint(int(wait.Seconds())) || !strings.Contains(body, "QUOTA_EXCEEDED") {
			t.Errorf("the 101st: %d %v %s", status, header, body)
		} else {
			time.Sleep(wait)
		}
		if status, _, _ := c.get("/v1/me"); status != 200 {
			t.Errorf("a day after the second: %d", status)
		}
		if len(*complaints) != 0 {
			t.Errorf("complaints %q", *complaints)
		}
		if got := sim.Requests().Max(24 * time.Hour); got != 101 {
			t.Errorf("at most %d in 24 h", got)
		}
		if got := sim.Requests().Max(30 * time.Second); got != 6 {
			t.Errorf("at most %d in 30 s", got)
		}
	})
}

func TestFaultAnswers(t *testing.T) {
	tests := []struct {
		fault  spotifysim.Fault
		status int
		body   string // or its beginning
	}{
		{spotifysim.Fault{Kind: spotifysim.Unauthorized}, 401, `{"error":{"status":401,"message":"The access token expired"}}`},
		{spotifysim.Fault{Kind: spotifysim.PremiumRequired}, 403, "Active premium subscription required for the owner of the app. When the subscription status changes, it can take a few hours before requests are allowed again."},
		{spotifysim.Fault{Kind: spotifysim.NotRegistered}, 403, "Check settings on developer.spotify.com/dashboard, the user may not be registered."},
		{spotifysim.Fault{Kind: spotifysim.Forbidden}, 403, `{"error":{"status":403,"message":"Forbidden"}}`},
		{spotifysim.Fault{Kind: spotifysim.RateLimited}, 429, `{"error":{"status":429,"message":"API rate limit exceeded"}}`},
		{spotifysim.Fault{Kind: spotifysim.TooManyRequests}, 429, "Too many requests"},
		{spotifysim.Fault{Kind: spotifysim.QuotaExceeded}, 429, `{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}`},
		{spotifysim.Fault{Kind: spotifysim.ServerError}, 502, `{"error":{"status":502,"message":"Backend respond with 500"}}`},
		{spotifysim.Fault{Kind: spotifysim.ServerErrorHTML, Status: 503}, 503, "<!DOCTYPE html>"},
		{spotifysim.Fault{Kind: spotifysim.ServerErrorEmpty, Status: 500}, 500, ""},
		{spotifysim.Fault{Kind: spotifysim.HTML}, 200, "<!DOCTYPE html>"},
	}
	for _, test := range tests {
		sim := newSim(t)
		c := newClient(t, sim, sim.AddUser("ann", "Ann"))
		test.fault.Count = 1
		sim.Fault(test.fault)
		status, header, body := c.get("/v1/me")
		if status != test.status || !strings.HasPrefix(body, test.body) || header.Get("Retry-After") != "" {
			t.Errorf("%+v: %d %v %q", test.fault, status, header, body)
		}
		if status, _, _ := c.get("/v1/me"); status != 200 {
			t.Errorf("%+v happens again: %d", test.fault, status)
		}
	}
}

func TestFaultIsAddressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		annUser := sim.AddUser("ann", "Ann")
		ann, bob := newClient(t, sim, annUser), newClient(t, sim, sim.AddUser("bob", "Bob"))
		now := time.Now()
		sim.Fault(spotifysim.Fault{
			Kind: spotifysim.ServerError, Endpoint: spotifysim.EndpointRecentlyPlayed, User: annUser,
			From: now.Add(time.Hour), Until: now.Add(2 * time.Hour), Count: 3,
		})
		const recent, player = "/v1/me/player/recently-played", "/v1/me/player"
		for _, step := range []struct {
			wait   time.Duration
			c      client
			path   string
			status int
		}{
			{0, ann, recent, 200}, {time.Hour, ann, recent, 502}, {0, ann, player, 204}, {0, bob, recent, 200},
			{0, ann, recent, 502}, {0, ann, recent, 502}, {0, ann, recent, 200},
		} {
			time.Sleep(step.wait)
			if status, _, _ := step.c.get(step.path); status != step.status {
				t.Errorf("%v: %s %d, want %d", time.Since(now), step.path, status, step.status)
			}
		}
		sim.Fault(spotifysim.Fault{Kind: spotifysim.ServerError, Until: now.Add(2 * time.Hour)})
		if status, _, _ := bob.get(player); status != 502 {
			t.Errorf("everybody's: %d", status)
		}
		refreshToken, _ := annUser.Token()
		if status, _ := refresh(t, sim, refreshToken); status != 200 {
			t.Errorf("a fault of the whole Web API reached the token endpoint: %d", status)
		}
		time.Sleep(time.Hour)
		if status, _, _ := bob.get(player); status != 204 {
			t.Errorf("after Until: %d", status)
		}
		sim.Fault(spotifysim.Fault{Kind: spotifysim.ServerErrorHTML, Endpoint: spotifysim.EndpointToken, Status: 503})
		if status, _ := refresh(t, sim, refreshToken); status != 503 {
			t.Errorf("token endpoint: %d", status)
		}
		sim.ClearFaults()
		if status, _ := refresh(t, sim, refreshToken); status != 200 {
			t.Errorf("cleared: %d", status)
		}
	})
}

func TestBrokenBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		c := newClient(t, sim, sim.AddUser("ann", "Ann"))
		_, _, whole := c.get("/v1/me")
		once := func(f spotifysim.Fault) {
			f.Count = 1
			sim.Fault(f)
		}

		once(spotifysim.Fault{Kind: spotifysim.Truncated})
		if status, _, body := c.get("/v1/me"); status != 200 || body != whole[:len(whole)/2] {
			t.Errorf("truncated: %d %s", status, body)
		}

		once(spotifysim.Fault{Kind: spotifysim.Aborted})
		response, err := c.do("/v1/me")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != whole[:len(whole)/2] {
			t.Errorf("aborted: %v %s", err, body)
		}

		once(spotifysim.Fault{Kind: spotifysim.Reset})
		if _, err := c.do("/v1/me"); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("reset: %v", err)
		}

		once(spotifysim.Fault{Kind: spotifysim.Slow, Delay: 40 * time.Second})
		start := time.Now()
		if _, _, body := c.get("/v1/me"); body != whole || time.Since(start) != 40*time.Second {
			t.Errorf("slow: %v %s", time.Since(start), body)
		}

		// A client that gives up.
		c.http.Timeout = 10 * time.Second
		once(spotifysim.Fault{Kind: spotifysim.Slow, Delay: 40 * time.Second})
		start = time.Now()
		if response, err = c.do("/v1/me"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(response.Body); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("slow, with a timeout: %v after %v", err, time.Since(start))
		}
		once(spotifysim.Fault{Kind: spotifysim.Hang})
		start = time.Now()
		if _, err := c.do("/v1/me"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
			t.Errorf("hang: %v after %v", err, time.Since(start))
		}
	})
}

func TestStaleAndSkewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		u := sim.AddUser("ann", "Ann")
		c := newClient(t, sim, u)
		start := time.Now()
		u.Play(lantern, harbour)
		time.Sleep(150 * time.Second)
		sim.Fault(spotifysim.Fault{Kind: spotifysim.Stale, From: time.Now(), Until: time.Now().Add(time.Hour)})
		time.Sleep(59 * time.Minute)
		if got := c.player().String(); got != "Lantern playing at 150000" {
			t.Errorf("stale player: %s", got)
		}
		if got := c.names(); len(got) != 0 {
			t.Errorf("stale recently-played: %v", got)
		}
		time.Sleep(time.Minute)
		if got := c.names(); !slices.Equal(got, []string{"Harbour", "Lantern"}) {
			t.Errorf("up to date again: %v", got)
		}
		sim.Fault(spotifysim.Fault{Kind: spotifysim.Skewed, Skew: 90 * time.Second})
		if got, want := c.recentlyPlayed("").Items[1].PlayedAt, start.Add(290*time.Second).UTC().Format("2006-01-02T15:04:05.000Z"); got != want {
			t.Errorf("played_at %s, want %s", got, want)
		}
		_, header, _ := c.get("/v1/me")
		if got, want := header.Get("Date"), time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat); got != want {
			t.Errorf("Date %s, want %s", got, want)
		}
	})
}

func TestSwitches(t *testing.T) {
	sim := newSim(t)
	ann := sim.AddUser("ann", "Ann")
	annClient, bobClient := newClient(t, sim, ann), newClient(t, sim, sim.AddUser("bob", "Bob"))
	want := func(c client, status int, text string) {
		t.Helper()
		if got, _, body := c.get("/v1/me"); got != status || !strings.Contains(body, text) {
			t.Errorf("%d %s, want %d %s", got, body, status, text)
		}
	}
	sim.SetPremium(false)
	want(annClient, 403, "Active premium subscription required")
	want(bobClient, 403, "Active premium subscription required")
	sim.SetPremium(true)
	ann.SetRegistered(false)
	want(annClient, 403, "the user may not be registered")
	want(bobClient, 200, `"bob"`)
	ann.SetRegistered(true)
	want(annClient, 200, `"account_id":"`+ann.AccountID()+`"`)
	annClient.token = "made up"
	want(annClient, 401, "Invalid access token")
}

func TestItems(t *testing.T) {
	sim := newSim(t)
	u := sim.AddUser("ann", "Ann")
	c := newClient(t, sim, u)
	u.Play(lantern, podcast, tape)
	for _, test := range []struct {
		path   string
		status int
		text   string
	}{
		{"/v1/tracks/" + lantern.URI[14:], 200, `"name":"Lantern"`},
		{"/v1/episodes/" + podcast.URI[16:], 200, `"name":"On Moss"`},
		{"/v1/episodes/" + lantern.URI[14:], 404, `{"error":{"status":404,"message":"Resource not found"}}`},
		{"/v1/tracks/4uLU6hMCjMI75M1A2tKUQC", 404, "Resource not found"},
	} {
		if status, _, body := c.get(test.path); status != test.status || !strings.Contains(body, test.text) {
			t.Errorf("%s: %d %s", test.path, status, body)
		}
	}
}

func TestVerbatim(t *testing.T) {
	sim := newSim(t)
	c := newClient(t, sim, sim.AddUser("ann", "Ann"))
	recorded := read(t, answers+"recently_played.json")
	sim.Verbatim(spotifysim.EndpointRecentlyPlayed, recorded, 200)
	if status, _, body := c.get("/v1/me/player/recently-played?limit=50"); status != 200 || body != string(recorded) {
		t.Errorf("%d, %d bytes of %d", status, len(body), len(recorded))
	}
	c.token = "made up"
	if status, _, _ := c.get("/v1/me/player/recently-played?limit=50"); status != 401 {
		t.Errorf("verbatim without a token: %d", status)
	}
	sim.Verbatim(spotifysim.EndpointRecentlyPlayed, nil, 0)
}

// TestOverHTTP does over a socket what the other tests do in memory, with a
// clock that runs faster.
func TestOverHTTP(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sim := spotifysim.New(spotifysim.Options{Fail: t.Errorf, Clock: clock.New(start, 3600), AccessTokenLife: 1000 * time.Hour})
	u := sim.AddUser("ann", "Ann")
	u.At(start).Play(podcast)
	server := httptest.NewServer(sim)
	defer server.Close()
	c := client{t, server.Client(), server.URL, u.AccessToken()}

	if p := c.player(); p.Status != 204 && p.Item.Name != "On Moss" {
		t.Errorf("player: %s", p)
	}
	_, header, whole := c.get("/v1/me")
	if date, err := http.ParseTime(header.Get("Date")); err != nil || date.Year() != 2026 || date.Month() != time.March {
		t.Errorf("Date is not the clock's: %v", header.Get("Date"))
	}
	once := func(f spotifysim.Fault) {
		f.Count = 1
		sim.Fault(f)
	}
	once(spotifysim.Fault{Kind: spotifysim.Slow, Delay: time.Minute})
	if _, _, body := c.get("/v1/me"); body != whole {
		t.Errorf("slow: %s", body)
	}
	once(spotifysim.Fault{Kind: spotifysim.Reset})
	// net/http may try again on a connection that was reset before an answer.
	if response, err := c.do("/v1/me"); err == nil {
		response.Body.Close()
		if sim.Requests()[len(sim.Requests())-2].Status != 0 {
			t.Error("nothing was reset")
		}
	}
	once(spotifysim.Fault{Kind: spotifysim.Aborted})
	response, err := c.do("/v1/me")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(body) != whole[:len(whole)/2] {
		t.Errorf("aborted: %v %s", err, body)
	}
	once(spotifysim.Fault{Kind: spotifysim.Hang})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r := newRequest(t, http.MethodGet, server.URL+"/v1/me", nil).WithContext(ctx)
	r.Header.Set("User-Agent", "test")
	r.Header.Set("Authorization", "Bearer "+c.token)
	if _, err := c.http.Do(r); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
}

// TestManyClientsAtOnce is for the race detector.
func TestManyClientsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := newSim(t)
		for i := range 8 {
			u := sim.AddUser(fmt.Sprint(i), "")
			u.PlayDemo(uint64(i), time.Now(), time.Hour)
			c := newClient(t, sim, u)
			go func() {
				for range 30 {
					time.Sleep(2 * time.Minute)
					c.player()
					c.names()
					sim.Requests()
					u.Played(time.Now())
				}
			}()
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if got := len(sim.Requests()); got != 8*30*2 {
			t.Errorf("%d requests", got)
		}
	})
}
