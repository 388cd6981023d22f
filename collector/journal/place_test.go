package journal_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// TestFilesOfAnOpenJournal removes and replaces each file of a journal that is in use.
// What was recorded is in the copy then, before and after, and all of it.
func TestFilesOfAnOpenJournal(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(t *testing.T, path string)
		want error
	}{
		"nothing":            {func(*testing.T, string) {}, nil},
		"journal removed":    {func(t *testing.T, path string) { remove(t, path) }, journal.ErrRemoved},
		"everything removed": {func(t *testing.T, path string) { remove(t, path, path+"-wal", path+"-shm", path+".lock") }, journal.ErrRemoved},
		"folder removed":     {func(t *testing.T, path string) { removeAll(t, filepath.Dir(path)) }, journal.ErrRemoved},
		"folder now a file": {func(t *testing.T, path string) {
			removeAll(t, filepath.Dir(path))
			overwriteWith(t, filepath.Dir(path), "x")
		}, journal.ErrRemoved},
		"log removed":         {func(t *testing.T, path string) { remove(t, path+"-wal") }, journal.ErrReplaced},
		"index removed":       {func(t *testing.T, path string) { remove(t, path+"-shm") }, journal.ErrReplaced},
		"another journal":     {func(t *testing.T, path string) { rename(t, copied(t), path) }, journal.ErrReplaced},
		"the same, copied":    {func(t *testing.T, path string) { recopy(t, path) }, journal.ErrReplaced},
		"another log":         {func(t *testing.T, path string) { recopy(t, path+"-wal") }, journal.ErrReplaced},
		"something else":      {func(t *testing.T, path string) { remove(t, path); overwriteWith(t, path, "words") }, journal.ErrReplaced},
		"a folder":            {func(t *testing.T, path string) { remove(t, path); mkdir(t, path) }, journal.ErrReplaced},
		"moved away and back": {func(t *testing.T, path string) { rename(t, path, path+".away"); rename(t, path+".away", path) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data", "journal.db")
			mkdir(t, filepath.Dir(path))
			j, err := journal.Open(t.Context(), path, journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			closing := sync.OnceValue(j.Close)
			defer closing()
			if err := j.Lock(); err != nil {
				t.Fatal(err)
			}
			record(t, j, numbered(1))
			if err := j.InPlace(); err != nil {
				t.Fatalf("before: %v", err)
			}
			test.harm(t, path)
			record(t, j, numbered(2), numbered(3))
			if err := j.InPlace(); !errors.Is(err, test.want) {
				t.Errorf("in place: %v, want %v", err, test.want)
			}
			rescued := filepath.Join(t.TempDir(), "rescued.db")
			if err := j.Rescue(t.Context(), rescued); err != nil {
				t.Fatal(err)
			}
			// Nothing is recorded that the copy would not have.
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if _, err := j.Record(ctx, "me", journal.Witnessed{Reports: []journal.Report{numbered(4)}}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("recorded after the copy was made: %v", err)
			}
			if err := closing(); err != nil {
				t.Errorf("close: %v", err)
			}
			rescuedJournal, err := journal.Open(t.Context(), rescued, journal.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer rescuedJournal.Close()
			if n := len(plays(t, rescuedJournal)); n != 3 {
				t.Errorf("%d plays in the copy, want 3", n)
			}
		})
	}
}

// TestRescueSparesTheOtherJournal: the log of a journal in use that was replaced is not
// left to the one in its place, which it would damage.
func TestRescueSparesTheOtherJournal(t *testing.T) {
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	closing := sync.OnceValue(j.Close)
	defer closing()
	for n := range 50 {
		record(t, j, numbered(n))
	}
	rename(t, copied(t), j.Path())
	if err := errors.Join(j.Rescue(t.Context(), filepath.Join(t.TempDir(), "rescued.db")), closing()); err != nil {
		t.Fatal(err)
	}
	other, err := journal.Open(t.Context(), j.Path(), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Integrity(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(plays(t, other)); n != 2 {
		t.Errorf("%d plays in the journal that was put there, want 2", n)
	}
}

// TestRescueThatFails: without room for the copy, recording goes on.
func TestRescueThatFails(t *testing.T) {
	j := open(t, journal.Options{})
	if err := j.Rescue(t.Context(), filepath.Join(t.TempDir(), "missing", "copy.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	record(t, j, numbered(1))
}

// TestLockIsKept removes and replaces the lock of a journal in use: it is taken again,
// unless somebody else was faster.
func TestLockIsKept(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, lock string){
		"removed":  func(t *testing.T, lock string) { remove(t, lock) },
		"replaced": func(t *testing.T, lock string) { remove(t, lock); overwriteWith(t, lock, "1") },
	} {
		t.Run(name, func(t *testing.T) {
			j := open(t, journal.Options{})
			if err := j.Lock(); err != nil {
				t.Fatal(err)
			}
			if again, err := j.KeepLock(); again || err != nil {
				t.Errorf("taken again: %v, %v; it was never away", again, err)
			}
			harm(t, j.Path()+".lock")
			if again, err := j.KeepLock(); !again || err != nil {
				t.Errorf("taken again: %v, %v", again, err)
			}
			if _, err := journal.Hold(j.Path()); !errors.Is(err, journal.ErrLocked) {
				t.Errorf("another one: %v, want %v", err, journal.ErrLocked)
			}
			harm(t, j.Path()+".lock")
			other, err := journal.Hold(j.Path())
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if _, err := j.KeepLock(); !errors.Is(err, journal.ErrLocked) {
				t.Errorf("taken again: %v, want %v", err, journal.ErrLocked)
			}
		})
	}
}

// TestLockOfAReplacedJournal: a restore has put another journal in its place between Open
// and Lock.
func TestLockOfAReplacedJournal(t *testing.T) {
	from := copied(t)
	j := open(t, journal.Options{})
	if err := restore(t, from, j.Path(), j.Path()+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := j.Lock(); !errors.Is(err, journal.ErrReplaced) {
		t.Errorf("locked: %v, want %v", err, journal.ErrReplaced)
	}
	if held, err := journal.Hold(j.Path()); err != nil {
		t.Errorf("the lock is still held: %v", err)
	} else {
		held.Close()
	}
}

// TestNoJournalBesideARemovedOne: what opens a journal makes none while a process has one
// open whose file was removed.
func TestNoJournalBesideARemovedOne(t *testing.T) {
	j := open(t, journal.Options{})
	if err := j.Lock(); err != nil {
		t.Fatal(err)
	}
	remove(t, j.Path(), j.Path()+"-wal", j.Path()+"-shm")
	if _, err := journal.Open(t.Context(), j.Path(), journal.Options{}); !errors.Is(err, journal.ErrLostJournal) {
		t.Errorf("error %v, want %v", err, journal.ErrLostJournal)
	}
	if _, err := os.Lstat(j.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a new one: %v", err)
	}
}

// TestDestroyedPage writes over each page of a journal in turn but the first, as a failing
// disk does. A look at all of it says so.
func TestDestroyedPage(t *testing.T) {
	from := copied(t)
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	const size = 4096
	found := 0
	for at := size; at < len(content); at += size {
		path := filepath.Join(t.TempDir(), "journal.db")
		j, err := openCopy(t, path, content)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Integrity(t.Context()); err != nil {
			t.Fatalf("a sound one: %v", err)
		}
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range size {
			content[at+i] ^= 0x55
		}
		_, err = file.WriteAt(content[at:at+size], int64(at))
		for i := range size {
			content[at+i] ^= 0x55
		}
		if err := errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		if err := j.Integrity(t.Context()); !errors.Is(err, journal.ErrNotAJournal) {
			t.Errorf("page %d destroyed: %v", at/size+1, err)
		}
		found++
		j.Close()
	}
	if found < 10 {
		t.Errorf("only %d pages", found)
	}
	j := open(t, journal.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := j.Integrity(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, journal.ErrNotAJournal) {
		t.Errorf("broken off: %v", err)
	}
}

func openCopy(t *testing.T, path string, content []byte) (*journal.Journal, error) {
	t.Helper()
	overwriteWith(t, path, string(content))
	return journal.Open(t.Context(), path, journal.Options{})
}

func remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// recopy puts a copy of a file in its place.
func recopy(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	overwriteWith(t, path+".copy", string(content))
	rename(t, path+".copy", path)
}
