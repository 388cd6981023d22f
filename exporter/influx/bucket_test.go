package influx_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

type rule struct {
	Type                      string `json:"type"`
	EverySeconds              int64  `json:"everySeconds"`
	ShardGroupDurationSeconds int64  `json:"shardGroupDurationSeconds"`
}

// operate makes a request as the operator.
func operate(t testing.TB, s *influxtest.Server, method, path, body string, out any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Token "+s.Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, answer, err)
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			t.Fatal(err)
		}
	}
}

func ruleOf(t testing.TB, s *influxtest.Server, bucket string) (id string, r rule) {
	t.Helper()
	var list struct {
		Buckets []struct {
			ID             string
			RetentionRules []rule
		}
	}
	operate(t, s, http.MethodGet, "/api/v2/buckets?name="+bucket, "", &list)
	if len(list.Buckets) != 1 || len(list.Buckets[0].RetentionRules) != 1 {
		t.Fatalf("bucket %s: %+v", bucket, list)
	}
	return list.Buckets[0].ID, list.Buckets[0].RetentionRules[0]
}

const week = 7 * 24 * 3600

func findings(t testing.TB, e *influx.Exporter) map[string]influx.Finding {
	t.Helper()
	list, err := e.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]influx.Finding{}
	for _, f := range list {
		found[f.Subject] = f
	}
	return found
}

func TestABucketGetsItsShardGroupDurationBeforeTheFirstWrite(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	for name, token := range map[string]func(bucket string) string{
		"operator":     func(string) string { return s.Token },
		"read + write": func(bucket string) string { return s.Grant(t, bucket, influxtest.Read|influxtest.Write) },
	} {
		t.Run(name, func(t *testing.T) {
			bucket, j := s.Bucket(t), openJournal(t)
			record(t, j, "me", evenings(1)...)
			granted := token(bucket)
			patched := false
			e := exporter(t, s, bucket, j, func(o *influx.Options) { o.Token = granted }, fail(func(req *http.Request) (*http.Response, error) {
				patched = patched || req.Method == http.MethodPatch
				if req.URL.Path == "/api/v2/write" && req.ContentLength > 0 && !patched {
					t.Error("written before the duration was set")
				}
				return nil, nil
			}))
			if f := findings(t, e)["shard group duration"]; f.Level != influx.Warning || !strings.Contains(f.Fix, "influx bucket update --id") {
				t.Errorf("check of a new bucket: %+v", f)
			}
			drain(t, e)
			if _, r := ruleOf(t, s, bucket); r.ShardGroupDurationSeconds != 52*week || r.EverySeconds != 0 {
				t.Errorf("rule %+v, want 52 weeks", r)
			}
			if f := findings(t, e)["shard group duration"]; f.Level != influx.OK || f.Text != "52w" {
				t.Errorf("check after it: %+v", f)
			}
			if w := e.State().BucketWarning; w != "" {
				t.Errorf("warning %q", w)
			}
		})
	}
}

func TestAMissingBucketIsMadeOrAskedFor(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	some := s.Bucket(t)
	missing := some + "-missing"
	weak := s.Grant(t, some, influxtest.Read|influxtest.Write)
	j := openJournal(t)
	record(t, j, "me", evenings(3)...)

	e := exporter(t, s, missing, j, func(o *influx.Options) { o.Token = weak })
	if f := findings(t, e); f["server"].Level != influx.OK || f["bucket"].Level != influx.Failure || !strings.Contains(f["bucket"].Fix, "--shard-group-duration 52w") {
		t.Errorf("check: %+v", f)
	}
	if _, err := e.Step(t.Context()); failure(t, err).Reason != influx.NotFound {
		t.Fatal(err)
	}
	if p := e.State().Paused; !strings.Contains(p, "influx bucket create --name \""+missing+"\"") {
		t.Errorf("paused with %q", p)
	}
	if pending(t, j) == 0 {
		t.Error("the outbox is empty")
	}

	e = exporter(t, s, missing, j)
	drain(t, e)
	if _, r := ruleOf(t, s, missing); r.ShardGroupDurationSeconds != 52*week || r.EverySeconds != 0 {
		t.Errorf("made with rule %+v", r)
	}
	if n := s.Count(t, missing, "listen", "plays"); n != 3 {
		t.Errorf("%d listens, want 3", n)
	}

	e = exporter(t, s, missing, j, func(o *influx.Options) { o.Org = "nobody" })
	if _, err := e.Step(t.Context()); failure(t, err).Reason != influx.NotFound || !strings.Contains(err.Error(), `organization name "nobody" not found`) {
		t.Error(err)
	}
}

func TestATokenThatMayOnlyWrite(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	record(t, j, "me", evenings(3)...)
	e := exporter(t, s, bucket, j, func(o *influx.Options) { o.Token = s.Grant(t, bucket, influxtest.Write) })
	f := findings(t, e)
	if f["server"].Level != influx.OK || f["bucket"].Level != influx.OK || f["shard group duration"].Level != influx.Warning || !strings.Contains(f["shard group duration"].Text, "not see") {
		t.Errorf("check: %+v", f)
	}
	drain(t, e)
	if n := s.Count(t, bucket, "listen", "plays"); n != 3 {
		t.Errorf("%d listens, want 3", n)
	}
}

func TestTokensThatMayNotWrite(t *testing.T) {
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	record(t, j, "me", evenings(3)...)
	queued := pending(t, j)
	for token, want := range map[string]influx.Reason{
		"wrong:token":                       influx.Unauthorized,
		s.Grant(t, bucket, influxtest.Read): influx.Forbidden,
		s.Grant(t, s.Bucket(t), influxtest.Read|influxtest.Write): influx.Forbidden,
	} {
		e := exporter(t, s, bucket, j, func(o *influx.Options) { o.Token = token })
		if f := findings(t, e)["server"]; f.Level != influx.Failure || !strings.Contains(f.Fix, "INFLUX_TOKEN") {
			t.Errorf("check: %+v", f)
		}
		_, err := e.Step(t.Context())
		if f := failure(t, err); f.Reason != want {
			t.Errorf("%v, want %s", err, want)
		}
		if strings.Contains(err.Error(), token) {
			t.Errorf("the error has the token in it: %v", err)
		}
		if pending(t, j) != queued {
			t.Errorf("%d entries left of %d", pending(t, j), queued)
		}
	}
}

func TestABucketThatNobodyHereMayChange(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	record(t, j, "me", evenings(1)...)
	var log bytes.Buffer
	e := exporter(t, s, bucket, j, func(o *influx.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) }, fail(func(req *http.Request) (*http.Response, error) {
		if req.Method == http.MethodPatch {
			return answer(req, http.StatusForbidden, nil, "no"), nil
		}
		return nil, nil
	}))
	drain(t, e)
	id, _ := ruleOf(t, s, bucket)
	command := "influx bucket update --id " + id + " --shard-group-duration 52w"
	if w := e.State().BucketWarning; !strings.Contains(w, command) || strings.Count(log.String(), command) != 1 {
		t.Errorf("warning %q, want %q in it and once in the log:\n%s", w, command, log.String())
	}
	if n := s.Count(t, bucket, "listen", "plays"); n != 1 {
		t.Errorf("%d listens, want 1: a warning is no reason not to write", n)
	}
}

// The retention is the owner's to change. Plays that the bucket does not take any
// more are visible in the journal, and after it has been changed replay sends them.
func TestABucketThatForgets(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	id, _ := ruleOf(t, s, bucket)
	operate(t, s, http.MethodPatch, "/api/v2/buckets/"+id, `{"retentionRules":[{"type":"expire","everySeconds":86400,"shardGroupDurationSeconds":3600}]}`, nil)
	old := evenings(40)
	record(t, j, "me", old...)
	e := exporter(t, s, bucket, j)
	if f := findings(t, e)["retention"]; f.Level != influx.Warning || !strings.Contains(f.Text, "1d") || !strings.Contains(f.Fix, "--retention 0") {
		t.Errorf("check: %+v", f)
	}
	drain(t, e)
	if n := len(rejected(t, j)); n < 40 || pending(t, j) != 0 {
		t.Errorf("%d rejected, %d pending", n, pending(t, j))
	}
	if w := e.State().BucketWarning; !strings.Contains(w, "--retention 0") || !strings.Contains(w, "replay") {
		t.Errorf("warning %q", w)
	}
	if _, r := ruleOf(t, s, bucket); r.EverySeconds != 86400 {
		t.Errorf("the retention was changed: %+v", r)
	}
}

func TestCheckNamesServersThatAreNotInfluxDB2(t *testing.T) {
	for version, level := range map[string]influx.Level{"v2.9.1": influx.OK, "1.8.10": influx.Warning, "3.4.1": influx.Warning, "": influx.OK} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if version != "" {
				w.Header().Set("X-Influxdb-Version", version)
			}
			w.WriteHeader(http.StatusNoContent)
		}))
		e, err := influx.New(influx.Options{URL: server.URL, Org: "home", Bucket: "spotify", Token: "token"})
		if err != nil {
			t.Fatal(err)
		}
		f := findings(t, e)["server"]
		if f.Level != level || !strings.Contains(f.Text, strings.TrimPrefix(version, "v")) || level == influx.Warning && !strings.Contains(f.Fix, "what works is InfluxDB 2.x") {
			t.Errorf("version %q: %+v", version, f)
		}
		server.Close()
	}
}

// TestATokenIsReadAgain gives the exporter another token while it runs, as setup does. InfluxDB answers 401 to a token
// that it does not know, and 403 to one that may not write into this bucket.
func TestATokenIsReadAgain(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	for reason, first := range map[influx.Reason]string{
		influx.Unauthorized: "revoked",
		influx.Forbidden:    s.Grant(t, s.Bucket(t), influxtest.Read|influxtest.Write),
	} {
		t.Run(string(reason), func(t *testing.T) {
			bucket, j := s.Bucket(t), openJournal(t)
			record(t, j, "me", evenings(1)...)
			var token string
			e := exporter(t, s, bucket, j, func(o *influx.Options) {
				o.Token = first
				o.ReadToken = func() (string, error) {
					if token == "" {
						return "", errors.New("the file is not there yet")
					}
					return token, nil
				}
			})
			for range 2 {
				if _, err := e.Step(t.Context()); failure(t, err).Reason != reason {
					t.Fatal(err)
				}
				if hint := e.State().Paused; !strings.Contains(hint, "INFLUX_TOKEN_FILE, which is read again") || strings.Contains(hint, "INFLUX_TOKEN ") {
					t.Errorf("it says to mend what is not used: %s", hint)
				}
			}
			token = s.Grant(t, bucket, influxtest.Read|influxtest.Write)
			if _, err := e.Step(t.Context()); failure(t, err).Reason != reason {
				t.Fatal(err)
			}
			drain(t, e)
			if n := s.Count(t, bucket, "listen", "plays"); n != 1 {
				t.Errorf("%d listens, want 1", n)
			}
		})
	}
}
