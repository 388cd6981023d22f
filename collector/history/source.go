package history

import (
	"archive/zip"
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize/english"
)

// The limits of what is read. Spotify's files have up to 13 MB and compress to a
// fourteenth; a file that expands to more than these is made to do harm.
const (
	maxFile    = 2 << 30  // bytes of one JSON file
	maxRatio   = 200      // of its size to its compressed size,
	ratioFrom  = 16 << 20 // from this size on
	maxSpool   = 1 << 30  // bytes of standard input
	maxVisited = 100_000  // files and folders in a folder
)

const expected = `expected is Spotify's "Extended streaming history" (Streaming_History_Audio_….json, endsong_….json) ` +
	`or "Account data" (StreamingHistory_music_….json), as a zip, a folder or a file`

// historyNames are the patterns of the names of history files, old and new, in
// lower case. Nothing else in a zip or a folder is opened: account data has
// addresses and payments next to the history.
var historyNames = [...]string{
	"streaming_history_*.json", // Audio, Video
	"endsong*.json", "endvideo*.json",
	"streaminghistory*.json", // music_0, podcast_0, audiobook_0, and 0 before 2024
}

func isHistory(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(historyNames[:], func(pattern string) bool {
		ok, _ := path.Match(pattern, name)
		return ok
	})
}

// source is one place where files are found: a path that was given, or a zip in it.
type source struct {
	export *Export
	name   string
	files  []file
	seen   int  // files of any sort
	pdf    bool // one of them was a PDF
}

// add finds the history files of one path.
func (e *Export) add(ctx context.Context, path string, stdin io.Reader, o Options) error {
	s := &source{export: e, name: shownName(path)}
	err := s.find(ctx, path, stdin, o)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%s: %w", s.name, err)
	case len(s.files) > 0:
	case s.pdf:
		return fmt.Errorf("%s: only Spotify's ReadMe is here, not the history that came with it; %s", s.name, expected)
	case s.seen == 0:
		return fmt.Errorf("%s: there is nothing in it; %s", s.name, expected)
	default:
		return fmt.Errorf("%s: no streaming history among its %s; %s", s.name, english.Plural(s.seen, "file", ""), expected)
	}
	e.files = append(e.files, s.files...)
	return nil
}

func (s *source) find(ctx context.Context, path string, stdin io.Reader, o Options) error {
	if path == "-" {
		s.name = "standard input"
		f, err := spool(ctx, stdin, o.TempDir)
		if err != nil {
			return err
		}
		s.export.closers = append(s.export.closers, f)
		return s.addGiven(f)
	}
	info, err := os.Stat(path)
	if err != nil {
		return explain(err)
	}
	if info.IsDir() {
		return s.addFolder(path)
	}
	if !info.Mode().IsRegular() {
		return errors.New("is neither a file nor a folder; give - to read standard input")
	}
	f, err := os.Open(path)
	if err != nil {
		return explain(err)
	}
	s.export.closers = append(s.export.closers, f)
	return s.addGiven(f)
}

// addGiven adds a file that was given by hand, whatever its name, by its content.
func (s *source) addGiven(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return explain(err)
	}
	var head [512]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return explain(err)
	}
	start := bytes.TrimLeft(head[:n], " \t\r\n\xef\xbb\xbf")
	switch {
	case len(start) == 0 && int64(n) == info.Size():
		return errors.New("the file is empty: fetch it again")
	case bytes.HasPrefix(start, []byte("PK")):
		return s.addZip(f, info.Size())
	case bytes.HasPrefix(start, []byte("%PDF")):
		s.pdf = true
		return nil
	case strings.EqualFold(filepath.Ext(f.Name()), ".zip"):
		return errors.New("is not a zip: fetch it again from the link in Spotify's mail")
	}
	s.seen++
	return s.addFile(file{
		File: File{Name: s.name, Size: info.Size()},
		open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, 0, info.Size())), nil },
	})
}

// addFolder adds the history files and zips in a folder and the folders in it.
func (s *source) addFolder(folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return explain(err)
	}
	s.export.closers = append(s.export.closers, root)
	visited := 0
	var zips []string
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", shownName(name), explain(err))
		}
		if visited++; visited > maxVisited {
			return fmt.Errorf("there are more than %d files in it: give the folder of the export itself", maxVisited)
		}
		if entry.IsDir() {
			if name != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "__MACOSX") {
				return fs.SkipDir
			}
			return nil
		}
		s.seen++
		s.look(entry.Name())
		isZip := strings.EqualFold(path.Ext(name), ".zip")
		if !isZip && !isHistory(entry.Name()) {
			return nil
		}
		// Not entry.Info: a link within the folder is as good as a file.
		info, err := root.Stat(filepath.FromSlash(name))
		if err != nil && entry.Type()&fs.ModeSymlink != 0 && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s: is a link to something outside of this folder: give that itself", shownName(name))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", shownName(name), explain(err))
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		if isZip {
			zips = append(zips, name)
			return nil
		}
		return s.addFile(file{
			File: File{Name: s.name + "/" + shownName(name), Size: info.Size()},
			base: entry.Name(),
			open: func() (io.ReadCloser, error) { return root.Open(filepath.FromSlash(name)) },
		})
	})
	if err != nil {
		return err
	}
	s.sort()
	// The zips one by one, each in its own order.
	for _, name := range zips {
		f, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			return fmt.Errorf("%s: %w", shownName(name), explain(err))
		}
		s.export.closers = append(s.export.closers, f)
		info, err := f.Stat()
		if err != nil {
			return fmt.Errorf("%s: %w", shownName(name), explain(err))
		}
		inner := &source{export: s.export, name: s.name + "/" + shownName(name)}
		if err := inner.addZip(f, info.Size()); err != nil {
			return fmt.Errorf("%s: %w", shownName(name), err)
		}
		s.files = append(s.files, inner.files...)
		s.seen += inner.seen
		s.pdf = s.pdf || inner.pdf
	}
	return nil
}

// addZip adds the history files in a zip.
func (s *source) addZip(r io.ReaderAt, size int64) error {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		return explainZip(r, err)
	}
	for _, entry := range archive.File {
		// Some programs write the backslashes of Windows. The folder itself is an
		// entry with 11 bytes in Spotify's zips; its name ends in a slash.
		name := strings.ReplaceAll(entry.Name, `\`, "/")
		base := path.Base(name)
		if strings.HasSuffix(name, "/") || strings.HasPrefix(name, "__MACOSX/") || strings.Contains(name, "/__MACOSX/") {
			continue
		}
		s.seen++
		s.look(base)
		if !isHistory(base) {
			continue
		}
		if err := checkEntry(name, entry); err != nil {
			return fmt.Errorf("%s: %w", shownName(name), err)
		}
		err := s.addFile(file{
			File: File{Name: s.name + ": " + shownName(name), Size: int64(entry.UncompressedSize64)},
			base: base, packed: true,
			open: entry.Open,
		})
		if err != nil {
			return err
		}
	}
	s.sort()
	return nil
}

// checkEntry refuses what cannot be one of Spotify's files. That an entry is no
// longer than it says is checked by archive/zip.
func checkEntry(name string, entry *zip.File) error {
	size, compressed := entry.UncompressedSize64, entry.CompressedSize64
	switch {
	case !filepath.IsLocal(name):
		return errors.New("the zip has a name in it that leads out of its folder: it is not as Spotify made it, take the original")
	case entry.Flags&1 != 0:
		return errors.New("is protected by a password: unpack the zip and give the folder")
	case entry.Method != zip.Store && entry.Method != zip.Deflate:
		return fmt.Errorf("is compressed in a way that is not known here (method %d): unpack the zip and give the folder", entry.Method)
	case size > maxFile:
		return tooLarge(size)
	case size > ratioFrom && size > maxRatio*compressed:
		return fmt.Errorf("%d bytes of it would become %d: it is not as Spotify made it, take the original", compressed, size)
	}
	return nil
}

func tooLarge(size uint64) error {
	return fmt.Errorf("has %d bytes, and at most %d are read: Spotify's files have 13 MB, take the original or cut it in pieces", size, maxFile)
}

// addFile learns the format of a file from its first row and adds it.
func (s *source) addFile(f file) error {
	var err error
	if f.Size > maxFile {
		err = tooLarge(uint64(f.Size))
	} else {
		err = f.look()
	}
	if err != nil && f.base != "" {
		err = fmt.Errorf("%s: %w", shownName(f.base), err)
	}
	if err == nil {
		f.Series, f.Number = seriesOf(f.Name)
		s.files = append(s.files, f)
	}
	return err
}

// look recognises the format of a file by the keys of its first row, and reads that.
func (f *file) look() error {
	r, err := f.open()
	if err != nil {
		return explain(err)
	}
	defer r.Close()
	rows := newArray(r)
	var problem error
	for rows.next() {
		if f.Format, err = formatOf(rows.element); err == errNotObject { // one bad row, perhaps
			problem = cmp.Or(problem, err)
			continue
		}
		if err != nil {
			return f.damage(r, err)
		}
		var first Row
		decoder := newDecoder(time.Now()) // of its own: Rows will read the row again
		decoder.decode(f.Format, rows.element, &first)
		f.First = first.Report.EndedAt
		return nil
	}
	// Some files of the account data are "{ }" where there is nothing to say.
	if err := rows.err(); err != nil && !(err == errNotArray && f.base != "" && f.Size < 16) {
		return explain(f.damage(r, err))
	}
	return problem
}

// damage is the error that a file's content led to, or that it is not what was
// packed, which explains any other.
func (f *file) damage(r io.Reader, err error) error {
	if !f.packed {
		return err
	}
	if _, failed := io.Copy(io.Discard, r); failed != nil {
		return failed
	}
	return err
}

func formatOf(row []byte) (Format, error) {
	has := map[string]bool{}
	var keys []string
	members := object{rest: row}
	for members.next() {
		has[string(members.key)] = true
		if len(keys) < 5 {
			keys = append(keys, shown(members.key))
		}
	}
	switch {
	case members.broken:
		return Empty, errNotObject
	case has["endTime"] && has["chapterName"]:
		return AccountAudiobooks, nil
	case has["endTime"] && has["episodeName"]:
		return AccountPodcasts, nil
	case has["endTime"] && has["trackName"]:
		return AccountMusic, nil
	case has["ms_played"] || has["spotify_track_uri"]:
		return Extended, nil
	}
	return Empty, fmt.Errorf("is not a Spotify streaming history: its first row has %s; %s", strings.Join(keys, ", "), expected)
}

// seriesOf takes the name of a history file apart, with its folder and zip, whether
// it was found or given by hand.
func seriesOf(name string) (series string, number int) {
	base := path.Base(strings.ReplaceAll(name, ": ", "/"))
	m := numbered.FindStringSubmatch(strings.ToLower(base))
	if m == nil || !isHistory(base) {
		return "", 0
	}
	number, _ = strconv.Atoi(m[2])
	return strings.TrimSuffix(name, base) + m[1], number
}

// look takes note of what else lies around.
func (s *source) look(base string) {
	if strings.EqualFold(path.Ext(base), ".pdf") {
		s.pdf = true
	}
}

// numbered takes the name of a history file apart: what sort of file it is, and
// its number. Spotify counts in the order of time, so _10 comes after _9.
var numbered = regexp.MustCompile(`^([a-z_]*).*?(\d+)(?: ?\(\d+\))?\.json$`)

// sort puts the files of one source into the order of Export.Files.
func (s *source) sort() {
	type place struct {
		sort   string // in the order of the alphabet, as it happens
		number int
		name   string
	}
	placeOf := func(f file) place {
		m := numbered.FindStringSubmatch(strings.ToLower(f.base))
		if m == nil {
			return place{sort: strings.ToLower(f.base), name: f.Name}
		}
		number, _ := strconv.Atoi(m[2])
		return place{m[1], number, f.Name}
	}
	slices.SortStableFunc(s.files, func(a, b file) int {
		x, y := placeOf(a), placeOf(b)
		return cmp.Or(
			cmp.Compare(x.sort, y.sort),
			cmp.Compare(x.number, y.number),
			cmp.Compare(x.name, y.name),
		)
	})
}

// spool copies standard input into a file that has no name any more.
func spool(ctx context.Context, stdin io.Reader, dir string) (*os.File, error) {
	if stdin == nil {
		return nil, errors.New("there is no standard input")
	}
	f, err := os.CreateTemp(dir, "spotify-exporter-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file (TMPDIR says where): %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("take the temporary file's name away: %w", err)
	}
	copied := make(chan error, 1)
	go func() { // that waits for its input, and nothing ends it but the process
		n, err := io.Copy(f, io.LimitReader(stdin, maxSpool+1))
		if err == nil && n > maxSpool {
			err = fmt.Errorf("has more than %d bytes: give the file itself", maxSpool)
		}
		copied <- err
	}()
	select {
	case err = <-copied:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("keep it in a temporary file (TMPDIR says where): %w", err)
	}
	return f, nil
}

// explain says what to do about an error of reading.
func explain(err error) error {
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("user id %d may not read it: give that user the right to (chmod), or pipe it in with -", os.Geteuid())
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such file or folder")
	case errors.Is(err, zip.ErrChecksum), errors.As(err, &corrupt):
		return fmt.Errorf("%w: fetch it again (%w)", ErrDamaged, err)
	case errors.Is(err, zip.ErrFormat):
		return fmt.Errorf("the zip holds something else than it says: it is not as Spotify made it, take the original (%w)", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errCutShort
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("the row has more than %d bytes, or its quotes or brackets are not in pairs: the file has been changed, take the original", maxRow)
	}
	return err
}

func explainZip(r io.ReaderAt, err error) error {
	var head [4]byte
	if _, readErr := r.ReadAt(head[:], 0); readErr == nil && string(head[:]) == "PK\x03\x04" {
		return fmt.Errorf("is only a part of a zip, its end is missing: fetch it again (%w)", err)
	}
	return fmt.Errorf("is not a zip: fetch it again from the link in Spotify's mail (%w)", err)
}

// shownName is a name for people: one that could play tricks on a terminal is quoted.
func shownName(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}
