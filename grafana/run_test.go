package grafana_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana"
	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// network lets a test take Grafana away.
type network struct {
	server *grafanatest.Server

	mu   sync.Mutex
	down func(*http.Request) bool // nil: never
}

// fail makes requests fail for which down is true.
func (n *network) fail(down func(*http.Request) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	down := n.down != nil && n.down(r)
	n.mu.Unlock()
	if down {
		return nil, errors.New("connection refused")
	}
	return n.server.RoundTrip(r)
}

// running starts Run in virtual time until the test ends.
func running(t *testing.T, change func(*grafana.Options)) (*harness, *network) {
	n := &network{}
	h := newHarness(t, func(o *grafana.Options) {
		n.server = o.Base.(*grafanatest.Server)
		o.Base = n
		if change != nil {
			change(o)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	synctest.Wait()
	return h, n
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := running(t, nil)
		first := h.State()
		if first.Published == nil || !first.Published.At.Equal(time.Now().UTC()) || h.title(t) == "" {
			t.Fatalf("at the start: %+v", first.Published)
		}
		h.edit(t, "Listening until", "A newer board,")
		time.Sleep(5*time.Hour + 58*time.Minute)
		synctest.Wait()
		if !h.State().Published.At.Equal(first.Published.At) {
			t.Errorf("published before the interval was over, at %s", h.State().Published.At)
		}
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		if late := h.State().Published.At.Sub(first.Published.At) - 6*time.Hour; late < 0 || late > time.Minute {
			t.Errorf("published %s after the interval", late)
		}
		if !strings.HasPrefix(h.title(t), "A newer board,") {
			t.Errorf("visitors see %q", h.title(t))
		}
		for reason, n := range h.State().Failures {
			if n != 0 {
				t.Errorf("%d failures of reason %s", n, reason)
			}
		}
	})
}

// A restart is no reason to publish, and what another process publishes counts.
func TestRunAfterOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.publish(t)
		time.Sleep(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = h.Run(ctx) }()
		synctest.Wait()
		if at := h.State().Published; at == nil || time.Since(at.At) != time.Hour {
			t.Fatalf("after the start: %+v", at)
		}
		time.Sleep(3 * time.Hour)
		h.publish(t)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if since := time.Since(h.State().Published.At); since != 3*time.Hour {
			t.Errorf("published %s ago, want 3 h: by the other one", since)
		}
	})
}

// A machine whose clock was years ahead for a while does not wait for that time to come.
func TestRunAfterAWrongClock(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * 365 * 24 * time.Hour)
		newHarness(t, func(o *grafana.Options) { o.Dir = dir }).publish(t)
	})
	synctest.Test(t, func(t *testing.T) {
		h, _ := running(t, func(o *grafana.Options) { o.Dir = dir })
		if at := h.State().Published.At; !at.Equal(time.Now()) {
			t.Errorf("published at %s, and not again now, %s", at, time.Now())
		}
	})
}

// Grafana is away for an hour, from the start or just when the old snapshot has been
// deleted. Nothing but the log and the metrics show it, and soon after it is back
// visitors get what they should.
func TestGrafanaAway(t *testing.T) {
	for name, when := range map[string]func(*http.Request) bool{
		"altogether":       func(*http.Request) bool { return true },
		"after a deletion": func(r *http.Request) bool { return r.Method == http.MethodPost && r.URL.Path == "/api/snapshots" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, n := running(t, nil)
				h.edit(t, "Listening until", "A newer board,")
				began := false
				n.fail(func(r *http.Request) bool {
					began = began || when(r)
					return began
				})
				time.Sleep(7 * time.Hour) // the refresh after 6 fails, and goes on failing
				synctest.Wait()
				failures := h.State().Failures[grafana.Network]
				if failures < 4 || failures > 12 {
					t.Errorf("%d tries in the hour", failures)
				}
				if strings.Contains(h.logged.String(), h.token) || strings.Contains(h.logged.String(), h.keys(t)["delete_key"].(string)) {
					t.Errorf("a secret is logged: %s", h.logged)
				}
				n.fail(nil)
				time.Sleep(15 * time.Minute)
				synctest.Wait()
				if !strings.HasPrefix(h.title(t), "A newer board,") || time.Since(h.State().Published.At) > 15*time.Minute {
					t.Errorf("a quarter of an hour later visitors see %q, published at %s", h.title(t), h.State().Published.At)
				}
			})
		})
	}
}

// Who stops the program while it posts does not leave visitors with nothing.
func TestStopBetweenDeleteAndPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, nil)
		h.publish(t)
		ctx, cancel := context.WithCancel(t.Context())
		h.server.Intercept = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodDelete {
				cancel()
			}
			return false
		}
		if _, err := h.Publish(ctx); err != nil || h.title(t) == "" {
			t.Errorf("visitors see %q, %v", h.title(t), err)
		}
	})
}

func TestRunNever(t *testing.T) {
	h := newHarness(t, func(o *grafana.Options) { o.Interval = 0 })
	if err := h.Run(t.Context()); err != nil || len(h.server.Requests()) != 0 {
		t.Errorf("run: %v after %v", err, h.server.Requests())
	}
}
