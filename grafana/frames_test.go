package grafana_test

import (
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/grafana/grafanatest"
)

// frame is a frame of Grafana's as tests look at it.
type frame struct {
	fields []field
}

type field struct {
	name, kind string // kind: time, number, string or boolean
	labels     map[string]string
	values     []any // time.Time, float64, string, bool; nil
}

// query runs Flux as Grafana sends it, and returns the frames that Grafana makes of the
// answer.
func (d *database) query(t testing.TB, flux string, points int) ([]frame, error) {
	t.Helper()
	influx := grafanatest.Influx{URL: d.server.URL, Org: d.server.Org, Bucket: d.bucket, Token: d.token}
	answer, err := influx.Frames(t.Context(), flux, points)
	var frames []frame
	for _, made := range answer {
		var f frame
		for i, of := range made.Schema.Fields {
			f.fields = append(f.fields, field{of.Name, of.Type, of.Labels, values(of.Type, made.Data.Values[i])})
		}
		frames = append(frames, f)
	}
	return frames, err
}

// values are a column's, all numbers as float64.
func values(kind string, column []any) []any {
	all := make([]any, len(column))
	for i, value := range column {
		switch n := value.(type) {
		case int64:
			all[i] = float64(n)
			if kind == "time" {
				all[i] = time.UnixMilli(n)
			}
		case uint64:
			all[i] = float64(n)
		default:
			all[i] = value
		}
	}
	return all
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

// numbers are the names of the number fields.
func (f *frame) numbers() []string {
	var names []string
	for _, field := range f.fields {
		if field.kind == "number" {
			names = append(names, field.name)
		}
	}
	return names
}

func (f *frame) rows() int {
	if len(f.fields) == 0 {
		return 0
	}
	return len(f.fields[0].values)
}
