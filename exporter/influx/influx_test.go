package influx_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// evening is when the tests' listening begins.
var evening = time.Date(2026, 3, 1, 18, 0, 0, 0, time.UTC)

func openJournal(t testing.TB) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), filepath.Join(t.TempDir(), "journal.db"), journal.Options{
		Now: func() time.Time { return evening.Add(30 * 24 * time.Hour) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return j
}

func record(t testing.TB, j *journal.Journal, account string, reports ...journal.Report) []journal.Play {
	t.Helper()
	recorded, err := j.Record(t.Context(), account, journal.Witnessed{Reports: reports})
	if err != nil {
		t.Fatal(err)
	}
	return recorded.Plays
}

// heard is the n-th song, heard to its end for three minutes.
func heard(n int, ended time.Time) journal.Report {
	return journal.Report{
		Witness: journal.ExtendedHistory, EndedAt: ended, StartedAt: ended.Add(-3 * time.Minute), MSPlayed: 180_000,
		Item: journal.Item{
			Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", n), Name: fmt.Sprintf("Song %d", n),
			Artists: []journal.Artist{{Name: fmt.Sprintf("Artist %d", n%10)}}, Album: "Album",
		},
		ReasonStart: "trackdone", ReasonEnd: "trackdone", Shuffle: new(false), Skipped: new(false), Incognito: new(false),
	}
}

// evenings are n songs, one every three minutes.
func evenings(n int) []journal.Report {
	reports := make([]journal.Report, n)
	for i := range reports {
		reports[i] = heard(i, evening.Add(time.Duration(i)*3*time.Minute))
	}
	return reports
}

// exporter makes an Exporter that writes to a bucket of a real server. Changes
// of the options come last.
func exporter(t testing.TB, s *influxtest.Server, bucket string, j *journal.Journal, change ...func(*influx.Options)) *influx.Exporter {
	t.Helper()
	options := influx.Options{URL: s.URL, Org: s.Org, Bucket: bucket, Token: s.Token, Journal: j}
	for _, c := range change {
		c(&options)
	}
	e, err := influx.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// drain steps until there is nothing left to send.
func drain(t testing.TB, e *influx.Exporter) {
	t.Helper()
	for range 1000 {
		wait, err := e.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if wait > 0 {
			return
		}
	}
	t.Fatal("1,000 steps and still something to send")
}

func pending(t testing.TB, j *journal.Journal) int64 {
	t.Helper()
	state, err := j.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.PendingPoints
}

func rejected(t testing.TB, j *journal.Journal) []journal.Rejection {
	t.Helper()
	list, err := j.Rejected(t.Context(), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// writeLines writes line protocol past the exporter.
func writeLines(t testing.TB, s *influxtest.Server, bucket, lines string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v2/write?org="+s.Org+"&bucket="+bucket, strings.NewReader(lines))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Token "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNoContent {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("write: %s %s", resp.Status, body)
	}
}

// roundTripper is an http.RoundTripper in one function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// answer is what a server says that is in its way between us and InfluxDB.
func answer(req *http.Request, status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}
}

// memory is an InfluxDB 2 in memory: it keeps the lines of writes, and answers
// as fault says when that is not nil.
type memory struct {
	mu       sync.Mutex
	lines    []string
	requests []time.Time
	fault    func(req *http.Request, body string) (*http.Response, error)
}

func (m *memory) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, time.Now())
	var body []byte
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		if req.Header.Get("Content-Encoding") == "gzip" {
			zipped, err := gzip.NewReader(bytes.NewReader(body))
			if err != nil {
				return nil, err
			}
			if body, err = io.ReadAll(zipped); err != nil {
				return nil, err
			}
		}
	}
	if m.fault != nil {
		if resp, err := m.fault(req, string(body)); resp != nil || err != nil {
			return resp, err
		}
	}
	switch req.URL.Path {
	case "/api/v2/write":
		m.lines = append(m.lines, strings.FieldsFunc(string(body), func(r rune) bool { return r == '\n' })...)
		return answer(req, http.StatusNoContent, nil, ""), nil
	case "/api/v2/buckets":
		return answer(req, http.StatusOK, http.Header{"Content-Type": {"application/json"}}, `{"buckets":[]}`), nil
	}
	return answer(req, http.StatusNotFound, http.Header{"Content-Type": {"application/json"}}, `{"code":"not found","message":"path not found"}`), nil
}

func (m *memory) listens() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, l := range m.lines {
		if strings.HasPrefix(l, "listen,") {
			n++
		}
	}
	return n
}

// distinct counts the listens by their times: a point that is written twice is one.
func (m *memory) distinct() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	times := map[string]bool{}
	for _, l := range m.lines {
		if strings.HasPrefix(l, "listen,") {
			times[l[strings.LastIndexByte(l, ' '):]] = true
		}
	}
	return len(times)
}

// inMemory makes an Exporter that writes to m.
func inMemory(t testing.TB, m *memory, j *journal.Journal, change ...func(*influx.Options)) *influx.Exporter {
	t.Helper()
	options := influx.Options{URL: "http://influxdb:8086", Org: "home", Bucket: "spotify", Token: "secret-token", Journal: j, Base: m}
	for _, c := range change {
		c(&options)
	}
	e, err := influx.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// failure is the *influx.Error of a step.
func failure(t testing.TB, err error) *influx.Error {
	t.Helper()
	f, ok := errors.AsType[*influx.Error](err)
	if !ok {
		t.Fatalf("error %v, want an *influx.Error", err)
	}
	return f
}
