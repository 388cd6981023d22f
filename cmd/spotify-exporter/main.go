// Command spotify-exporter records every listen of Spotify accounts in a journal
// and InfluxDB, and tells Prometheus what plays and how the recording fares.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong configuration or command line
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// program is this command line program as a value, so that tests run it in their
// own process. What it is configured with is in the environment: envconfig reads
// no other.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	clock          clock.Clock // of everything but demo, which has its own; tests let it run faster
}

// commands is the command line. Each command is a file of its own.
type commands struct {
	Run      runCommand      `cmd:"" default:"1" help:"Record what is listened to, until stopped (default)."`
	Login    loginCommand    `cmd:"" help:"Give this program leave to see what an account plays."`
	Check    checkCommand    `cmd:"" help:"Test whether run would work, part by part, and say what to do."`
	Import   importCommand   `cmd:"" help:"Import Spotify's privacy exports, of years in seconds."`
	Plays    playsCommand    `cmd:"" help:"Print recorded plays."`
	Explain  explainCommand  `cmd:"" help:"Tell why a play is recorded as it is."`
	Gaps     gapsCommand     `cmd:"" help:"List holes in the history."`
	Replay   replayCommand   `cmd:"" help:"Send plays to InfluxDB again."`
	Snapshot snapshotCommand `cmd:"" help:"Publish the public board as a snapshot, with a link that stays."`
	Setup    setupCommand    `cmd:"" help:"Prepare InfluxDB, and tokens for it and Grafana that may do what they must and no more."`
	Backup   backupCommand   `cmd:"" help:"Write a consistent copy of the journal to a file, beside run."`
	Restore  restoreCommand  `cmd:"" help:"Make a backup the journal, where there is none."`
	Demo     demoCommand     `cmd:"" help:"Show all of it at work, with a simulated Spotify; needs nothing."`
	Health   healthCommand   `cmd:"" help:"Ask the running exporter on this machine whether it serves, for containers."`
	Version  versionCommand  `cmd:"" help:"Print which version this is."`
}

// run is main with everything given.
func (p *program) run(ctx context.Context, args []string) (exit int) {
	helped := false
	parser, err := kong.New(&commands{},
		kong.Name("spotify-exporter"),
		kong.Description("Records every listen of Spotify accounts, for InfluxDB, Prometheus and Grafana. "+
			"It is configured by environment variables, see .env.example."),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p))
	if err != nil {
		panic(err) // the tags of commands are wrong
	}
	selected, err := parser.Parse(args)
	switch {
	case helped:
		return exitDone
	case err != nil:
		fmt.Fprintf(p.stderr, "spotify-exporter: %v; see spotify-exporter --help\n", err)
		return exitUsage
	}
	err = selected.Run()
	if err == nil {
		return exitDone
	}
	for _, line := range joined(err) {
		fmt.Fprintf(p.stderr, "spotify-exporter: %v\n", line)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// usageError is an error of the configuration or the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// joined returns the errors that err was joined of, or err alone: each gets a
// line of its own.
func joined(err error) []error {
	if usage, ok := err.(usageError); ok {
		err = usage.err
	}
	list, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var lines []error
	for _, err := range list.Unwrap() {
		lines = append(lines, joined(err)...)
	}
	return lines
}

// newLogger returns a logger that writes to stderr as configured. Durations are
// "1m30s" in JSON too, and not 90000000000.
func (p *program) newLogger(level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Value.Kind() == slog.KindDuration {
			a.Value = slog.StringValue(a.Value.Duration().String())
		}
		return a
	}}
	if format == "json" || format == "" && !isTerminal(p.stderr) {
		return slog.New(slog.NewJSONHandler(p.stderr, options))
	}
	return slog.New(slog.NewTextHandler(p.stderr, options))
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
