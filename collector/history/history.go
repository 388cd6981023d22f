// Package history reads Spotify's privacy exports, the extended streaming
// history and the account data, row by row and without unpacking them.
package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"time"

	"github.com/dustin/go-humanize/english"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// Format is how the rows of a file are written.
type Format uint8

// The formats of history files. A file without a row has none.
const (
	Empty Format = iota
	Extended
	AccountMusic
	AccountPodcasts
	AccountAudiobooks
)

var formatNames = [...]string{"empty", "extended history", "account data, music", "account data, podcasts", "account data, audiobooks"}

// String returns the format's name for people.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("format %d", f)
}

// File is one JSON file of an export.
type File struct {
	Name   string // the path as given and, of an archive or a folder, the name in it
	Format Format
	Size   int64     // bytes of JSON, not compressed
	First  time.Time // end of the first row's play, zero if that cannot be read
	// What the name says. Within one year the files of a series are in the order of
	// their numbers, and nothing was played between two of them whose numbers follow
	// each other. Series is "" if the name tells nothing, or is that of a copy.
	Series              string
	FirstYear, LastYear int // 0: the name has none
	Number              int // from 0
}

// Reason is why a row is no report; "" if it is one.
type Reason string

// The reasons for which a row is not a report.
const (
	// BadRow cannot be understood: no JSON object, or ts (endTime), ms_played
	// (msPlayed) or a uri is missing or of another type.
	BadRow Reason = "bad_row"
	// BadTime has an end that cannot be: before Spotify was there, or to come.
	BadTime Reason = "bad_time"
	// BadMSPlayed has a listening time that cannot be: below 0 or above 7 days.
	BadMSPlayed Reason = "bad_ms_played"
)

// Row is one row of an export: a report, or the reason why it is none.
type Row struct {
	File   int   // index into Export.Files
	Index  int   // number in its file, from 1
	Offset int64 // byte of the file at which it starts
	Report journal.Report
	Reason Reason
	Detail string // of the reason, for people: `ts: "yesterday" is not a time`
	// Damaged is set if a name has U+FFFD in it, which stands for a character that the
	// file, saved again in another encoding, has lost.
	Damaged bool
	// MSPlayed is what the row says was listened, a report or not; 0 if it does not
	// say it, or what cannot be.
	MSPlayed int64
}

// Options are the settings of Open.
type Options struct {
	// TempDir is where standard input is kept while it is read, in a file of mode
	// 0600 that loses its name at once. It is needed for standard input only.
	TempDir string
}

// Export is what one or several paths hold of a listening history.
type Export struct {
	files   []file
	leftOut []error
	closers []io.Closer
	decoder decoder
}

// file is a File and the way to its contents.
type file struct {
	File
	base   string // its own name, without folders; "" if it was given by hand
	packed bool   // in a zip, which has a checksum of it
	open   func() (io.ReadCloser, error)
}

// ErrDamaged is the error of a zip whose checksum is wrong: any of its rows may be
// another one than was played.
var ErrDamaged = errors.New("the zip is damaged")

// Open finds the history files in paths: zips as downloaded, folders (of JSON
// files, of an unpacked zip, of zips), JSON files, or "-" for a zip or a JSON
// file on stdin. It reads the first row of each file to learn its format, and
// nothing of any other file. A file that is no history, or cannot be read, does not
// keep the others from being read: see LeftOut. The error names every path that is
// not there and, if no file can be read, every file, and says what to do about it.
//
// A zip needs random access, so standard input is kept in a temporary file as it
// comes (compressed, nameless, at most 1 GiB); what a zip holds is never written
// anywhere. A JSON file may have 2 GiB, in a zip at most 200 times its compressed
// size, and a row 1 MiB: a hundred times what Spotify sends. When ctx ends, the
// error is its cause.
func Open(ctx context.Context, paths []string, stdin io.Reader, o Options) (*Export, error) {
	e := &Export{}
	e.decoder = newDecoder(time.Now())
	var problems []error
	for _, path := range paths {
		if err := e.add(ctx, path, stdin, o); err != nil {
			problems = append(problems, err)
		}
	}
	if len(paths) == 0 {
		problems = append(problems, errors.New("no file given: "+expected))
	}
	if len(problems) > 0 || len(e.files) == 0 {
		problems = append(problems, e.leftOut...)
	}
	if len(problems) == 0 && e.empty() {
		problems = append(problems, e.leftOut...)
		problems = append(problems, fmt.Errorf("%s: the export is empty: no play in %s", paths[0], english.Plural(len(e.files), "file", "")))
	}
	if len(problems) > 0 {
		e.Close()
		return nil, errors.Join(problems...)
	}
	return e, nil
}

func (e *Export) empty() bool {
	for i := range e.files {
		if e.files[i].Format != Empty {
			return false
		}
	}
	return true
}

// Files returns the files that Rows reads, in its order: path by path as given,
// in each the audio files in the order of their numbers, then the video files,
// then account data.
func (e *Export) Files() []File {
	files := make([]File, len(e.files))
	for i := range e.files {
		files[i] = e.files[i].File
	}
	return files
}

// LeftOut returns an error for every file that Rows does not read, since it is no
// history or cannot be read. It names the file and says what to do.
func (e *Export) LeftOut() []error { return e.leftOut }

// Rows reads every row of every file. A row that cannot be understood comes with
// its Reason. An error ends the file that it names, after all rows before it (with
// ErrDamaged that may be all rows, and any of them may be the damaged one); whoever
// goes on ranging gets the next file. When ctx ends, the last error is its cause.
func (e *Export) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for i := range e.files {
			if !e.rows(ctx, i, yield) {
				return
			}
		}
	}
}

func (e *Export) rows(ctx context.Context, index int, yield func(Row, error) bool) bool {
	f := &e.files[index]
	if f.Format == Empty {
		return true
	}
	r, err := f.text()
	if err != nil {
		return yield(Row{File: index}, fmt.Errorf("%s: %w", f.Name, explain(err)))
	}
	defer r.Close()

	rows := newArray(r)
	n := 0
	for rows.next() {
		if ctx.Err() != nil {
			yield(Row{File: index}, context.Cause(ctx))
			return false
		}
		n++
		row := Row{File: index, Index: n, Offset: rows.offset}
		e.decoder.decode(f.Format, rows.element, &row)
		if !yield(row, nil) {
			return false
		}
	}
	if err := rows.err(); err != nil {
		err = f.damage(r, err)
		err = fmt.Errorf("%s, row %d (byte %d): %w", f.Name, n+1, rows.offset, explain(err))
		return yield(Row{File: index, Index: n + 1, Offset: rows.offset}, err)
	}
	return true
}

// UnknownKeys returns the keys that no row was expected to have and that were
// passed over, each with the number of rows read so far that had it. A key that
// is known but has a value of another type, where that does no harm, is listed
// as `shuffle (of another type)`.
func (e *Export) UnknownKeys() map[string]int { return maps.Clone(e.decoder.unknown) }

// Close closes the files. Rows cannot be called after it.
func (e *Export) Close() error {
	var problems []error
	for _, c := range e.closers {
		problems = append(problems, c.Close())
	}
	e.closers = nil
	return errors.Join(problems...)
}
