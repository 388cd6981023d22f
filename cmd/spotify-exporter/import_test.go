package main

import (
	"archive/zip"
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/history/historytest"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// runImport imports with --json and returns the balance sheet, which is to add up,
// and what was written for people.
func runImport(t *testing.T, args ...string) (balance, string) {
	t.Helper()
	out, errs := command(t, exitDone, append([]string{"import", "--json"}, args...)...)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	var b balance
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &b); err != nil {
		t.Fatalf("last line of stdout: %v in %s\n%s", err, out, errs)
	}
	if err := b.check(); err != nil {
		t.Error(err)
	}
	return b, errs
}

// recordedPlays is what plays prints, without what differs between two imports of
// the same.
func recordedPlays(t *testing.T, args ...string) []string {
	t.Helper()
	out, _ := command(t, exitDone, append([]string{"plays", "--format", "jsonl"}, args...)...)
	var plays []string
	for line := range strings.Lines(out) {
		var play map[string]any
		if err := json.Unmarshal([]byte(line), &play); err != nil {
			t.Fatal(err)
		}
		delete(play, "id")
		delete(play, "import")
		text, _ := json.Marshal(play)
		plays = append(plays, string(text))
	}
	return plays
}

// difference is the first play that two lists do not share.
func difference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("play %d of %d and %d:\n got %s\nwant %s", i+1, len(got), len(want), got[i], want[i])
		}
	}
	return fmt.Sprintf("%d plays, want %d", len(got), len(want))
}

// state is everything that a journal holds of plays, reports and gaps, and of the
// items that they are of.
func state(t *testing.T) string {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(os.Getenv("DATA_DIR"), "journal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var all strings.Builder
	for _, query := range []string{
		"SELECT * FROM play ORDER BY id", "SELECT * FROM report ORDER BY id", "SELECT * FROM gap ORDER BY id",
		"SELECT * FROM item WHERE id IN (SELECT item FROM report) ORDER BY id", "SELECT * FROM fact ORDER BY id",
	} {
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, targets := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&all, values...)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func openTestJournal(t *testing.T) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), filepath.Join(os.Getenv("DATA_DIR"), "journal.db"), journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// generated writes an export of so many rows and returns its path and what is in
// it.
func generated(t *testing.T, rows int) (string, historytest.Truth) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "my_spotify_data.zip")
	return path, writeZip(t, path, historytest.New(historytest.Options{Rows: rows, Seed: 1}).WriteExtended)
}

// TestImportTwiceAndUndo imports a history of which some plays were recorded live.
func TestImportTwiceAndUndo(t *testing.T) {
	setEnvironment(t, nil)
	path := filepath.Join(t.TempDir(), "my_spotify_data.zip")
	listening := historytest.New(historytest.Options{Rows: 12_000, Seed: 1, OldKeys: true})
	truth := writeZip(t, path, listening.WriteExtended)
	var live []journal.Report
	for p := range listening.Plays() {
		if p.Kind == "track" && p.MSPlayed > 60_000 && p.EndedAt.Year() == 2024 {
			live = append(live, listedLive(p.URI, p.Name, p.Artist, p.EndedAt))
		}
	}
	if len(live) < 100 || truth.Duplicates == 0 {
		t.Fatalf("%d plays were recorded live, %d are twice in the export", len(live), truth.Duplicates)
	}
	sheet := importedTwiceAndUndone(t, path, live, truth)
	if say := fmt.Sprintf("Rows that do not say what was played (removed titles, local files): %d.", truth.Kinds["unknown"]); !strings.Contains(sheet, say) {
		t.Errorf("the balance sheet does not say %q:\n%s", say, sheet)
	}
}

// listedLive is what Spotify's list of the last plays said of a track, which no export has
// to the ms.
func listedLive(uri, name, artist string, ended time.Time) journal.Report {
	return journal.Report{Witness: journal.RecentlyPlayed, MSPlayed: -1, EndedAt: ended,
		Item: journal.Item{Kind: journal.Track, URI: uri, Name: name, Artists: []journal.Artist{{Name: artist}}, DurationMS: 300_000}}
}

// importedTwiceAndUndone imports an export twice beside plays that were recorded live, and
// takes both imports back. It returns the first one's balance sheet.
func importedTwiceAndUndone(t *testing.T, export string, live []journal.Report, truth historytest.Truth) string {
	t.Helper()
	record(t, "me", journal.Witnessed{Reports: append(live, oddPlays().Reports...)}) // the odd ones are in no export
	before := state(t)

	first, sheet := runImport(t, export)
	notStored := make(map[string]int)
	for reason, n := range first.NotStored {
		notStored[string(reason)] = n
	}
	if first.Rows != truth.Rows || first.Stored != truth.Plays-len(live) || first.Upgraded != len(live) || first.Known != 0 ||
		first.Duplicates != truth.Duplicates || !maps.Equal(notStored, truth.NotStored) {
		t.Errorf("balance %+v, want %+v, of which %d plays were recorded live", first, truth, len(live))
	}
	if first.MSStored != truth.MSPlayed {
		t.Errorf("%d ms stored, %d are in the rows, each once", first.MSStored, truth.MSPlayed)
	}
	if *first.First != truth.First.Format("2006-01-02T15:04:05.000Z") || *first.Batch != 1 {
		t.Errorf("first play %s, batch %d", *first.First, *first.Batch)
	}
	if out, _ := command(t, exitDone, "plays", "--format", "jsonl"); strings.Count(out, "\n") != truth.Plays+len(oddTitles) {
		t.Errorf("%d plays", strings.Count(out, "\n"))
	}

	second, _ := runImport(t, export)
	if second.Stored != 0 || second.Upgraded != 0 || second.Known != truth.Plays || second.Duplicates != truth.Duplicates {
		t.Errorf("second import: %+v", second)
	}
	for _, batch := range []string{"2", "1"} {
		command(t, exitDone, "import", "--undo", batch)
	}
	if after := state(t); after != before {
		t.Errorf("undo leaves a journal of %d bytes, before it were %d", len(after), len(before))
	}
	list, _ := command(t, exitDone, "import", "--list")
	if strings.Count(list, "undone") != 2 || !strings.Contains(list, filepath.Base(export)) {
		t.Errorf("--list:\n%s", list)
	}
	if _, errs := command(t, exitFailed, "import", "--undo", "1"); !strings.Contains(errs, "no such import, or undone already: see import --list") {
		t.Errorf("undone twice: %s", errs)
	}
	return sheet
}

// samples are exports of every generation, which are not of a real listener.
const samples = "../../collector/history/testdata/extended_*.json"

func TestImportOfSamples(t *testing.T) {
	importSamples(t, samples)
}

// importSamples imports files one by one: every row of theirs is a play.
func importSamples(t *testing.T, pattern string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) != 3 {
		t.Fatalf("%d files are %s, want 3 (%v)", len(paths), pattern, err)
	}
	for _, path := range paths {
		setEnvironment(t, nil)
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var rows []rawRow
		if err := json.Unmarshal(content, &rows); err != nil {
			t.Fatal(err)
		}
		got, sheet := runImport(t, path)
		if got.Rows != len(rows) || got.Stored+got.Duplicates+got.Known != len(rows) || got.Stored < len(rows)*9/10 || len(got.NotStored) > 0 {
			t.Errorf("%s of %d rows: %+v\n%s", path, len(rows), got, sheet)
		}
		if strings.Contains(sheet, "Keys that were passed over") {
			t.Errorf("%s has keys that are not known:\n%s", path, sheet)
		}
	}
}

func TestImportAccountDataThenExtended(t *testing.T) {
	dir := t.TempDir()
	extended, account := filepath.Join(dir, "extended.zip"), filepath.Join(dir, "account.zip")
	listening := historytest.New(historytest.Options{Rows: 6_000, Seed: 4})
	writeZip(t, extended, listening.WriteExtended)
	truth := writeZip(t, account, func(w io.Writer) (historytest.Truth, error) {
		return listening.WriteAccount(w, time.Date(2023, 8, 1, 0, 0, 0, 0, time.UTC))
	})

	setEnvironment(t, nil)
	alone, _ := runImport(t, extended)
	want := recordedPlays(t)

	for _, order := range [][]string{{account, extended}, {extended, account}} {
		setEnvironment(t, nil)
		first, _ := runImport(t, order[0])
		second, _ := runImport(t, order[1])
		if order[0] == account {
			if first.Rows != truth.Rows || first.Stored != first.Rows {
				t.Errorf("account data of %d rows: %+v", truth.Rows, first)
			}
			if first.Stored+second.Stored != alone.Stored || second.Upgraded == 0 {
				t.Errorf("after the account data, the extended history, which alone stores %d: %+v", alone.Stored, second)
			}
		} else if second.Stored != 0 {
			t.Errorf("the account data adds plays to the extended history: %+v", second)
		}
		got := recordedPlays(t)
		for i := range got {
			got[i] = strings.Replace(got[i], `"extended_history","account_data"`, `"extended_history"`, 1)
		}
		if !slices.Equal(withoutAuthors(got), withoutAuthors(want)) {
			t.Errorf("both are not what the extended history alone is: %s", difference(withoutAuthors(got), withoutAuthors(want)))
		}
	}
}

// withoutAuthors leaves the artists of chapters out: the account data knows the
// author, the extended history does not.
func withoutAuthors(plays []string) []string {
	left := slices.Clone(plays)
	for i, play := range left {
		if from := strings.Index(play, `"artists":`); from >= 0 && strings.Contains(play, `"kind":"chapter"`) {
			left[i] = play[:from] + play[strings.Index(play, `"context`)+1:]
			if until := strings.Index(play[from:], "]"); until >= 0 {
				left[i] = play[:from] + play[from+until:]
			}
		}
	}
	return left
}

func TestImportAccount(t *testing.T) {
	export, truth := generated(t, 300)
	setEnvironment(t, map[string]string{"SPOTIFY_ACCOUNTS": "anna"})
	if got, sheet := runImport(t, export); got.Stored != truth.Plays || !strings.Contains(sheet, `into account "anna"`) {
		t.Errorf("%+v\n%s", got, sheet)
	}
	setEnvironment(t, nil)
	if _, sheet := runImport(t, export); !strings.Contains(sheet, `into account "me"`) {
		t.Errorf("the first account ever: %s", sheet)
	}
	if _, errs := command(t, exitUsage, "import", "--account", "Not An Alias", export); !strings.Contains(errs, "--account") {
		t.Errorf("%s", errs)
	}
}

func TestImportOfAStranger(t *testing.T) {
	dir := t.TempDir()
	listening := historytest.New(historytest.Options{Rows: 10_000, Seed: 1})
	export, strangers := filepath.Join(dir, "own.zip"), filepath.Join(dir, "stranger.zip")
	writeZip(t, export, listening.WriteExtended)
	writeZip(t, strangers, historytest.New(historytest.Options{Rows: 10_000, Seed: 99}).WriteExtended)
	var own []journal.Report
	for p := range listening.Plays() {
		if p.Kind == "track" && p.MSPlayed > 30_000 && p.EndedAt.Year() >= 2022 {
			own = append(own, journal.Report{Witness: journal.RecentlyPlayed, MSPlayed: -1, EndedAt: p.EndedAt,
				Item: journal.Item{Kind: journal.Track, URI: p.URI, Name: p.Name, Artists: []journal.Artist{{Name: p.Artist}}, DurationMS: 300_000}})
		}
	}
	setEnvironment(t, nil)
	record(t, "me", journal.Witnessed{Reports: own})
	before := state(t)
	_, errs := command(t, exitFailed, "import", strangers)
	if !strings.Contains(errs, "another person") || state(t) != before {
		t.Errorf("a stranger's export: %s", errs)
	}
	if list, _ := command(t, exitDone, "import", "--list"); strings.Contains(list, "stranger") {
		t.Errorf("a refused import is listed:\n%s", list)
	}
	if got, _ := runImport(t, export); got.Upgraded < len(own)*9/10 {
		t.Errorf("of %d own plays: %+v", len(own), got)
	}
	if got, _ := runImport(t, "--force", strangers); got.Stored == 0 {
		t.Errorf("--force: %+v", got)
	}
}

func TestImportDryRun(t *testing.T) {
	export, truth := generated(t, 3_000)
	setEnvironment(t, nil)
	data := filepath.Join(os.Getenv("DATA_DIR"), "none")
	t.Setenv("DATA_DIR", data)
	dry, sheet := runImport(t, "--dry-run", export)
	if dry.Batch != nil || dry.Stored != truth.Plays || !strings.Contains(sheet, "Nothing is written") {
		t.Errorf("without a journal: %+v\n%s", dry, sheet)
	}
	if _, err := os.Stat(data); err == nil {
		t.Error("a dry run has made the data directory")
	}

	setEnvironment(t, nil)
	gapAround(t, truth.First, truth.Last)
	before := state(t)
	dry, _ = runImport(t, "--dry-run", export)
	if state(t) != before {
		t.Error("a dry run has changed the journal")
	}
	if list, errs := command(t, exitDone, "import", "--list"); list != "" || !strings.Contains(errs, "No imports.") {
		t.Errorf("a dry run is listed: %s%s", list, errs)
	}
	real, _ := runImport(t, export)
	dry.Batch, real.Batch = nil, nil
	a, _ := json.Marshal(dry)
	b, _ := json.Marshal(real)
	if string(a) != string(b) || real.GapsClosed != 1 {
		t.Errorf("a dry run says\n%s, an import\n%s", a, b)
	}
	if left := slices.Concat(spooled(t, os.Getenv("DATA_DIR")), spooled(t, filepath.Dir(data))); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// gapAround records two pages of recently played that leave a gap in between.
func gapAround(t *testing.T, first, last time.Time) {
	t.Helper()
	page := func(end time.Time) journal.Witnessed {
		w := journal.Witnessed{Page: &journal.Page{FetchedAt: end.Add(time.Minute), Full: true}}
		for n := range 50 {
			w.Reports = append(w.Reports, journal.Report{Witness: journal.RecentlyPlayed, MSPlayed: -1, EndedAt: end.Add(time.Duration(n-50) * time.Minute),
				Item: journal.Item{Kind: journal.Track, URI: "spotify:track:" + strings.Repeat("x", 22), Name: "Page", DurationMS: 50_000}})
		}
		return w
	}
	middle := first.Add(last.Sub(first) / 2)
	record(t, "me", page(middle), page(middle.Add(1_000*time.Hour)))
}

func TestImportFromStandardInput(t *testing.T) {
	export, truth := generated(t, 300)
	setEnvironment(t, nil)
	content, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	var out, errs output
	p := &program{stdin: bytes.NewReader(content), stdout: &out, stderr: &errs}
	if exit := p.run(t.Context(), []string{"import", "-"}); exit != exitDone || !strings.Contains(out.String(), "standard input") {
		t.Errorf("exit code %d: %s%s", exit, out.String(), errs.String())
	}
	if got := len(recordedPlays(t)); got != truth.Plays {
		t.Errorf("%d plays, want %d", got, truth.Plays)
	}
	list, _ := command(t, exitDone, "import", "--list", "--json")
	var batch batchRecord
	var summary balance
	if err := json.Unmarshal([]byte(list), &batch); err != nil || batch.State != "complete" || batch.Source != "standard input" || json.Unmarshal(batch.Summary, &summary) != nil || summary.Rows != truth.Rows {
		t.Errorf("--list --json: %s (%v)", list, err)
	}
}

func TestImportOfOddRows(t *testing.T) {
	export, truth := generated(t, 5_000)
	setEnvironment(t, nil)
	got, sheet := runImport(t, export)
	notStored := make(map[string]int)
	for reason, n := range got.NotStored {
		notStored[string(reason)] = n
	}
	if got.Rows != truth.Rows || got.Stored != truth.Plays || got.Duplicates != truth.Duplicates || got.MSStored != truth.MSPlayed || !maps.Equal(notStored, truth.NotStored) {
		t.Errorf("%+v, want %+v", got, truth)
	}
	if !strings.Contains(sheet, "such as ") || !strings.Contains(sheet, ".json, row ") {
		t.Errorf("no example of a row that is not stored:\n%s", sheet)
	}
	j := openTestJournal(t)
	defer j.Close()
	unsent, err := j.State(t.Context())
	if want := truth.Exported; err != nil || unsent.PendingPoints < int64(want) || unsent.PendingPoints > int64(want)+1 {
		t.Errorf("%d points wait for InfluxDB (%v), want %d: unknown and private ones stay", unsent.PendingPoints, err, want)
	}
	content, err := os.ReadFile(j.Path())
	if err != nil || bytes.Contains(content, []byte(historytest.Secret)) {
		t.Errorf("the journal knows what is nobody's business (%v)", err)
	}
}

func TestImportSaysWhatItPassesOver(t *testing.T) {
	setEnvironment(t, nil)
	file := filepath.Join(t.TempDir(), "endsong_0.json")
	row := `{"ts":"2020-01-01T00:00:00Z","ms_played":60000,"spotify_track_uri":"spotify:track:%022d","master_metadata_track_name":"Song","mood":"happy"}`
	writeFile(t, file, "["+fmt.Sprintf(row, 1)+","+fmt.Sprintf(row, 2)+"]")
	if _, sheet := runImport(t, file); strings.Count(sheet, "mood") != 1 {
		t.Errorf("an unknown key is not listed once:\n%s", sheet)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestImportUsage(t *testing.T) {
	setEnvironment(t, nil)
	for _, args := range [][]string{{}, {"--list", "x.zip"}, {"--undo", "1", "--list"}, {"--undo", "x"}, {"--dry-run", "--list"}, {"-", "-"}} {
		if out, errs := command(t, exitUsage, append([]string{"import"}, args...)...); out != "" || errs == "" {
			t.Errorf("import %v: %q %q", args, out, errs)
		}
	}
	if out, errs := command(t, exitDone, "import", "--list"); out+errs != "" {
		t.Errorf("--list without a journal: %q %q", out, errs)
	}
	if _, errs := command(t, exitFailed, "import", "--undo", "1"); !strings.Contains(errs, "no journal yet") {
		t.Errorf("--undo without a journal: %s", errs)
	}
	if entries, err := os.ReadDir(os.Getenv("DATA_DIR")); err != nil || len(entries) > 0 {
		t.Errorf("left in the data directory: %v (%v)", entries, err)
	}
}

func TestImportOfBadInput(t *testing.T) {
	good, _ := generated(t, 300)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	raw := func(name string, header zip.FileHeader, content string) string {
		var archive bytes.Buffer
		w := zip.NewWriter(&archive)
		part, err := w.CreateRaw(&header)
		if err == nil {
			_, err = io.WriteString(part, content)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), archive.String())
		return name
	}
	file := func(name, content string) string {
		writeFile(t, filepath.Join(dir, name), content)
		return name
	}
	const entry = "Spotify Extended Streaming History/Streaming_History_Audio_2013_0.json"
	tests := []struct {
		name, file, say string
	}{
		{"no zip", file("no.zip", "<html>Sorry</html>"), "is not a zip"},
		{"half a zip", file("half.zip", string(whole[:len(whole)/2])), "is only a part of a zip"},
		{"a password", raw("password.zip", zip.FileHeader{Name: entry, Flags: 1, Method: zip.Deflate, CompressedSize64: 4, UncompressedSize64: 4}, "abcd"), "protected by a password"},
		{"wrong json", file("wrong.json", `{"plays":`), "is not a list of plays"},
		{"another service", file("lastfm.json", `[{"artist":"A","track":"B","uts":"1"}]`), "is not a Spotify streaming history"},
		{"10 GB", raw("bomb.zip", zip.FileHeader{Name: entry, Method: zip.Deflate, CompressedSize64: 4, UncompressedSize64: 10 << 30}, "abcd"), "has 10737418240 bytes"},
		{"an empty list", file("endsong_0.json", "[]"), "the export is empty"},
		{"an empty file", file("empty.zip", ""), "the file is empty"},
		{"the PDF alone", file("ReadMeFirst.pdf", "%PDF-1.4"), "only Spotify's ReadMe"},
		{"nothing", "none.zip", "there is no such file"},
	}
	for _, test := range tests {
		setEnvironment(t, nil)
		path := filepath.Join(dir, test.file)
		out, errs := command(t, exitFailed, "import", path)
		if out != "" || strings.Count(errs, "\n") != 1 || !strings.Contains(errs, path) || !strings.Contains(errs, test.say) {
			t.Errorf("%s: %s%s", test.name, out, errs)
		}
		if entries, err := os.ReadDir(os.Getenv("DATA_DIR")); err != nil || len(entries) > 0 {
			t.Errorf("%s: left in the data directory: %v (%v)", test.name, entries, err)
		}
	}
	setEnvironment(t, nil)
	_, errs := command(t, exitFailed, "import", filepath.Join(dir, "no.zip"), filepath.Join(dir, "half.zip"))
	if strings.Count(errs, "\n") != 2 {
		t.Errorf("two bad files: %s", errs)
	}
}

// Which rows of a damaged zip are true cannot be told: with one of them kept, the
// zip that is fetched again would double a play.
func TestImportOfADamagedZip(t *testing.T) {
	setEnvironment(t, nil)
	export, truth := generated(t, 2_000)
	content, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	// The same again, stored as it is, with one digit changed.
	var bent bytes.Buffer
	writer := zip.NewWriter(&bent)
	for _, file := range archive.File {
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		rows, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		header := &zip.FileHeader{Name: file.Name, CRC32: file.CRC32, CompressedSize64: uint64(len(rows)), UncompressedSize64: uint64(len(rows))}
		w, err := writer.CreateRaw(header)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(rows, []byte(`"ms_played": 1`)); at >= 0 {
			rows[at+len(`"ms_played": `)] = '9'
		}
		if _, err := w.Write(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(t.TempDir(), "damaged.zip")
	writeFile(t, damaged, bent.String())
	if _, errs := command(t, exitFailed, "import", damaged); !strings.Contains(errs, "the zip is damaged: fetch it again") || !strings.Contains(errs, "nothing of it was kept: import 1 is taken back") {
		t.Errorf("%s", errs)
	}
	if left := recordedPlays(t); len(left) > 0 {
		t.Errorf("%d plays of it were kept", len(left))
	}
	if got, _ := runImport(t, export); got.Stored != truth.Plays || got.Known != 0 {
		t.Errorf("fetched again: %+v", got)
	}
}

func TestImportOfAFileThatBreaksOff(t *testing.T) {
	setEnvironment(t, nil)
	dir := t.TempDir()
	row := func(n int) string {
		return fmt.Sprintf(`{"ts":"2020-01-01T%02d:00:00Z","ms_played":60000,"spotify_track_uri":"spotify:track:%022d","master_metadata_track_name":"Song"}`, n, n)
	}
	broken, rest := filepath.Join(dir, "endsong_0.json"), filepath.Join(dir, "endsong_1.json")
	writeFile(t, broken, "["+row(1)+","+row(2)+`,{"ts":"2020-`)
	writeFile(t, rest, "["+row(3)+"]")
	out, errs := command(t, exitFailed, "import", "--json", broken, rest)
	var b balance
	if err := json.Unmarshal([]byte(out), &b); err != nil || b.check() != nil || b.Rows != 3 || b.Stored != 3 {
		t.Errorf("%s (%v)", out, err)
	}
	if !strings.Contains(errs, broken+", row 3 (byte ") || !strings.Contains(errs, "the file ends in the middle") || !strings.Contains(errs, "import --undo 1") {
		t.Errorf("%s", errs)
	}
	if list, _ := command(t, exitDone, "import", "--list"); !strings.Contains(list, "incomplete") {
		t.Errorf("--list: %s", list)
	}
	writeFile(t, broken, "["+row(1)+","+row(2)+","+row(4)+"]")
	if got, _ := runImport(t, broken, rest); got.Stored != 1 || got.Known != 3 {
		t.Errorf("after the file is whole: %+v", got)
	}
	nothing := filepath.Join(dir, "endsong_9.json")
	writeFile(t, nothing, `[{"ts":"yesterday","ms_played":1}]`)
	if _, errs := command(t, exitFailed, "import", nothing); !strings.Contains(errs, "no row could be stored") {
		t.Errorf("nothing but bad rows: %s", errs)
	}
}

func TestImportWithoutTheRightToRead(t *testing.T) {
	export, _ := generated(t, 100)
	setEnvironment(t, nil)
	if err := os.Chmod(export, 0); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		// Be somebody else for files, on this thread, which ends with the test.
		for dir := filepath.Dir(export); strings.HasPrefix(filepath.Base(dir), "Test") || filepath.Base(dir) == "001"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		runtime.LockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Skipf("cannot be another user: %v", err)
		}
		defer syscall.Setfsuid(0)
	}
	if _, errs := command(t, exitFailed, "import", export); !strings.Contains(errs, export) || !strings.Contains(errs, fmt.Sprintf("user id %d may not read it", os.Geteuid())) {
		t.Errorf("%s", errs)
	}
}

// child starts the program as a process of its own.
func child(t *testing.T, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	now := time.Now().UnixNano()
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d 1", childClock, now, now))
	errs := &output{}
	cmd.Stderr, cmd.Stdout = errs, errs
	return cmd, errs
}

// stopMidway starts an import and ends it with a signal when some of it is stored. It
// runs as beside a daemon, so that it stores a little at a time.
func stopMidway(t *testing.T, signal os.Signal, export string) (exit int, says string) {
	t.Helper()
	j := openTestJournal(t)
	defer j.Close()
	if err := j.Lock(); err != nil {
		t.Fatal(err)
	}
	cmd, errs := child(t, "import", export)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, 60*time.Second, "some of the import is stored", func() bool {
		if len(ended) > 0 {
			t.Fatalf("the import has ended: %s", errs)
		}
		list, _ := command(t, exitDone, "import", "--list", "--json")
		var batch batchRecord
		return json.Unmarshal([]byte(list), &batch) == nil && batch.Reports > 0
	})
	if err := cmd.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	<-ended
	return cmd.ProcessState.ExitCode(), errs.String()
}

func TestImportThatIsEndedIsRepeated(t *testing.T) {
	export, truth := generated(t, 12_000)
	setEnvironment(t, nil)
	runImport(t, export)
	want := recordedPlays(t)
	for _, signal := range []os.Signal{syscall.SIGKILL, syscall.SIGINT} {
		setEnvironment(t, nil)
		exit, says := stopMidway(t, signal, export)
		if signal == syscall.SIGINT && (exit != exitFailed || !strings.Contains(says, "interrupted after ") || !strings.Contains(says, "run the same import again to go on") || !strings.Contains(says, "import --undo 1")) {
			t.Errorf("after Ctrl-C: exit code %d, %s", exit, says)
		}
		if list, _ := command(t, exitDone, "import", "--list"); !strings.Contains(list, "incomplete") {
			t.Errorf("%v: --list: %s", signal, list)
		}
		again, _ := runImport(t, export)
		if again.Known == 0 || again.Stored+again.Known != truth.Plays {
			t.Errorf("%v: repeated: %+v", signal, again)
		}
		if got := recordedPlays(t); !slices.Equal(got, want) {
			t.Errorf("%v: %s", signal, difference(got, want))
		}
		for _, batch := range []string{"1", "2"} {
			command(t, exitDone, "import", "--undo", batch)
		}
		if left := recordedPlays(t); len(left) > 0 {
			t.Errorf("%v: %d plays are left of two undone imports", signal, len(left))
		}
	}
}

// A disk of its own, with some space that can be freed: the import runs into its
// end, the journal is consistent, and goes on when there is space again.
func TestImportOntoAFullDisk(t *testing.T) {
	export, truth := generated(t, 10_000)
	setEnvironment(t, nil)
	const script = `mount -t tmpfs -o size=4m tmpfs "$DATA_DIR" && dd if=/dev/zero of="$DATA_DIR/ballast" bs=1M count=1 2>/dev/null || exit 99
		env "$1" "$0" import "$2"; echo "exit $?"
		rm "$DATA_DIR/ballast"
		env "$1" "$0" import --list
		mount -o remount,size=100m "$DATA_DIR"
		env "$1" "$0" import --json "$2" 2>/dev/null` // env: the shell drops a variable whose name is none for it
	says := withSmallDisk(t, script, export)
	for _, want := range []string{export + ": ", ".json, row 1: ", "the disk is full", "nothing has been stored", "exit 1\n", "incomplete"} {
		if !strings.Contains(says, want) {
			t.Errorf("it does not say %q:\n%s", want, says)
		}
	}
	lines := strings.Split(strings.TrimSpace(says), "\n")
	var again balance
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &again); err != nil || again.Known+again.Stored != truth.Plays {
		t.Errorf("with space again: %+v (%v)\n%s", again, err, says)
	}
}

// withSmallDisk runs a script that may mount things and returns what it says. Its $0
// is this program, $1 makes it so with env, $2 is the argument; it exits with 99 if
// it cannot mount.
func withSmallDisk(t *testing.T, script, argument string) string {
	t.Helper()
	cmd, errs := child(t)
	cmd.Path = "/bin/sh"
	cmd.Args = []string{"sh", "-c", script, os.Args[0], cmd.Env[len(cmd.Env)-1], argument}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	if err := cmd.Run(); err != nil {
		if says := errs.String(); says == "" || strings.Contains(says, "mount:") || cmd.ProcessState.ExitCode() == 99 {
			t.Skipf("cannot make a small disk here: %v %s", err, says)
		}
		t.Fatalf("%v: %s", err, errs)
	}
	return errs.String()
}

func TestBalanceThatDoesNotAddUp(t *testing.T) {
	b := newBalance([]history.File{{Name: "endsong_0.json"}})
	b.read(&history.Row{MSPlayed: 1})
	if err := b.check(); err == nil || !strings.Contains(err.Error(), "1 rows and 1 ms read, 0 rows and 0 ms accounted for") {
		t.Errorf("a row that is nowhere: %v", err)
	}
	b.recorded(&journal.Report{MSPlayed: 1}, journal.New)
	if err := b.check(); err != nil {
		t.Error(err)
	}
}

func TestProgressWithoutTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		g := newProgress(&out, "rows", 1_000_000)
		for range 50 {
			time.Sleep(500 * time.Millisecond)
			g.set(int64(time.Since(g.began).Milliseconds())*10, int(time.Since(g.began).Milliseconds()))
		}
		g.end()
		const want = "10 %: 10,000 rows, 1,000/s, 1m30s left\n20 %: 20,000 rows, 1,000/s, 1m20s left\n"
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}

// rawRow is a row of the extended history as encoding/json reads it.
type rawRow struct {
	TS         string  `json:"ts"`
	MSPlayed   int64   `json:"ms_played"`
	TrackURI   *string `json:"spotify_track_uri"`
	EpisodeURI *string `json:"spotify_episode_uri"`
	Track      string  `json:"master_metadata_track_name"`
	Artist     string  `json:"master_metadata_album_artist_name"`
	Incognito  bool    `json:"incognito_mode"`
	Offline    int64   `json:"offline_timestamp"` // when it started; ms until October 2022
}

// uri returns the item's, "" if the row does not say what was played.
func (r *rawRow) uri() string {
	switch {
	case r.TrackURI != nil:
		return *r.TrackURI
	case r.EpisodeURI != nil:
		return *r.EpisodeURI
	}
	return ""
}

// rawRows reads the rows of an extended history, each exact duplicate once, with
// nothing of ours.
func rawRows(t testing.TB, export string) []rawRow {
	t.Helper()
	archive, err := zip.OpenReader(export)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var rows []rawRow
	seen := make(map[string]bool)
	for _, entry := range archive.File {
		if name := path.Base(entry.Name); !strings.HasPrefix(name, "Streaming_History_") || !strings.HasSuffix(name, ".json") {
			continue
		}
		file, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		var raw []json.RawMessage
		err = json.NewDecoder(file).Decode(&raw)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range raw {
			var row rawRow
			if err := json.Unmarshal(text, &row); err != nil {
				t.Fatal(err)
			}
			if !seen[string(text)] {
				seen[string(text)] = true
				rows = append(rows, row)
			}
		}
	}
	return rows
}
