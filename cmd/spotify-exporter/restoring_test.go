package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// layKilled leaves in dir what a daemon leaves that was killed: a journal whose plays are in its log.
func layKilled(t *testing.T, dir string, plays int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := journal.Open(t.Context(), path, journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for i := range plays {
		report := journal.Report{
			Witness: journal.ExtendedHistory, EndedAt: time.Date(2026, 3, 1, 20, i, 0, 0, time.UTC), MSPlayed: 50_000,
			Item: journal.Item{Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", i), Name: fmt.Sprint("Song ", i), Artists: []journal.Artist{{Name: "Artist"}}},
		}
		if _, err := j.Record(t.Context(), "me", journal.Witnessed{Reports: []journal.Report{report}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "journal.db"+suffix), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// playsIn counts the plays of the journal at DATA_DIR, or of one that was moved away from there.
func playsIn(t *testing.T) int {
	t.Helper()
	out, _ := command(t, exitDone, "plays", "--format", "jsonl", "--limit", "100")
	return strings.Count(out, "\n")
}

// expectMovedAway looks into the journal that a restore has moved away: it has its log, or what was in that.
func expectMovedAway(t *testing.T, dir string, want int) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "journal.db.2*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no journal was moved away (%v)", err)
	}
	aside := t.TempDir()
	for _, path := range all {
		suffix := path[len(filepath.Join(dir, "journal.db.20060102T150405")):]
		if err := os.Rename(path, filepath.Join(aside, "journal.db"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("DATA_DIR", aside)
	if got := playsIn(t); got != want {
		t.Errorf("the journal that was moved away has %d plays, want %d", got, want)
	}
	t.Setenv("DATA_DIR", dir)
}

// backupOf returns a backup of a journal with so many plays.
func backupOf(t *testing.T, plays int) string {
	t.Helper()
	before := os.Getenv("DATA_DIR")
	t.Setenv("DATA_DIR", t.TempDir())
	layKilled(t, os.Getenv("DATA_DIR"), plays)
	file := filepath.Join(t.TempDir(), "spotify.tar")
	command(t, exitDone, "backup", file)
	t.Setenv("DATA_DIR", before)
	return file
}

// breakOff does the first steps of restore --move-away, and no more.
func breakOff(t *testing.T, file string, steps []string) {
	t.Helper()
	c, err := loadConfig(anyConfig)
	if err != nil {
		t.Fatal(err)
	}
	path, aside := c.journalPath(), c.journalPath()+".20260401T120000"
	dir, err := os.MkdirTemp(c.DataDir, restoreLeft)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		word, suffix, _ := strings.Cut(step, " ")
		switch word {
		case "unpack":
			in, openErr := os.Open(file)
			if openErr != nil {
				t.Fatal(openErr)
			}
			_, err = unpack(in, dir)
			in.Close()
		case "commit":
			err = c.commit(dir, aside)
		case "link":
			err = os.Link(path+suffix, aside+suffix)
		case "remove":
			err = os.Remove(path + suffix)
		case "rename":
			err = os.Rename(filepath.Join(c.DataDir, restoreFolder, backupJournal), path)
		case "forget":
			err = os.Remove(filepath.Join(c.DataDir, restoreFolder, restoreAside))
		}
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
}

// TestRestoreKilled kills restore --move-away after a while that grows, until it is through.
func TestRestoreKilled(t *testing.T) {
	setEnvironment(t, nil)
	file := backupOf(t, 1)
	for wait, through := time.Millisecond, false; !through; wait += wait / 3 {
		dir := t.TempDir()
		t.Setenv("DATA_DIR", dir)
		layKilled(t, dir, 3)
		cmd := exec.CommandContext(t.Context(), os.Args[0], "restore", "--move-away", file)
		cmd.Env = append(os.Environ(), childClock+"=0 0 1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(wait, func() { _ = cmd.Process.Kill() }) // which may have ended
		through = cmd.Wait() == nil
		switch got := playsIn(t); {
		case got == 1:
			expectMovedAway(t, dir, 3)
			onlyThese(t, dir, "journal.db", "journal.db.lock")
		case got != 3 || through:
			t.Errorf("killed after %v: %d plays, want 3 or 1; it was through: %v", wait, got, through)
		}
	}
}

// TestRestoreBrokenOff leaves everything as a kill between any two steps of restore --move-away leaves it. The next
// command finds the one journal or the other, whole.
func TestRestoreBrokenOff(t *testing.T) {
	setEnvironment(t, nil)
	file := backupOf(t, 1)
	for name, c := range map[string]struct {
		steps []string
		want  int
	}{
		"nothing is unpacked":         {nil, 3},
		"it is unpacked":              {[]string{"unpack"}, 3},
		"it is decided":               {[]string{"unpack", "commit"}, 1},
		"the log has a second name":   {[]string{"unpack", "commit", "link -wal"}, 1},
		"so has the journal":          {[]string{"unpack", "commit", "link -wal", "link "}, 1},
		"the log is gone":             {[]string{"unpack", "commit", "link -wal", "link ", "remove -wal"}, 1},
		"the journal is in its place": {[]string{"unpack", "commit", "link -wal", "link ", "remove -wal", "rename"}, 1},
		"all of it is half removed":   {[]string{"unpack", "commit", "link -wal", "link ", "remove -wal", "rename", "forget"}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("DATA_DIR", dir)
			layKilled(t, dir, 3)
			breakOff(t, file, c.steps)
			if got := playsIn(t); got != c.want {
				t.Errorf("%d plays, want %d", got, c.want)
			}
			if c.want == 1 {
				expectMovedAway(t, dir, 3)
				onlyThese(t, dir, "journal.db", "journal.db.lock")
				return
			}
			command(t, exitDone, "restore", "--move-away", file)
			if got := playsIn(t); got != 1 {
				t.Errorf("%d plays after another restore, want 1", got)
			}
			expectMovedAway(t, dir, 3)
			onlyThese(t, dir, "journal.db", "journal.db.lock")
		})
	}
}
