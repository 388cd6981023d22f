package influxtest_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// write sends line protocol as a client would and returns the status of the answer.
func write(t *testing.T, s *influxtest.Server, token, bucket, lines string) int {
	t.Helper()
	query := url.Values{"org": {s.Org}, "bucket": {bucket}, "precision": {"ns"}}
	return post(t, token, s.URL+"/api/v2/write?"+query.Encode(), "text/plain", lines)
}

func post(t *testing.T, token, url, contentType, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Token "+token)
	req.Header.Set("Content-Type", contentType)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	return res.StatusCode
}

func TestBucket(t *testing.T) {
	s := influxtest.Shared(t)
	if again := influxtest.Shared(t); again != s {
		t.Error("a second server was started for the same test binary")
	}
	bucket, other := s.Bucket(t), s.Bucket(t)
	lines := "listen,account=me plays=1i,ms_played=215000i,track=\"Föhn\",skipped=false 1772050520497000123\n" +
		"listen,account=you plays=0i,ms_played=4000i 946684800000000000\n" +
		"gap,account=me open=true 946684800000000000\n"
	if status := write(t, s, s.Token, bucket, lines); status != http.StatusNoContent {
		t.Fatalf("write: status %d", status)
	}
	if n := s.Count(t, bucket, "listen", "plays"); n != 2 {
		t.Errorf("Count = %d, want 2", n)
	}
	points := s.Points(t, bucket, "listen")
	if len(points) != 2 {
		t.Fatalf("Points = %v, want 2", points)
	}
	want := map[string]any{
		"_time": time.Unix(0, 1772050520497000123).UTC(), "account": "me",
		"plays": int64(1), "ms_played": int64(215000), "track": "Föhn", "skipped": false,
	}
	for name, value := range want {
		if points[1][name] != value {
			t.Errorf("%s = %#v, want %#v", name, points[1][name], value)
		}
	}
	if n := s.Count(t, other, "listen", "plays"); n != 0 {
		t.Errorf("another bucket holds %d of the points", n)
	}
}

// A new bucket is what a user has who gave nothing but a name: kept for ever, in shard groups of 7 days.
func TestBucketIsPlain(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/v2/buckets?name="+s.Bucket(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Token "+s.Token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	type rule struct{ EverySeconds, ShardGroupDurationSeconds int }
	var found struct {
		Buckets []struct{ RetentionRules []rule }
	}
	if err := json.NewDecoder(res.Body).Decode(&found); err != nil {
		t.Fatal(err)
	}
	want := rule{ShardGroupDurationSeconds: 7 * 24 * 60 * 60}
	if len(found.Buckets) != 1 || !slices.Equal(found.Buckets[0].RetentionRules, []rule{want}) {
		t.Errorf("buckets %+v, want one with %+v", found.Buckets, want)
	}
}

func TestOutage(t *testing.T) {
	s := influxtest.New(t)
	bucket := s.Bucket(t)
	for i, outage := range []func(testing.TB){s.Stop, s.Kill} {
		line := "listen,account=me plays=1i " + []string{"1772050520497000123", "1772050720497000123"}[i]
		if status := write(t, s, s.Token, bucket, line); status != http.StatusNoContent {
			t.Fatalf("write: status %d", status)
		}
		outage(t)
		if _, err := http.Get(s.URL + "/health"); err == nil {
			t.Fatal("the server answers during its outage")
		}
		s.Start(t)
		if n := s.Count(t, bucket, "listen", "plays"); n != i+1 {
			t.Errorf("%d points after outage %d, want %d", n, i+1, i+1)
		}
	}
}

func TestGrant(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, other := s.Bucket(t), s.Bucket(t)
	const line = "listen,account=me plays=1i 1772050520497000123"
	const refused = -1
	for _, test := range []struct {
		name        string
		token       string
		write, read int // status of each, or refused
	}{
		{"read", s.Grant(t, bucket, influxtest.Read), refused, http.StatusOK},
		{"write", s.Grant(t, bucket, influxtest.Write), http.StatusNoContent, refused},
		{"both", s.Grant(t, bucket, influxtest.Read|influxtest.Write), http.StatusNoContent, http.StatusOK},
		{"another bucket", s.Grant(t, other, influxtest.Read|influxtest.Write), refused, refused},
		{"unknown", "nobody:knows", refused, refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			status := write(t, s, test.token, bucket, line)
			if status != test.write && (test.write != refused || status/100 == 2) {
				t.Errorf("write: status %d, want %d", status, test.write)
			}
			flux := `from(bucket: "` + bucket + `") |> range(start: 0)`
			status = post(t, test.token, s.URL+"/api/v2/query?org="+s.Org, "application/vnd.flux", flux)
			if status != test.read && (test.read != refused || status/100 == 2) {
				t.Errorf("query: status %d, want %d", status, test.read)
			}
		})
	}
}

// again returns this test binary, to be run for one test with other variables set.
func again(t *testing.T, test string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+test+"$", "-test.v")
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// TestKilled is run by itself with INFLUXTEST_KILLED set and killed while it waits.
func TestKilled(t *testing.T) {
	if os.Getenv("INFLUXTEST_KILLED") != "" {
		s := influxtest.Shared(t)
		fmt.Fprintln(t.Output(), "serving", s.URL)
		select {}
	}
	temp := t.TempDir()
	cmd := again(t, t.Name(), "INFLUXTEST_KILLED=1", "TMPDIR="+temp)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var address string
	for lines := bufio.NewScanner(out); address == "" && lines.Scan(); {
		_, address, _ = strings.Cut(lines.Text(), "serving http://")
	}
	if address == "" {
		t.Fatal("no server was started:", cmd.Wait())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	// Other processes end in real time.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		left, err := filepath.Glob(filepath.Join(temp, "*"))
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil && len(left) == 0 {
			return
		}
		if err == nil {
			_ = conn.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: serving %t, left behind %q", err == nil, left)
		}
	}
}

// TestNeeds2 is run by itself with an influxd that says to be 1.8.10, with and without CI.
func TestNeeds2(t *testing.T) {
	if os.Getenv("INFLUXTEST_NEEDS2") != "" {
		influxtest.Require2(t)
		return
	}
	dir := t.TempDir()
	old, list := filepath.Join(dir, "influxd"), filepath.Join(dir, "skipped")
	if err := os.WriteFile(old, []byte("#!/bin/sh\necho InfluxDB v1.8.10\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	env := []string{"INFLUXTEST_NEEDS2=1", "INFLUXD=" + old, "INFLUXTEST_SKIPPED=" + list}

	out, err := again(t, t.Name(), append(env, "CI=")...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- SKIP") || !strings.Contains(string(out), "make influxd") {
		t.Errorf("without 2.x: %v\n%s", err, out)
	}
	const skipped = "github.com/spotify-exporter/spotify-exporter/exporter/influxtest TestNeeds2\n"
	if names, err := os.ReadFile(list); err != nil || string(names) != skipped {
		t.Errorf("list of skipped tests: %q, %v", names, err)
	}

	out, err = again(t, t.Name(), append(env, "CI=true")...).CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(string(out), "make influxd") {
		t.Errorf("without 2.x in CI: %v\n%s", err, out)
	}
}

// A machine without any influxd: the test that wants one fails and says what to do.
func TestNoServer(t *testing.T) {
	empty := t.TempDir()
	out, err := again(t, "TestBucket", "INFLUXD=", "XDG_CACHE_HOME="+empty, "PATH="+empty).CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(string(out), "make influxd") {
		t.Errorf("%v\n%s", err, out)
	}
}
