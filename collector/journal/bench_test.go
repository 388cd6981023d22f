package journal_test

import (
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// importPortion is how many rows the import command records in one transaction.
const importPortion = 1_000

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// peak is the most memory that this process has had, in bytes. Only the first
// benchmark of a run tells what it needs itself.
func peak(b *testing.B) int64 {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return int64(usage.Maxrss) * 1024
}

// listeningYears makes an extended history of so many rows, 40 a day, of which
// most are of few songs: 100,000 rows are of about 12,000 items.
func listeningYears(rows int) []journal.Report {
	return slices.AppendSeq(make([]journal.Report, 0, rows), listening(rows))
}

// listening is listeningYears row by row.
func listening(rows int) iter.Seq[journal.Report] {
	return func(yield func(journal.Report) bool) {
		random := rand.New(rand.NewPCG(1, 1))
		end := time.Date(2013, 1, 1, 8, 0, 0, 0, time.UTC)
		songs := rand.NewZipf(random, 1.1, 50, 19_999)
		for row := range rows {
			ms := int64(1_000 + random.IntN(240_000))
			end = end.Add(time.Duration(ms) * time.Millisecond).Truncate(time.Second)
			n := int(songs.Uint64())
			item := song(n)
			item.Artists[0].Name = fmt.Sprintf("Artist %d", n/12)
			item.AlbumArtists[0].Name = item.Artists[0].Name
			item.Album = fmt.Sprintf("Album %d", n/8)
			r := inHistory(item, end, ms)
			r.Item.Artists, r.Item.AlbumArtists, r.Item.Album = item.Artists[:1], item.Artists[:1], item.Album
			r.Item.Artists[0].ID = ""
			if !yield(r) {
				return
			}
			if row%40 == 39 {
				end = end.Truncate(24 * time.Hour).Add(32 * time.Hour)
			}
		}
	}
}

// importAll records reports in portions, and returns the longest transaction.
func importAll(b testing.TB, j *journal.Journal, reports iter.Seq[journal.Report], portion int) (longest time.Duration) {
	b.Helper()
	var waiting []journal.Report
	flush := func() {
		began := time.Now()
		record(b, j, waiting...)
		longest = max(longest, time.Since(began))
		waiting = waiting[:0]
	}
	for r := range reports {
		if waiting = append(waiting, r); len(waiting) == portion {
			flush()
		}
	}
	flush()
	return longest
}

// BenchmarkMerge makes plays of the reports of two witnesses, without the
// database.
func BenchmarkMerge(b *testing.B) {
	const rows = 100_000
	var reports []journal.Report
	for _, r := range listeningYears(rows / 2) {
		reports = append(reports, r, with(listed(r.Item, r.EndedAt.Add(497*time.Millisecond)), func(r *journal.Report) { r.Item.Artists = song(1).Artists }))
	}
	began, n := cpu(), 0
	for b.Loop() {
		n++
		if plays := journal.Derive(reports, importPortion); plays > rows/2+rows/100 {
			b.Fatalf("%d plays", plays)
		}
	}
	b.ReportMetric(float64((cpu()-began).Microseconds())/float64(n)/rows, "cpu-µs/row")
}

// BenchmarkImport records an extended history in an empty journal, and the same
// once more.
func BenchmarkImport(b *testing.B) {
	for _, rows := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			if rows > 100_000 && testing.Short() {
				b.Skip("takes a minute")
			}
			reports := listening(rows)
			for range b.N {
				j := open(b, journal.Options{})
				began := cpu()
				longest := importAll(b, j, reports, importPortion)
				first := cpu() - began
				began = cpu()
				importAll(b, j, reports, importPortion)
				again := cpu() - began
				b.ReportMetric(float64(first.Microseconds())/float64(rows), "cpu-µs/row")
				b.ReportMetric(float64(again.Microseconds())/float64(rows), "cpu-µs/known-row")
				b.ReportMetric(float64(longest.Milliseconds()), "ms/longest-transaction")
				b.ReportMetric(float64(peak(b))/(1<<20), "MB-RSS-peak")
			}
		})
	}
}

// BenchmarkAgainstBareInsert compares with prepared statements of many rows that
// put the same plays and reports into the same tables.
func BenchmarkAgainstBareInsert(b *testing.B) {
	const rows = 20_000
	reports := listening(rows)
	for range b.N {
		j := open(b, journal.Options{})
		began := cpu()
		importAll(b, j, reports, importPortion)
		ours := cpu() - began
		bare := bareInsert(b, j.Path(), importPortion)
		b.ReportMetric(float64(ours.Microseconds())/rows, "cpu-µs/row")
		b.ReportMetric(float64(bare.Microseconds())/rows, "bare-cpu-µs/row")
		b.ReportMetric(float64(ours)/float64(bare), "x-bare")
	}
}

// bareInsert copies the plays and reports of a journal, row by row as an importer
// would have them, into an empty one and returns what that cost.
func bareInsert(b *testing.B, from string, portion int) time.Duration {
	b.Helper()
	source, err := sql.Open("sqlite", "file:"+from)
	if err != nil {
		b.Fatal(err)
	}
	defer source.Close()
	path := filepath.Join(b.TempDir(), "bare.db")
	empty, err := journal.Open(b.Context(), path, journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := empty.Close(); err != nil {
		b.Fatal(err)
	}
	target, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-4000)")
	if err != nil {
		b.Fatal(err)
	}
	defer target.Close()
	target.SetMaxOpenConns(1)

	type table struct {
		insert *sql.Stmt
		rows   [][]any
	}
	const together = 50
	var tables []table
	for _, name := range []string{"report", "play"} {
		found, err := source.Query("SELECT * FROM " + name)
		if err != nil {
			b.Fatal(err)
		}
		columns, err := found.Columns()
		if err != nil {
			b.Fatal(err)
		}
		var t table
		for found.Next() {
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := found.Scan(targets...); err != nil {
				b.Fatal(err)
			}
			t.rows = append(t.rows, values)
		}
		if err := found.Close(); err != nil {
			b.Fatal(err)
		}
		row := "(" + strings.Repeat("?,", len(columns)-1) + "?),"
		t.insert, err = target.Prepare("INSERT INTO " + name + " VALUES " + strings.TrimSuffix(strings.Repeat(row, together), ","))
		if err != nil {
			b.Fatal(err)
		}
		tables = append(tables, t)
	}
	if _, err := target.Exec("PRAGMA foreign_keys = OFF"); err != nil {
		b.Fatal(err)
	}

	began := cpu()
	for at := 0; at < len(tables[0].rows); at += portion {
		tx, err := target.BeginTx(context.Background(), nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range tables {
			insert := tx.Stmt(t.insert)
			for from := at; from < min(at+portion, len(t.rows)); from += together {
				values := make([]any, 0, together*len(t.rows[0]))
				for _, row := range t.rows[from : from+together] {
					values = append(values, row...)
				}
				if _, err := insert.Exec(values...); err != nil {
					b.Fatal(err)
				}
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return cpu() - began
}

// BenchmarkRecordOne records one live play in a journal that holds 100,000: of an
// item whose facts are known, and of one that the export has only named, so that
// all its plays are to be sent again.
func BenchmarkRecordOne(b *testing.B) {
	j := open(b, journal.Options{})
	importAll(b, j, listening(100_000), importPortion)
	end := noon
	one := func(b *testing.B, item func(n int) journal.Item) {
		n := 0
		began := cpu()
		for b.Loop() {
			end = end.Add(3 * time.Minute)
			n++
			record(b, j, listed(item(n), end))
		}
		b.ReportMetric(float64((cpu()-began).Microseconds())/float64(n), "cpu-µs/op")
	}
	b.Run("known", func(b *testing.B) {
		for n := range 100 {
			record(b, j, listed(song(n), end.Add(time.Duration(n)*time.Second)))
		}
		one(b, func(n int) journal.Item { return song(n % 100) })
	})
	next := 100
	b.Run("enriched", func(b *testing.B) {
		one(b, func(int) journal.Item { next++; return song(next) })
	})
}

// BenchmarkTakeAndSent drains 5,000 plays at once.
func BenchmarkTakeAndSent(b *testing.B) {
	const batch = 5_000
	reports := listening(batch)
	for range b.N {
		j := open(b, journal.Options{})
		importAll(b, j, reports, importPortion)
		began := cpu()
		entries, err := j.Take(b.Context(), 0, batch)
		if err != nil || len(entries) != batch {
			b.Fatal(len(entries), err)
		}
		taken := cpu() - began
		began = cpu()
		sent(b, j, entries)
		b.ReportMetric(float64(taken.Microseconds())/1000, "cpu-ms/take")
		b.ReportMetric(float64((cpu()-began).Microseconds())/1000, "cpu-ms/sent")
	}
}
