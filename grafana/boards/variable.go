package main

import "strings"

// variable is a template variable. Queries, titles and links use it as ${name} or, in a
// regular expression, ${name:regex}: nothing else, since the snapshot publisher and the
// tests expand variables as Grafana's frontend does.
type variable struct {
	Name        string      `json:"name"`
	Label       string      `json:"label"`
	Description string      `json:"description"`
	Type        string      `json:"type"` // datasource, query, custom, textbox or constant
	Query       any         `json:"query"`
	Definition  string      `json:"definition,omitempty"`
	Datasource  *datasource `json:"datasource,omitempty"`
	Regex       string      `json:"regex"`
	Refresh     int         `json:"refresh"`
	Sort        int         `json:"sort"`
	Hide        int         `json:"hide"`
	Multi       bool        `json:"multi"`
	IncludeAll  bool        `json:"includeAll"`
	AllValue    string      `json:"allValue,omitempty"`
	SkipURLSync bool        `json:"skipUrlSync"`
	Current     option      `json:"current"`
	Options     []option    `json:"options"`
}

type option struct {
	Selected bool   `json:"selected"`
	Text     string `json:"text"`
	Value    string `json:"value"`
}

// variableQuery is what a query variable asks.
type variableQuery struct {
	RefID   string `json:"refId"`
	Query   string `json:"query"`
	QryType int    `json:"qryType,omitempty"` // of Prometheus
}

const (
	hidden        = 2 // hide: neither label nor value; a link can set it still
	onLoad        = 1 // refresh: when the board is opened
	onTime        = 2 // refresh: when the time range changes
	alphabetical  = 1 // sort
	labelValues   = 1 // qryType
	influxType    = "influxdb"
	promType      = "prometheus"
	influxDefault = "spotify-influx"
	promDefault   = "spotify-prom"
)

// datasource names a data source by its type and uid.
type datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

var (
	influxSource = datasource{influxType, "${influx}"}
	promSource   = datasource{promType, "${prometheus}"}
)

// influxVariable chooses the InfluxDB data source.
func influxVariable() variable {
	return variable{
		Name: "influx", Label: "InfluxDB", Description: "Data source with the listens; its query language is Flux.",
		Type: "datasource", Query: influxType, Hide: hidden, Refresh: onLoad,
		Current: option{Text: "Spotify listens", Value: influxDefault}, Options: []option{},
	}
}

// prometheusVariable chooses the Prometheus data source.
func prometheusVariable() variable {
	return variable{
		Name: "prometheus", Label: "Prometheus", Description: "Data source with the exporter's metrics.",
		Type: "datasource", Query: promType, Hide: hidden, Refresh: onLoad,
		Current: option{Text: "Spotify exporter", Value: promDefault}, Options: []option{},
	}
}

// bucketVariable names the bucket: the one that the data source is provisioned with, or
// another, for a Grafana or InfluxDB that was there before.
func bucketVariable() variable {
	v := fluxVariable("bucket", "Bucket", "Bucket in InfluxDB that the exporter writes to (INFLUX_BUCKET). The default one of the data source, or another that it may read.", "readable()")
	v.Hide = hidden
	return v
}

// jobVariable names the scrape job.
func jobVariable() variable {
	return textVariable("job", "Job", "Job under which Prometheus scrapes the exporter.", "spotify-exporter")
}

// textVariable is set in the board's settings or by a link, and is not shown.
func textVariable(name, label, description, value string) variable {
	current := option{Selected: true, Text: value, Value: value}
	return variable{
		Name: name, Label: label, Description: description,
		Type: "textbox", Query: value, Hide: hidden, Current: current, Options: []option{current},
	}
}

// accountVariable chooses the listener among those with data.
func accountVariable() variable {
	v := fluxVariable("account", "Account", "Whose listening is shown.", "accounts()")
	v.Sort = alphabetical
	return v
}

// zoneVariable is where the account's days begin and end: where its listener lives, and
// not where the browser of whoever looks happens to be.
func zoneVariable() variable {
	v := fluxVariable("zone", "Time zone", "Time zone of the listener, from the data: days break at midnight there.", "zone()")
	v.Hide, v.SkipURLSync = hidden, true // follows the account
	return v
}

// minimumVariable leaves out short plays.
func minimumVariable() variable {
	return customVariable("minimum", "Shortest play", "Plays of less time are left out, of hours too. What counts as a play is the exporter's COUNT_FROM, 30 s by default.",
		"any", "0", "10 s", "10", "30 s", "30", "1 min", "60", "2 min", "120")
}

// customVariable offers pairs of text and value, the first one by default.
func customVariable(name, label, description string, pairs ...string) variable {
	v := variable{Name: name, Label: label, Description: description, Type: "custom"}
	var query []string
	for i := 0; i < len(pairs); i += 2 {
		v.Options = append(v.Options, option{Selected: i == 0, Text: pairs[i], Value: pairs[i+1]})
		query = append(query, pairs[i]+" : "+pairs[i+1])
	}
	v.Query, v.Current = strings.Join(query, ","), v.Options[0]
	return v
}

// fluxVariable takes its values from a query, whose first text column they are.
func fluxVariable(name, label, description, expression string) variable {
	query := fluxQuery(expression)
	return variable{
		Name: name, Label: label, Description: description,
		Type: "query", Query: variableQuery{RefID: name, Query: query}, Definition: expression, Datasource: &influxSource,
		Refresh: onLoad, Options: []option{},
	}
}

// delayVariable is how much of the last hours a board for strangers leaves out. The
// snapshot publisher sets it from SNAPSHOT_DELAY.
func delayVariable() variable {
	return variable{
		Name: "delay", Label: "Delay", Description: "How much of the last hours is left out, as a Flux duration.",
		Type: "constant", Query: "24h", Hide: hidden, SkipURLSync: true,
		Current: option{Selected: true, Text: "24h", Value: "24h"}, Options: []option{{Selected: true, Text: "24h", Value: "24h"}},
	}
}
