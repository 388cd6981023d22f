package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// Flux that no board uses is not there, and a name is that of one thing only: the
// generator would put the definition in front of queries that mean another one.
func TestDefinitions(t *testing.T) {
	var queries strings.Builder
	for _, b := range boards() {
		content, err := b.json()
		if err != nil {
			t.Fatal(err)
		}
		queries.Write(content)
	}
	names := map[string]bool{}
	for _, d := range definitions() {
		if names[d.name] {
			t.Errorf("%s is defined twice", d.name)
		}
		names[d.name] = true
		if !strings.Contains(queries.String(), `\n`+d.name+` = `) && !strings.Contains(queries.String(), `"`+d.name+` = `) {
			t.Errorf("%s is used by no board", d.name)
		}
	}
	local := regexp.MustCompile(`(?m)^ +(\w+) = `)
	for _, d := range definitions() {
		for _, match := range local.FindAllStringSubmatch(d.text, -1) {
			if names[match[1]] {
				t.Errorf("%s has a name of its own, %s, that is also defined for all", d.name, match[1])
			}
		}
	}
}

// A query has the definitions that it uses, each before what uses it, and no others.
func TestQueryHasWhatItUses(t *testing.T) {
	query := fluxQuery(`ms() |> perWeek()`)
	place := -1
	for _, want := range []string{`import "timezone"`, `option location = timezone.location(name: "${zone}")`, "\nlistens = ", "\nms = ", "\nms() |> perWeek()\n"} {
		at := strings.Index(query, want)
		if at <= place {
			t.Errorf("%q is missing or too early in\n%s", want, query)
		}
		place = at
	}
	for _, not := range []string{`import "array"`, "\nsums = ", "\ntotal = "} {
		if strings.Contains(query, not) {
			t.Errorf("%q is of no use in\n%s", not, query)
		}
	}
}

// play is what the tests of idioms write.
type play struct {
	at    time.Time
	key   string
	ms    int64
	plays int64
}

// written are plays in a bucket of their own: names in many letters, ties, two plays a
// few ns apart, and one key that stands for none.
func written(t *testing.T, s *influxtest.Server) (bucket string, plays []play) {
	t.Helper()
	bucket = s.Bucket(t)
	random := rand.New(rand.NewPCG(3, 14))
	keys := []string{"", "a", "a – b", "b", "ß", "zz top", "日本", "мдм", "𝄞", "€", "~", "élan"}
	at := time.Date(2025, 3, 20, 0, 0, 0, 0, time.UTC)
	var lines strings.Builder
	for range 1000 {
		at = at.Add(time.Duration(random.IntN(2*36*60*60))*time.Second/100 + 1)
		p := play{at, keys[random.IntN(len(keys))], int64(random.IntN(5)) * 10_000, int64(random.IntN(2))}
		plays = append(plays, p)
		fmt.Fprintf(&lines, "listen,account=me artist_key=%q,artist=%q,ms_played=%di,plays=%di %d\n", p.key, strings.ToUpper(p.key), p.ms, p.plays, p.at.UnixNano())
	}
	address := s.URL + "/api/v2/write?" + url.Values{"org": {s.Org}, "bucket": {bucket}}.Encode()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Token "+s.Token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Fatalf("write: %s", response.Status)
	}
	return bucket, plays
}

// asked is an expression as Grafana sends it for those plays.
func asked(bucket, minimum, expression string) string {
	return strings.NewReplacer(
		"${bucket}", bucket, "${account}", "me", "${account:regex}", "me", "${zone}", "Europe/Berlin", "${minimum}", minimum,
		"v.timeRangeStart", "2025-03-20T00:00:00Z", "v.timeRangeStop", "2025-04-10T00:00:00Z",
	).Replace(fluxQuery(expression))
}

// What is cheaper than the textbook's form says the same.
func TestIdiomsSayWhatTheTextbookDoes(t *testing.T) {
	influxtest.Require2(t)
	s := influxtest.Shared(t)
	bucket, plays := written(t, s)
	for _, minimum := range []string{"0", "20"} {
		for name, form := range map[string]struct{ idiom, textbook string }{
			"sums": {
				`artists() |> keep(columns: ["key", "ms", "plays"]) |> sort(columns: ["key"])`,
				`played(fields: (r) => r._field == "artist_key" or r._field == "ms_played" or r._field == "plays")
					|> group(columns: ["artist_key"])
					|> reduce(identity: {ms: 0, plays: 0}, fn: (r, accumulator) => ({ms: accumulator.ms + r.ms_played, plays: accumulator.plays + r.plays}))
					|> group() |> filter(fn: (r) => r.artist_key != "") |> rename(columns: {artist_key: "key"}) |> sort(columns: ["key"])`,
			},
			"total": {
				`array.from(rows: [{ms: ms() |> total(), plays: counted() |> total()}])`,
				`played(fields: (r) => r._field == "ms_played" or r._field == "plays")
					|> reduce(identity: {ms: 0, plays: 0}, fn: (r, accumulator) => ({ms: accumulator.ms + r.ms_played, plays: accumulator.plays + r.plays}))`,
			},
			"each": {
				`artists() |> top() |> withFields(fields: (r) => r._field == "artist") |> keep(columns: ["rank", "artist", "hours", "plays"])`,
				`artists() |> top() |> map(fn: (r) => ({rank: r.rank, artist: strings.toUpper(v: r.key), hours: r.hours, plays: r.plays}))`,
			},
		} {
			t.Run(name+" from "+minimum+" s on", func(t *testing.T) {
				got, want := s.Query(t, asked(bucket, minimum, form.idiom)), s.Query(t, asked(bucket, minimum, form.textbook))
				if len(want) == 0 || !reflect.DeepEqual(got, want) {
					t.Errorf("the idiom says\n%v\nthe textbook\n%v", got, want)
				}
			})
		}
	}

	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	// The clocks are moved on the 30th of March, a Sunday: that day and week are an hour shorter.
	for expression, begin := range map[string]func(time.Time) time.Time{
		`ms() |> perDay()`: func(at time.Time) time.Time { return time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, berlin) },
		`ms() |> perWeek()`: func(at time.Time) time.Time {
			return time.Date(at.Year(), at.Month(), at.Day()-(int(at.Weekday())+6)%7, 0, 0, 0, 0, berlin)
		},
	} {
		want := map[time.Time]int64{}
		for _, p := range plays {
			if p.at.Before(time.Date(2025, 4, 10, 0, 0, 0, 0, time.UTC)) {
				from := begin(p.at.In(berlin)).UTC()
				if start := time.Date(2025, 3, 20, 0, 0, 0, 0, time.UTC); from.Before(start) {
					from = start // the first one is cut off by the range
				}
				want[from] += p.ms
			}
		}
		got := map[time.Time]int64{}
		for _, row := range s.Query(t, asked(bucket, "0", expression)) {
			if ms, _ := row["_value"].(int64); ms > 0 {
				got[row["_time"].(time.Time)] = ms
			}
		}
		maps.DeleteFunc(want, func(_ time.Time, ms int64) bool { return ms == 0 })
		if len(want) < 3 || !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", expression, got, slices.Collect(maps.Keys(want)))
		}
	}
}
