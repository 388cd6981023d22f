package grafana_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/api"
)

// frame is what Grafana's InfluxDB data source makes of one table of an answer
// (pkg/tsdb/influxdb/flux/builder.go): the columns of the group key are labels of every
// field, and no fields.
type frame struct {
	fields []field
}

type field struct {
	name, kind string // kind: time, number, string or boolean
	labels     map[string]string
	values     []any // time.Time, float64, string, bool; nil
}

// field returns the field of a name, nil if there is none.
func (f *frame) field(name string) *field {
	for i := range f.fields {
		if f.fields[i].name == name {
			return &f.fields[i]
		}
	}
	return nil
}

func (f *frame) names() []string {
	var names []string
	for _, field := range f.fields {
		names = append(names, field.name)
	}
	return names
}

func (f *frame) rows() int {
	if len(f.fields) == 0 {
		return 0
	}
	return len(f.fields[0].values)
}

// kinds are the types of fields by the data types of annotated CSV.
var kinds = map[string]string{
	"string": "string", "boolean": "boolean", "long": "number", "unsignedLong": "number", "double": "number", "duration": "number",
	"dateTime:RFC3339": "time", "dateTime:RFC3339Nano": "time",
}

// query runs Flux as Grafana sends it, at the tests' moment, and returns the frames
// that Grafana makes of the answer.
func (d *database) query(t testing.TB, flux string, now time.Time) ([]frame, error) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"query": flux, "type": "flux", "now": now,
		"dialect": map[string]any{"annotations": []string{"datatype", "group", "default"}, "header": true, "delimiter": ","},
	})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.server.URL+"/api/v2/query?org="+d.server.Org, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Token "+d.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		message, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("%s: %s", response.Status, message)
	}
	result := api.NewQueryTableResult(response.Body)
	defer result.Close()
	var frames []frame
	for result.Next() {
		if result.TableChanged() {
			frames = append(frames, newFrame(result))
		}
		if err := frames[len(frames)-1].add(result); err != nil {
			return nil, err
		}
	}
	for i := range frames {
		frames[i].finish()
	}
	return frames, result.Err()
}

// newFrame makes the fields for a table.
func newFrame(result *api.QueryTableResult) frame {
	var f frame
	for _, column := range result.TableMetadata().Columns() {
		if name := column.Name(); name != "result" && name != "table" && !column.IsGroup() {
			f.fields = append(f.fields, field{name: name, kind: kinds[column.DataType()]})
		}
	}
	// Times come first.
	slices.SortStableFunc(f.fields, func(a, b field) int {
		switch {
		case a.kind == "time" && b.kind != "time":
			return -1
		case b.kind == "time" && a.kind != "time":
			return 1
		}
		return 0
	})
	labels := map[string]string{}
	for _, column := range result.TableMetadata().Columns() {
		if column.IsGroup() {
			labels[column.Name()] = fmt.Sprint(result.Record().ValueByKey(column.Name()))
		}
	}
	for i := range f.fields {
		f.fields[i].labels = labels
	}
	return f
}

func (f *frame) add(result *api.QueryTableResult) error {
	for i := range f.fields {
		field := &f.fields[i]
		value := result.Record().ValueByKey(field.name)
		switch v := value.(type) {
		case int64:
			value = float64(v)
		case uint64:
			value = float64(v)
		case time.Duration:
			value = float64(v)
		case nil, float64, string, bool, time.Time:
		default:
			return fmt.Errorf("column %s: a %T", field.name, value)
		}
		field.values = append(field.values, value)
	}
	return nil
}

// finish names the fields of a plain series as Grafana does.
func (f *frame) finish() {
	if !slices.Equal(f.names(), []string{"_time", "_value"}) {
		return
	}
	name := "Value"
	if of, ok := f.fields[1].labels["_field"]; ok {
		name = of
	}
	for _, label := range []string{"_field", "_start", "_stop"} {
		delete(f.fields[1].labels, label)
	}
	f.fields[0].name, f.fields[1].name = "Time", name
	f.fields[0].labels = nil
}
