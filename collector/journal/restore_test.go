package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// copied returns the copy of a journal with two plays.
func copied(t *testing.T) string {
	t.Helper()
	j := open(t, journal.Options{})
	record(t, j, numbered(1), numbered(2))
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := j.Copy(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	return path
}

// restore does what the command does, without a place in which a restart would find it.
func restore(t testing.TB, from, path, aside string) error {
	t.Helper()
	held, err := journal.Hold(path)
	if err != nil {
		return err
	}
	defer held.Close()
	if err := journal.CheckRestore(t.Context(), from, path, aside != ""); err != nil {
		return err
	}
	return journal.Replace(from, path, aside)
}

func TestRestore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := restore(t, copied(t), path, ""); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if got := len(plays(t, j)); got != 2 {
		t.Errorf("%d plays, want 2", got)
	}
	if err := j.Lock(); err != nil {
		t.Errorf("it is locked after Restore: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

func TestRestoreMovesAJournalAside(t *testing.T) {
	from := copied(t)
	j := open(t, journal.Options{}) // which is not closed: its last play is in its log
	record(t, j, numbered(7))
	path := filepath.Join(t.TempDir(), "journal.db")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(j.Path() + suffix)
		if err != nil {
			t.Fatal(err)
		}
		overwriteWith(t, path+suffix, string(content))
	}
	aside := path + ".aside"
	if err := restore(t, from, path, aside); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{path: 2, aside: 1} {
		j, err := journal.Open(t.Context(), path, journal.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := len(plays(t, j)); got != want {
			t.Errorf("%s has %d plays, want %d", path, got, want)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	overwrite := func(t *testing.T, path string, at int64, with []byte) {
		t.Helper()
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteAt(with, at); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		arrange func(t *testing.T, from, to string)
		want    error
		says    string
	}{
		{"over a journal", func(t *testing.T, _, to string) { overwriteWith(t, to, "a journal") }, journal.ErrExists, "never overwritten"},
		{"beside the log of a journal", func(t *testing.T, _, to string) { overwriteWith(t, to+"-wal", "its last plays") }, journal.ErrExists, "-wal"},
		{"while a daemon runs whose journal was deleted", func(t *testing.T, _, to string) {
			p := start(t, to, "lock")
			if !p.lines.Scan() {
				t.Fatal("no second process")
			}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if err := os.Remove(to + suffix); err != nil {
					t.Fatal(err)
				}
			}
		}, journal.ErrLocked, "stop that one first"},
		{"a newer one", func(t *testing.T, from, _ string) { foreign(t, from, "PRAGMA user_version = 1000") }, journal.ErrNewer, "restore it with that version"},
		{"one of a negative version", func(t *testing.T, from, _ string) { foreign(t, from, "PRAGMA user_version = -5") }, journal.ErrNotAJournal, "damaged"},
		{"one of another program", func(t *testing.T, from, _ string) { foreign(t, from, "PRAGMA application_id = 42") }, journal.ErrNotAJournal, "another program"},
		{"an empty one", func(t *testing.T, from, _ string) { overwriteWith(t, from, "") }, journal.ErrNotAJournal, "empty"},
		{"a text", func(t *testing.T, from, _ string) { overwriteWith(t, from, strings.Repeat("ts,track\n", 1000)) }, journal.ErrNotAJournal, "damaged"},
		{"one with a page of nothing", func(t *testing.T, from, _ string) { overwrite(t, from, 3*4096, make([]byte, 4096)) }, journal.ErrNotAJournal, "damaged"},
		{"one that has lost rows", func(t *testing.T, from, _ string) { foreign(t, from, "DELETE FROM item") }, journal.ErrNotAJournal, "missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := copied(t), filepath.Join(t.TempDir(), "journal.db")
			c.arrange(t, from, to)
			before, beforeErr := os.ReadFile(to)
			err := restore(t, from, to, "")
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want %v that says %q", err, c.want, c.says)
			}
			after, afterErr := os.ReadFile(to)
			if !bytes.Equal(before, after) || os.IsNotExist(beforeErr) != os.IsNotExist(afterErr) {
				t.Errorf("the journal has changed: %v", afterErr)
			}
			if _, err := os.Stat(from); err != nil {
				t.Errorf("the copy is gone: %v", err)
			}
		})
	}
}

func overwriteWith(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRequestsAfterABackupAreGuessed(t *testing.T) {
	now := noon
	j := open(t, journal.Options{Now: func() time.Time { return now }})
	ask := func() {
		t.Helper()
		if err := j.Request(t.Context(), "client", "player", func(journal.Quota) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	used := func(want int) {
		t.Helper()
		q, err := j.Quota(t.Context(), "client")
		times, timesErr := j.Requests(t.Context(), "client")
		if err != nil || timesErr != nil || q.Used != want || len(times) != want {
			t.Errorf("%v: %d requests, listed %d, want %d (%v, %v)", now, q.Used, len(times), want, err, timesErr)
		}
	}
	for range 24 { // one every hour
		now = now.Add(time.Hour)
		ask()
	}
	backup := now
	if err := j.RepeatRequests(t.Context(), backup.Add(time.Minute)); err != nil { // a clock that was ahead
		t.Fatal(err)
	}
	used(24)
	now = backup.Add(6*time.Hour + time.Minute)
	used(18)
	if err := j.RepeatRequests(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	used(25) // 18 of the day before, and 7 in the six hours and a minute
	ask()
	used(26)

	now = now.Add(100 * time.Hour)
	used(0)
	if err := j.RepeatRequests(t.Context(), now.Add(-100*time.Hour)); err != nil {
		t.Fatal(err)
	}
	used(26)
}

// TestALogWithoutItsJournal refuses to begin a new journal over the log of another one, which has its newest plays.
func TestALogWithoutItsJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	overwriteWith(t, path+"-wal", "the newest plays")
	if _, err := journal.Open(t.Context(), path, journal.Options{}); !errors.Is(err, journal.ErrLostJournal) || !strings.Contains(err.Error(), path+"-wal") {
		t.Errorf("error %v, want %v", err, journal.ErrLostJournal)
	}
	if content, err := os.ReadFile(path + "-wal"); err != nil || string(content) != "the newest plays" {
		t.Errorf("the log has changed: %q, %v", content, err)
	}
}

// TestAVersionThatNobodyGives opens a journal whose version a tool, or damage, has made negative.
func TestAVersionThatNobodyGives(t *testing.T) {
	path := copied(t)
	foreign(t, path, "PRAGMA user_version = -5")
	if _, err := journal.Open(t.Context(), path, journal.Options{}); !errors.Is(err, journal.ErrNotAJournal) || !strings.Contains(err.Error(), "version -5") {
		t.Errorf("error %v, want %v", err, journal.ErrNotAJournal)
	}
}
