// Command spotify-exporter records every listen of Spotify accounts in a journal
// and InfluxDB, and tells Prometheus what plays and how the recording fares.
package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2  // wrong command line; a panic of Go ends with it too
	exitConfig = 78 // wrong configuration, EX_CONFIG of sysexits.h: another start does not put it right
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	context.AfterFunc(ctx, stop) // a second signal kills
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// stopSignals are the signals that end a command cleanly. SIGHUP, which comes when a
// terminal is closed, is one of them unless it is ignored, as under nohup. Nothing is
// reloaded: what is in the environment does not change while a process runs.
func stopSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
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
	Help     helpCommand     `cmd:"" help:"Show this help, or that of a command."`

	VersionFlag kong.VersionFlag `name:"version" help:"Print which version this is."`
}

// run is main with everything given.
func (p *program) run(ctx context.Context, args []string) (exit int) {
	answered := false // by the parser, to --help or --version
	parser, err := kong.New(&commands{},
		kong.Name("spotify-exporter"),
		kong.Description("Records every listen of Spotify accounts, for InfluxDB, Prometheus and Grafana. "+
			"It is configured by environment variables, see .env.example."),
		kong.Vars{"version": versionLine()},
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { answered = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p))
	if err != nil {
		panic(err) // the tags of commands are wrong
	}
	selected, err := parser.Parse(args)
	switch {
	case answered:
	case err != nil:
		err = usageError{inWords(err, parser, args)}
	default:
		err = selected.Run(parser)
	}
	if err == nil || answered {
		return exitDone
	}
	for _, line := range joined(err) {
		say(p.stderr, "spotify-exporter: %v", line)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[configError](err); ok {
		return exitConfig
	}
	return exitFailed
}

// inWords is an error of the parser, which takes an unknown command for an argument of
// the default one, with where to read more.
func inWords(err error, parser *kong.Kong, args []string) error {
	text := err.Error()
	isCommand := func(node *kong.Node) bool { return node.Name == args[0] }
	if len(args) > 0 && !slices.ContainsFunc(parser.Model.Children, isCommand) {
		text = strings.Replace(text, "unexpected argument", "unknown command", 1)
	}
	if strings.HasSuffix(text, "?") {
		return errors.New(text + " See spotify-exporter help")
	}
	return errors.New(text + "; see spotify-exporter help")
}

// usageError is an error of the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// configError is an error of the configuration: of the environment, or of what it
// names.
type configError struct{ err error }

func (e configError) Error() string { return e.err.Error() }
func (e configError) Unwrap() error { return e.err }

// joined returns the errors that err was joined of, or err alone: each gets a
// line of its own.
func joined(err error) []error {
	switch wrong := err.(type) {
	case usageError:
		err = wrong.err
	case configError:
		err = wrong.err
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

// readLine reads what somebody types, until ctx ends; "" if the input has ended. Then a
// goroutine is left behind that reads until the next line.
func (p *program) readLine(ctx context.Context) (string, error) {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(p.stdin).ReadString('\n')
		line <- text
	}()
	select {
	case text := <-line:
		return text, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
