package collector_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// world is a Spotify with one listener, for one policy of recording, in a bubble.
type world struct {
	t      testing.TB
	sim    *spotifysim.Spotify
	user   *spotifysim.User
	dir    string
	tokens spotify.Tokens
	began  time.Time
	// journalOptions are those of the journal.
	journalOptions journal.Options
	// tamper, unless nil, changes answers of the simulator on their way.
	tamper func(endpoint string, response *http.Response)
}

const (
	clientID = "0123456789abcdef0123456789abcdef"
	budget   = 1000
)

// newWorld logs the listener in.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), began: time.Now()}
	w.sim = spotifysim.New(spotifysim.Options{ClientID: clientID, Fail: t.Errorf})
	w.user = w.sim.AddUser("listener", "Listener")
	w.tokens = spotify.Tokens{Dir: filepath.Join(w.dir, "tokens")}
	w.login("me", w.user)
	return w
}

// login stores a token for a user of the simulator as the login command would.
func (w *world) login(alias string, user *spotifysim.User) {
	w.t.Helper()
	refresh, at := user.Token(spotify.Scopes()...)
	authorization, err := json.Marshal(spotify.Authorization{
		ClientID: clientID, Scopes: spotify.Scopes(), AuthorizedAt: at,
		Profile: spotify.Profile{AccountID: user.AccountID(), UserID: user.ID()},
		Token:   spotify.Token{RefreshToken: spotify.Secret(refresh), TokenType: "Bearer"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.MkdirAll(w.tokens.Dir, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.tokens.Path(alias), authorization, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) app(before func(context.Context, string) error) *spotify.App {
	w.t.Helper()
	api, accounts := spotifysim.URLs("http://spotify.test")
	app, err := spotify.New(spotify.Options{ClientID: clientID, APIURL: api, AccountsURL: accounts, Base: wire{w}, Before: before})
	if err != nil {
		w.t.Fatal(err)
	}
	return app
}

func (w *world) journal() *journal.Journal {
	w.t.Helper()
	j, err := journal.Open(w.t.Context(), filepath.Join(w.dir, "journal.db"), w.journalOptions)
	if err != nil {
		w.t.Fatal(err)
	}
	return j
}

// collector makes a collector of the world's accounts.
func (w *world) collector(j *journal.Journal, options collector.Options) *collector.Collector {
	w.t.Helper()
	options.Journal = j
	options.Tokens = w.tokens
	if options.Quota == nil {
		options.Quota = collector.NewQuota(j, clientID, budget, clock.Clock{}, options.Log)
	}
	options.App = w.app(options.Quota.Before)
	if testing.Verbose() && os.Getenv("TRUTH_LOG") != "" {
		options.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return collector.New(options)
}

// run runs a collector on a journal until the time given.
func (w *world) run(j *journal.Journal, until time.Time, options collector.Options) *collector.Collector {
	w.t.Helper()
	c := w.collector(j, options)
	ctx, cancel := context.WithDeadline(w.t.Context(), until)
	defer cancel()
	if err := c.Run(ctx); err != nil {
		w.t.Error(err)
	}
	return c
}

// wire is the way to the simulator.
type wire struct{ w *world }

func (v wire) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := v.w.sim.Transport().RoundTrip(r)
	if err == nil && v.w.tamper != nil {
		v.w.tamper(spotify.EndpointFromContext(r.Context()), response)
	}
	return response, err
}

// replace gives a response another body.
func replace(t testing.TB, r *http.Response, change func(body []byte) []byte) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	body = change(body)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Del("Content-Length")
}

// alter replaces a regular expression in what the player answers.
func (w *world) alter(pattern, by string) {
	expression := regexp.MustCompile(pattern)
	w.tamper = func(endpoint string, r *http.Response) {
		if endpoint == spotifysim.EndpointPlayer {
			replace(w.t, r, func(body []byte) []byte { return expression.ReplaceAll(body, []byte(by)) })
		}
	}
}

// running is a collector at work beside a test.
type running struct {
	*collector.Collector
	stop func() // and wait until it has ended
}

// start runs a collector on a journal until it is stopped, at the latest when the
// test ends.
func (w *world) start(j *journal.Journal, options collector.Options) running {
	w.t.Helper()
	c, ctx := w.collector(j, options), w.t.Context()
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	stop := func() {
		cancel()
		<-done
	}
	w.t.Cleanup(stop)
	return running{c, stop}
}

// open opens the journal until the test ends.
func (w *world) open() *journal.Journal {
	w.t.Helper()
	j := w.journal()
	w.t.Cleanup(func() {
		if err := j.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return j
}

// account is the state of an account, which must be there.
func (r running) account(t testing.TB, alias string) collector.AccountState {
	t.Helper()
	for _, a := range r.State().Accounts {
		if a.Account == alias {
			return a
		}
	}
	t.Fatalf("there is no account %s", alias)
	panic("not reached")
}

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, string(p))
	return len(p), nil
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// with returns the lines that hold a text.
func (l *lines) with(text string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.text {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// check holds what is recorded against what was played: of plays of 30 s and more
// none may be missing or doubled.
func (w *world) check(j *journal.Journal) {
	w.t.Helper()
	records := recorded(w.t, j)
	_, lost, extra := match(w.played(), records)
	for _, p := range lost {
		if p.ms >= counted {
			w.t.Errorf("lost: %s ended %v, %d ms", p.uri, p.ended, p.ms)
		}
	}
	for _, p := range extra {
		if p.ms >= counted {
			w.t.Errorf("one too many: %s ended %v, %d ms", p.uri, p.ended, p.ms)
		}
	}
}
