package main

import (
	"database/sql"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// TestScrapeOfABlockedJournal scrapes the program while another process holds the lock
// for writing, which a scrape does not need, and while one holds those for reading, for
// which SQLite waits longer than any scrape lasts.
func TestScrapeOfABlockedJournal(t *testing.T) {
	simulate(t, clock.Clock{}, nil)
	p := startProcess(t, clock.New(time.Now(), 1), 1)
	path := filepath.Join(os.Getenv("DATA_DIR"), "journal.db")
	metrics := func() string {
		t.Helper()
		answer, err := http.Get(p.URL + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v: %s", answer.Status, err, text)
		}
		return string(text)
	}

	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if text := metrics(); !strings.Contains(text, "\nspotify_journal_up 1\n") || !strings.Contains(text, "\nspotify_journal_plays 0\n") || !strings.Contains(text, "\nspotify_request_budget_used ") {
		t.Errorf("while another process writes:\n%s", text)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}

	shared, err := os.OpenFile(path+"-shm", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	// The bytes of WAL_READ_LOCK(0) to (4), see https://sqlite.org/walformat.html
	readers := syscall.Flock_t{Type: syscall.F_WRLCK, Start: 123, Len: 5}
	if err := syscall.FcntlFlock(shared.Fd(), syscall.F_SETLKW, &readers); err != nil {
		t.Fatal(err)
	}
	text := metrics()
	if !strings.Contains(text, "\nspotify_journal_up 0\n") || !strings.Contains(text, "\nspotify_exporter_build_info{") || strings.Contains(text, "\nspotify_journal_plays") {
		t.Errorf("while nobody can read the journal:\n%s", text)
	}
	readers.Type = syscall.F_UNLCK
	if err := syscall.FcntlFlock(shared.Fd(), syscall.F_SETLK, &readers); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, "the journal answers again", func() bool { return strings.Contains(metrics(), "\nspotify_journal_up 1\n") })
	p.kill(t)
}
