// Package promtest gives tests a real Prometheus and a real Alertmanager on loopback, and their tools.
//
// What it starts is gone, data and all, when the test or the test binary ends, however it ends.
package promtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Tool returns the path of "prometheus", "promtool", "alertmanager" or "amtool", which `make prometheus` builds.
// A test that needs one that is not there is skipped, and fails where CI=true. Names of skipped tests are appended to
// the file $PROMTEST_SKIPPED, which make test prints at its end.
func Tool(t testing.TB, name string) string {
	t.Helper()
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatalf("find the cache directory: %v", err)
		}
		cache = filepath.Join(home, ".cache")
	}
	path, err := exec.LookPath(filepath.Join(cache, "spotify-exporter", name))
	if err == nil {
		return path
	}
	const need = "needs Prometheus and Alertmanager: make prometheus"
	if ci, _ := strconv.ParseBool(os.Getenv("CI")); ci {
		t.Fatalf("%s (%v)", need, err)
	}
	if file := os.Getenv("PROMTEST_SKIPPED"); file != "" {
		if err := appendLine(file, testBinary()+" "+t.Name()); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip(need)
	return ""
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
	return errors.Join(err, f.Close())
}

// Prometheus starts one with that configuration file and further flags and returns its address, http://127.0.0.1:PORT.
func Prometheus(t testing.TB, config string, flags ...string) string {
	t.Helper()
	return prometheus(t, t.TempDir(), config, flags...)
}

// Backfilled starts a Prometheus that scrapes nothing and has samples: text in OpenMetrics format, each sample with its
// time, once for each of the jobs. A series without a sample for so long as every is over, as it is after a scrape
// that lacks it. It returns its address.
func Backfilled(t testing.TB, text []byte, every time.Duration, jobs ...string) string {
	t.Helper()
	dir, files := t.TempDir(), t.TempDir()
	samples, config := filepath.Join(files, "samples"), filepath.Join(files, "prometheus.yml")
	if err := errors.Join(os.WriteFile(samples, text, 0o600), os.WriteFile(config, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, job := range jobs {
		// Each block is made by reading all of the text.
		cmd := exec.Command(Tool(t, "promtool"), "tsdb", "create-blocks-from", "--max-block-duration=54h", "openmetrics", "--quiet",
			"--label=job="+job, "--label=instance=localhost:10178", samples, dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make blocks of samples: %v\n%s", err, out)
		}
	}
	return prometheus(t, dir, config, "--query.lookback-delta="+every.String())
}

func prometheus(t testing.TB, dir, config string, flags ...string) string {
	t.Helper()
	address := FreeAddress(t)
	return start(t, address, Tool(t, "prometheus"), append([]string{
		"--config.file=" + config, "--storage.tsdb.path=" + dir, "--web.listen-address=" + address, "--log.level=warn",
	}, flags...)...)
}

// Alertmanager starts one with that configuration file and further flags and returns its address.
func Alertmanager(t testing.TB, config string, flags ...string) string {
	t.Helper()
	dir, address := t.TempDir(), FreeAddress(t)
	return start(t, address, Tool(t, "alertmanager"), append([]string{
		"--config.file=" + config, "--storage.path=" + dir, "--web.listen-address=" + address,
		"--cluster.listen-address=", "--log.level=warn",
	}, flags...)...)
}

// duration is one in the configuration of Prometheus or Alertmanager, with what tells that it is none of the numbers in
// a text.
var duration = regexp.MustCompile(`((?:_interval|_wait|for): |\[|offset )(\d+)([smhd])\b`)

// Faster returns a configuration of Prometheus or Alertmanager, or rules, with every duration that many times shorter,
// to the ms.
func Faster(config string, speed int) string {
	return duration.ReplaceAllStringFunc(config, func(found string) string {
		part := duration.FindStringSubmatch(found)
		number, _ := strconv.Atoi(part[2])
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[part[3]]
		return fmt.Sprintf("%s%dms", part[1], (time.Duration(number) * unit / time.Duration(speed)).Milliseconds())
	})
}

// FreeAddress returns an address of this machine that was free a moment ago.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatalf("find a free port: %v", err)
	}
	return address
}

// keeper runs a server until its standard input ends, which the kernel closes however a test binary dies. A Ctrl-C
// reaches it too, as a member of the group, and must not end it first.
const keeper = `trap "" INT TERM HUP
log=$1; shift
"$@" >"$log" 2>&1 </dev/null &
cat >/dev/null
kill -KILL $!
wait`

// start runs a server until the test ends and returns when it is ready.
func start(t testing.TB, address, path string, flags ...string) string {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.Command("sh", append([]string{"-c", keeper, "keeper", log, path}, flags...)...)
	alive, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	t.Cleanup(func() {
		_ = alive.Close()
		_ = cmd.Wait()
	})
	url := "http://" + address
	if err := await(url+"/-/ready", time.Minute); err != nil {
		text, _ := os.ReadFile(log)
		t.Fatalf("start %s: %v\n%s", path, err, text[max(0, len(text)-2000):])
	}
	return url
}

// await returns when an address answers 200.
func await(url string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(url)
		if err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
			err = errors.New(response.Status)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %s: %w", limit, err)
		}
	}
}
