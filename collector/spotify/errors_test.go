package spotify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

func sprint(format string, v any) string { return fmt.Sprintf(format, v) }

func TestStatusErrors(t *testing.T) {
	const html = "<!DOCTYPE html>\n<html><head><title>502</title></head><body>Server Error</body></html>"
	tests := []struct {
		name    string
		status  int
		body    string
		reason  spotify.Reason
		message string
	}{
		{"forbidden", 403, `{"error":{"status":403,"message":"Forbidden"}}`, spotify.ReasonServer, "Forbidden"},
		{"premium as text", 403, "Active premium subscription required for the owner of the app.", spotify.ReasonPremium,
			"Active premium subscription required for the owner of the app."},
		{"premium as JSON", 403, `{"error":{"status":403,"message":"Premium required"}}`, spotify.ReasonPremium, "Premium required"},
		{"not registered", 403, "Check settings on developer.spotify.com/dashboard, the user may not be registered.",
			spotify.ReasonNotRegistered, "Check settings on developer.spotify.com/dashboard, the user may not be registered."},
		{"not registered, old", 403, "User not registered in the Developer Dashboard", spotify.ReasonNotRegistered,
			"User not registered in the Developer Dashboard"},
		{"forbidden, empty", 403, "", spotify.ReasonServer, ""},
		{"not found", 404, `{"error":{"status":404,"message":"Resource not found"}}`, spotify.ReasonServer, "Resource not found"},
		{"rate limit", 429, `{"error":{"status":429,"message":"API rate limit exceeded"}}`, spotify.ReasonRateLimited, "API rate limit exceeded"},
		{"rate limit as text", 429, "Too many requests", spotify.ReasonRateLimited, "Too many requests"},
		{"rate limit, empty", 429, "", spotify.ReasonRateLimited, ""},
		{"quota", 429, `{"error":{"status":429,"message":"Too many requests","reason":"QUOTA_EXCEEDED"}}`, spotify.ReasonQuota, "Too many requests"},
		{"server as JSON", 502, `{"error":{"status":502,"message":"Backend respond with 500"}}`, spotify.ReasonServer, "Backend respond with 500"},
		{"server as HTML", 502, html, spotify.ReasonServer, ""},
		{"server, empty", 503, "", spotify.ReasonServer, ""},
		{"server, half of a JSON", 503, `{"error":{"sta`, spotify.ReasonServer, ""},
		{"server, odd JSON", 500, `[1,2]`, spotify.ReasonServer, ""},
		{"a redirect", 302, "", spotify.ReasonServer, ""},
		{"long and dirty", 500, "\x00first\nline\t" + strings.Repeat("ü", 4000), spotify.ReasonServer, "first line " + strings.Repeat("ü", 93) + "…"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			account := newAccount(t, reply(test.status, test.body, "Location", "https://elsewhere.example/"))
			_, err := account.Player(t.Context())
			e, ok := errors.AsType[*spotify.Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if e.Endpoint != "player" || e.Status != test.status || e.Reason != test.reason || e.Message != test.message || e.HasRetryAfter {
				t.Errorf("got %+v", e)
			}
			if text := err.Error(); strings.ContainsAny(text, "\n<\x00") || len(text) > 300 || !strings.Contains(text, fmt.Sprint(test.status)) {
				t.Errorf("text: %q", text)
			}
			if got := spotify.ReasonOf(fmt.Errorf("poll: %w", err)); got != test.reason {
				t.Errorf("ReasonOf: %q", got)
			}
			// The same through zmb3, which must not get to see it.
			if _, err := account.Track(t.Context(), "x"); spotify.ReasonOf(err) != test.reason {
				t.Errorf("Track: %v", err)
			}
		})
	}
}

func TestRetryAfterOfAnAnswer(t *testing.T) {
	account := newAccount(t, reply(429, "", "Retry-After", "48925"))
	_, err := account.Player(t.Context())
	e, ok := errors.AsType[*spotify.Error](err)
	if !ok || !e.HasRetryAfter || e.RetryAfter != 48925*time.Second {
		t.Errorf("got %+v", e)
	}

	// A date counts from the server's clock, whatever ours says.
	account = newAccount(t, reply(503, "", "Date", "Sun, 22 Nov 2037 10:00:00 GMT", "Retry-After", "Sun, 22 Nov 2037 10:02:00 GMT"))
	_, err = account.Player(t.Context())
	e, ok = errors.AsType[*spotify.Error](err)
	if !ok || !e.HasRetryAfter || e.RetryAfter != 2*time.Minute {
		t.Errorf("got %+v", e)
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	const longest time.Duration = math.MaxInt64
	tests := []struct {
		value string
		after time.Duration
		ok    bool
	}{
		{"0", 0, true},
		{" 7 ", 7 * time.Second, true},
		{"79892", 79892 * time.Second, true},
		{"99999999999999999999999", longest, true},
		{"9223372036854775807", longest, true},
		{"-5", 0, true},
		{"Sun, 22 Nov 2026 10:01:30 GMT", 90 * time.Second, true},
		{"Sunday, 22-Nov-26 10:01:30 GMT", 90 * time.Second, true},
		{"Sun, 22 Nov 2026 09:00:00 GMT", 0, true},
		{"", 0, false},
		{"-", 0, false},
		{"--5", 0, false},
		{"1.5", 0, false},
		{"soon", 0, false},
		{"5 seconds", 0, false},
		{"2026-11-22T10:01:30Z", 0, false},
	}
	for _, test := range tests {
		after, ok := spotify.ParseRetryAfter(test.value, now)
		if after != test.after || ok != test.ok {
			t.Errorf("%q: got %v, %v", test.value, after, ok)
		}
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, seed := range []string{"0", "-1", "19056", "1e9", "99999999999999999999", "Sun, 22 Nov 2026 10:01:30 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "x", "٣"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		after, ok := spotify.ParseRetryAfter(value, now)
		if after < 0 || !ok && after != 0 || now.Add(after).Before(now) || now.Add(after).Year() > 2320 {
			t.Errorf("%q: %v, %v", value, after, ok)
		}
	})
}

// broken is a RoundTripper that does not get to an answer.
type broken struct{ err error }

func (b broken) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

func TestFailuresOnTheWay(t *testing.T) {
	cut := handlerBody(func() io.ReadCloser { return io.NopCloser(io.MultiReader(strings.NewReader(`{"items":`), failing{})) })
	endless := handlerBody(func() io.ReadCloser { return io.NopCloser(zeros{}) })
	tests := []struct {
		name   string
		base   http.RoundTripper
		reason spotify.Reason
	}{
		{"no network", broken{errors.New("dial tcp: lookup api.spotify.com: no such host")}, spotify.ReasonNetwork},
		{"cut in the middle", cut, spotify.ReasonNetwork},
		{"endless", endless, spotify.ReasonDecode},
		{"empty", reply(200, ""), spotify.ReasonDecode},
		{"HTML of a captive portal", reply(200, "<html>Welcome</html>"), spotify.ReasonDecode},
		{"half of a JSON", reply(200, `{"items":[{"tra`), spotify.ReasonDecode},
		{"another JSON", reply(200, `"hello"`), spotify.ReasonDecode},
		{"null", reply(200, `null`), spotify.ReasonDecode},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			account := newAccount(t, test.base)
			_, err1 := account.Player(t.Context())
			_, err2 := account.RecentlyPlayed(t.Context(), 0)
			_, err3 := account.Me(t.Context())
			_, err4 := account.Track(t.Context(), "x")
			for i, err := range []error{err1, err2, err3, err4} {
				if got := spotify.ReasonOf(err); got != test.reason {
					t.Errorf("call %d: reason %q of %v", i, got, err)
				}
				if e, ok := errors.AsType[*spotify.Error](err); ok && e.Endpoint == "" {
					t.Errorf("call %d: no endpoint in %v", i, err)
				}
			}
		})
	}
}

// handlerBody answers 200 with a body of unknown length.
type handlerBody func() io.ReadCloser

func (b handlerBody) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: b(), ContentLength: -1, Request: r}, nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTimeoutAndCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := handler(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		account := newAccount(t, silent)
		start := time.Now()
		_, err := account.Player(t.Context())
		if spotify.ReasonOf(err) != spotify.ReasonNetwork || time.Since(start) != 15*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "15s") {
			t.Errorf("got %v", err)
		}

		why := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		for _, call := range []func() error{
			func() error { _, err := account.Player(ctx); return err },
			func() error { _, err := account.Track(ctx, "x"); return err },
		} {
			if err := call(); !errors.Is(err, why) || spotify.ReasonOf(err) != "" {
				t.Errorf("got %v, reason %q", err, spotify.ReasonOf(err))
			}
		}
	})
}
