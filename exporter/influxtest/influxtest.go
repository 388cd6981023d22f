// Package influxtest gives tests a real InfluxDB: one influxd on loopback per test binary and a bucket per test.
//
// Shared is the server of the whole test binary, New one of a single test that stops or kills it. Both are gone,
// data and all, when the test or the binary ends, however it ends.
package influxtest

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Server is a running influxd with authentication on.
type Server struct {
	URL     string // http://127.0.0.1:PORT, the same after every restart
	Org     string // organization of all buckets; 1.8 has none and ignores the name
	Token   string // operator token, may do everything
	Version string // such as "2.9.1" or "1.8.10"

	shared  bool
	orgID   string
	created atomic.Int64 // buckets and tokens so far, which makes their names unique
	process *process
}

// shared is the one server of this test binary: nothing but the process itself lives as long as its tests.
var shared = sync.OnceValues(func() (*Server, error) {
	s, err := newServer()
	if err == nil {
		s.shared = true
	}
	return s, err
})

// Shared returns the server that all tests of this test binary use, and starts it for the first one that asks.
// A test without any influxd to start fails and says how to get one.
func Shared(t testing.TB) *Server {
	t.Helper()
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// New starts a server for this test alone, which may stop, kill and start it again. It ends with the test. A 2.x gets
// the flags besides those that it needs here.
func New(t testing.TB, flags ...string) *Server {
	t.Helper()
	s, err := newServer(flags...)
	return own(t, s, err)
}

// Fresh is New without what a user does first: there is no organization, no bucket and no token yet, and Org and Token
// are to be set by the test that makes them. It needs 2.x.
func Fresh(t testing.TB) *Server {
	t.Helper()
	s, err := freshServer()
	return own(t, s, err)
}

func own(t testing.TB, s *Server, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.process.remove(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Require2 skips a test that InfluxDB 1.8 cannot serve when there is no 2.x, and fails it where CI=true.
// Names of skipped tests are appended to the file $INFLUXTEST_SKIPPED, which make test prints at its end.
func Require2(t testing.TB) {
	t.Helper()
	b, err := find()
	if err != nil {
		t.Fatal(err)
	}
	if b.v2() {
		return
	}
	const need = "needs InfluxDB 2.x: make influxd"
	if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
		t.Fatalf("%s (found %s %s)", need, b.path, b.version)
	}
	if name := os.Getenv("INFLUXTEST_SKIPPED"); name != "" {
		if err := appendLine(name, testBinary()+" "+t.Name()); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip(need)
}

// testBinary is the import path of the package under test.
func testBinary() string {
	info, _ := debug.ReadBuildInfo() // always there, since test binaries are built with modules
	return strings.TrimSuffix(info.Path, ".test")
}

func appendLine(name, line string) error {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open list of skipped tests: %w", err)
	}
	_, err = fmt.Fprintln(f, line)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// V2 tells whether the server is InfluxDB 2.x rather than 1.8.
func (s *Server) V2() bool { return s.process.binary.v2() }

// Stop ends the server as an operator would, with SIGTERM, and waits for it. Its data stay for Start.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.mine(t)
	if err := s.process.stop(); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the server as a power cut would, with SIGKILL. Its data stay for Start.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	s.mine(t)
	if err := s.process.kill(); err != nil {
		t.Fatal(err)
	}
}

// Start brings a stopped or killed server back, on the same address and data, and returns when it serves.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	s.mine(t)
	if err := s.process.start(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) mine(t testing.TB) {
	t.Helper()
	if s.shared {
		t.Fatal("the shared server serves other tests too: take influxtest.New for an outage")
	}
}

// unique makes a name that a person finds the test by and that no other bucket or token of this server has.
func (s *Server) unique(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '-'
	}, t.Name())
	return fmt.Sprintf("%s-%d", name, s.created.Add(1))
}
