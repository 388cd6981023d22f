package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
)

// childClock makes the test binary, started anew with it in its environment, the
// program itself, so that tests can kill it. Its value is a moment and what a
// fast clock shows then, both in ns since 1970, and the clock's speed.
const childClock = "SPOTIFY-EXPORTER-TEST-CLOCK"

func TestMain(m *testing.M) {
	value, isChild := os.LookupEnv(childClock)
	if !isChild {
		clearEnvironment()
		os.Exit(m.Run())
	}
	var moment, shown int64
	var speed float64
	if _, err := fmt.Sscan(value, &moment, &shown, &speed); err != nil {
		panic(err)
	}
	now := time.Now()
	elapsed := time.Duration(float64(now.Sub(time.Unix(0, moment))) * speed)
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	defer stop()
	p := &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, clock: clock.New(time.Unix(0, shown).Add(elapsed), speed)}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// clearEnvironment leaves the tests what they need to find programs, caches and each other. What else is set where they
// run would change what the program does: its configuration, the time zone, the language, the terminal.
func clearEnvironment() {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "CI", "IMPORT_ROWS", "IMPORT_HISTORY":
		default:
			if !strings.HasPrefix(name, "GO") && !strings.HasPrefix(name, "CGO_") && !strings.HasPrefix(name, "INFLUXD") &&
				!strings.HasPrefix(name, "INFLUXTEST_") && !strings.HasPrefix(name, "PROMTEST_") {
				os.Unsetenv(name)
			}
		}
	}
}

// setEnvironment makes vars all that this program is configured with, and a fresh
// DATA_DIR unless vars names one.
func setEnvironment(t testing.TB, vars map[string]string) {
	t.Helper()
	for field := range reflect.TypeFor[environment]().Fields() {
		t.Setenv(field.Tag.Get("envconfig"), "") // set to nothing is not set
	}
	t.Setenv("TZ", "UTC")
	t.Setenv("LC_ALL", "C.UTF-8")
	t.Setenv("DATA_DIR", t.TempDir())
	t.Setenv("WEB_LISTEN_ADDRESS", "127.0.0.1:0")
	for name, value := range vars {
		t.Setenv(name, value)
	}
}

// output is what a program has written so far.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// command runs the program in this process and expects an exit code.
func command(t *testing.T, exit int, args ...string) (stdout, stderr string) {
	t.Helper()
	return commandAt(t, clock.Clock{}, exit, args...)
}

func commandAt(t *testing.T, clk clock.Clock, exit int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs output
	p := &program{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, clock: clk}
	if got := p.run(t.Context(), args); got != exit {
		t.Errorf("%v: exit code %d, want %d\nstdout: %s\nstderr: %s", args, got, exit, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// eventually waits for a condition that other goroutines or processes bring about.
func eventually(t testing.TB, within time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func TestUsage(t *testing.T) {
	setEnvironment(t, nil)
	help, _ := command(t, exitDone, "--help")
	for field := range reflect.TypeFor[commands]().Fields() {
		_, isCommand := field.Tag.Lookup("cmd")
		if name := strings.ToLower(field.Name); isCommand && !strings.Contains(help, "\n  "+name) {
			t.Errorf("--help does not name %s:\n%s", name, help)
		}
	}
	if out, _ := command(t, exitDone, "help"); out != help {
		t.Errorf("help is not --help: %s", out)
	}
	for _, name := range []string{"plays", "explain", "run", "help"} { // explain needs an argument, run is the default
		of, _ := command(t, exitDone, name, "--help")
		if out, _ := command(t, exitDone, "help", name); out != of || !strings.Contains(of, "spotify-exporter "+name) {
			t.Errorf("%s --help and help %[1]s:\n%s\n%s", name, of, out)
		}
	}
	for _, args := range [][]string{{"playes"}, {"help", "playes"}, {"playes", "--limit", "3"}} {
		if _, errs := command(t, exitUsage, args...); !strings.Contains(errs, `unknown command playes, did you mean "plays"? See spotify-exporter help`) {
			t.Errorf("%v: %s", args, errs)
		}
	}
	for _, args := range [][]string{{"listen"}, {"plays", "--format", "xml"}, {"plays", "--limit", "-1"}, {"explain"}, {"demo", "--speed", "0"}, {"demo", "--for", "0s"}, {"gaps", "--accept", "x"}} {
		if out, errs := command(t, exitUsage, args...); out != "" || errs == "" {
			t.Errorf("%v: stdout %q, stderr %q", args, out, errs)
		}
	}
}

// TestLogForPeople has what every container logs: JSON, which people read all the same.
func TestLogForPeople(t *testing.T) {
	var errs output
	p := &program{stderr: &errs}
	p.newLogger(slog.LevelInfo, "json").Warn("not now", "retry_in", 90*time.Second)
	if !strings.Contains(errs.String(), `"retry_in":"1m30s"`) {
		t.Errorf("logged %s", errs.String())
	}
}

func TestVersion(t *testing.T) {
	out, _ := command(t, exitDone, "version")
	if !strings.HasPrefix(out, "spotify-exporter ") || !strings.Contains(out, "go1.") {
		t.Errorf("version: %q", out)
	}
	if flag, _ := command(t, exitDone, "--version"); flag != out {
		t.Errorf("--version: %q, version: %q", flag, out)
	}
}
