package influx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
)

// shardGroup is how long a shard group of the bucket is to be, 52 weeks at least.
// In the 7 days that InfluxDB gives a bucket, 20 years of listening take 18,800
// files and 745 MB of idle memory instead of 386 and 77 (influxdb.md §4).
const shardGroup = 52 * 7 * 24 * time.Hour

// Level is how bad a Finding is.
type Level uint8

// The levels.
const (
	OK      Level = iota
	Warning       // it works, but should be put right
	Failure       // nothing can be written
)

// Finding is one thing that Check has looked at.
type Finding struct {
	Subject string // "server", "bucket", "shard group duration", "retention"
	Level   Level
	Text    string // what is so, without Subject
	Fix     string // what to do; "" if nothing
}

// bucket is what InfluxDB tells of a bucket.
type bucket struct {
	ID             string          `json:"id"`
	Name           string          `json:"name"`
	RetentionRules []retentionRule `json:"retentionRules"`
}

type retentionRule struct {
	Type                      string `json:"type"`
	EverySeconds              int64  `json:"everySeconds"` // 0: for ever
	ShardGroupDurationSeconds int64  `json:"shardGroupDurationSeconds"`
}

// rule is the bucket's only rule. One without is kept for ever in 7-day shards.
func (b *bucket) rule() retentionRule {
	if len(b.RetentionRules) == 0 {
		return retentionRule{Type: "expire", ShardGroupDurationSeconds: 7 * 24 * 3600}
	}
	return b.RetentionRules[0]
}

// keptTooShort tells whether plays older than some age are refused or forgotten.
func (b *bucket) keptTooShort() bool { return b.rule().EverySeconds > 0 }

// shardsTooShort tells whether the shard group duration should be longer. A
// finite retention has its own right one.
func (b *bucket) shardsTooShort() bool {
	return !b.keptTooShort() && b.rule().ShardGroupDurationSeconds < int64(shardGroup/time.Second)
}

// Check looks, and changes nothing: does the server answer, would it take a
// write into the bucket with this token, is the bucket made for a whole life of
// listening. The error is only that of ctx.
func (e *Exporter) Check(ctx context.Context) ([]Finding, error) {
	address := withoutQuery(e.server.base.String())
	if err := e.preflight(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		failure, _ := errors.AsType[*Error](err)
		if failure == nil || failure.Status == 0 {
			return []Finding{{"server", Failure, fmt.Sprintf("%s: %v", address, err), "see that InfluxDB runs and that INFLUX_URL is its address"}}, nil
		}
		fix := e.hint(failure)
		if failure.temporary() {
			fix = "wait, or see InfluxDB's log"
		}
		if failure.Reason == NotFound && failure.Status/100 == 4 {
			return []Finding{{"server", OK, address + " answers", ""}, {"bucket", Failure, err.Error(), fix}}, nil
		}
		return []Finding{{"server", Failure, fmt.Sprintf("%s: %v", address, err), fix}}, nil
	}
	findings := []Finding{
		e.checkVersion(ctx, address),
		{"bucket", OK, fmt.Sprintf("%q takes writes with this token", e.options.Bucket), ""},
	}
	b, err := e.findBucket(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, errNoBuckets):
		return findings, nil
	case err != nil:
		return append(findings, Finding{"shard group duration", Warning, err.Error(), "try again"}), nil
	case b == nil:
		return append(findings, Finding{"shard group duration", Warning, "this token may write, but not see it", "if nobody has set it to 52 weeks yet: " + e.updateCommand("ID")}), nil
	}
	shards := Finding{"shard group duration", OK, seconds(b.rule().ShardGroupDurationSeconds), ""}
	if b.shardsTooShort() {
		shards.Level = Warning
		shards.Text += ": a life of listening then takes thousands of files and hundreds of MB of memory"
		shards.Fix = "run and import set it if the token may; otherwise: " + e.updateCommand(b.ID)
	}
	retention := Finding{"retention", OK, "none: points are kept for ever", ""}
	if b.keptTooShort() {
		retention = Finding{"retention", Warning, e.retentionWarning(b), e.forgetCommand(b)}
	}
	return append(findings, shards, retention), nil
}

// supported is what the servers that exist are good for.
const supported = "what works is InfluxDB 2.x: dashboards and setup need its Flux and its API, 1.8 takes points only, and 3 cannot delete what was corrected"

// checkVersion looks at which InfluxDB a server that answers is. One that does not
// tell, as behind some proxies, is taken as it is.
func (e *Exporter) checkVersion(ctx context.Context, address string) Finding {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	found := Finding{"server", OK, address + " answers", ""}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.server.base.JoinPath("ping").String(), nil)
	if err != nil {
		return found
	}
	resp, err := e.server.Do(req)
	if err != nil {
		return found
	}
	_ = resp.Body.Close() // of no interest
	version := strings.TrimPrefix(resp.Header.Get("X-Influxdb-Version"), "v")
	if version == "" {
		return found
	}
	found.Text = fmt.Sprintf("%s is InfluxDB %s", address, clean.Short(version, 32))
	if strings.HasPrefix(version, "1.") || strings.HasPrefix(version, "3.") {
		found.Level, found.Fix = Warning, supported
	}
	return found
}

// EnsureBucket makes the bucket if it is not there and gives it a shard group
// duration of 52 weeks if it has less, as far as the token may. It is to be
// called before the first write: a shard that is there keeps its duration.
//
// The error is why nothing can be written. The warning ("" if there is none) is about a bucket that can be written but
// should be changed by somebody who may, or about settings that cannot be read: a server or a proxy that answers writes
// need not answer that.
func (e *Exporter) EnsureBucket(ctx context.Context) (warning string, err error) {
	err = e.preflight(ctx)
	if failure, ok := errors.AsType[*Error](err); ok && failure.Reason == NotFound && failure.Status == http.StatusNotFound {
		if e.createBucket(ctx) != nil {
			return "", err // of the write: that the bucket is missing is what is wrong
		}
		e.log.Info("bucket made", "bucket", e.options.Bucket, "shard_group_duration", seconds(int64(shardGroup/time.Second)))
		err = e.preflight(ctx)
	}
	if err != nil {
		return "", err
	}
	b, err := e.findBucket(ctx)
	e.forgets = b != nil && b.keptTooShort()
	switch {
	case errors.Is(err, errNoBuckets):
		return "", nil
	case err != nil && ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil:
		return e.unreadWarning(err), nil
	case b == nil:
		return "", nil // a token that may only write, as it should be: Check says more
	case b.keptTooShort():
		return e.retentionWarning(b) + "; " + e.forgetCommand(b), nil
	case !b.shardsTooShort():
		return "", nil
	}
	rule := b.rule()
	rule.ShardGroupDurationSeconds = int64(shardGroup / time.Second)
	change := map[string]any{"retentionRules": []retentionRule{rule}}
	if err := e.server.call(ctx, http.MethodPatch, "api/v2/buckets/"+url.PathEscape(b.ID), nil, change, nil); err != nil {
		switch failure, ok := errors.AsType[*Error](err); {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case ok && failure.temporary():
			return e.unreadWarning(err), nil
		}
		return fmt.Sprintf("bucket %q has a shard group duration of %s, and this token may not change it; before anything is written, somebody who may should: %s",
			b.Name, seconds(b.rule().ShardGroupDurationSeconds), e.updateCommand(b.ID)), nil
	}
	e.log.Info("shard group duration set", "bucket", b.Name, "from", seconds(b.rule().ShardGroupDurationSeconds), "to", seconds(rule.ShardGroupDurationSeconds))
	return "", nil
}

// errNoBuckets is returned for a server that does not have buckets: 1.8.
var errNoBuckets = errors.New("server without buckets")

// findBucket returns the bucket, or nil if the token may not see it: a token that
// may only write gets an empty list and no error.
func (e *Exporter) findBucket(ctx context.Context) (*bucket, error) {
	var list struct {
		Buckets []bucket `json:"buckets"`
	}
	query := url.Values{"name": {e.options.Bucket}, "org": {e.options.Org}}
	err := e.server.call(ctx, http.MethodGet, "api/v2/buckets", query, nil, &list)
	if failure, ok := errors.AsType[*Error](err); ok {
		switch failure.Reason {
		case NotFound:
			return nil, errNoBuckets
		case Unauthorized, Forbidden:
			return nil, nil
		}
	}
	if err != nil || len(list.Buckets) == 0 {
		return nil, err
	}
	return &list.Buckets[0], nil
}

// createBucket makes the bucket, if the token may.
func (e *Exporter) createBucket(ctx context.Context) error {
	var list struct {
		Orgs []struct {
			ID string `json:"id"`
		} `json:"orgs"`
	}
	if err := e.server.call(ctx, http.MethodGet, "api/v2/orgs", url.Values{"org": {e.options.Org}}, nil, &list); err != nil {
		return err
	}
	if len(list.Orgs) == 0 {
		return fmt.Errorf("organization %q not found", e.options.Org)
	}
	return e.server.call(ctx, http.MethodPost, "api/v2/buckets", nil, map[string]any{
		"orgID":          list.Orgs[0].ID,
		"name":           e.options.Bucket,
		"retentionRules": []retentionRule{{Type: "expire", ShardGroupDurationSeconds: int64(shardGroup / time.Second)}},
	}, nil)
}

// prepare does what comes before the first write: it marks everything as unsent
// if that is to be written differently or elsewhere, and sees to the bucket.
func (e *Exporter) prepare(ctx context.Context) error {
	if err := e.applySettings(ctx); err != nil {
		return err
	}
	return e.seeToBucket(ctx)
}

// bucketAgain is how long after a warning about the bucket its settings are looked at again.
const bucketAgain = 10 * time.Minute

// seeToBucket is EnsureBucket, and keeps its warning. As long as there is one it has to be called again, since somebody
// may put the bucket right.
func (e *Exporter) seeToBucket(ctx context.Context) error {
	warning, err := e.EnsureBucket(ctx)
	if err != nil {
		return err
	}
	e.bucketAt = time.Time{}
	if warning != "" {
		e.bucketAt = e.now().Add(bucketAgain)
	}
	if warning != "" && warning != e.State().BucketWarning {
		e.log.Error("bucket should be changed", "warning", warning)
	}
	e.update(func(s *State) { s.BucketWarning = warning })
	return nil
}

func (e *Exporter) unreadWarning(err error) string {
	return fmt.Sprintf("the settings of bucket %q cannot be seen to (%v); see that they are no retention and a shard group duration of 52w", e.options.Bucket, err)
}

func (e *Exporter) retentionWarning(b *bucket) string {
	return fmt.Sprintf("bucket %q forgets what is older than %s: older plays are rejected, and others will vanish", b.Name, seconds(b.rule().EverySeconds))
}

func (e *Exporter) createCommand() string {
	return fmt.Sprintf("influx bucket create --name %q --org %q --retention 0 --shard-group-duration 52w", e.options.Bucket, e.options.Org)
}

func (e *Exporter) updateCommand(id string) string {
	return fmt.Sprintf("influx bucket update --id %s --shard-group-duration 52w", id)
}

func (e *Exporter) forgetCommand(b *bucket) string {
	return fmt.Sprintf("to keep everything: influx bucket update --id %s --retention 0 --shard-group-duration 52w, then spotify-exporter replay", b.ID)
}

// seconds is a duration in InfluxDB's words.
func seconds(n int64) string {
	const week, day, hour = 7 * 24 * 3600, 24 * 3600, 3600
	switch {
	case n%week == 0:
		return fmt.Sprintf("%dw", n/week)
	case n%day == 0:
		return fmt.Sprintf("%dd", n/day)
	case n%hour == 0:
		return fmt.Sprintf("%dh", n/hour)
	default:
		return fmt.Sprintf("%ds", n)
	}
}
