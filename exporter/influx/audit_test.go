package influx_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influx"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// forget deletes points of listens past the exporter, as a server does that loses
// what it has acknowledged.
func forget(t testing.TB, s *influxtest.Server, bucket string, from, to time.Time) {
	t.Helper()
	operate(t, s, http.MethodPost, "/api/v2/delete?org="+s.Org+"&bucket="+bucket,
		fmt.Sprintf(`{"start": %q, "stop": %q, "predicate": "_measurement=\"listen\""}`, from.Format(time.RFC3339), to.Format(time.RFC3339)), nil)
}

// hurried lets a minute pass in no time.
func hurried(o *influx.Options) { o.Clock = clock.New(evening, 1e7) }

// TestAudit loses points that InfluxDB has taken: they come back at the next look,
// and those of another year are not touched.
func TestAudit(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	bucket := s.Bucket(t)
	j := openJournal(t)
	record(t, j, "me", evenings(40)...)
	record(t, j, "me", heard(1, evening.AddDate(-3, 0, 0)))
	record(t, j, "you", evenings(3)...)
	drain(t, exporter(t, s, bucket, j))

	calm := exporter(t, s, bucket, j, hurried)
	drain(t, calm)
	if n := calm.State().PointsWritten; n > 0 {
		t.Errorf("%d points were sent again, though none was missing", n)
	}

	forget(t, s, bucket, evening.Add(10*time.Minute), evening.Add(20*time.Minute))
	if n := s.Count(t, bucket, "listen", "plays"); n >= 44 {
		t.Fatalf("there are %d points still", n)
	}
	e := exporter(t, s, bucket, j, hurried)
	drain(t, e)
	if n := s.Count(t, bucket, "listen", "plays"); n != 44 {
		t.Errorf("%d points after the audit, want 44", n)
	}
	written := e.State().PointsWritten
	drain(t, e)
	if n := e.State().PointsWritten; n != written {
		t.Errorf("%d more points were sent, with all of them there", n-written)
	}
}

// TestAuditOfTotals loses totals of one sort: they come back, and the plays and the
// others are not sent again.
func TestAuditOfTotals(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	record(t, j, "me", evenings(12)...)
	record(t, j, "you", evenings(3)...)
	drain(t, exporter(t, s, bucket, j))
	operate(t, s, http.MethodPost, "/api/v2/delete?org="+s.Org+"&bucket="+bucket,
		`{"start": "2000-01-01T00:00:00Z", "stop": "2000-01-02T00:00:00Z", "predicate": "_measurement=\"track_total\" AND account=\"me\""}`, nil)
	if n := s.Count(t, bucket, "track_total", "plays"); n != 3 {
		t.Fatalf("there are %d totals, want yours alone", n)
	}
	e := exporter(t, s, bucket, j, hurried)
	drain(t, e)
	if n := s.Count(t, bucket, "track_total", "plays"); n != 15 {
		t.Errorf("%d totals after the audit, want 15", n)
	}
	if n := e.State().PointsWritten; n != 12 {
		t.Errorf("%d points were sent again, want 12", n)
	}
}

// TestAuditOfABucketThatForgets does not send again what the bucket was told to
// forget.
func TestAuditOfABucketThatForgets(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	id, _ := ruleOf(t, s, bucket)
	operate(t, s, http.MethodPatch, "/api/v2/buckets/"+id, `{"retentionRules":[{"type":"expire","everySeconds":315360000,"shardGroupDurationSeconds":31449600}]}`, nil)
	record(t, j, "me", evenings(4)...)
	drain(t, exporter(t, s, bucket, j))
	forget(t, s, bucket, evening, evening.Add(time.Hour))
	e := exporter(t, s, bucket, j, hurried)
	drain(t, e)
	if n := e.State().PointsWritten; n > 0 {
		t.Errorf("%d points were sent again", n)
	}
}

// TestANewBucketGetsEverything deletes the bucket under an exporter, as whoever sets
// InfluxDB up anew does. The account's point has to come back with the plays:
// without it no board knows any account.
func TestANewBucketGetsEverything(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	bucket, j := s.Bucket(t), openJournal(t)
	record(t, j, "me", evenings(4)...)
	e := exporter(t, s, bucket, j, hurried)
	drain(t, e)

	id, _ := ruleOf(t, s, bucket)
	operate(t, s, http.MethodDelete, "/api/v2/buckets/"+id, "", nil)
	record(t, j, "me", heard(5, evening.Add(time.Hour)))
	if _, err := e.Step(t.Context()); failure(t, err).Reason != influx.NotFound {
		t.Fatal(err)
	}
	drain(t, e)
	for measurement, want := range map[string]struct {
		field  string
		points int
	}{"listen": {"plays", 5}, "account": {"timezone", 1}, "track_total": {"plays", 5}} {
		if n := s.Count(t, bucket, measurement, want.field); n != want.points {
			t.Errorf("%d points of %s in the new bucket, want %d", n, measurement, want.points)
		}
	}
}

// TestAnOutageIsFollowedByAnAudit looks whether InfluxDB asks for what is there when
// it is back: it may be another one, or an old copy.
func TestAnOutageIsFollowedByAnAudit(t *testing.T) {
	for name, outage := range map[string]func(*http.Request, string) (*http.Response, error){
		"a token that is not known": everyWrite(http.StatusUnauthorized, nil, ""),
		"no answer":                 func(*http.Request, string) (*http.Response, error) { return nil, errors.New("connection refused") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(t *testing.T, j *journal.Journal) {
				audits := 0
				count := func(req *http.Request, body string) (*http.Response, error) {
					if strings.Contains(body, "aggregateWindow") {
						audits++
					}
					return nil, nil
				}
				m := &memory{fault: count}
				e := inMemory(t, m, j)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- e.Run(ctx) }()
				during := func(d time.Duration, fault func(*http.Request, string) (*http.Response, error)) int {
					m.mu.Lock()
					m.fault = fault
					before := audits
					m.mu.Unlock()
					time.Sleep(d)
					synctest.Wait()
					return audits - before
				}
				during(2*time.Hour, count)
				if n := during(2*time.Hour, count); n != 0 {
					t.Errorf("%d audits in two quiet hours, want none", n)
				}
				during(10*time.Minute, outage)
				if n := during(10*time.Minute, count); n != 1 {
					t.Errorf("%d audits when InfluxDB is back, want one", n)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}
