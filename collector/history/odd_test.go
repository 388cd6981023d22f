package history_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
)

// inUTF16 is how some programs on Windows write a text.
func inUTF16(text string, order binary.AppendByteOrder) []byte {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return b
}

// A file that somebody's program has written again says the same, and so do copies
// with other names.
func TestFilesThatOthersHaveWritten(t *testing.T) {
	const named = `{"ts":"2024-05-01T10:00:00Z","ms_played":1000,"master_metadata_track_name":"Zoë 🎧","spotify_track_uri":"spotify:track:1"}`
	two := named + "," + named
	for name, content := range map[string][]byte{
		"endsong_0.json": []byte("[" + two + "]"),
		"User_X_Streaming_History_Audio_2024_0.json":  []byte("[" + two + "]"),
		"my StreamingHistory_music_0 - Copy (2).json": []byte("[" + two + "]"),
		"endsong_1.json": []byte(named + "\n" + named + "\n"),
		"endsong_2.json": []byte("\xef\xbb\xbf" + named + "\r\n\r\n" + named),
		"endsong_3.json": []byte("\x00[" + two + "]"),
		"endsong_4.json": inUTF16("["+two+"]", binary.LittleEndian),
		"endsong_5.json": inUTF16("["+two+"]", binary.BigEndian),
		"endsong_6.json": inUTF16("\ufeff[\r\n"+two+"]", binary.LittleEndian),
		"endsong_7.json": inUTF16("\ufeff[\r\n"+two+"]", binary.BigEndian),
		"endsong_8.json": inUTF16(named+"\n"+named, binary.LittleEndian),
	} {
		dir := t.TempDir()
		write(t, dir, name, content)
		export := open(t, dir) // found by its name
		n := 0
		for row, err := range export.Rows(t.Context()) {
			n++
			if err != nil || row.Reason != "" || row.Damaged || row.Report.Item.Name != "Zoë 🎧" || row.Report.MSPlayed != 1000 {
				t.Errorf("%s: %+v, %v", name, row, err)
			}
		}
		if n != 2 || len(export.LeftOut()) > 0 {
			t.Errorf("%s: %d rows, left out: %v", name, n, export.LeftOut())
		}
	}
}

// One odd file does not keep the others from being read, wherever it lies, and is
// named.
func TestOneOddFile(t *testing.T) {
	list := []byte("[" + minimal + "]")
	whole := makeZip(t, entry{name: "x/endsong_0.json", content: string(list)})
	for name, content := range map[string][]byte{
		"endvideo_0.json":                []byte(`[{"endTime":"2025-03-01 11:00","videoName":"V","msPlayed":1}]`),
		"endsong_1.json":                 []byte("<html>"),
		"endsong_2.json":                 nil,
		"endsong_3.json":                 []byte(`{"plays":[]}`),
		"endsong_4.json":                 []byte(`{"plays":`),
		"other.zip":                      []byte("no zip"),
		"half.zip":                       whole[:len(whole)/2],
		"outer.zip":                      makeZip(t, entry{name: "my_spotify_data.zip", content: string(whole)}),
		"password.zip":                   makeZip(t, entry{"endsong_9.json", string(list), nil}, entry{name: "StreamingHistory0.json", content: "[1]"}),
		"deep/er/StreamingHistory1.json": []byte("[1]"),
	} {
		dir := t.TempDir()
		good, odd := write(t, dir, "endsong_0.json", list), write(t, dir, name, content)
		for _, paths := range [][]string{{dir}, {good, odd}, {odd, good}} {
			e := open(t, paths...)
			n := 0
			for row, err := range e.Rows(t.Context()) {
				if n++; err != nil || row.Reason != "" {
					t.Errorf("%s: %v %s", name, err, row.Detail)
				}
			}
			problem := errors.Join(e.LeftOut()...)
			if n == 0 || len(e.LeftOut()) != 1 || !strings.Contains(problem.Error(), name[strings.LastIndexByte(name, '/')+1:]) {
				t.Errorf("%s, %v: %d rows, left out: %v", name, paths, n, problem)
			}
		}
	}
	// What is not there may be a mistake in the command.
	if e, err := history.Open(t.Context(), []string{write(t, t.TempDir(), "endsong_0.json", list), "none.json"}, nil, history.Options{}); err == nil {
		e.Close()
		t.Error("a path that is not there: no error")
	}
}

// A file that was saved again in another encoding has lost letters.
func TestDamagedText(t *testing.T) {
	row := func(name string) string {
		return `{"ts":"2024-05-01T10:00:00Z","ms_played":1000,"master_metadata_track_name":"` + name + `","master_metadata_album_artist_name":"A"}`
	}
	for content, want := range map[string]int{
		"[" + row("Zo\xeb") + "," + row("Zoë") + "]":   1, // Windows-1252
		"[" + row("Zo\ufffd") + "," + row("Zoe") + "]": 1, // and saved once more, as UTF-8
		"[" + row(`Zo\ud83c`) + "]":                    1, // half a character
		`[{"endTime":"2024-05-01 10:00","msPlayed":1000,"trackName":"T","artistName":"Bj` + "\xf6" + `rk"}]`: 1,
	} {
		got := 0
		for row, err := range open(t, write(t, t.TempDir(), "endsong_0.json", []byte(content))).Rows(t.Context()) {
			if err != nil || row.Reason != "" {
				t.Fatal(err, row.Detail)
			}
			if row.Damaged {
				got++
			}
		}
		if got != want {
			t.Errorf("%q: %d damaged rows, want %d", content, got, want)
		}
	}
}
