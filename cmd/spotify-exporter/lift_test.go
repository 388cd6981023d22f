package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotifysim"
)

// TestCheckLift: one answer asks to wait for centuries. Nothing is asked until
// check --lift ends that, and without a wait it says that there is none.
func TestCheckLift(t *testing.T) {
	sim := simulate(t, clock.New(time.Now(), 1), nil)
	logIn(t, "me", sim.AddUser("me-id", "Me"))
	var silence atomic.Bool
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if silence.Load() {
			w.Header().Set("Retry-After", "9999999999")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		sim.ServeHTTP(w, r)
	}))
	defer front.Close()
	api, _ := spotifysim.URLs(front.URL)
	t.Setenv("SPOTIFY_API_URL", api)

	out, _ := command(t, exitDone, "check", "--lift")
	if got := findings(out)["Retry-After"]; !strings.HasPrefix(got, "ok: there is no wait") {
		t.Errorf("without a wait:\n%s", out)
	}
	silence.Store(true)
	out, _ = command(t, exitDone, "check")
	if got := findings(out)["Spotify, me"]; !strings.HasPrefix(got, "warning") || !strings.Contains(got, `"9999999999", which counts as 48h`) {
		t.Errorf("at the answer:\n%s", out)
	}
	silence.Store(false)
	out, _ = command(t, exitDone, "check")
	if got := findings(out)["Spotify, me"]; !strings.HasPrefix(got, "warning: not asked") || !strings.Contains(out, "check --lift") {
		t.Errorf("meanwhile:\n%s", out)
	}
	out, _ = command(t, exitDone, "check", "--lift")
	found := findings(out)
	if !strings.HasPrefix(found["Retry-After"], "warning: the wait until") || !strings.HasPrefix(found["Spotify, me"], "ok: answers") {
		t.Errorf("with --lift:\n%s", out)
	}
}

// TestCheckTellsOfListedStarts, and of nothing while the list has the ends of plays.
func TestCheckTellsOfListedStarts(t *testing.T) {
	sim := simulate(t, clock.New(time.Now(), 1), nil)
	logIn(t, "me", sim.AddUser("me-id", "Me"))
	out, _ := command(t, exitDone, "check")
	if strings.Contains(out, "played_at") {
		t.Errorf("while all is well:\n%s", out)
	}
	j, err := journal.Open(t.Context(), filepath.Join(os.Getenv("DATA_DIR"), "journal.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.SetListsStarts(t.Context(), "me", true); err != nil {
		t.Fatal(err)
	}
	out, _ = command(t, exitDone, "check")
	if got := findings(out)["played_at, me"]; !strings.HasPrefix(got, "warning: Spotify lists the starts") {
		t.Errorf("got:\n%s", out)
	}
}
