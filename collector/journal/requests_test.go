package journal_test

import (
	"database/sql"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestRequestsAreCountedForADay makes requests of two clients at random times, with
// a clock that is set back now and then, and counts them by hand.
func TestRequestsAreCountedForADay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), journal.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	made := map[string][]time.Time{}
	used := func(client string) (n int) {
		for _, at := range made[client] {
			if now.Sub(at) < 24*time.Hour {
				n++
			}
		}
		return n
	}
	no := errors.New("no")
	for i := range 3000 {
		now = now.Add(time.Duration(random.IntN(120)) * time.Second)
		switch {
		case i%500 == 250: // for a while the clock is ahead
			now = now.Add(50 * time.Minute)
		case i%500 == 255:
			now = now.Add(-50 * time.Minute)
		case i%500 == 400:
			now = now.Add(25 * time.Hour)
		}
		client := []string{"one", "two"}[random.IntN(2)]
		allow := random.IntN(10) > 0
		err := j.Request(t.Context(), client, "player", func(q journal.Quota) error {
			// What was made by a clock that was ahead counts as made now.
			for k, at := range made[client] {
				if at.After(now) {
					made[client][k] = now
				}
			}
			if q.Used != used(client) {
				t.Fatalf("%d: %d requests, want %d", i, q.Used, used(client))
			}
			if !allow {
				return no
			}
			return nil
		})
		if allow && err != nil || !allow && err != no {
			t.Fatal(err)
		}
		if allow {
			made[client] = append(made[client], now)
		}
		if times, err := j.Requests(t.Context(), client); err != nil || len(times) != used(client) {
			t.Fatalf("%d: %d times, %v, want %d", i, len(times), err, used(client))
		}
	}
}

// TestARetryAfterOfAClockThatWasAhead: once the clock is right again, nobody waits for
// longer than Spotify said, nor for less.
func TestARetryAfterOfAClockThatWasAhead(t *testing.T) {
	right := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := right.AddDate(9, 0, 0)
	path := filepath.Join(t.TempDir(), "journal.db")
	options := journal.Options{Now: func() time.Time { return now }}
	j, err := journal.Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (q journal.Quota) {
		t.Helper()
		err := j.Request(t.Context(), "one", "player", func(state journal.Quota) error {
			if q = state; now.Before(q.Until) {
				return errors.New("wait")
			}
			return nil
		})
		if (err != nil) != now.Before(q.Until) {
			t.Fatal(err)
		}
		return q
	}
	ask()
	if err := j.SetQuota(t.Context(), "one", func(q *journal.Quota) {
		q.Until, q.Why, q.Budget, q.LearnedAt = now.Add(20*time.Hour), "quota", 800, now
	}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if q, err := j.Quota(t.Context(), "one"); err != nil || q.Until.Sub(now) != 19*time.Hour {
		t.Errorf("%v from now, %v; want 19 h", q.Until.Sub(now), err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	now = right
	if j, err = journal.Open(t.Context(), path, options); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for passed := range 20 {
		now = right.Add(time.Duration(passed) * time.Hour)
		q, err := j.Quota(t.Context(), "one")
		if err != nil || !q.Until.Equal(right.Add(20*time.Hour)) || !q.LearnedAt.Equal(right) || q.Used != 1 {
			t.Errorf("after %d h: %+v, %v; want until %v", passed, q, err, right.Add(20*time.Hour))
		}
		if asked := ask(); asked != q {
			t.Errorf("after %d h: %+v and %+v", passed, asked, q)
		}
	}
	now = right.Add(20 * time.Hour)
	ask()
	if q, err := j.Quota(t.Context(), "one"); err != nil || q.Used != 2 {
		t.Errorf("%+v, %v", q, err)
	}
	now = right.Add(24 * time.Hour)
	if q, err := j.Quota(t.Context(), "one"); err != nil || q.Used != 1 {
		t.Errorf("%+v, %v", q, err)
	}
}

// TestRequestsAreKeptWhateverTheClockSays: those of weeks, but no more than that many
// for each client.
func TestRequestsAreKeptWhateverTheClockSays(t *testing.T) {
	right := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := right
	j := open(t, journal.Options{Now: func() time.Time { return now }})
	ask := func() (q journal.Quota) {
		t.Helper()
		if err := j.Request(t.Context(), "one", "player", func(state journal.Quota) error { q = state; return nil }); err != nil {
			t.Fatal(err)
		}
		return q
	}
	for range 1000 {
		ask()
		now = now.Add(time.Minute)
	}
	ahead := now
	now = ahead.AddDate(9, 0, 0)
	ask()
	ask()
	if now = ahead; ask().Used != 1002 {
		t.Errorf("%d requests after a clock that was ahead", ask().Used)
	}
	// Those of older days are no younger in 1970.
	for now = ahead.Add(30 * time.Hour); now.Before(ahead.Add(32 * time.Hour)); now = now.Add(time.Minute) {
		ask()
	}
	if now = time.Unix(3600, 0); ask().Used != 120 {
		t.Errorf("%d requests of the last day when the clock is behind, want 120", ask().Used)
	}
}

// TestScrapeNeverWrites: what a scrape asks of the journal is answered while another
// process writes, also when a clock that was ahead has stored something, and leaves the
// file as it is.
func TestScrapeNeverWrites(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(t.Context(), path, journal.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Request(t.Context(), "client", "player", func(journal.Quota) error { return nil }); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, ahead := range []bool{false, true} {
		if ahead {
			now = now.Add(-time.Hour)
		}
		version := func() (version int) {
			if err := conn.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&version); err != nil {
				t.Fatal(err)
			}
			return version
		}
		before := version()
		if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
			t.Fatal(err)
		}
		if state, err := j.State(t.Context()); err != nil || state.SizeBytes == 0 {
			t.Errorf("state: %+v, %v", state, err)
		}
		if q, found, err := j.PeekQuota(t.Context(), "client"); err != nil || q.Used != 1 || found != ahead {
			t.Errorf("quota: %+v, ahead %v, want %v; %v", q, found, ahead, err)
		}
		if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if after := version(); after != before {
			t.Error("something was written")
		}
	}
	if _, err := j.Quota(t.Context(), "client"); err != nil {
		t.Fatal(err)
	}
	if _, ahead, err := j.PeekQuota(t.Context(), "client"); err != nil || ahead {
		t.Errorf("it is not put right: %v", err)
	}
}
