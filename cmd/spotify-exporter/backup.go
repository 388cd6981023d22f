package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

type backupCommand struct {
	File      string `arg:"" help:"Where to, or - for standard output."`
	Tokens    bool   `help:"With the logins: who has the file can read what these accounts play."`
	Overwrite bool   `help:"Replace the file if it is there."`
}

// What is in a backup, which is a tar file: the journal, what makes the link of
// the snapshot stay the same if there is one, tokens/ALIAS.json if they are wanted,
// and last the checksums as sha256sum writes them.
const (
	backupJournal  = "journal.db"
	backupSnapshot = "snapshot.json" // of a grafana.Publisher
	backupTokens   = "tokens"
	backupSums     = "SHA256SUMS"
)

// Run writes the state of one moment, beside a daemon that goes on.
func (c *backupCommand) Run(ctx context.Context, p *program) error {
	config, err := loadConfig(anyConfig)
	if err != nil {
		return err
	}
	if c.File == "-" && isTerminal(p.stdout) {
		return usageError{errors.New("backup: standard output is a terminal; give the name of a file, or redirect it")}
	}
	j, err := p.existingJournal(ctx, &config)
	if err != nil {
		return err
	}
	defer j.Close()
	made := backup{at: p.clock.Now().Truncate(time.Second)} // as tar files tell it
	if made.names, err = c.names(&config); err != nil {
		return err
	}
	if c.File == "-" {
		err = made.toStream(ctx, j, &config, p.stdout)
	} else {
		err = made.toFile(ctx, j, &config, c.File, c.Overwrite)
	}
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	fmt.Fprintf(p.stderr, "The journal as of %s, %s%s.\n", made.at.In(config.Zones.of("")).Format(time.DateTime), humanize.IBytes(uint64(made.size)), with(made.names))
	return nil
}

// names returns what of DATA_DIR goes with the journal.
func (c *backupCommand) names(config *config) ([]string, error) {
	var names []string
	if _, err := os.Lstat(filepath.Join(config.DataDir, backupSnapshot)); err == nil {
		names = append(names, backupSnapshot)
	}
	if !c.Tokens {
		return names, nil
	}
	aliases, err := config.tokens().Aliases()
	for _, alias := range aliases {
		names = append(names, backupTokens+"/"+alias+".json")
	}
	return names, err
}

// with lists files behind a sentence.
func with(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return ", with " + strings.Join(names, ", ")
}

// backup is a backup that is being made.
type backup struct {
	at    time.Time
	names []string // files of DATA_DIR
	size  int64    // of all files so far

	tar  *tar.Writer
	sums strings.Builder
}

// toFile writes a backup that is at path whole, or not at all.
func (b *backup) toFile(ctx context.Context, j *journal.Journal, c *config, path string, overwrite bool) (err error) {
	free := func() error {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) || err == nil && overwrite {
			return nil
		} else if err != nil {
			return err
		}
		return fmt.Errorf("%s is there already: choose another name, or --overwrite", path)
	}
	if err := free(); err != nil {
		return err
	}
	dir, remove, err := spool(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	file, err := os.OpenFile(filepath.Join(dir, "backup.tar"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = b.write(ctx, j, c, dir, file)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := free(); err != nil { // the copy may have taken a while
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// toStream writes a backup to out. The copy of the journal waits in the data
// directory.
func (b *backup) toStream(ctx context.Context, j *journal.Journal, c *config, out io.Writer) (err error) {
	dir, remove, err := c.spool()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	return b.write(ctx, j, c, dir, out)
}

// write writes the tar file, by way of a copy of the journal in dir.
func (b *backup) write(ctx context.Context, j *journal.Journal, c *config, dir string, out io.Writer) error {
	journalCopy := filepath.Join(dir, backupJournal)
	if err := j.Copy(ctx, journalCopy); err != nil {
		return err
	}
	b.tar = tar.NewWriter(out)
	if err := b.add(backupJournal, journalCopy); err != nil {
		return err
	}
	for _, name := range b.names {
		if err := b.add(name, filepath.Join(c.DataDir, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	sums := b.sums.String()
	err := b.tar.WriteHeader(&tar.Header{Name: backupSums, Mode: 0o600, Size: int64(len(sums)), ModTime: b.at})
	if err == nil {
		_, err = io.WriteString(b.tar, sums)
	}
	return errors.Join(err, b.tar.Close())
}

// add adds a file. All have the time of the backup.
func (b *backup) add(name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := b.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: info.Size(), ModTime: b.at}); err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(b.tar, sum), file); err != nil {
		return err
	}
	b.size += info.Size()
	fmt.Fprintf(&b.sums, "%x  %s\n", sum.Sum(nil), name)
	return nil
}
