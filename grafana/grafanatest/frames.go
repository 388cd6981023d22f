package grafanatest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api/query"
)

// Influx is the InfluxDB of the data source spotify-influx.
type Influx struct {
	URL, Org, Bucket, Token string
}

// The uids of the data sources.
const (
	InfluxUID     = "spotify-influx"
	PrometheusUID = "spotify-prom"
)

// Frame is a table as /api/ds/query answers it (Grafana's DataFrameJSON).
type Frame struct {
	Schema Schema `json:"schema"`
	Data   Data   `json:"data"`
}

// Schema is what a Frame's columns are.
type Schema struct {
	Name   string         `json:"name,omitempty"`
	RefID  string         `json:"refId,omitempty"`
	Meta   map[string]any `json:"meta,omitempty"`
	Fields []Field        `json:"fields"`
}

// Field is one column. Type is time, number, string or boolean.
type Field struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	TypeInfo map[string]any    `json:"typeInfo"`
	Labels   map[string]string `json:"labels,omitempty"`
	Config   map[string]any    `json:"config,omitempty"`
}

// Data is the content of a Frame, by column; times are milliseconds since 1970.
// (What they lack of nanoseconds is "nanos" in Grafana, which is not here.)
type Data struct {
	Values [][]any `json:"values"`
}

// query is /api/ds/query: for viewers too. The status is that of the worst query.
func (s *Server) query(w http.ResponseWriter, r *http.Request, _ string, _ Role) {
	var request struct {
		From    string           `json:"from"`
		To      string           `json:"to"`
		Queries []map[string]any `json:"queries"`
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil || len(request.Queries) == 0 {
		say(w, http.StatusBadRequest, "bad request data")
		return
	}
	from, err := strconv.ParseInt(request.From, 10, 64)
	to, toErr := strconv.ParseInt(request.To, 10, 64)
	if err := errors.Join(err, toErr); err != nil {
		say(w, http.StatusBadRequest, err.Error())
		return
	}
	results, worst := make(map[string]any), http.StatusOK
	for _, query := range request.Queries {
		refID, _ := query["refId"].(string)
		interval, _ := query["intervalMs"].(float64)
		if refID == "" || interval == 0 || results[refID] != nil {
			say(w, http.StatusBadRequest, "this double wants a refId of its own and an intervalMs, which Grafana would take for A and 1 s")
			return
		}
		macros := Macros{From: time.UnixMilli(from), To: time.UnixMilli(to), Interval: time.Duration(interval) * time.Millisecond}
		frames, err := s.run(r.Context(), query, macros)
		if errors.Is(err, errNoSource) {
			say(w, http.StatusNotFound, "Data source not found")
			return
		}
		if err != nil {
			worst = http.StatusBadRequest
			results[refID] = map[string]any{"status": worst, "error": err.Error()}
			continue
		}
		for i := range frames {
			frames[i].Schema.RefID = refID
		}
		results[refID] = map[string]any{"status": http.StatusOK, "frames": frames}
	}
	answer(w, worst, map[string]any{"results": results})
}

var errNoSource = errors.New("data source not found")

func (s *Server) run(ctx context.Context, query map[string]any, macros Macros) ([]Frame, error) {
	if s.Answer != nil {
		return s.Answer(query)
	}
	source, _ := query["datasource"].(map[string]any)
	switch {
	case source["uid"] == InfluxUID && s.Influx != nil:
		macros.Bucket, macros.Organization = s.Influx.Bucket, s.Influx.Org
		text, _ := query["query"].(string)
		points, _ := query["maxDataPoints"].(float64)
		return s.Influx.Frames(ctx, macros.Flux(text), int(points))
	case source["uid"] == PrometheusUID && s.PrometheusURL != "":
		return s.promFrames(ctx, query, macros)
	}
	return nil, errNoSource
}

// The types of columns in InfluxDB's annotated CSV, and Grafana's.
var fluxTypes = map[string][2]string{
	"string":               {"string", "string"},
	"double":               {"number", "float64"},
	"boolean":              {"boolean", "bool"},
	"long":                 {"number", "int64"},
	"unsignedLong":         {"number", "uint64"},
	"duration":             {"number", "int64"},
	"base64Binary":         {"string", "string"},
	"dateTime:RFC3339":     {"time", "time.Time"},
	"dateTime:RFC3339Nano": {"time", "time.Time"},
}

// Frames runs Flux, in which all is expanded, and makes frames of its tables, one for
// each group key: the columns of the key become labels of the others, and a table of
// nothing but _time and _value has them called Time and Value
// (pkg/tsdb/influxdb/flux/builder.go). More than 1,000 frames, or 10 rows in one for
// each of maxDataPoints, are an error.
func (i *Influx) Frames(ctx context.Context, flux string, maxDataPoints int) ([]Frame, error) {
	client := influxdb2.NewClientWithOptions(i.URL, i.Token, influxdb2.DefaultOptions().SetHTTPRequestTimeout(120))
	defer client.Close()
	result, err := client.QueryAPI(i.Org).Query(ctx, flux)
	if err != nil {
		return nil, err
	}
	defer func() { _ = result.Close() }()
	frames := []Frame{}
	var table fluxTable
	var key []any
	const maxSeries = 1000 // the data source's default
	for result.Next() {
		record := result.Record()
		if result.TableChanged() {
			table, key = newFluxTable(result.TableMetadata()), nil
		}
		if now := table.key(record); key == nil || !slices.Equal(key, now) {
			if len(frames) == maxSeries {
				return nil, fmt.Errorf("results are truncated, max series reached (%d)", maxSeries)
			}
			key = now
			frames = append(frames, table.frame(record))
		}
		active := &frames[len(frames)-1]
		for at, column := range table.columns {
			active.Data.Values[at] = append(active.Data.Values[at], jsonValue(record.ValueByKey(column.Name())))
		}
		if active.rows() > 10*maxDataPoints {
			return nil, fmt.Errorf("max data points limit exceeded (count is %d)", active.rows())
		}
	}
	if len(frames) > 0 {
		frames[0].Schema.Meta = map[string]any{"executedQueryString": flux, "typeVersion": []int{0, 0}}
	}
	return frames, result.Err()
}

func (f *Frame) rows() int {
	if len(f.Data.Values) == 0 {
		return 0
	}
	return len(f.Data.Values[0])
}

// fluxTable is how the rows of one table become a frame.
type fluxTable struct {
	group   []string            // names of the group key's columns
	columns []*query.FluxColumn // the others, times first
	simple  bool                // _time and _value alone
	oneTime bool                // _time is the only time
	range_  bool                // _start and _stop are in the group key
}

func newFluxTable(metadata *query.FluxTableMetadata) fluxTable {
	var table fluxTable
	var times, others []*query.FluxColumn
	for _, column := range metadata.Columns() {
		isTime := strings.HasPrefix(column.DataType(), "dateTime:")
		switch {
		case column.Index() == 0 && column.Name() == "result", column.Index() == 1 && column.Name() == "table":
		case column.IsGroup():
			table.group = append(table.group, column.Name())
		case isTime:
			times = append(times, column)
		default:
			others = append(others, column)
		}
	}
	table.columns = append(times, others...)
	table.oneTime = len(times) == 1 && times[0].Name() == "_time"
	table.simple = table.oneTime && len(others) == 1 && others[0].Name() == "_value"
	table.range_ = slices.Contains(table.group, "_start") && slices.Contains(table.group, "_stop")
	return table
}

// key are the values of the group key in a record.
func (t *fluxTable) key(record *query.FluxRecord) []any {
	key := make([]any, 0, len(t.group))
	for _, name := range t.group {
		key = append(key, fmt.Sprint(record.ValueByKey(name)))
	}
	return key
}

// frame is an empty frame for the group of a record.
func (t *fluxTable) frame(record *query.FluxRecord) Frame {
	labels := make(map[string]string)
	for _, name := range t.group {
		if value := record.ValueByKey(name); value != nil && value != "" {
			labels[name] = fmt.Sprint(value)
		}
	}
	name := labels["_measurement"]
	delete(labels, "_measurement")
	valueName := "Value"
	if t.simple {
		if labels["_field"] != "" {
			valueName = labels["_field"]
			delete(labels, "_field")
		}
		if t.range_ {
			delete(labels, "_start")
			delete(labels, "_stop")
		}
	}
	frame := Frame{Schema: Schema{Name: name}, Data: Data{Values: make([][]any, len(t.columns))}}
	for at, column := range t.columns {
		kind := fluxTypes[column.DataType()]
		field := Field{Name: column.Name(), Type: kind[0], TypeInfo: map[string]any{"frame": kind[1], "nullable": true}, Config: map[string]any{}}
		switch {
		case t.simple && column.Name() == "_time":
			field.Name = "Time"
		case t.simple:
			field.Name = valueName
		}
		if !t.oneTime || column.Name() != "_time" {
			field.Labels = labels
		}
		frame.Schema.Fields = append(frame.Schema.Fields, field)
		frame.Data.Values[at] = []any{}
	}
	return frame
}

// jsonValue is a value as frames have it.
func jsonValue(value any) any {
	switch value := value.(type) {
	case time.Time:
		return value.UnixMilli()
	case time.Duration:
		return int64(value)
	case float64:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return nil
		}
	}
	return value
}

var legendLabel = regexp.MustCompile(`\{\{\s*(.+?)\s*\}\}`)

// promFrames runs PromQL, "instant" or over the range, and makes a frame of each
// series with Time and Value, labelled and named by legendFormat
// (pkg/promlib/querydata/response.go).
func (s *Server) promFrames(ctx context.Context, query map[string]any, macros Macros) ([]Frame, error) {
	text, _ := query["expr"].(string)
	minStep, _ := query["interval"].(string)
	expr, step, err := macros.PromQL(text, minStep)
	if err != nil {
		return nil, err
	}
	path, form := "/api/v1/query_range", url.Values{"query": {expr}}
	if instant, _ := query["instant"].(bool); instant {
		path = "/api/v1/query"
		form.Set("time", seconds(macros.To))
	} else { // aligned with the step
		form.Set("start", seconds(macros.From.Truncate(step)))
		form.Set("end", seconds(macros.To.Truncate(step)))
		form.Set("step", strconv.FormatFloat(step.Seconds(), 'f', -1, 64))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.PrometheusURL+path, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error string `json:"error"`
		Data  struct {
			Type   string          `json:"resultType"`
			Result json.RawMessage `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(content, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	if answer.Error != "" {
		return nil, errors.New(answer.Error)
	}
	var series []promSeries
	if answer.Data.Type == "scalar" {
		series = make([]promSeries, 1)
		err = json.Unmarshal(answer.Data.Result, &series[0].Value)
	} else {
		err = json.Unmarshal(answer.Data.Result, &series)
	}
	if err != nil {
		return nil, fmt.Errorf("result of Prometheus: %w", err)
	}
	frames := []Frame{}
	legend, _ := query["legendFormat"].(string)
	for _, one := range series {
		points := one.Values
		if one.Value != nil {
			points = [][]any{one.Value}
		}
		frames = append(frames, promFrame(one.Metric, points, legend, expr, step))
	}
	if len(frames) == 0 {
		frames = append(frames, Frame{Schema: Schema{Fields: []Field{}}, Data: Data{Values: [][]any{}}})
	}
	frames[0].Schema.Meta = map[string]any{"executedQueryString": "Expr: " + expr + "\nStep: " + step.String(), "custom": map[string]any{"resultType": answer.Data.Type}}
	return frames, nil
}

// promSeries is a series in an answer of Prometheus: one point, or several.
type promSeries struct {
	Metric map[string]string `json:"metric"`
	Value  []any             `json:"value"` // [seconds, "value"]
	Values [][]any           `json:"values"`
}

func promFrame(labels map[string]string, points [][]any, legend, expr string, step time.Duration) Frame {
	name := promName(labels)
	if legend != "" && legend != "__auto" {
		name = legendLabel.ReplaceAllStringFunc(legend, func(found string) string { return labels[legendLabel.FindStringSubmatch(found)[1]] })
	}
	if name == "{}" {
		name = expr
	}
	frame := Frame{
		Schema: Schema{Name: name, Fields: []Field{
			{Name: "Time", Type: "time", TypeInfo: map[string]any{"frame": "time.Time"}, Config: map[string]any{"interval": step.Milliseconds()}},
			{Name: "Value", Type: "number", TypeInfo: map[string]any{"frame": "float64"}, Labels: labels, Config: map[string]any{"displayNameFromDS": name}},
		}},
		Data: Data{Values: [][]any{{}, {}}},
	}
	for _, point := range points {
		at, _ := point[0].(float64)
		text, _ := point[1].(string)
		value, _ := strconv.ParseFloat(text, 64)
		frame.Data.Values[0] = append(frame.Data.Values[0], int64(math.Round(at*1000)))
		frame.Data.Values[1] = append(frame.Data.Values[1], jsonValue(value))
	}
	return frame
}

// promName writes labels as Prometheus does: name{label="value"}.
func promName(labels map[string]string) string {
	var pairs []string
	for name, value := range labels {
		if name != "__name__" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, value))
		}
	}
	slices.Sort(pairs)
	if len(pairs) == 0 && labels["__name__"] != "" {
		return labels["__name__"]
	}
	return labels["__name__"] + "{" + strings.Join(pairs, ", ") + "}"
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
