package influx_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clock"
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
