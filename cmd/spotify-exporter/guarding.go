package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/prom"
)

const (
	placeLook      = time.Minute      // how often it is looked whether the journal's files are in their place
	placeLookAgain = 5 * time.Second  // before it counts that they are not: somebody may be moving them
	integrityLook  = 24 * time.Hour   // how often the whole journal is read
	integrityTime  = 10 * time.Minute // and how long that may take
)

// guard looks after the files of a journal that a daemon has open.
type guard struct {
	config  *config
	journal *journal.Journal
	clock   clock.Clock
	log     *slog.Logger

	mu      sync.Mutex
	state   prom.JournalFiles
	trouble string // what was logged last
	rescued bool
}

func newGuard(c *config, j *journal.Journal, clk clock.Clock, log *slog.Logger) *guard {
	return &guard{config: c, journal: j, clock: clk, log: log, state: prom.JournalFiles{InPlace: true, Rescued: len(c.rescued())}}
}

// State returns what is known of the files.
func (g *guard) State() prom.JournalFiles {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

func (g *guard) update(change func(*prom.JournalFiles)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	change(&g.state)
}

// watchPlace looks every minute whether the files of the journal are in their place, until ctx ends or they are not. Then
// what was recorded is kept, and the error says where. While it cannot be kept, everything goes on: to end would lose it.
func (g *guard) watchPlace(ctx context.Context) error {
	for {
		if err := g.lookAtPlace(ctx); err != nil {
			return err
		}
		if g.clock.Sleep(ctx, placeLook) != nil {
			return nil
		}
	}
}

func (g *guard) lookAtPlace(ctx context.Context) error {
	err := g.journal.InPlace()
	if err != nil && g.clock.Sleep(ctx, placeLookAgain) == nil {
		err = g.journal.InPlace()
	}
	if ctx.Err() != nil {
		return nil // see end
	}
	if isDisplaced(err) {
		kept, failed := g.rescue(ctx, err)
		if failed == nil {
			return fmt.Errorf("%w: %s", err, kept)
		}
		err = fmt.Errorf("%w, and what it holds could not be written anywhere else: %w: do not stop this program before that works, because what was recorded since its start may be lost then; it is tried again every minute", err, failed)
	}
	if err == nil {
		var again bool
		again, err = g.journal.KeepLock()
		switch {
		case again:
			g.log.Warn("the lock of the journal was removed or replaced, and is held again", "journal", g.journal.Path())
		case errors.Is(err, journal.ErrLocked):
			return fmt.Errorf("the lock of the journal was removed, and another run holds it now: %w", err)
		}
	}
	rescued := len(g.config.rescued())
	g.update(func(s *prom.JournalFiles) { s.InPlace, s.Rescued = !isDisplaced(err), rescued })
	g.tell(err)
	return nil
}

// tell logs what is wrong with the files, once, and that nothing is any more.
func (g *guard) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == g.trouble:
	case text != "":
		g.log.Error("the files of the journal", "err", text)
	default:
		g.log.Info("the files of the journal are in their place again")
	}
	g.trouble = text
}

// end is the last look, when nothing is recorded any more: what was removed or replaced within the last minute is kept as
// well.
func (g *guard) end() error {
	if g.rescued {
		return nil
	}
	err := g.journal.InPlace()
	if !isDisplaced(err) {
		return nil
	}
	kept, failed := g.rescue(context.Background(), err)
	if failed != nil {
		return fmt.Errorf("%w, and what it held could not be written anywhere else: %w", err, failed)
	}
	return fmt.Errorf("%w: %s", err, kept)
}

// isDisplaced reports whether an error of InPlace says that the files are not in their place.
func isDisplaced(err error) bool {
	return errors.Is(err, journal.ErrRemoved) || errors.Is(err, journal.ErrReplaced)
}

// rescue keeps what the journal holds, and tells where it is and what comes next. A journal that was removed takes its
// place again: whatever has removed it, nobody should lose years by it. One that was replaced is kept beside the other,
// which somebody may have wanted there.
func (g *guard) rescue(ctx context.Context, why error) (kept string, err error) {
	c := g.config
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return "", err
	}
	stamp := g.clock.Now().UTC().Format("20060102T150405")
	path := c.journalPath() + rescuedMark + stamp
	if errors.Is(why, journal.ErrReplaced) {
		err := g.journal.Rescue(ctx, path)
		g.rescued = err == nil
		return fmt.Sprintf("what it held is in %s, and the next start uses the files that are at its place; to go on with what it held instead, stop run and put that in the place of %s, without a file %[2]s-wal beside it",
			path, c.journalPath()), err
	}
	dir, err := os.MkdirTemp(c.DataDir, restoreLeft)
	if err != nil {
		return "", err
	}
	if err := g.journal.Rescue(ctx, filepath.Join(dir, backupJournal)); err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	g.rescued = true
	note := path + ".txt"
	text := fmt.Sprintf("%s was removed while spotify-exporter was running. It was written anew from what the program still had\nopen: nothing is lost. Find out what has removed it, and remove this file: the alert SpotifyJournalRescued ends then.\n", c.journalPath())
	if err := os.WriteFile(note, []byte(text), 0o600); err != nil {
		g.log.Warn("no note can be left", "err", err)
	}
	if err := c.commit(dir, c.journalPath()+"."+stamp); err != nil {
		return fmt.Sprintf("what it held is in %s: move it to %s before the next start (%v)", filepath.Join(dir, backupJournal), c.journalPath(), err), nil
	}
	return "what it held was kept, and takes its place at the next start; to begin anew instead, remove " + filepath.Join(c.DataDir, restoreFolder) + " before", nil
}

// rescuedMark is behind the name of a journal in that of a copy that was made because its files were removed or replaced,
// or of a note that they were.
const rescuedMark = ".rescued-"

// rescued returns the copies and notes of journals that were removed or replaced, which somebody should look at.
func (c *config) rescued() (paths []string) {
	entries, _ := os.ReadDir(c.DataDir) // a folder that cannot be read is told by whoever opens the journal in it
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), filepath.Base(c.journalPath())+rescuedMark) {
			paths = append(paths, filepath.Join(c.DataDir, entry.Name()))
		}
	}
	return paths
}

// watchIntegrity reads the whole journal every day, until ctx ends.
func (g *guard) watchIntegrity(ctx context.Context) {
	for {
		limited, cancel := context.WithTimeout(ctx, integrityTime)
		err := g.journal.Integrity(limited)
		cancel()
		damaged := errors.Is(err, journal.ErrNotAJournal)
		switch {
		case ctx.Err() != nil:
			return
		case damaged:
			g.log.Error("the journal is damaged; it goes on as well as it can", "err", err, "hint", "see SpotifyJournalDamaged in deploy/runbooks.md")
		case err != nil:
			g.log.Warn("it is not known whether the journal is damaged", "err", err)
		}
		if damaged || err == nil {
			g.update(func(s *prom.JournalFiles) { s.Intact, s.CheckedAt = new(!damaged), g.clock.Now() })
		}
		if g.clock.Sleep(ctx, integrityLook) != nil {
			return
		}
	}
}
