package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

type restoreCommand struct {
	File     string `arg:"" help:"What backup has written, or - for standard input."`
	MoveAway bool   `help:"Keep a journal that is there under another name, instead of refusing."`
}

// Run makes a backup the journal, where there is none and no daemon runs. Other
// files that are there stay: they are newer.
func (c *restoreCommand) Run(ctx context.Context, p *program) (err error) {
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	in, name := p.stdin, "standard input"
	if c.File != "-" {
		file, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("restore: %w", err)
		}
		defer file.Close()
		in, name = file, c.File
	}
	if err := config.makeDataDir(); err != nil {
		return err
	}
	if err := config.finishRestore(); err != nil {
		return err
	}
	held, err := journal.Hold(config.journalPath())
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, held.Close()) }()
	if err := config.removeLeft(); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	dir, err := os.MkdirTemp(config.DataDir, restoreLeft)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	from, err := unpack(in, dir)
	if err != nil {
		return fmt.Errorf("restore: %s: %w", name, err)
	}
	staged := filepath.Join(dir, backupJournal)
	if err := journal.CheckRestore(ctx, staged, config.journalPath(), c.MoveAway); err != nil {
		if errors.Is(err, journal.ErrExists) {
			err = fmt.Errorf("%w: --move-away keeps it under another name", err)
		}
		if errors.Is(err, journal.ErrNotAJournal) || errors.Is(err, journal.ErrNewer) {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return fmt.Errorf("restore: %w", err)
	}
	plays, err := config.prepare(ctx, p, staged, from.at)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	aside := config.journalPath() + "." + p.clock.Now().UTC().Format("20060102T150405")
	if err := config.commit(dir, aside); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	restored, kept, err := config.putInPlace()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(aside); err == nil {
		fmt.Fprintf(p.stderr, "The journal that was there is %s now.\n", aside)
	}
	at := from.at.In(config.Zones.of("")).Format(time.DateTime)
	fmt.Fprintf(p.stderr, "Restored: %s plays as of %s%s.\n", humanize.Comma(plays), at, with(restored))
	if len(kept) > 0 {
		fmt.Fprintf(p.stderr, "What was there already stays: %s\n", strings.Join(kept, ", "))
	}
	fmt.Fprintf(p.stderr, "InfluxDB is as it was. What it has of the time after %s is not in the journal; import brings it back.\n"+
		"To send everything to InfluxDB again: spotify-exporter replay. To have nothing else in it: spotify-exporter replay --rebuild.\n", at)
	return nil
}

// prepare counts what may have been asked of Spotify since the backup in a copy of the journal, and brings it up to
// date. It returns how many plays are in it.
func (c *config) prepare(ctx context.Context, p *program, path string, at time.Time) (plays int64, err error) {
	j, err := c.openJournalAt(ctx, path, p.clock)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.Close()) }() // which leaves no log
	if err := j.RepeatRequests(ctx, at); err != nil {
		return 0, err
	}
	state, err := j.State(ctx)
	return state.Plays, err
}

// unpacked is a backup whose files are in a folder, checked.
type unpacked struct {
	dir   string
	at    time.Time
	names []string // what there is beside the journal
}

// errNoBackup is the error of unpack for another kind of file.
var errNoBackup = errors.New("is no backup that spotify-exporter has written")

// unpack writes the files of a backup to dir, which is empty, and compares their
// checksums.
func unpack(in io.Reader, dir string) (unpacked, error) {
	from := unpacked{dir: dir}
	if err := os.Mkdir(filepath.Join(dir, backupTokens), 0o700); err != nil {
		return from, err
	}
	var found, listed strings.Builder
	complete := false
	for files := tar.NewReader(in); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, tar.ErrHeader) && found.Len() == 0 {
			return from, errNoBackup
		}
		if err != nil {
			return from, fmt.Errorf("is damaged: %w", err)
		}
		if header.Name == backupSums {
			complete = true
			if _, err := io.Copy(&listed, io.LimitReader(files, 1<<20)); err != nil {
				return from, fmt.Errorf("is damaged: %w", err)
			}
			continue
		}
		switch {
		case header.Name == backupJournal:
			from.at = header.ModTime
		case header.Name == backupSnapshot, isTokenFile(header.Name):
			from.names = append(from.names, header.Name)
		default:
			return from, fmt.Errorf("%w: %q is in it", errNoBackup, header.Name)
		}
		sum, err := extract(files, filepath.Join(dir, filepath.FromSlash(header.Name)))
		if err != nil {
			return from, err
		}
		fmt.Fprintf(&found, "%s  %s\n", sum, header.Name)
	}
	switch {
	case found.Len() == 0:
		return from, errNoBackup
	case !complete:
		return from, errors.New("is damaged: its end is missing")
	case found.String() != listed.String():
		return from, errors.New("is damaged: its content is not what its checksums say")
	case from.at.IsZero():
		return from, fmt.Errorf("%w: there is no journal in it", errNoBackup)
	}
	return from, nil
}

func isTokenFile(name string) bool {
	base, ok := strings.CutPrefix(name, backupTokens+"/")
	alias, isJSON := strings.CutSuffix(base, ".json")
	return ok && isJSON && spotify.CheckAlias(alias) == nil
}

// extract writes a file and returns its checksum. It is on the disk then.
func extract(in io.Reader, path string) (string, error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(file, sum), in)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("is damaged: %w", err)
	}
	if err == nil {
		err = file.Sync()
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), errors.Join(err, file.Close())
}
