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
	unicode16 "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
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
	"*streaming_history_*.json", // Audio, Video; people put names before it
	"*endsong*.json", "*endvideo*.json",
	"*streaminghistory*.json", // music_0, podcast_0, audiobook_0, and 0 before 2024
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
	odd    []error // what is wrong with files that are left out
	seen   int     // files of any sort
	pdf    bool    // one of them was a PDF
}

// add finds the history files of one path. Its error is that of a path that cannot be
// opened; what is wrong with the content of files is in Export.leftOut.
func (e *Export) add(ctx context.Context, path string, stdin io.Reader, o Options) error {
	s := &source{export: e, name: shownName(path)}
	err := s.find(ctx, path, stdin, o)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%s: %w", s.name, err)
	case len(s.files)+len(s.odd) > 0:
	case s.pdf:
		s.leaveOut("", fmt.Errorf("only Spotify's ReadMe is here, not the history that came with it; %s", expected))
	case s.seen == 0:
		s.leaveOut("", fmt.Errorf("there is nothing in it; %s", expected))
	default:
		s.leaveOut("", fmt.Errorf("no streaming history among its %s; %s", english.Plural(s.seen, "file", ""), expected))
	}
	e.files = append(e.files, s.files...)
	e.leftOut = append(e.leftOut, s.odd...)
	return nil
}

// leaveOut notes why a file of the source, or with no name the source itself, is left
// out.
func (s *source) leaveOut(file string, err error) {
	if file != "" {
		err = fmt.Errorf("%s: %w", shownName(file), err)
	}
	s.odd = append(s.odd, fmt.Errorf("%s: %w", s.name, err))
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
	start := bytes.TrimLeft(head[:n], "\x00 \t\r\n\xef\xbb\xbf")
	switch {
	case len(start) == 0 && int64(n) == info.Size():
		s.leaveOut("", errors.New("the file is empty: fetch it again"))
	case bytes.HasPrefix(start, []byte("PK")):
		s.addZip(f, info.Size())
	case bytes.HasPrefix(start, []byte("%PDF")):
		s.pdf = true
	case strings.EqualFold(filepath.Ext(f.Name()), ".zip"):
		s.leaveOut("", errors.New("is not a zip: fetch it again from the link in Spotify's mail"))
	default:
		s.seen++
		s.addFile(file{
			File: File{Name: s.name, Size: info.Size()},
			open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, 0, info.Size())), nil },
		})
	}
	return nil
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
			s.leaveOut(name, explain(err))
			return nil
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
		switch {
		case err != nil && entry.Type()&fs.ModeSymlink != 0 && !errors.Is(err, fs.ErrNotExist):
			s.leaveOut(name, errors.New("is a link to something outside of this folder: give that itself"))
		case err != nil:
			s.leaveOut(name, explain(err))
		case !info.Mode().IsRegular():
		case isZip:
			zips = append(zips, name)
		default:
			s.addFile(file{
				File: File{Name: s.name + "/" + shownName(name), Size: info.Size()},
				base: entry.Name(),
				open: func() (io.ReadCloser, error) { return root.Open(filepath.FromSlash(name)) },
			})
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.sort()
	// The zips one by one, each in its own order.
	for _, name := range zips {
		f, err := root.Open(filepath.FromSlash(name))
		if err != nil {
			s.leaveOut(name, explain(err))
			continue
		}
		s.export.closers = append(s.export.closers, f)
		info, err := f.Stat()
		if err != nil {
			s.leaveOut(name, explain(err))
			continue
		}
		inner := &source{export: s.export, name: s.name + "/" + shownName(name)}
		inner.addZip(f, info.Size())
		s.files = append(s.files, inner.files...)
		s.odd = append(s.odd, inner.odd...)
		s.seen += inner.seen
		s.pdf = s.pdf || inner.pdf
	}
	return nil
}

// addZip adds the history files in a zip.
func (s *source) addZip(r io.ReaderAt, size int64) {
	archive, err := zip.NewReader(r, size)
	if err != nil {
		s.leaveOut("", explainZip(r, err))
		return
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
		if strings.EqualFold(path.Ext(base), ".zip") {
			s.leaveOut(name, errors.New("is a zip within the zip: unpack the outer one and give this one"))
		}
		if !isHistory(base) {
			continue
		}
		if err := checkEntry(name, entry); err != nil {
			s.leaveOut(name, err)
			continue
		}
		s.addFile(file{
			File: File{Name: s.name + ": " + shownName(name), Size: int64(entry.UncompressedSize64)},
			base: base, packed: true,
			open: entry.Open,
		})
	}
	s.sort()
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
	return fmt.Errorf("has %d bytes, and at most %d are read: Spotify's files have 13 MB, take the original or cut it in pieces", size, uint64(maxFile))
}

// addFile learns the format of a file from its first row and adds it.
func (s *source) addFile(f file) {
	var err error
	if f.Size > maxFile {
		err = tooLarge(uint64(f.Size))
	} else {
		err = f.look()
	}
	if err != nil {
		s.leaveOut(f.base, err)
		return
	}
	if n := parseName(f.Name); n.original {
		f.Series, f.FirstYear, f.LastYear, f.Number = n.folder+n.sort, n.firstYear, n.lastYear, n.number
	}
	s.files = append(s.files, f)
}

// look recognises the format of a file by the keys of its first row, and reads that.
func (f *file) look() error {
	r, err := f.text()
	if err != nil {
		return explain(err)
	}
	defer r.Close()
	rows := newArray(r)
	var problem error
	for rows.next() {
		f.Format, err = formatOf(rows.element)
		switch {
		case err == errNotObject: // one bad row, perhaps
			problem = cmp.Or(problem, err)
			continue
		case err != nil && rows.lines && f.base != "" && string(bytes.Join(bytes.Fields(rows.element), nil)) == "{}":
			return nil // some files of the account data are "{ }" where there is nothing to say
		case err != nil && rows.lines: // an object, and not one of the rows
			return f.damage(r, errNotArray)
		case err != nil:
			return f.damage(r, err)
		}
		var first Row
		decoder := newDecoder(time.Now()) // of its own: Rows will read the row again
		decoder.decode(f.Format, rows.element, &first)
		f.First = first.Report.EndedAt
		return nil
	}
	err = rows.err()
	if err != nil && rows.lines { // as above, and it has no end either
		err = errNotArray
	}
	if err != nil {
		return explain(f.damage(r, err))
	}
	return problem
}

// text opens the file and turns UTF-16, in which some programs on Windows write, with
// and without its mark, into UTF-8.
func (f *file) text() (io.ReadCloser, error) {
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	buffered := bufio.NewReader(r)
	head, _ := buffered.Peek(4) // what is wrong with a shorter file is said when it is read
	isText := func(c byte) bool { return c != 0 && c < 0x80 }
	order, wide := unicode16.LittleEndian, false
	switch {
	case len(head) < 4:
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), isText(head[0]) && head[1] == 0 && isText(head[2]) && head[3] == 0:
		wide = true
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}), head[0] == 0 && isText(head[1]) && head[2] == 0 && isText(head[3]):
		order, wide = unicode16.BigEndian, true
	}
	text := io.Reader(buffered)
	if wide {
		text = transform.NewReader(buffered, unicode16.UTF16(order, unicode16.UseBOM).NewDecoder())
	}
	return struct {
		io.Reader
		io.Closer
	}{text, r}, nil
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

// fileName is what the name of a history file says.
type fileName struct {
	folder, sort        string // sort: in lower case, the whole name if it says nothing
	firstYear, lastYear int    // 0: none
	number              int    // 0: none, or the first
	original            bool   // named as Spotify does, and no copy
}

// historyName takes the name of a history file apart. Newer exports number the files
// of each year anew, older ones count on.
var historyName = regexp.MustCompile(`^(.*?(?:streaming_history_[a-z]+|endsong|endvideo|streaminghistory(?:_[a-z]+)?))(?:_(\d{4})(?:-(\d{4}))?)?(?:_?(\d+))?([^/]*)\.json$`)

// parseName reads the name of a history file, with its folder and zip, whether it was
// found or given by hand.
func parseName(name string) fileName {
	base := path.Base(strings.ReplaceAll(name, ": ", "/"))
	m := historyName.FindStringSubmatch(strings.ToLower(base))
	if m == nil {
		return fileName{sort: strings.ToLower(base)}
	}
	n := fileName{folder: strings.TrimSuffix(name, base), sort: m[1], original: m[5] == ""}
	// What has no digits is 0.
	n.firstYear, _ = strconv.Atoi(m[2])
	n.lastYear, _ = strconv.Atoi(cmp.Or(m[3], m[2]))
	n.number, _ = strconv.Atoi(m[4])
	return n
}

// look takes note of what else lies around.
func (s *source) look(base string) {
	if strings.EqualFold(path.Ext(base), ".pdf") {
		s.pdf = true
	}
}

// sort puts the files of one source into the order of Export.Files.
func (s *source) sort() {
	slices.SortStableFunc(s.files, func(a, b file) int {
		x, y := parseName(a.Name), parseName(b.Name)
		return cmp.Or(
			cmp.Compare(x.sort, y.sort), // in the order of the alphabet, as it happens
			cmp.Compare(x.firstYear, y.firstYear),
			cmp.Compare(x.number, y.number),
			cmp.Compare(a.Name, b.Name),
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
		return nil, fmt.Errorf("keep it in a file meanwhile: %w", err)
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
		return nil, fmt.Errorf("keep it in a file meanwhile: %w", err)
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
