package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// startGuarded starts a daemon on a journal with so many plays, with a minute that takes a second.
func startGuarded(t *testing.T, plays int) (d *runningDaemon, dir string) {
	t.Helper()
	clk := clock.New(time.Now(), 60)
	simulate(t, clk, nil)
	dir = os.Getenv("DATA_DIR")
	layKilled(t, dir, plays)
	return startDaemon(t, clk), dir
}

// fails waits until the daemon ends by itself, with an error.
func (d *runningDaemon) fails(t *testing.T) (log string) {
	t.Helper()
	select {
	case exit := <-d.end:
		if exit != exitFailed {
			t.Errorf("exit code %d, want %d: %s", exit, exitFailed, d.errs.String())
		}
		d.end <- exitDone // for finish
	case <-time.After(20 * time.Second):
		t.Fatalf("run goes on: %s", d.errs.String())
	}
	return d.errs.String()
}

func removeJournal(t *testing.T, dir string, suffixes ...string) {
	t.Helper()
	for _, suffix := range suffixes {
		if err := os.Remove(filepath.Join(dir, "journal.db"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJournalRemovedUnderRun: the daemon ends, and the next one begins with everything that
// was recorded. The alert stays until somebody has looked.
func TestJournalRemovedUnderRun(t *testing.T) {
	for name, suffixes := range map[string][]string{
		"journal":    {""},
		"everything": {"", "-wal", "-shm", ".lock"},
	} {
		t.Run(name, func(t *testing.T) {
			d, dir := startGuarded(t, 30)
			removeJournal(t, dir, suffixes...)
			log := d.fails(t)
			if !strings.Contains(log, "removed while it was in use: what it held was kept, and takes its place at the next start") {
				t.Errorf("it says:\n%s", log)
			}
			d = startDaemon(t, clock.New(time.Now(), 60))
			metrics := get(t, d.URL+"/metrics")
			for _, want := range []string{"\nspotify_journal_plays 30\n", "\nspotify_journal_in_place 1\n", "\nspotify_journal_rescued 1\n"} {
				if !strings.Contains(metrics, want) {
					t.Errorf("no %q", want)
				}
			}
			eventually(t, 10*time.Second, "the journal was read as a whole", func() bool {
				return strings.Contains(get(t, d.URL+"/metrics"), "\nspotify_journal_intact 1\n")
			})
			if out, _ := command(t, exitFailed, "check"); !strings.Contains(out, "warning  journal: its files were removed or replaced while run was using it") {
				t.Errorf("check:\n%s", out)
			}
			notes, err := filepath.Glob(filepath.Join(dir, "journal.db.rescued-*"))
			if err != nil || len(notes) != 1 {
				t.Fatalf("notes: %q, %v", notes, err)
			}
			if err := os.Remove(notes[0]); err != nil {
				t.Fatal(err)
			}
			eventually(t, 10*time.Second, "the alert ends", func() bool {
				return strings.Contains(get(t, d.URL+"/metrics"), "\nspotify_journal_rescued 0\n")
			})
			d.finish(t)
			if n := playsIn(t); n != 30 {
				t.Errorf("%d plays, want 30", n)
			}
		})
	}
}

// TestJournalRemovedBeforeStop: what is recorded is kept also if the daemon is stopped before
// it has noticed.
func TestJournalRemovedBeforeStop(t *testing.T) {
	simulate(t, clock.Clock{}, nil)
	dir := os.Getenv("DATA_DIR")
	layKilled(t, dir, 30)
	d := startDaemon(t, clock.Clock{})
	removeJournal(t, dir, "", "-wal", "-shm")
	d.stop()
	d.fails(t)
	if n := playsIn(t); n != 30 {
		t.Errorf("%d plays, want 30", n)
	}
}

// TestJournalReplacedUnderRun: what was recorded is beside the other journal, which is left
// as it is.
func TestJournalReplacedUnderRun(t *testing.T) {
	d, dir := startGuarded(t, 30)
	other := t.TempDir()
	layKilled(t, other, 2)
	j, err := journal.Open(t.Context(), filepath.Join(other, "journal.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil { // without a log
		t.Fatal(err)
	}
	if err := os.Rename(j.Path(), filepath.Join(dir, "journal.db")); err != nil {
		t.Fatal(err)
	}
	log := d.fails(t)
	copies, err := filepath.Glob(filepath.Join(dir, "journal.db.rescued-*"))
	if err != nil || len(copies) != 1 || !strings.Contains(log, copies[0]) {
		t.Fatalf("copies: %q, %v; it says:\n%s", copies, err, log)
	}
	if n := playsIn(t); n != 2 {
		t.Errorf("%d plays in the journal that was put there, want 2", n)
	}
	away := t.TempDir()
	if err := os.Rename(copies[0], filepath.Join(away, "journal.db")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DATA_DIR", away)
	if n := playsIn(t); n != 30 {
		t.Errorf("%d plays in the copy, want 30", n)
	}
}

// TestJournalThatCannotBeRescued: while there is no place for what the journal holds, the
// daemon goes on, and says so. As soon as there is one nothing is lost.
func TestJournalThatCannotBeRescued(t *testing.T) {
	d, dir := startGuarded(t, 30)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the metrics tell it", func() bool {
		return strings.Contains(get(t, d.URL+"/metrics"), "\nspotify_journal_in_place 0\n")
	})
	if page := get(t, d.URL+"/"); !strings.Contains(page, "its files are gone") {
		t.Errorf("the status page:\n%s", page)
	}
	if len(d.end) > 0 {
		t.Fatal("it has ended: what it holds is lost")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	log := d.fails(t)
	if told := logged(t, onlyJSON(log), "the files of the journal"); len(told) != 1 || !strings.Contains(told[0]["err"].(string), "do not stop this program") {
		t.Errorf("it says: %v", told)
	}
	if n := playsIn(t); n != 30 {
		t.Errorf("%d plays, want 30", n)
	}
}

// onlyJSON leaves out the lines for people, at the end of a log.
func onlyJSON(log string) string {
	var kept strings.Builder
	for line := range strings.Lines(log) {
		if strings.HasPrefix(line, "{") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// TestLockRemovedUnderRun: a second run does not start for longer than a minute.
func TestLockRemovedUnderRun(t *testing.T) {
	d, dir := startGuarded(t, 1)
	removeJournal(t, dir, ".lock")
	eventually(t, 10*time.Second, "the lock is held again", func() bool {
		return len(logged(t, d.errs.String(), "the lock of the journal was removed or replaced, and is held again")) == 1
	})
	t.Setenv("WEB_LISTEN_ADDRESS", "127.0.0.1:0")
	if _, errs := command(t, exitFailed, "run"); !strings.Contains(errs, "another spotify-exporter is using this journal") {
		t.Errorf("a second run says: %s", errs)
	}
	d.finish(t)
}

// TestDestroyedPageUnderRun writes over a page in the middle of a journal that has enough of them:
// metrics, status page, log and check say it.
func TestDestroyedPageUnderRun(t *testing.T) {
	simulate(t, clock.Clock{}, nil)
	dir := os.Getenv("DATA_DIR")
	layKilled(t, dir, 30)
	path := filepath.Join(dir, "journal.db")
	j, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err == nil {
		_, err = file.WriteAt([]byte(strings.Repeat("damage!!", 512)), info.Size()-4096)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, clock.Clock{})
	eventually(t, 10*time.Second, "the damage is found", func() bool {
		return strings.Contains(get(t, d.URL+"/metrics"), "\nspotify_journal_intact 0\n")
	})
	if page := get(t, d.URL+"/"); !strings.Contains(page, "damaged") || !strings.Contains(page, "SpotifyJournalDamaged") {
		t.Errorf("the status page:\n%s", page)
	}
	if n := len(logged(t, d.errs.String(), "the journal is damaged; it goes on as well as it can")); n != 1 {
		t.Errorf("logged %d times: %s", n, d.errs.String())
	}
	if out, _ := command(t, exitFailed, "check"); !strings.Contains(out, "failed   journal: journal "+path+": not a readable journal: it is damaged") {
		t.Errorf("check:\n%s", out)
	}
	d.finish(t)
}
