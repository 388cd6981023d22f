package history_test

import (
	"archive/zip"
	"bytes"
	"context"
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
)

// entry is a file in a zip to be made.
type entry struct {
	name    string
	content string
	change  func(*zip.FileHeader) // after the content is packed
}

func makeZip(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		header := zip.FileHeader{Name: e.name, Method: zip.Store, UncompressedSize64: uint64(len(e.content)), CompressedSize64: uint64(len(e.content))}
		if e.change != nil {
			e.change(&header)
		}
		w, err := z.CreateRaw(&header)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, e.content)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Every bad input has one line that names the file and says what to do.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	good, _ := generate(t, historytest.Options{Rows: 2_000, Seed: 7})
	list := "[" + minimal + "]"
	file := func(name, content string) string { return write(t, dir, name, []byte(content)) }
	archive := func(name string, entries ...entry) string { return write(t, dir, name, makeZip(t, entries...)) }
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	huge := func(size, compressed uint64) func(*zip.FileHeader) {
		return func(h *zip.FileHeader) {
			h.Method, h.UncompressedSize64, h.CompressedSize64 = zip.Deflate, size, compressed
		}
	}
	sparse := filepath.Join(dir, "sparse", "endsong_0.json")
	file("sparse/endsong_0.json", list)
	if err := os.Truncate(sparse, 10<<30); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		path string
		want string // a part of the error; the file's name must be another
	}{
		{filepath.Join(dir, "absent.zip"), "there is no such file"},
		{empty, "there is nothing in it"},
		{file("nothing.json", ""), "is empty"},
		{file("no.zip", "<html>Please log in</html>"), "is not a zip"},
		{file("no2.zip", "PKxx"), "is not a zip"},
		{file("page.html", "<html>Please log in</html>"), "is not a list of plays"},
		{file("half.zip", string(good[:len(good)/2])), "its end is missing"},
		{file("ReadMeFirst.pdf", "%PDF-1.4\n"), "only Spotify's ReadMe"},
		{archive("pdf.zip", entry{name: "Spotify/ReadMeFirst_ExtendedStreamingHistory.pdf", content: "%PDF-1.4"}), "only Spotify's ReadMe"},
		{archive("empty.zip"), "there is nothing in it"},
		{archive("photos.zip", entry{name: "1.jpg"}, entry{name: "2.jpg"}), "no streaming history among its 2 files"},
		{file("letters/hello.txt", "hello"), "is not a list of plays"},
		{filepath.Join(dir, "letters"), "no streaming history among its 1 file;"},
		{file("object.json", `{"plays": []}`), "is not a list of plays"},
		{file("lastfm.json", `[{"artist": {"#text": "A"}, "name": "N", "date": {"uts": "1"}}]`), `first row has "artist", "name", "date"`},
		{file("apple.json", `[{"Song Name": "N", "Play Duration Milliseconds": 1}]`), "not a Spotify streaming history"},
		{file("numbers.json", `[1, 2]`), "the first row is not a JSON object"},
		{file("utf16.json", "\xff\xfe[\x00"), "ends in the middle"},
		{file("list.json", `[]`), "the export is empty: no play in 1 file"},
		{archive("list.zip", entry{name: "a/endsong_0.json", content: "[\n]"}, entry{name: "a/endsong_1.json", content: "{ }"}), "the export is empty: no play in 2 files"},
		{file("cut.json", `[{"ts":"2024-05-01T10:0`), "ends in the middle"},
		{file("cut2.json", `[`), "ends in the middle"},
		{file("comma.json", `[,`+minimal+`]`), "there is no row where one must be"},
		{file("bomb/endsong_0.json", "[{\"ts\":\""+strings.Repeat("x", 2<<20)+"\"}]"), "more than 1048576 bytes"},
		{filepath.Dir(sparse), "has 10737418240 bytes"},
		{archive("password.zip", entry{"a/endsong_0.json", list, func(h *zip.FileHeader) { h.Flags |= 1 }}), "password"},
		{archive("method.zip", entry{"a/endsong_0.json", list, func(h *zip.FileHeader) { h.Method = 93 }}), "method 93"},
		{archive("up.zip", entry{name: "../endsong_0.json", content: list}), "leads out of its folder"},
		{archive("up2.zip", entry{name: `a\..\..\endsong_0.json`, content: list}), "leads out of its folder"},
		{archive("root.zip", entry{name: "/tmp/endsong_0.json", content: list}), "leads out of its folder"},
		{archive("ten.zip", entry{"a/endsong_0.json", list, huge(10<<30, 100<<20)}), "has 10737418240 bytes"},
		{archive("ratio.zip", entry{"a/endsong_0.json", list, huge(1<<30, uint64(len(list)))}), "would become 1073741824"},
		{archive("bent.zip", entry{"a/endsong_0.json", list, huge(uint64(len(list)), uint64(len(list)))}), "damaged"},
		{file("folder/half.zip", string(good[:len(good)/2])), "its end is missing"},
		{filepath.Join(dir, "folder"), "/half.zip: is only a part of a zip"},
	} {
		e, err := history.Open(t.Context(), []string{c.path}, nil, history.Options{})
		if err == nil {
			e.Close()
			t.Errorf("%s: no error", c.path)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, c.want) || !strings.HasPrefix(text, c.path) || strings.Contains(text, "\n") {
			t.Errorf("%s: %s", c.path, text)
		}
	}

	_, err := history.Open(t.Context(), []string{filepath.Join(dir, "no.zip"), filepath.Join(dir, "half.zip")}, nil, history.Options{})
	if lines := strings.Split(fmt.Sprint(err), "\n"); len(lines) != 2 {
		t.Errorf("two bad files: %v", err)
	}
	if _, err := history.Open(t.Context(), nil, nil, history.Options{}); err == nil {
		t.Error("no path: no error")
	}
}

// An error in the middle comes after the good rows, names the file, the row and
// the byte, and leaves the other files to be read.
func TestErrorsInTheMiddle(t *testing.T) {
	two := minimal + ",\n" + minimal
	offset := len(two) + 1
	for _, c := range []struct {
		name, content string
		change        func(*zip.FileHeader)
		want          string
	}{
		{name: "cut", content: "[" + two, want: "ends in the middle"},
		{name: "cut in a row", content: "[" + two + `,{"ts":"20`, want: "ends in the middle"},
		{name: "comma", content: "[" + two + minimal + "]", want: "a comma is missing"},
		{name: "more", content: "[" + two + "] []", want: "after the end"},
		{name: "no row", content: "[" + two + ",]", want: "no row where one must be"},
		{name: "long", content: "[" + two + `,{"ts":"` + strings.Repeat("x", 2<<20) + `"}]`, want: "more than 1048576 bytes"},
		{name: "checksum", content: "[" + two + "]", want: "damaged",
			change: func(h *zip.FileHeader) { h.CRC32 = 1 }},
		{name: "a comma that damage has taken", content: "[" + two + minimal + strings.Repeat(","+minimal, 5_000) + "]", want: "damaged",
			change: func(h *zip.FileHeader) { h.CRC32 = 1 }},
		{name: "longer than it says", content: "[" + two + "]" + strings.Repeat(" ", 200_000), want: "something else than it says",
			change: func(h *zip.FileHeader) { h.UncompressedSize64 -= 100_000 }},
		{name: "shorter than it says", content: "[" + two + "]", want: "ends in the middle",
			change: func(h *zip.FileHeader) { h.UncompressedSize64++ }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, t.TempDir(), "a.zip", makeZip(t,
				entry{"x/endsong_0.json", c.content, c.change},
				entry{name: "x/endsong_1.json", content: "[" + minimal + "]"}))
			var good [2]int
			var problem error
			for row, err := range open(t, path).Rows(t.Context()) {
				if err == nil {
					good[row.File]++
				} else if problem = errors.Join(problem, err); row.File != 0 || row.Index != 3 {
					t.Errorf("the error is of file %d, row %d", row.File, row.Index)
				}
			}
			if good != [2]int{2, 1} {
				t.Errorf("got %d rows", good)
			}
			text := fmt.Sprint(problem)
			if !strings.Contains(text, c.want) || !strings.Contains(text, path+": x/endsong_0.json, row 3 (byte ") || strings.Contains(text, "\n") {
				t.Error(text)
			}
			if c.name == "comma" && !strings.Contains(text, fmt.Sprintf("(byte %d)", offset)) {
				t.Error(text)
			}
		})
	}
}

func TestNamesThatPlayTricks(t *testing.T) {
	path := write(t, t.TempDir(), "a.zip", makeZip(t, entry{name: "\x1b[2J/endsong_0.json", content: "[" + minimal + "]"}))
	if name := open(t, path).Files()[0].Name; strings.Contains(name, "\x1b") {
		t.Errorf("got %q", name)
	}
}

func TestLinksOutOfAFolderAreNotFollowed(t *testing.T) {
	dir := t.TempDir()
	outside := write(t, dir, "outside.json", []byte("["+minimal+"]"))
	write(t, dir, "in/endsong_0.json", []byte("["+minimal+"]"))
	if err := os.Symlink(outside, filepath.Join(dir, "in", "endsong_1.json")); err != nil {
		t.Skipf("no links here: %v", err)
	}
	e := open(t, filepath.Join(dir, "in"))
	if problem := errors.Join(e.LeftOut()...); len(e.Files()) != 1 || problem == nil || !strings.Contains(problem.Error(), "endsong_1.json: is a link to something outside") {
		t.Errorf("read %d files, left out: %v", len(e.Files()), problem)
	}
}

func TestTheFirstRowMayBeABadOne(t *testing.T) {
	path := write(t, t.TempDir(), "endsong_0.json", []byte("[5, null, "+minimal+"]"))
	var reasons []history.Reason
	for row, err := range open(t, path).Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		reasons = append(reasons, row.Reason)
	}
	if !slices.Equal(reasons, []history.Reason{history.BadRow, history.BadRow, ""}) {
		t.Errorf("got %q", reasons)
	}
}

// Whoever waits for standard input can be told to stop.
func TestStandardInputThatDoesNotCome(t *testing.T) {
	stdin, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := history.Open(ctx, []string{"-"}, stdin, history.Options{TempDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What the names of files say of their order; nothing if a name is that of a copy.
func TestNamesOfFiles(t *testing.T) {
	name := func(series string, first, last, number int) string {
		return fmt.Sprint(series, " ", first, " ", last, " ", number)
	}
	for base, want := range map[string]string{
		"Streaming_History_Audio_2013-2020_0.json":       name("streaming_history_audio", 2013, 2020, 0),
		"Streaming_History_Audio_2020_10.json":           name("streaming_history_audio", 2020, 2020, 10),
		"Streaming_History_Audio_2016.json":              name("streaming_history_audio", 2016, 2016, 0),
		"Streaming_History_Video_2018-2024.json":         name("streaming_history_video", 2018, 2024, 0),
		"User_X_Streaming_History_Audio_2024_3.json":     name("user_x_streaming_history_audio", 2024, 2024, 3),
		"endsong_7.json":                                 name("endsong", 0, 0, 7),
		"StreamingHistory3.json":                         name("streaminghistory", 0, 0, 3),
		"StreamingHistory_music_2.json":                  name("streaminghistory_music", 0, 0, 2),
		"Streaming_History_Audio_2013_1 (1).json":        name("", 0, 0, 0),
		"Streaming_History_Audio_2013_9 4.json":          name("", 0, 0, 0),
		"Streaming_History_Audio_2013_9 - Copy.json":     name("", 0, 0, 0),
		"Streaming_History_Audio_2013_9.json.json":       name("", 0, 0, 0),
		"Streaming_History_Audio_2013_9 - Copy (2).json": name("", 0, 0, 0),
		"mine_4.json": name("", 0, 0, 0),
	} {
		path := write(t, t.TempDir(), base, []byte("["+minimal+"]"))
		f := open(t, path).Files()[0]
		if got := name(strings.TrimPrefix(f.Series, filepath.Dir(path)+"/"), f.FirstYear, f.LastYear, f.Number); got != want {
			t.Errorf("%s: got %q, want %q", base, got, want)
		}
	}
}

// Files are read in the order of their years and numbers.
func TestOrderOfYears(t *testing.T) {
	want := []string{"Audio_2015.json", "Audio_2016_1.json", "Audio_2016-2018_2.json", "Audio_2018_3.json", "Audio_2018_9.json", "Audio_2018_10.json", "Video_2015.json"}
	var entries []entry
	for _, n := range []int{6, 2, 5, 0, 4, 3, 1} {
		entries = append(entries, entry{name: "x/Streaming_History_" + want[n], content: "[" + minimal + "]"})
	}
	var got []string
	for _, f := range open(t, write(t, t.TempDir(), "a.zip", makeZip(t, entries...))).Files() {
		_, base, _ := strings.Cut(f.Name, "Streaming_History_")
		got = append(got, base)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestStandardInputThatIsNone(t *testing.T) {
	for _, c := range []struct {
		stdin io.Reader
		want  string
	}{
		{nil, "there is no standard input"},
		{strings.NewReader(""), "is empty"},
		{strings.NewReader("hello"), "is not a list of plays"},
		{io.MultiReader(strings.NewReader("[1"), broken{}), "the pipe broke"},
	} {
		_, err := history.Open(t.Context(), []string{"-"}, c.stdin, history.Options{TempDir: t.TempDir()})
		if err == nil || !strings.HasPrefix(err.Error(), "standard input: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want %q, got %v", c.want, err)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the pipe broke") }
