package grafana

// frame is a table of data as /api/ds/query answers and a snapshot holds
// (Grafana's DataFrameJSON).
type frame struct {
	Schema schema    `json:"schema"`
	Data   frameData `json:"data"`
}

type schema struct {
	Name   string         `json:"name,omitempty"`
	RefID  string         `json:"refId,omitempty"`
	Meta   map[string]any `json:"meta,omitzero"`
	Fields []field        `json:"fields"`
}

// field is a column.
type field struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"` // time, number, string, boolean
	TypeInfo map[string]any    `json:"typeInfo,omitzero"`
	Labels   map[string]string `json:"labels,omitzero"`
	Config   map[string]any    `json:"config,omitzero"`
}

type frameData struct {
	Values [][]any `json:"values"` // by column; times are milliseconds since 1970
	// Entities are where columns have NaN and infinities, which JSON has not: nil, or
	// row numbers by name.
	Entities []map[string][]int `json:"entities,omitempty"`
}

// rows is how many rows a frame has.
func (f *frame) rows() int {
	if len(f.Data.Values) == 0 {
		return 0
	}
	return len(f.Data.Values[0])
}

// strip leaves what a panel needs to draw a frame. What else comes with it tells
// about the installation: the query as it was run, notices, timings. The parts of a
// millisecond in points' times (data.nanos) are not even read.
func (f *frame) strip() {
	f.Schema.Meta = only(f.Schema.Meta, "type", "typeVersion", "preferredVisualisationType")
	for i := range f.Schema.Fields {
		field := &f.Schema.Fields[i]
		field.Config = only(field.Config, "displayName", "displayNameFromDS", "interval")
		field.TypeInfo = only(field.TypeInfo, "frame", "nullable")
	}
}

// only returns the entries of an object that have these keys.
func only(object map[string]any, keys ...string) map[string]any {
	kept := make(map[string]any)
	for _, key := range keys {
		if value, ok := object[key]; ok {
			kept[key] = value
		}
	}
	return kept
}
