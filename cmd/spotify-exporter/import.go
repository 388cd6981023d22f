package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/collector/spotify"
)

type importCommand struct {
	Files   []string `arg:"" optional:"" name:"file" help:"The zip as Spotify sends it, a folder, a JSON file, or - for standard input."`
	Account string   `placeholder:"NAME" help:"Whose history it is; needed if there are several accounts."`
	DryRun  bool     `help:"Tell what would happen, and write nothing."`
	Force   bool     `help:"Import even what looks like another person's history."`
	Wait    *bool    `negatable:"" help:"Wait until InfluxDB has the plays, and send them if no daemon runs; the default on a terminal."`
	JSON    bool     `name:"json" help:"Print the balance sheet as one object, the last line; of --list one object a line."`
	List    bool     `help:"List imports."`
	Undo    int64    `placeholder:"BATCH" help:"Take an import back, by its number."`
}

// Run imports Spotify's privacy exports, or shows or takes back what was imported.
// It works beside a daemon.
func (c *importCommand) Run(ctx context.Context, p *program) error {
	config, configErr := loadConfig(anyConfig)
	if err := errors.Join(c.check(), configErr); err != nil {
		return usageError{err}
	}
	switch {
	case c.List:
		return c.list(ctx, p, &config)
	case c.Undo != 0:
		return c.undo(ctx, p, &config)
	}
	return c.add(ctx, p, &config)
}

// check finds what makes no sense together.
func (c *importCommand) check() error {
	ways := 0
	for _, given := range []bool{len(c.Files) > 0, c.List, c.Undo != 0} {
		if given {
			ways++
		}
	}
	stdin := 0
	for _, path := range c.Files {
		if path == "-" {
			stdin++
		}
	}
	switch {
	case ways != 1:
		return errors.New("import: give files, --list or --undo BATCH")
	case len(c.Files) == 0 && (c.DryRun || c.Force || c.Account != ""):
		return errors.New("import: --account, --dry-run and --force are for files")
	case stdin > 1:
		return errors.New("import: standard input can be read once only")
	case c.Account != "":
		if err := spotify.CheckAlias(c.Account); err != nil {
			return fmt.Errorf("--account: %w", err)
		}
	}
	return nil
}

// add imports the files.
func (c *importCommand) add(ctx context.Context, p *program, config *config) (err error) {
	export, err := c.open(ctx, p, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, export.Close()) }()

	j, done, err := c.openJournal(ctx, p, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	account, err := c.chooseAccount(ctx, j, config)
	if err != nil {
		return err
	}
	i := &importing{
		export:   export,
		journal:  j,
		account:  account,
		source:   sourceName(c.Files),
		pace:     pace{rows: firstPortion},
		balance:  newBalance(export.Files()),
		coverage: newCoverage(export.Files()),
	}
	for _, odd := range export.LeftOut() {
		i.balance.LeftOut = append(i.balance.LeftOut, odd.Error())
	}
	if !c.Force {
		if err := i.checkPerson(ctx); err != nil {
			return err
		}
	}
	if !c.DryRun {
		p.prepareInflux(ctx, config, j)
	}
	var size int64
	for _, file := range i.balance.files {
		size += file.Size
	}
	i.progress = newProgress(p.stderr, "rows", size)
	err = i.run(ctx)
	i.progress.end()
	if err != nil {
		return err
	}
	if err := c.report(p, config, i); err != nil {
		return err
	}
	if c.DryRun || !c.waits(p, config) {
		return nil
	}
	return p.deliver(ctx, config, j)
}

// open opens the files. Standard input is kept in the data directory meanwhile, in a file that has lost its name when
// this returns.
func (c *importCommand) open(ctx context.Context, p *program, config *config) (*history.Export, error) {
	var options history.Options
	if !slices.Contains(c.Files, "-") {
		return history.Open(ctx, c.Files, p.stdin, options)
	}
	dir, remove, err := config.spool()
	if err != nil {
		return nil, err
	}
	options.TempDir = dir
	export, err := history.Open(ctx, c.Files, p.stdin, options)
	return export, errors.Join(err, remove())
}

// openJournal opens the journal that is imported into, and makes it if there is
// none. For a dry run it is a copy, in the data directory, that is gone when done is
// called.
func (c *importCommand) openJournal(ctx context.Context, p *program, config *config) (j *journal.Journal, done func() error, err error) {
	if !c.DryRun {
		if err := config.makeDataDir(); err != nil {
			return nil, nil, err
		}
		if j, err = config.openJournal(ctx, p.clock); err != nil {
			return nil, nil, err
		}
		return j, j.Close, nil
	}
	if _, err := os.Stat(config.DataDir); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(p.stderr, "DATA_DIR: %s is not there yet, so there is no journal to compare with.\n", config.DataDir)
	}
	dir, remove, err := config.spool()
	if err != nil {
		return nil, nil, err
	}
	if j, err = p.copiedJournal(ctx, config, dir); err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return j, func() error { return errors.Join(j.Close(), remove()) }, nil
}

// copiedJournal opens a copy of the journal in dir, or an empty one if there is
// none yet.
func (p *program) copiedJournal(ctx context.Context, c *config, dir string) (*journal.Journal, error) {
	original, err := p.existingJournal(ctx, c)
	if err == nil {
		err = errors.Join(original.Copy(ctx, filepath.Join(dir, filepath.Base(c.journalPath()))), original.Close())
	}
	if err != nil && !errors.Is(err, errNoJournal) {
		return nil, err
	}
	elsewhere := *c
	elsewhere.DataDir = dir
	return elsewhere.openJournal(ctx, p.clock)
}

// chooseAccount returns whose history it is: the only account that there is, or
// "me" if there is none.
func (c *importCommand) chooseAccount(ctx context.Context, j *journal.Journal, config *config) (string, error) {
	if c.Account != "" {
		return c.Account, nil
	}
	accounts := config.Accounts
	if len(accounts) == 0 {
		recorded, err := j.Accounts(ctx)
		if err != nil {
			return "", err
		}
		loggedIn, err := config.tokens().Aliases()
		if err != nil && len(loggedIn) == 0 {
			return "", err
		}
		accounts = slices.Concat(recorded, loggedIn)
		slices.Sort(accounts)
		accounts = slices.Compact(accounts)
	}
	switch len(accounts) {
	case 0:
		return "me", nil
	case 1:
		return accounts[0], nil
	}
	return "", usageError{fmt.Errorf("--account: needed, to say whose history it is: %s", strings.Join(accounts, ", "))}
}

// report prints the balance sheet. Its error is what is wrong with the import.
func (c *importCommand) report(p *program, config *config, i *importing) error {
	out := p.stdout
	if c.JSON {
		out = p.stderr
	}
	if c.DryRun {
		i.balance.Batch = nil
		fmt.Fprintf(out, "Nothing is written (--dry-run). This is what an import into account %q would do.\n\n", i.account)
	} else if i.batch != 0 {
		fmt.Fprintf(out, "Import %d, into account %q\n\n", i.batch, i.account)
	}
	err := i.balance.print(out, config.Zones.of(i.account), config.RecordPrivate)
	if c.JSON && err == nil {
		err = json.NewEncoder(p.stdout).Encode(i.balance)
	}
	if err != nil {
		return fmt.Errorf("print balance sheet: %w", err)
	}
	problems := i.broken
	if len(problems) > 0 && !c.DryRun {
		problems = append(problems, fmt.Errorf("the import is not complete: %s", i.goOn()))
	}
	for _, odd := range i.export.LeftOut() {
		problems = append(problems, fmt.Errorf("%w; this file is left out", odd))
	}
	if err := i.balance.check(); err != nil {
		problems = append(problems, err)
	}
	if i.balance.Rows > 0 && i.balance.notStored() == i.balance.Rows {
		problems = append(problems, errors.New("no row could be stored: this is no history as Spotify makes it"))
	}
	return errors.Join(problems...)
}

// list shows all imports.
func (c *importCommand) list(ctx context.Context, p *program, config *config) error {
	j, err := p.existingJournal(ctx, config)
	if errors.Is(err, errNoJournal) {
		return nil
	}
	if err != nil {
		return err
	}
	defer j.Close()
	batches, err := j.Batches(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(p.stdout)
		for i := range batches {
			if err := encoder.Encode(newBatchRecord(&batches[i])); err != nil {
				return fmt.Errorf("print imports: %w", err)
			}
		}
		return nil
	}
	if len(batches) == 0 {
		fmt.Fprintln(p.stderr, "No imports.")
		return nil
	}
	table := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, strings.Join([]string{"IMPORT", "ACCOUNT", "STARTED", "REPORTS", "STATE", "FILES"}, "\t"))
	printBatches(table, batches, config.Zones.of)
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print imports: %w", err)
	}
	return nil
}

// undo takes an import back.
func (c *importCommand) undo(ctx context.Context, p *program, config *config) error {
	j, err := p.existingJournal(ctx, config)
	if err != nil {
		return err
	}
	defer j.Close()
	batches, err := j.Batches(ctx)
	if err != nil {
		return err
	}
	var reports int64
	for _, batch := range batches {
		if batch.ID == c.Undo {
			reports = batch.Reports
		}
	}
	shared, err := j.Shared(ctx, c.Undo)
	if err != nil {
		return err
	}
	pace := pace{rows: firstPortion}
	progress := newProgress(p.stderr, "reports", reports)
	err = j.UndoBatch(ctx, c.Undo, func(done int64, held time.Duration) int {
		progress.set(done, int(done))
		return pace.next(ctx, j, held)
	})
	progress.end()
	switch {
	case errors.Is(err, journal.ErrNoBatch):
		return fmt.Errorf("--undo: %w: see import --list", err)
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted: import %d is taken back in part; the same command goes on", c.Undo)
	case err != nil:
		return err
	}
	fmt.Fprintf(p.stderr, "Import %d is taken back; the plays are as they were without it.\n", c.Undo)
	for _, keeper := range slices.Sorted(maps.Keys(shared)) {
		fmt.Fprintf(p.stderr, "%s of its plays stay, since import %d has brought them as well; import --undo %d takes that one back.\n", humanize.Comma(shared[keeper]), keeper, keeper)
	}
	if !c.waits(p, config) {
		return nil
	}
	return p.deliver(ctx, config, j)
}

// waits tells whether to wait until InfluxDB has everything.
func (c *importCommand) waits(p *program, config *config) bool {
	if config.InfluxURL == "" {
		return false
	}
	if c.Wait != nil {
		return *c.Wait
	}
	return isTerminal(p.stderr)
}
