package influxtest

import (
	"fmt"
	"maps"
	"testing"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
)

// everything is a range over all times that InfluxDB can store.
const everything = `range(start: 1677-09-22T00:00:00Z, stop: 2262-04-11T00:00:00Z)`

// Query runs Flux as the operator and returns the rows of all tables in their order, each with the Go types of the
// CSV annotations: string, int64, uint64, float64, bool, time.Time, nil.
func (s *Server) Query(t testing.TB, flux string) []map[string]any {
	t.Helper()
	client := influxdb2.NewClientWithOptions(s.URL, s.Token, influxdb2.DefaultOptions().SetHTTPRequestTimeout(120))
	defer client.Close()
	result, err := client.QueryAPI(s.Org).Query(t.Context(), flux)
	if err != nil {
		t.Fatalf("query: %v\n%s", err, flux)
	}
	defer func() { _ = result.Close() }()
	var rows []map[string]any
	for result.Next() {
		row := maps.Clone(result.Record().Values())
		delete(row, "result")
		delete(row, "table")
		rows = append(rows, row)
	}
	if result.Err() != nil {
		t.Fatalf("query: %v\n%s", result.Err(), flux)
	}
	return rows
}

// Points returns every point of a measurement, oldest first: its tags and fields by name and its time as "_time".
func (s *Server) Points(t testing.TB, bucket, measurement string) []map[string]any {
	t.Helper()
	return s.Query(t, fmt.Sprintf(`from(bucket: %q) |> %s |> filter(fn: (r) => r._measurement == %q)
		|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
		|> drop(columns: ["_start", "_stop", "_measurement"]) |> group() |> sort(columns: ["_time"])`,
		bucket, everything, measurement))
}

// Count returns how many points of a measurement have this field.
func (s *Server) Count(t testing.TB, bucket, measurement, field string) int {
	t.Helper()
	rows := s.Query(t, fmt.Sprintf(`from(bucket: %q) |> %s
		|> filter(fn: (r) => r._measurement == %q and r._field == %q) |> count()`,
		bucket, everything, measurement, field))
	n := 0
	for _, row := range rows { // one table per series
		n += int(row["_value"].(int64))
	}
	return n
}
