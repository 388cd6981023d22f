package grafana_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// cost is what one query costs InfluxDB.
type cost struct {
	Query string  `json:"query"`
	CPU   float64 `json:"cpu_s"`
	Wall  float64 `json:"wall_s"`

	rows int
}

// goal is the processor time, in seconds, that a board may cost when it is opened.
type goal struct{ query, board float64 }

// goals are those of issue 7: 0.1 s for 90 days, 0.25 s for a year, 0.4 s for all time.
var goals = map[string]goal{
	"spotify-listening": {0.1, 2},
	"spotify-public":    {0.1, 2},
	"spotify-artist":    {0.25, 2},
	"spotify-year":      {0.25, 2},
	"spotify-alltime":   {0.4, 1.5},
}

// BenchmarkDashboards writes into the file DASHBOARDS_REPORT what every query of every
// board costs at the range that the board opens with, on 20 years of listening:
// DASHBOARDS_LISTENS plays. make bench-dashboards runs it.
func BenchmarkDashboards(b *testing.B) {
	text := os.Getenv("DASHBOARDS_LISTENS")
	if text == "" {
		b.Skip("DASHBOARDS_LISTENS is not set: make bench-dashboards does it")
	}
	listens, err := strconv.Atoi(text)
	if err != nil {
		b.Fatal(err)
	}
	report, err := os.Create(os.Getenv("DASHBOARDS_REPORT"))
	if err != nil {
		b.Fatal(err)
	}
	defer report.Close()
	moment := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	d := fillLifetime(b, listens, moment)
	settle(b, d.server)
	fmt.Fprintf(report, "%d listens over %d years in InfluxDB %s. CPU is that of influxd, the median of %d runs; beside other load it may be twice as much.\n",
		len(d.accounts[0].plays), lifetimeYears, d.server.Version, runs)
	writeCosts(b, report, d, moment, func() time.Duration { return d.server.CPU(b) })
}

// settle waits until the server has put in order what was written, for two minutes at
// most. What is read before, it sorts for every query.
func settle(b *testing.B, server *influxtest.Server) {
	time.Sleep(2 * lifetimeCold)
	for range 24 {
		used := server.CPU(b)
		time.Sleep(5 * time.Second)
		if server.CPU(b)-used < 100*time.Millisecond {
			return
		}
	}
}

// runs are how often each query of a board is run, after once to warm up: all of them in
// turns, since now and then influxd collects garbage for half a second, and five runs of one
// query in a row are no longer than that.
const runs = 5

// writeCosts writes the tables, and one object as the last line.
func writeCosts(b testing.TB, report io.Writer, d *database, moment time.Time, cpu func() time.Duration) {
	measure := func(queries ...func() int) []cost {
		costs := make([]cost, len(queries))
		used, took := make([][]float64, len(queries)), make([][]float64, len(queries))
		for n := range 1 + runs {
			for i, run := range queries {
				before, began := cpu(), time.Now()
				costs[i].rows = run()
				if n > 0 {
					took[i] = append(took[i], time.Since(began).Seconds())
					used[i] = append(used[i], (cpu() - before).Seconds())
				}
			}
		}
		for i := range costs {
			slices.Sort(used[i])
			slices.Sort(took[i])
			costs[i].CPU, costs[i].Wall = used[i][runs/2], took[i][runs/2]
		}
		return costs
	}
	var all []cost
	var missed []string
	sums, queries := map[string]float64{}, map[string]int{}
	fmt.Fprint(report, "\n| query | type | rows | CPU s | wall s | goal |\n|---|---|--:|--:|--:|--:|\n")
	boards := readBoards(b)
	for _, uid := range slices.Sorted(maps.Keys(goals)) {
		board, goal := boards[uid], goals[uid]
		if board == nil {
			continue
		}
		v, err := d.view(b, board, looking{now: moment})
		if err != nil {
			b.Fatal(err)
		}
		targets := slices.DeleteFunc(v.targets(), func(q target) bool { return q.source().Type != "influxdb" })
		var asked []func() int
		for _, q := range targets {
			asked = append(asked, func() int {
				frames, err := v.query(b, &q)
				if err != nil {
					b.Fatalf("%s: %v", q.where, err)
				}
				rows := 0
				for i := range frames {
					rows += frames[i].rows()
				}
				return rows
			})
		}
		for i, c := range measure(asked...) {
			q := targets[i]
			kind := "annotation"
			switch {
			case q.panel != nil:
				kind = q.panel.Type
			case q.variable != nil:
				kind = "variable"
			}
			c.Query = q.where
			all = append(all, c)
			sums[board.UID] += c.CPU
			queries[board.UID]++
			mark := ""
			if c.CPU > goal.query {
				mark = " **missed**"
				missed = append(missed, q.where)
			}
			fmt.Fprintf(report, "| %s | %s | %d | %.3f | %.3f | %.2f%s |\n", q.where, kind, c.rows, c.CPU, c.Wall, goal.query, mark)
		}
	}
	fmt.Fprint(report, "\n| board | opens with | queries | CPU s | goal |\n|---|---|--:|--:|--:|\n")
	for _, uid := range slices.Sorted(maps.Keys(goals)) {
		board, goal := boards[uid], goals[uid]
		if board == nil {
			continue
		}
		mark := ""
		if sums[board.UID] > goal.board {
			mark = " **missed**"
			missed = append(missed, board.UID)
		}
		fmt.Fprintf(report, "| %s | %s to %s | %d | %.2f | %.1f%s |\n", board.Title, board.Time.From, board.Time.To, queries[board.UID], sums[board.UID], goal.board, mark)
	}
	slices.SortFunc(all, func(x, y cost) int { return cmp.Compare(y.CPU, x.CPU) })
	slowest := all[:min(5, len(all))]
	fmt.Fprint(report, "\nThe five slowest:\n\n| query | CPU s | wall s |\n|---|--:|--:|\n")
	for _, c := range slowest {
		fmt.Fprintf(report, "| %s | %.3f | %.3f |\n", c.Query, c.CPU, c.Wall)
	}

	fmt.Fprint(report, "\nThe textbook's forms beside what the boards do:\n\n| question | form | CPU s | wall s |\n|---|---|--:|--:|\n")
	for _, form := range forms {
		for _, years := range form.years {
			query := strings.NewReplacer(
				"BUCKET", strconv.Quote(d.bucket), "FROM", moment.AddDate(-years, 0, 0).Format(time.RFC3339), "TO", moment.Format(time.RFC3339),
			).Replace(listens + form.flux)
			c := measure(func() int {
				frames, err := d.query(b, query, 1000)
				if err != nil {
					b.Fatalf("%s, %s: %v", form.question, form.name, err)
				}
				return len(frames)
			})[0]
			fmt.Fprintf(report, "| %s, %d years | %s | %.3f | %.3f |\n", form.question, years, form.name, c.CPU, c.Wall)
		}
	}
	last, err := json.Marshal(map[string]any{"listens": len(d.accounts[0].plays), "boards": sums, "slowest": slowest, "missed": missed})
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintln(report, string(last))
}

// listens is how all of forms begin.
const listens = `
import "date"
import "array"
import "timezone"
option location = timezone.location(name: "Europe/Berlin")
listens = (fields) => from(bucket: BUCKET) |> range(start: FROM, stop: TO)
	|> filter(fn: (r) => r._measurement == "listen" and r.account == "me") |> filter(fn: fields)
`

// forms are ways to ask what the boards ask.
var forms = []struct {
	question, name string
	years          []int
	flux           string
}{
	{"top artists by hours", "group by artist", []int{1, 20}, `
		listens(fields: (r) => r._field == "ms_played" or r._field == "artist_key")
		|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
		|> group(columns: ["artist_key"]) |> sum(column: "ms_played") |> group()
		|> sort(columns: ["ms_played"], desc: true) |> limit(n: 10)`},
	{"top artists by hours", "sort, running sums, first rows, differences", []int{1, 20}, `
		union(tables: [
			listens(fields: (r) => r._field == "ms_played" or r._field == "artist_key")
				|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group() |> keep(columns: ["artist_key", "ms_played"]),
			array.from(rows: [{artist_key: "\xf4\x8f\xbf\xbf", ms_played: 0}]),
		])
		|> sort(columns: ["artist_key"]) |> duplicate(column: "ms_played", as: "ms") |> cumulativeSum(columns: ["ms"])
		|> map(fn: (r) => ({artist_key: r.artist_key, ms: r.ms_played - r.ms})) |> unique(column: "artist_key")
		|> sort(columns: ["ms"]) |> difference(columns: ["ms"], keepFirst: true)
		|> sort(columns: ["ms"], desc: true) |> limit(n: 10)`},
	{"top artists by hours", "totals", []int{20}, `
		from(bucket: BUCKET) |> range(start: 2000-01-01T00:00:00Z, stop: 2000-01-02T00:00:00Z)
		|> filter(fn: (r) => r._measurement == "artist_total" and r.account == "me" and (r._field == "ms_played" or r._field == "name"))
		|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value") |> group()
		|> sort(columns: ["ms_played"], desc: true) |> limit(n: 10)`},
	{"hours by hour and weekday", "map with date.hour and date.weekDay", []int{1}, `
		listens(fields: (r) => r._field == "ms_played") |> group() |> keep(columns: ["_time", "_value"])
		|> map(fn: (r) => ({hour: date.hour(t: r._time), day: date.weekDay(t: r._time), _value: r._value}))
		|> group(columns: ["hour", "day"]) |> sum() |> group()`},
	{"hours by hour and weekday", "stored hour and weekday", []int{1}, `
		listens(fields: (r) => r._field == "ms_played" or r._field == "hour" or r._field == "weekday")
		|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
		|> group(columns: ["hour", "weekday"]) |> sum(column: "ms_played") |> group()`},
	{"hours per day", "aggregateWindow", []int{1, 20}, `
		listens(fields: (r) => r._field == "ms_played") |> aggregateWindow(every: 1d, fn: sum, createEmpty: true, timeSrc: "_start")`},
}
