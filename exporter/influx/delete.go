package influx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// deletePoints removes exactly the point (or the credits' points, or all points of
// a time) of an identity, which are n. InfluxDB takes both ends of a time in.
func (e *Exporter) deletePoints(ctx context.Context, point identity, n int) error {
	if !e.influxQL {
		err := e.deleteV2(ctx, point)
		failure, ok := errors.AsType[*Error](err)
		// 1.8 has no such route and answers as Go's own mux does; the missing bucket of
		// a 2.x is a 404 in JSON.
		if !ok || failure.Status != http.StatusNotFound || failure.Message != "404 page not found" {
			return e.deleted(err, n)
		}
		e.influxQL = true
	}
	return e.deleted(e.deleteV1(ctx, point), n)
}

func (e *Exporter) deleted(err error, n int) error {
	if err != nil {
		return e.refused(err)
	}
	e.sent = true
	e.succeeded(func(s *State) { s.PointsDeleted += uint64(n) })
	return nil
}

func (e *Exporter) deleteV2(ctx context.Context, point identity) error {
	predicate := "_measurement=" + quote(point.measurement, '"')
	for _, tag := range point.tags {
		predicate += " AND " + tag[0] + "=" + quote(tag[1], '"')
	}
	at := func(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
	query := url.Values{"org": {e.options.Org}, "bucket": {e.options.Bucket}}
	body := map[string]string{"start": at(point.timeNS), "stop": at(point.untilNS), "predicate": predicate}
	return e.server.call(ctx, http.MethodPost, "api/v2/delete", query, body, nil)
}

// deleteV1 is for InfluxDB 1.8, which deletes by InfluxQL only.
func (e *Exporter) deleteV1(ctx context.Context, point identity) error {
	statement := fmt.Sprintf("DELETE FROM %s WHERE time >= %d AND time <= %d", quote(point.measurement, '"'), point.timeNS, point.untilNS)
	for _, tag := range point.tags {
		statement += fmt.Sprintf(" AND %s = %s", quote(tag[0], '"'), quote(tag[1], '\''))
	}
	database, _, _ := strings.Cut(e.options.Bucket, "/")
	var answer struct {
		Results []struct {
			Error string `json:"error"`
		} `json:"results"`
	}
	if err := e.server.call(ctx, http.MethodPost, "query", url.Values{"db": {database}, "q": {statement}}, nil, &answer); err != nil {
		return err
	}
	for _, result := range answer.Results {
		if result.Error != "" {
			return &Error{Reason: Invalid, Status: http.StatusOK, Message: result.Error}
		}
	}
	return nil
}

// quote writes a string as a literal of InfluxQL and of delete predicates. Tag
// values have no control characters left that would need more.
func quote(s string, mark rune) string {
	escape := strings.NewReplacer(`\`, `\\`, string(mark), `\`+string(mark))
	return string(mark) + escape.Replace(s) + string(mark)
}
