package historytest

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"
)

// Secret stands in every place of an export that a reader must not keep: names
// of users, addresses, user agents, private files.
const Secret = "nobodys-business"

const (
	extendedFolder = "Spotify Extended Streaming History/"
	accountFolder  = "Spotify Account Data/"
	oldFolder      = "MyData/"
)

// WriteExtended writes the extended streaming history as a zip. One oddity is
// missing, since archive/zip refuses to write it: the entry of 11 bytes for the
// folder itself.
func (l *Listening) WriteExtended(w io.Writer) (Truth, error) {
	z := zip.NewWriter(w)
	truth := Truth{NotStored: map[string]int{}, Kinds: map[string]int{}}
	folder := extendedFolder
	if l.o.OldNames {
		folder = oldFolder
	}
	for _, video := range []bool{false, true} {
		var rows []row
		number := 0
		flush := func() error {
			if len(rows) == 0 {
				return nil
			}
			err := l.writeFile(z, folder+l.fileName(video, number, rows), rows)
			rows = rows[:0]
			number++
			truth.Files++
			return err
		}
		for r := range l.rows() {
			if r.video != video {
				continue
			}
			truth.add(r)
			if rows = append(rows, r); len(rows) < cmp.Or(l.o.RowsPerFile, 16_000) {
				continue
			}
			if err := flush(); err != nil {
				return truth, err
			}
		}
		if err := flush(); err != nil {
			return truth, err
		}
	}
	if err := writeRaw(z, folder+"ReadMeFirst_ExtendedStreamingHistory.pdf", []byte("%PDF-1.4\n"), 0); err != nil {
		return truth, err
	}
	return truth, z.Close()
}

func (t *Truth) add(r row) {
	t.Rows++
	switch {
	case r.bad > 0:
		t.NotStored[mistakes[r.bad]]++
		return
	case r.copy:
		t.Duplicates++
		return
	}
	t.Plays++
	t.Kinds[r.Kind]++
	t.MSPlayed += r.MSPlayed
	if r.Incognito {
		t.Incognito++
	} else if r.Kind != "unknown" {
		t.Exported++
	}
	if ts := r.ts.Truncate(time.Second); t.First.IsZero() || ts.Before(t.First) {
		t.First = ts
	}
	if ts := r.ts.Truncate(time.Second); ts.After(t.Last) {
		t.Last = ts
	}
}

func (l *Listening) fileName(video bool, number int, rows []row) string {
	years := rows[0].ts.Format("2006")
	if last := rows[len(rows)-1].ts.Format("2006"); last != years {
		years += "-" + last
	}
	switch {
	case l.o.OldNames && video:
		return "endvideo.json"
	case l.o.OldNames:
		return fmt.Sprintf("endsong_%d.json", number)
	case video:
		return fmt.Sprintf("Streaming_History_Video_%s.json", years)
	}
	return fmt.Sprintf("Streaming_History_Audio_%s_%d.json", years, number)
}

func (l *Listening) writeFile(z *zip.Writer, name string, rows []row) error {
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: lastDay})
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	separator := "[\n"
	var buffer []byte
	for _, r := range rows {
		w.WriteString(separator)
		separator = ",\n"
		buffer = l.appendRow(buffer[:0], r)
		w.Write(buffer)
	}
	w.WriteString("\n]")
	return w.Flush()
}

// appendRow writes a row with Spotify's keys, in their order and layout.
func (l *Listening) appendRow(b []byte, r row) []byte {
	text := func(key, value string) {
		b = append(b, "    \""+key+`": `...)
		if value == "" {
			b = append(b, "null,\n"...)
			return
		}
		b = append(appendText(b, value), ",\n"...)
	}
	raw := func(key, value string) { b = append(b, "    \""+key+`": `+value+",\n"...) }
	only := func(kind, value string) string {
		if r.Kind == kind {
			return value
		}
		return ""
	}

	ts := `"` + r.ts.Format(time.RFC3339) + `"`
	ms := strconv.FormatInt(r.MSPlayed, 10)
	switch r.bad {
	case 1:
		ts = "null"
	case 2:
		ts = `"yesterday"`
	case 3:
		ms = `"long"`
	case 4:
		ms = "-5"
	case 5:
		ts = `"1970-01-01T00:00:00Z"`
	}
	b = append(b, "  {\n"...)
	raw("ts", ts)
	if l.o.OldKeys {
		text("username", Secret)
	}
	text("platform", r.platform)
	raw("ms_played", ms)
	text("conn_country", "DE")
	if l.o.OldKeys {
		text("ip_addr_decrypted", Secret)
		text("user_agent_decrypted", Secret)
	} else {
		text("ip_addr", Secret)
	}
	text("master_metadata_track_name", only("track", r.Name))
	text("master_metadata_album_artist_name", only("track", r.Artist))
	text("master_metadata_album_album_name", only("track", r.Album))
	text("spotify_track_uri", only("track", r.URI))
	text("episode_name", only("episode", r.Name))
	text("episode_show_name", only("episode", r.Artist))
	text("spotify_episode_uri", only("episode", r.URI))
	if !l.o.OldKeys {
		text("audiobook_title", only("chapter", r.Artist))
		book := ""
		if r.Kind == "chapter" {
			book = "spotify:show:" + id(uint64(len(r.Artist)), "show")
		}
		text("audiobook_uri", book)
		text("audiobook_chapter_uri", only("chapter", r.URI))
		text("audiobook_chapter_title", only("chapter", r.Name))
	}
	text("reason_start", r.begin)
	text("reason_end", r.end)
	raw("shuffle", strconv.FormatBool(r.MSPlayed%2 == 0))

	skipped := strconv.FormatBool(r.Skipped)
	offline := strconv.FormatBool(r.offline)
	start := "0"
	switch {
	case r.startUnit == time.Millisecond && (l.o.OldKeys || r.offline):
		start = strconv.FormatInt(r.StartedAt.UnixMilli(), 10)
	case r.startUnit == time.Second:
		start = strconv.FormatInt(r.StartedAt.Unix(), 10)
	}
	if r.ts.Before(startsInS) { // newer exports make false of null, and null of 0
		skipped = "false"
		if l.o.OldKeys {
			skipped = "null"
		}
	}
	if !l.o.OldKeys && start == "0" {
		start = "null"
	}
	if r.video {
		offline = "null"
	}
	raw("skipped", skipped)
	raw("offline", offline)
	raw("offline_timestamp", start)
	if !l.o.OldKeys && r.MSPlayed%1000 == 7 {
		raw("a_key_of_tomorrow", `{"a": [1, "}"]}`)
	}
	raw("incognito_mode", strconv.FormatBool(r.Incognito))
	return append(b[:len(b)-2], "\n  }"...)
}

func appendText(b []byte, text string) []byte {
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		panic(err) // a string: cannot happen
	}
	return append(b, bytes.TrimSuffix(quoted.Bytes(), []byte("\n"))...)
}

// writeRaw writes an entry as it is, with the general purpose flags added.
func writeRaw(z *zip.Writer, name string, content []byte, flags uint16) error {
	w, err := z.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Store, Flags: flags, Modified: lastDay,
		CRC32:              crc32.ChecksumIEEE(content),
		CompressedSize64:   uint64(len(content)),
		UncompressedSize64: uint64(len(content)),
	})
	if err != nil {
		return err
	}
	_, err = w.Write(content)
	return err
}

// accountFiles are the sorts of history in the account data.
var accountFiles = [...]struct{ name, kind string }{{"music", "track"}, {"podcast", "episode"}, {"audiobook", "chapter"}}

// WriteAccount writes the account data of the plays since then as a zip: cut to
// the minute, names only, rows that are equal merged. In it, as in Spotify's, are
// private files; they are encrypted, so that whoever opens one fails. The plays
// of the truth are the rows.
func (l *Listening) WriteAccount(w io.Writer, since time.Time) (Truth, error) {
	z := zip.NewWriter(w)
	truth := Truth{NotStored: map[string]int{}, Kinds: map[string]int{}}
	folder := accountFolder
	if l.o.OldNames {
		folder = oldFolder
	}
	const encrypted = 1
	for _, name := range []string{"Userdata.json", "Identity.json", "Payments.json", "YourLibrary.json"} {
		if err := writeRaw(z, folder+name, []byte(Secret), encrypted); err != nil {
			return truth, err
		}
	}
	perFile := cmp.Or(l.o.RowsPerFile, 10_000)
	for _, sort := range accountFiles {
		rows := 0
		var f io.Writer
		merged := map[string]bool{} // rows of the current minute
		var minute time.Time
		for r := range l.rows() {
			kind := r.Kind
			if kind == "unknown" {
				kind = "track"
			}
			if r.bad > 0 || kind != sort.kind || r.ts.Before(since) {
				continue
			}
			if end := r.ts.Truncate(time.Minute); !end.Equal(minute) {
				minute = end
				clear(merged)
			}
			text := string(appendAccountRow(nil, r))
			if merged[text] {
				truth.Duplicates++
				continue
			}
			merged[text] = true
			separator := ",\n"
			if rows%perFile == 0 {
				if f != nil {
					if _, err := io.WriteString(f, "\n]"); err != nil {
						return truth, err
					}
				}
				name := fmt.Sprintf("%sStreamingHistory_%s_%d.json", folder, sort.name, rows/perFile)
				if l.o.OldNames && sort.kind == "track" {
					name = fmt.Sprintf("%sStreamingHistory%d.json", folder, rows/perFile)
				}
				var err error
				if f, err = z.Create(name); err != nil {
					return truth, err
				}
				truth.Files++
				separator = "[\n"
			}
			if _, err := io.WriteString(f, separator+text); err != nil {
				return truth, err
			}
			rows++
			r.copy, r.ts = false, minute
			truth.add(r)
		}
		if f != nil {
			if _, err := io.WriteString(f, "\n]"); err != nil {
				return truth, err
			}
		}
	}
	return truth, z.Close()
}

func appendAccountRow(b []byte, r row) []byte {
	keys := [...]string{"artistName", "trackName"}
	values := [...]string{r.Artist, r.Name}
	switch r.Kind {
	case "unknown":
		values = [...]string{"Unknown Artist", "Unknown Track"}
	case "episode":
		keys = [...]string{"podcastName", "episodeName"}
	case "chapter":
		keys = [...]string{"audiobookName", "chapterName"}
	}
	b = fmt.Appendf(b, "  {\n    \"endTime\" : %q,\n", r.ts.Format("2006-01-02 15:04"))
	for i, key := range keys {
		b = append(appendText(fmt.Appendf(b, "    %q : ", key), values[i]), ",\n"...)
	}
	if r.Kind == "chapter" {
		b = append(appendText(append(b, `    "authorName" : `...), r.Author), ",\n"...)
	}
	return fmt.Appendf(b, "    \"msPlayed\" : %d\n  }", r.MSPlayed)
}
