package main

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/history/historytest"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// BenchmarkImport prints one table: what import costs, against the floor of the
// same run, and how right it is; then how long it takes into InfluxDB. make
// bench-import runs it: IMPORT_ROWS are the sizes of the exports, comma separated,
// and the last one, after a slash, that for InfluxDB; IMPORT_HISTORY is an extended
// history (zip) to measure as well.
func BenchmarkImport(b *testing.B) {
	list, delivered, _ := strings.Cut(os.Getenv("IMPORT_ROWS"), "/")
	if list == "" {
		b.Skip("IMPORT_ROWS is not set: make bench-import does it")
	}
	program := filepath.Join(b.TempDir(), "spotify-exporter")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	number := func(text string) int {
		rows, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		return rows
	}
	fmt.Println("\nCPU: of import, merging included, and of the floor: the same rows decoded and inserted bare into tables of the same columns.")
	fmt.Println("Known peers on 20,000 rows: 22, 68 and 250 CPU seconds.")
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "export\trows\tCPU s\tfloor s\tratio\tµs/row\tRSS MB\twall s\tright\tlost\tdoubled\thours error\t")
	for text := range strings.SplitSeq(list, ",") {
		rows := number(text)
		path := filepath.Join(b.TempDir(), "my_spotify_data.zip")
		listening := historytest.New(historytest.Options{Rows: rows, Seed: 1})
		writeZip(b, path, listening.WriteExtended)
		truth := newTally()
		for p := range listening.Plays() {
			truth.add(p.URI, p.MSPlayed)
		}
		measureImport(b, table, program, "generated", path, truth)
		os.Remove(path)
	}
	if export := os.Getenv("IMPORT_HISTORY"); export != "" {
		truth := newTally()
		for _, row := range rawRows(b, export) {
			truth.add(row.uri(), row.MSPlayed)
		}
		measureImport(b, table, program, "yours", export, truth)
	}
	table.Flush()
	if delivered != "" {
		measureDelivery(b, program, number(delivered))
	}
}

func writeZip(t testing.TB, path string, write func(io.Writer) (historytest.Truth, error)) historytest.Truth {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	truth, err := write(file)
	if err != nil {
		t.Fatal(err)
	}
	return truth
}

// tally is what was played, however often and whenever.
type tally struct {
	plays    map[string]int // by uri and listening time
	rows     int
	msPlayed int64
}

func newTally() *tally { return &tally{plays: make(map[string]int)} }

func (t *tally) add(uri string, msPlayed int64) {
	t.plays[uri+" "+strconv.FormatInt(msPlayed, 10)]++
	t.rows++
	t.msPlayed += msPlayed
}

// compare counts the plays of the truth t that got has, those that it lacks and
// those that it has too many.
func (t *tally) compare(got *tally) (right, lost, doubled int) {
	for play, n := range t.plays {
		right += min(n, got.plays[play])
	}
	return right, t.rows - right, got.rows - right
}

// measureImport imports an export in a process of its own and adds a line to the
// table. The machine is now fast and now slow, so what is short is measured in turns
// with its floor, and the median of the ratios counts.
func measureImport(b *testing.B, table io.Writer, program, name, path string, truth *tally) {
	b.Helper()
	type turn struct {
		floor time.Duration
		used  usage
		dir   string
	}
	ratio := func(t turn) float64 { return float64(t.used.cpu) / float64(t.floor) }
	turns := make([]turn, 1)
	if truth.rows <= 100_000 {
		turns = make([]turn, 5)
	}
	for i := range turns {
		dir := b.TempDir()
		defer os.RemoveAll(dir)
		turns[i] = turn{floorOf(b, path), importProcess(b, program, []string{"DATA_DIR=" + dir}, path), dir}
	}
	slices.SortFunc(turns, func(a, b turn) int { return cmp.Compare(ratio(a), ratio(b)) })
	median := turns[len(turns)/2]
	floor, used, dir := median.floor, median.used, median.dir

	j, err := journal.Open(b.Context(), filepath.Join(dir, "journal.db"), journal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	got := newTally()
	for play, err := range j.Plays(b.Context(), journal.Filter{}) {
		if err != nil {
			b.Fatal(err)
		}
		got.add(play.Item.URI, play.MSPlayed)
	}
	right, lost, doubled := truth.compare(got)
	wrong := math.Abs(float64(got.msPlayed-truth.msPlayed)) / float64(truth.msPlayed)
	fmt.Fprintf(table, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.1f\t%d\t%d\t%d\t%.4f %%\t\n", name, truth.rows, used.cpu.Seconds(), floor.Seconds(), ratio(median),
		float64(used.cpu.Microseconds())/float64(truth.rows), used.memory/1024, used.wall.Seconds(), right, lost, doubled, 100*wrong)
}

// usage is what a process has used.
type usage struct {
	cpu, wall time.Duration
	memory    float64 // most KiB of it that were resident
}

// importProcess runs import and returns what it has used.
func importProcess(b *testing.B, program string, environ []string, args ...string) usage {
	b.Helper()
	command := exec.Command(program, append([]string{"import", "--json"}, args...)...)
	command.Env = append([]string{"TZ=UTC", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, environ...)
	var out, errs bytes.Buffer
	command.Stdout, command.Stderr = &out, &errs
	began := time.Now()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	var used usage
	ended := make(chan error)
	go func() { ended <- command.Wait() }()
	var err error
	// The kernel's own count at the end has that of this process before the exec in it.
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case <-time.After(20 * time.Millisecond):
			used.memory = max(used.memory, residentMost(command.Process.Pid))
		}
	}
	used.wall = time.Since(began)
	used.cpu = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	var balance balance
	if err == nil {
		err = json.Unmarshal(out.Bytes(), &balance)
	}
	if err == nil {
		err = balance.check()
	}
	if err != nil {
		b.Fatalf("import: %v\n%s", err, errs.String())
	}
	return used
}

// residentMost returns the most memory that a process has had, in KiB.
func residentMost(pid int) float64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // nothing, if it has ended
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kib float64
	_, _ = fmt.Sscan(rest, &kib)
	return kib
}

// floorOf returns the CPU time that it takes to decode an export and to
// insert the columns that the journal has of its reports and plays into two bare
// tables, in transactions of the same size and as safe.
func floorOf(b *testing.B, path string) time.Duration {
	b.Helper()
	dir := b.TempDir()
	defer os.RemoveAll(dir)
	began := processorTime(b)
	export, err := history.Open(b.Context(), []string{path}, nil, history.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer export.Close()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "floor.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-4000)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	run := func(query string) {
		if _, err := conn.ExecContext(b.Context(), query); err != nil {
			b.Fatal(err)
		}
	}
	const reportWidth, playWidth, portion, perInsert = 35 + 4, 25, 1000, 64 // 4: the names, which the journal has in its catalogue
	tables := []struct {
		name  string
		width int
	}{{"report", reportWidth}, {"play", playWidth}}
	inserts := make([]*sql.Stmt, len(tables))
	for i, table := range tables {
		columns := make([]string, table.width)
		for c := range columns {
			columns[c] = fmt.Sprintf("c%d", c)
		}
		columns[0] += " INTEGER PRIMARY KEY"
		run("CREATE TABLE " + table.name + " (" + strings.Join(columns, ", ") + ")")
		row := "(" + strings.Repeat("?,", table.width-1) + "?)"
		if inserts[i], err = conn.PrepareContext(b.Context(), "INSERT INTO "+table.name+" VALUES "+strings.Repeat(row+",", perInsert-1)+row); err != nil {
			b.Fatal(err)
		}
	}
	var values [2][]any
	flag := func(b *bool) any {
		if b == nil {
			return nil
		}
		return *b
	}
	id := 0
	run("BEGIN")
	for row, err := range export.Rows(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		if row.Reason != "" {
			continue
		}
		id++
		r := &row.Report
		ended, started, stamp := r.EndedAt.UnixMilli(), r.StartedAt.UnixMilli(), r.Stamp.UnixMilli()
		values[0] = append(values[0], id, 1, r.Witness, ended, []byte("0123456789abcdef"), id, id, id, 1, 0,
			started, stamp, r.MSPlayed, 0, false, 0, 0, 0, 0, 0, 0, 0, 0,
			"", "", "", "", r.Platform, r.Country, r.ReasonStart, r.ReasonEnd, flag(r.Shuffle), flag(r.Offline), flag(r.Incognito), flag(r.Skipped),
			r.Item.URI, r.Item.Name, r.Item.Artist(), r.Item.Album)
		values[1] = append(values[1], id, 1, id, ended, started, r.MSPlayed, 1, 0,
			"", "", "", "", r.Platform, r.Country, r.ReasonStart, r.ReasonEnd, flag(r.Shuffle), flag(r.Offline), flag(r.Incognito), flag(r.Skipped),
			1, 1, ended*1_000_000, 0, 0)
		for i := range values {
			if id%perInsert == 0 {
				if _, err := inserts[i].ExecContext(b.Context(), values[i]...); err != nil {
					b.Fatal(err)
				}
				values[i] = values[i][:0]
			}
		}
		if id%portion == 0 {
			run("COMMIT")
			run("BEGIN")
		}
	}
	run("COMMIT")
	return processorTime(b) - began
}

func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// measureDelivery imports into a journal and a real InfluxDB.
func measureDelivery(b *testing.B, program string, rows int) {
	influxtest.Require2(b)
	server := influxtest.New(b)
	path := filepath.Join(b.TempDir(), "my_spotify_data.zip")
	listening := historytest.New(historytest.Options{Rows: rows, Seed: 2})
	writeZip(b, path, listening.WriteExtended)
	want := 0
	for p := range listening.Plays() {
		if p.Kind != "unknown" && !p.Incognito {
			want++
		}
	}
	bucket := server.Bucket(b)
	used := importProcess(b, program, []string{
		"DATA_DIR=" + b.TempDir(), "INFLUX_URL=" + server.URL, "INFLUX_ORG=" + server.Org, "INFLUX_BUCKET=" + bucket, "INFLUX_TOKEN=" + server.Token,
	}, "--wait", path)
	fmt.Printf("\nInto InfluxDB %s on this machine: %d listens (%d of %d), %d credits, %d totals in %.1f s, %.1f CPU seconds and %.0f MB of them ours.\n",
		server.Version, want, server.Count(b, bucket, "listen", "ms_played"), want, server.Count(b, bucket, "listen_artist", "ms_played"),
		server.Count(b, bucket, "artist_total", "plays")+server.Count(b, bucket, "album_total", "plays")+server.Count(b, bucket, "track_total", "plays"),
		used.wall.Seconds(), used.cpu.Seconds(), used.memory/1024)
}
