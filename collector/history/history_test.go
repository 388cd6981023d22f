package history_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/history/historytest"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// identity is what makes two reports the same one, as the journal sees it.
type identity struct {
	uri, artist, name string
	ended, started    int64
	msPlayed, stamp   int64
}

func identityOf(r journal.Report) identity {
	id := identity{
		uri:   r.Item.URI,
		ended: r.EndedAt.UnixMilli(), started: r.StartedAt.UnixMilli(),
		msPlayed: r.MSPlayed, stamp: r.Stamp.UnixMilli(),
	}
	if id.uri == "" {
		id.artist, id.name = r.Item.Artist(), r.Item.Name
	}
	return id
}

func open(t testing.TB, paths ...string) *history.Export {
	t.Helper()
	e, err := history.Open(t.Context(), paths, nil, history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func rows(t testing.TB, e *history.Export) []history.Row {
	t.Helper()
	var rows []history.Row
	for row, err := range e.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// readJSON reads the rows of one loose file.
func readJSON(t testing.TB, text string) []history.Row {
	t.Helper()
	return rows(t, open(t, write(t, t.TempDir(), "rows.json", []byte(text))))
}

func write(t testing.TB, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func generate(t testing.TB, o historytest.Options) ([]byte, historytest.Truth) {
	t.Helper()
	var b bytes.Buffer
	truth, err := historytest.New(o).WriteExtended(&b)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), truth
}

// unpack writes the entries of a zip that archive/zip can read into a folder.
func unpack(t testing.TB, archive []byte, dir string, keep func(name string) string) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		name := keep(f.Name)
		if name == "" || strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, content)
	}
}

func TestGeneratedExtendedHistory(t *testing.T) {
	for _, o := range []historytest.Options{
		{Rows: 8_000, Seed: 1, RowsPerFile: 3_000},
		{Rows: 8_000, Seed: 1, RowsPerFile: 3_000, OldKeys: true},
		{Rows: 8_000, Seed: 2, RowsPerFile: 500, OldKeys: true, OldNames: true},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			archive, truth := generate(t, o)
			e := open(t, write(t, t.TempDir(), "my_spotify_data.zip", archive))
			if got := len(e.Files()); got != truth.Files || got < 4 {
				t.Errorf("files: got %d, wrote %d", got, truth.Files)
			}

			seen := map[identity]int{}
			got := historytest.Truth{Files: truth.Files, NotStored: map[string]int{}, Kinds: map[string]int{}}
			for _, row := range rows(t, e) {
				got.Rows++
				if row.Reason != "" {
					got.NotStored[string(row.Reason)]++
					continue
				}
				r := row.Report
				if seen[identityOf(r)]++; seen[identityOf(r)] > 1 {
					got.Duplicates++
					continue
				}
				got.Plays++
				got.Kinds[r.Item.Kind.String()]++
				got.MSPlayed += r.MSPlayed
				switch {
				case *r.Incognito:
					got.Incognito++
				case r.Item.Kind != journal.Unknown:
					got.Exported++
				}
				ts := r.EndedAt
				if !r.Stamp.IsZero() {
					ts = r.Stamp
				}
				if got.First.IsZero() || ts.Before(got.First) {
					got.First = ts
				}
				if ts.After(got.Last) {
					got.Last = ts
				}
			}
			if a, b := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", truth); a != b {
				t.Errorf("read  %s\nwrote %s", a, b)
			}
			if truth.Duplicates == 0 || truth.NotStored["bad_row"] == 0 || truth.Incognito == 0 || truth.Kinds["unknown"] == 0 {
				t.Errorf("the generator left something out: %+v", truth)
			}

			// Play by play: the same item, the end to the second.
			type told struct {
				uri     string
				end, ms int64
			}
			count := map[told]int{}
			for id := range seen {
				count[told{id.uri, id.ended / 1000, id.msPlayed}]++
			}
			stamped := 0
			for p := range historytest.New(o).Plays() {
				k := told{p.URI, p.EndedAt.Unix(), p.MSPlayed}
				if count[k]--; count[k] < 0 {
					t.Fatalf("the play %+v was not read", p)
				}
			}
			for id := range seen {
				if id.stamp > 0 {
					stamped++
				}
			}
			if stamped == 0 {
				t.Error("no play with the time of its upload")
			}
			if unknown := e.UnknownKeys(); o.OldKeys && len(unknown) > 0 || !o.OldKeys && (len(unknown) != 1 || unknown["a_key_of_tomorrow"] == 0) {
				t.Errorf("unknown keys: %v", unknown)
			}
		})
	}
}

// The same seed makes the same bytes, in whatever form.
func TestGeneratorIsDeterministic(t *testing.T) {
	o := historytest.Options{Rows: 1_000, Seed: 9}
	a, _ := generate(t, o)
	b, _ := generate(t, o)
	if !bytes.Equal(a, b) {
		t.Error("the same seed made two different exports")
	}
	o.Seed++
	if c, _ := generate(t, o); bytes.Equal(a, c) {
		t.Error("two seeds made the same export")
	}
}

// Whatever the packing, the rows are the same.
func TestPackings(t *testing.T) {
	archive, truth := generate(t, historytest.Options{Rows: 3_000, Seed: 3, RowsPerFile: 1_000})
	want := func(t *testing.T, e *history.Export, files int) {
		t.Helper()
		if got := len(e.Files()); got != files {
			t.Errorf("got %d files, want %d: %v", got, files, e.Files())
		}
		if got := len(rows(t, e)); got != truth.Rows {
			t.Errorf("got %d rows, want %d", got, truth.Rows)
		}
	}
	whole := func(name string) string { return name }

	t.Run("zip in a folder", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "Downloads/my_spotify_data.zip", archive)
		write(t, dir, "Downloads/letter.txt", nil)
		want(t, open(t, dir), truth.Files)
	})
	t.Run("unpacked", func(t *testing.T) {
		dir := t.TempDir()
		unpack(t, archive, dir, whole)
		write(t, dir, "__MACOSX/Spotify Extended Streaming History/Streaming_History_Audio_2013_0.json", []byte("fork"))
		write(t, dir, "Spotify Extended Streaming History/._Streaming_History_Audio_2013_0.json", []byte("fork"))
		want(t, open(t, dir), truth.Files)
	})
	t.Run("loose files in a folder", func(t *testing.T) {
		dir := t.TempDir()
		unpack(t, archive, dir, filepath.Base)
		want(t, open(t, dir), truth.Files)
	})
	t.Run("files one by one with names of their own", func(t *testing.T) {
		dir := t.TempDir()
		n := 0
		unpack(t, archive, dir, func(name string) string {
			if !strings.HasSuffix(name, ".json") {
				return ""
			}
			n++
			return fmt.Sprintf("part %d.txt", n)
		})
		paths, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		want(t, open(t, paths...), truth.Files)
	})
	t.Run("standard input", func(t *testing.T) {
		dir := t.TempDir()
		e, err := history.Open(t.Context(), []string{"-"}, io.MultiReader(bytes.NewReader(archive)), history.Options{TempDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("files with a name while reading: %v, %v", left, err)
		}
		want(t, e, truth.Files)
	})
	t.Run("twice", func(t *testing.T) {
		path := write(t, t.TempDir(), "a.zip", archive)
		e := open(t, path, path)
		if got := len(rows(t, e)); got != 2*truth.Rows {
			t.Errorf("got %d rows, want %d", got, 2*truth.Rows)
		}
	})
	t.Run("the folder is an entry with something in it", func(t *testing.T) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, content := range map[string]string{"History#": "placeholder", "History#endsong_0.json": "[" + minimal + "]"} {
			w, err := z.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(w, content)
		}
		z.Close()
		// archive/zip does not write such a thing.
		asSent := bytes.ReplaceAll(b.Bytes(), []byte("History#"), []byte("History/"))
		if got := len(rows(t, open(t, write(t, t.TempDir(), "s.zip", asSent)))); got != 1 {
			t.Errorf("got %d rows", got)
		}
	})
	t.Run("re-packed on Windows", func(t *testing.T) {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		w, err := z.Create(`Spotify Extended Streaming History\Streaming_History_Audio_2024_0.json`)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, "\ufeff[ "+minimal+" ]\r\n")
		z.Close()
		if got := len(rows(t, open(t, write(t, t.TempDir(), "w.zip", b.Bytes())))); got != 1 {
			t.Errorf("got %d rows", got)
		}
	})
}

const minimal = `{"ts":"2024-05-01T10:00:00Z","ms_played":1000,"spotify_track_uri":"spotify:track:1"}`

func TestOrderOfFiles(t *testing.T) {
	dir := t.TempDir()
	sorted := []string{
		"endsong_2.json", "endsong_11.json", "endvideo.json",
		"Streaming_History_Audio_2011-2019_0.json", "Streaming_History_Audio_2019-2020_1.json",
		"Streaming_History_Audio_2019_2.json", "Streaming_History_Audio_2020_9.json",
		"Streaming_History_Audio_2020_10 (1).json", "Streaming_History_Video_2018-2024.json",
		"StreamingHistory_music_0.json", "StreamingHistory_music_10.json",
	}
	for _, name := range sorted {
		write(t, dir, name, []byte("["+minimal+"]"))
	}
	var got []string
	for _, f := range open(t, dir).Files() {
		got = append(got, filepath.Base(f.Name))
	}
	if !slices.Equal(got, sorted) {
		t.Errorf("got  %q\nwant %q", got, sorted)
	}
}

func TestAccountData(t *testing.T) {
	o := historytest.Options{Rows: 6_000, Seed: 4, RowsPerFile: 1_000}
	since := time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, o.OldNames = range []bool{false, true} {
		var b bytes.Buffer
		truth, err := historytest.New(o).WriteAccount(&b, since)
		if err != nil {
			t.Fatal(err)
		}
		// The private files in it are encrypted: to open one would be an error.
		e := open(t, write(t, t.TempDir(), "my_spotify_data.zip", b.Bytes()))
		got := historytest.Truth{Kinds: map[string]int{}}
		seen := map[identity]bool{}
		for _, row := range rows(t, e) {
			r := row.Report
			if row.Reason != "" || r.Witness != journal.AccountData || r.Item.URI != "" || r.EndedAt.Second() != 0 ||
				r.Shuffle != nil || r.Offline != nil || r.Incognito != nil || r.Skipped != nil || !r.StartedAt.IsZero() {
				t.Fatalf("got %+v", row)
			}
			if seen[identityOf(r)] {
				t.Errorf("twice: %+v", r)
			}
			seen[identityOf(r)] = true
			got.Kinds[r.Item.Kind.String()]++
			got.MSPlayed += r.MSPlayed
		}
		if fmt.Sprint(got.Kinds) != fmt.Sprint(truth.Kinds) || got.MSPlayed != truth.MSPlayed || len(truth.Kinds) != 4 {
			t.Errorf("read %+v, wrote %+v", got, truth)
		}
		if truth.Files != len(e.Files()) || truth.Files < 4 {
			t.Errorf("files: %v", e.Files())
		}
	}
}

// What says who and where leaves the reader in no way: not in reports, not in
// keys, not in errors.
func TestSecretsStayOut(t *testing.T) {
	for _, old := range []bool{false, true} {
		archive, _ := generate(t, historytest.Options{Rows: 2_000, Seed: 5, OldKeys: old})
		e := open(t, write(t, t.TempDir(), "a.zip", archive))
		for _, row := range rows(t, e) {
			text, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{historytest.Secret, "0123456789abcdef"} {
				if bytes.Contains(text, []byte(secret)) {
					t.Fatalf("%q is in %s", secret, text)
				}
			}
		}
		if text := fmt.Sprint(e.UnknownKeys(), e.Files()); strings.Contains(text, historytest.Secret) {
			t.Errorf("a secret is in %s", text)
		}
	}
}

func TestContextEnds(t *testing.T) {
	archive, _ := generate(t, historytest.Options{Rows: 500, Seed: 6})
	e := open(t, write(t, t.TempDir(), "a.zip", archive))
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	stop := errors.New("enough")
	n := 0
	var last error
	for _, err := range e.Rows(ctx) {
		if n++; n == 100 {
			cancel(stop)
		}
		last = err
	}
	if n != 101 || last != stop {
		t.Errorf("%d rows, then %v", n, last)
	}
}

// Exports of both generations of keys, with podcasts, audiobooks, rows without an item
// and rows of one upload.
func TestSamples(t *testing.T) {
	readPlainly(t, "testdata/extended_*.json", 3)
}

// readPlainly holds every row of files against the plainest possible reading of it.
func readPlainly(t *testing.T, pattern string, files int) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) != files {
		t.Fatalf("%d files are %s, want %d (%v)", len(paths), pattern, files, err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var plain []map[string]any
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		read := rows(t, open(t, path))
		if len(read) != len(plain) {
			t.Fatalf("%s: got %d rows, want %d", name, len(read), len(plain))
		}
		for i, row := range read {
			r, p := row.Report, plain[i]
			ts := r.EndedAt
			if !r.Stamp.IsZero() {
				ts = r.Stamp
			}
			text := func(keys ...string) string {
				for _, key := range keys {
					if s, ok := p[key].(string); ok {
						return s
					}
				}
				return ""
			}
			same := row.Index == i+1 && row.Reason == "" && r.Witness == journal.ExtendedHistory &&
				ts.Format(time.RFC3339) == p["ts"] && float64(r.MSPlayed) == p["ms_played"] &&
				r.Item.URI == text("spotify_track_uri", "spotify_episode_uri", "audiobook_chapter_uri") &&
				r.Item.Name == text("master_metadata_track_name", "episode_name", "audiobook_chapter_title") &&
				r.Item.Artist() == text("master_metadata_album_artist_name", "episode_show_name", "audiobook_title") &&
				r.Item.Album == text("master_metadata_album_album_name", "episode_show_name", "audiobook_title") &&
				r.ReasonStart == text("reason_start") && r.ReasonEnd == text("reason_end") &&
				r.Country == text("conn_country")
			if !same {
				t.Errorf("%s, row %d: got %+v\nof %v", name, i+1, row, p)
			}
		}
	}
}

func BenchmarkRows(b *testing.B) {
	archive, _ := generate(b, historytest.Options{Rows: 20_000, Seed: 1})
	benchmarkRows(b, write(b, b.TempDir(), "a.zip", archive))
}

func benchmarkRows(b *testing.B, path string) {
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		e, err := history.Open(b.Context(), []string{path}, nil, history.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, err := range e.Rows(b.Context()) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		e.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
}
