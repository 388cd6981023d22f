package influx_test

import (
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// batchOfPlays are plays that make 5,000 lines: a listen and one credit each.
func batchOfPlays() []journal.Entry {
	entries := make([]journal.Entry, 2500)
	for i := range entries {
		p := full()
		p.Item.Artists = p.Item.Artists[:1]
		p.EndedAt = p.EndedAt.Add(time.Duration(i) * 3 * time.Minute)
		p.PointNS = p.EndedAt.UnixNano() + int64(i)
		entries[i] = entryOf(p)
	}
	return entries
}

func BenchmarkEncode(b *testing.B) {
	entries := batchOfPlays()
	e := exporter(b, &influxtest.Server{URL: "http://influxdb:8086"}, "spotify", nil)
	b.ReportAllocs()
	for b.Loop() {
		e.Batch(entries)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(entries)), "ns/play")
}

// BenchmarkWrite compares plays encoded and written with batches of the same
// lines that are ready, in turn on the same server. ratio is to be at least 0.5.
func BenchmarkWrite(b *testing.B) {
	s := influxtest.Shared(b)
	entries := batchOfPlays()
	e := exporter(b, s, s.Bucket(b), nil)
	prepared := e.Batch(entries)
	var encoding, ready time.Duration
	for b.Loop() {
		start := time.Now()
		if err := e.Write(b.Context(), prepared); err != nil {
			b.Fatal(err)
		}
		ready += time.Since(start)
		start = time.Now()
		if err := e.Write(b.Context(), e.Batch(entries)); err != nil {
			b.Fatal(err)
		}
		encoding += time.Since(start)
	}
	b.ReportMetric(float64(ready)/float64(encoding), "ratio")
	b.ReportMetric(float64(b.N*len(entries))/encoding.Seconds(), "plays/s")
}

// BenchmarkIdle is a look at an outbox that is empty, of which a day has 17,280.
func BenchmarkIdle(b *testing.B) {
	j := openJournal(b)
	reports := evenings(50)
	for i := range reports {
		reports[i].Witness, reports[i].MSPlayed = journal.RecentlyPlayed, -1
	}
	if _, err := j.Record(b.Context(), "me", journal.Witnessed{Reports: reports, Page: &journal.Page{FetchedAt: evening}}); err != nil {
		b.Fatal(err)
	}
	e := inMemory(b, &memory{}, j)
	drain(b, e)
	for b.Loop() {
		if _, err := e.Step(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
