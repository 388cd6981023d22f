package influxtest

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// binary is an influxd on this machine.
type binary struct {
	path    string
	version string // "2.9.1"
}

func (b binary) v2() bool { return strings.HasPrefix(b.version, "2.") }

var errNone = errors.New(`no influxd to test against: "make influxd" builds InfluxDB 2.9.1 (needs cargo and gcc), ` +
	`"make influxd-1.8" the pure Go 1.8.10, INFLUXD names another one`)

// find looks for an influxd in the order of preference, once per test binary: $INFLUXD, the 2.x that make influxd
// built, one on PATH, the 1.8.10 that make test built.
var find = sync.OnceValues(func() (binary, error) {
	if path := os.Getenv("INFLUXD"); path != "" {
		b, err := inspect(path)
		if err != nil {
			return binary{}, fmt.Errorf("INFLUXD: %w", err)
		}
		return b, nil
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return binary{}, fmt.Errorf("find the cache directory: %w", err)
		}
		cache = filepath.Join(home, ".cache")
	}
	for _, candidate := range []struct{ path, major string }{
		{filepath.Join(cache, "spotify-exporter", "influxd"), "2."},
		{"influxd", "2."}, // of PATH; an older one, such as Debian's 1.6, has no Flux
		{filepath.Join(cache, "spotify-exporter", "influxd-1.8"), "1.8."},
	} {
		if b, err := inspect(candidate.path); err == nil && strings.HasPrefix(b.version, candidate.major) {
			return b, nil
		}
	}
	return binary{}, errNone
})

var versionNumber = regexp.MustCompile(`\d+\.\d+\.\d+`)

// inspect asks an influxd for its version. One from go install knows it only by its build info.
func inspect(name string) (binary, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return binary{}, err
	}
	temp, err := os.MkdirTemp("", "influxtest-") // 2.9.1 unpacks a library at every start and may leave it behind
	if err != nil {
		return binary{}, err
	}
	cmd := exec.Command(path, "version")
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	out, err := cmd.Output()
	if err := errors.Join(err, os.RemoveAll(temp)); err != nil {
		return binary{}, fmt.Errorf("run %s version: %w", path, err)
	}
	version := versionNumber.FindString(string(out))
	if version == "" {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return binary{}, fmt.Errorf("read version of %s: %w", path, err)
		}
		version = versionNumber.FindString(info.Main.Version)
	}
	if version == "" {
		return binary{}, fmt.Errorf("%s does not tell its version", path)
	}
	return binary{path: path, version: version}, nil
}
