package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/dustin/go-humanize/english"

	"github.com/spotify-exporter/spotify-exporter/collector/clean"
	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// balance is the balance sheet of an import: what became of every row. Its JSON
// is what scripts may rely on.
type balance struct {
	Rows       int                    `json:"rows"`
	Stored     int                    `json:"stored"`     // made a play
	Upgraded   int                    `json:"upgraded"`   // made a play better that another witness had seen
	Known      int                    `json:"known"`      // were held before, or changed nothing
	Duplicates int                    `json:"duplicates"` // the same import has said it before
	NotStored  map[history.Reason]int `json:"not_stored"`

	// Listening time of all rows; of those that are in the journal now, by this
	// import or before it; and of the others, which are duplicates or not stored.
	MSIn        int64 `json:"ms_in"`
	MSStored    int64 `json:"ms_stored"`
	MSNotStored int64 `json:"ms_not_stored"`

	GapsClosed int     `json:"gaps_closed"`
	First      *string `json:"first"` // ends of the first and the last play; RFC 3339 in UTC
	Last       *string `json:"last"`
	Batch      *int64  `json:"batch"` // null: nothing was written

	Files       []fileRows                `json:"files"`
	Examples    map[history.Reason]string `json:"examples"`     // of rows that are not stored
	UnknownKeys []string                  `json:"unknown_keys"` // that were passed over
	LeftOut     []string                  `json:"left_out"`     // files that could not be read, and why
	Uncovered   []stretch                 `json:"uncovered"`    // times of a week and more that no file covers, between those that have rows

	files       []history.File
	first, last time.Time
	uncovered   []journal.Covered
	noItem      int // rows of which nothing is known but that something was played
	private     int
}

// fileRows is how many rows were read of a file.
type fileRows struct {
	Name   string `json:"name"`
	Format string `json:"format"`
	Rows   int    `json:"rows"`
	// DamagedTitles is how many rows have characters in a name that the file has lost.
	DamagedTitles int `json:"damaged_titles"`
}

// stretch is a time, RFC 3339 in UTC.
type stretch struct {
	From  string `json:"from"`
	Until string `json:"until"`
}

func newBalance(files []history.File) *balance {
	b := &balance{
		NotStored: make(map[history.Reason]int),
		Examples:  make(map[history.Reason]string),
		LeftOut:   []string{},
		Uncovered: []stretch{},
		files:     files,
	}
	for _, file := range files {
		b.Files = append(b.Files, fileRows{Name: file.Name, Format: file.Format.String()})
	}
	return b
}

// read counts a row.
func (b *balance) read(row *history.Row) {
	b.Rows++
	b.Files[row.File].Rows++
	b.MSIn += row.MSPlayed
	if row.Damaged {
		b.Files[row.File].DamagedTitles++
	}
	if row.Reason == "" {
		return
	}
	b.NotStored[row.Reason]++
	b.MSNotStored += row.MSPlayed
	if b.Examples[row.Reason] == "" {
		b.Examples[row.Reason] = fmt.Sprintf("%s, row %d: %s", b.files[row.File].Name, row.Index, row.Detail)
	}
}

// recorded counts what has become of a report.
func (b *balance) recorded(report *journal.Report, outcome journal.Outcome) {
	switch outcome {
	case journal.New:
		b.Stored++
	case journal.Upgraded:
		b.Upgraded++
	case journal.Known:
		b.Known++
	case journal.Repeated:
		b.Duplicates++
		b.MSNotStored += report.MSPlayed
		return
	case journal.Refused:
		b.NotStored[history.BadTime]++
		b.MSNotStored += report.MSPlayed
		return
	}
	b.MSStored += report.MSPlayed
	if b.first.IsZero() || report.EndedAt.Before(b.first) {
		b.first = report.EndedAt
	}
	if report.EndedAt.After(b.last) {
		b.last = report.EndedAt
	}
	if report.Item.Kind == journal.Unknown {
		b.noItem++
	}
	if report.Incognito != nil && *report.Incognito {
		b.private++
	}
}

// end sets what is known when all is recorded.
func (b *balance) end(batch int64, unknownKeys map[string]int, covered []journal.Covered) {
	b.Batch = known(batch)
	b.uncovered = uncovered(covered)
	for _, t := range b.uncovered {
		b.Uncovered = append(b.Uncovered, stretch{t.From.UTC().Format(rfc3339Milli), t.Until.UTC().Format(rfc3339Milli)})
	}
	if !b.first.IsZero() {
		b.First, b.Last = new(b.first.UTC().Format(rfc3339Milli)), new(b.last.UTC().Format(rfc3339Milli))
	}
	b.UnknownKeys = slices.AppendSeq([]string{}, maps.Keys(unknownKeys))
	slices.Sort(b.UnknownKeys)
}

// check is an error if a row or a ms is not accounted for.
func (b *balance) check() error {
	accounted := b.Stored + b.Upgraded + b.Known + b.Duplicates + b.notStored()
	if accounted != b.Rows || b.MSStored+b.MSNotStored != b.MSIn {
		return fmt.Errorf("the balance sheet does not add up: %d rows and %d ms read, %d rows and %d ms accounted for; please report this",
			b.Rows, b.MSIn, accounted, b.MSStored+b.MSNotStored)
	}
	return nil
}

func (b *balance) notStored() int {
	sum := 0
	for _, n := range b.NotStored {
		sum += n
	}
	return sum
}

// summary is what the journal keeps.
func (b *balance) summary() (string, error) {
	content, err := json.Marshal(b)
	return string(content), err
}

// print writes the balance sheet for people.
func (b *balance) print(w io.Writer, zone *time.Location, recordPrivate bool) error {
	var text strings.Builder
	line := func(format string, values ...any) { fmt.Fprintf(&text, format+"\n", values...) }
	count := func(name string, n int, note string) {
		line("%s", strings.TrimRight(fmt.Sprintf("  %-14s%12s  %s", name, humanize.Comma(int64(n)), note), " "))
	}
	line("Rows")
	archive := ""
	for _, file := range b.Files {
		from, name, packed := strings.Cut(file.Name, ": ")
		switch {
		case !packed:
			from, name = "", file.Name
		case from != archive:
			line("  %s", from)
		}
		archive = from
		line("  %12s  %s (%s)", humanize.Comma(int64(file.Rows)), name, file.Format)
	}
	line("\nWhat became of them")
	count("stored", b.Stored, "")
	count("upgraded", b.Upgraded, "made a play better that was recorded already")
	count("known", b.Known, "were here already")
	count("duplicates", b.Duplicates, "say what an earlier row says")
	count("not stored", b.notStored(), "")
	for _, reason := range slices.Sorted(maps.Keys(b.NotStored)) {
		count("  "+string(reason), b.NotStored[reason], "such as "+b.Examples[reason])
	}
	count("together", b.Rows, "")
	line("\nHours")
	hours := func(name string, ms int64, note string) {
		line("%s", strings.TrimRight(fmt.Sprintf("  %-14s%12s  %s", name, humanize.CommafWithDigits(float64(ms)/3_600_000, 1), note), " "))
	}
	hours("in", b.MSIn, "")
	hours("stored", b.MSStored, "now or before")
	hours("left out", b.MSNotStored, "of duplicates and of what is not stored")
	line("")
	if !b.first.IsZero() {
		line("Plays from %s to %s.", b.first.In(zone).Format(time.DateOnly), b.last.In(zone).Format(time.DateOnly))
	}
	for _, t := range b.uncovered {
		line("No rows between %s and %s, though there are before and after: no file covers that time.", t.From.In(zone).Format(time.DateOnly), t.Until.In(zone).Format(time.DateOnly))
	}
	for _, file := range b.Files {
		if file.DamagedTitles > 0 {
			line("%s: %s with letters that were lost (\ufffd): the file has been saved again in another encoding. They are stored; importing the file as Spotify made it mends them.",
				file.Name, english.Plural(file.DamagedTitles, "title", ""))
		}
	}
	if b.noItem > 0 {
		line("Rows that do not say what was played (removed titles, local files): %s. They stay in the journal.", humanize.Comma(int64(b.noItem)))
	}
	if b.private > 0 && !recordPrivate {
		line("Rows of private sessions: %s. They stay in the journal.", humanize.Comma(int64(b.private)))
	}
	if b.GapsClosed > 0 {
		line("Closed %s of the history.", english.Plural(b.GapsClosed, "gap", ""))
	}
	if len(b.UnknownKeys) > 0 {
		line("Keys that were passed over, since nothing is known of them: %s.", strings.Join(b.UnknownKeys, ", "))
	}
	_, err := io.WriteString(w, clean.Lines(text.String())) // file names and examples are from elsewhere
	return err
}

// printBatches lists imports for people.
func printBatches(w io.Writer, batches []journal.Batch, zone func(account string) *time.Location) {
	for i := range batches {
		batch := &batches[i]
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", batch.ID, batch.Account, batch.StartedAt.In(zone(batch.Account)).Format("2006-01-02 15:04"),
			humanize.Comma(batch.Reports), batchState(batch), clean.Line(batch.Source))
	}
}

func batchState(batch *journal.Batch) string {
	switch {
	case !batch.UndoneAt.IsZero():
		return "undone"
	case batch.Undoing:
		return "undone in part"
	case batch.EndedAt.IsZero():
		return "incomplete"
	}
	return "complete"
}

// batchRecord is an import as scripts see it.
type batchRecord struct {
	ID        int64           `json:"id"`
	Account   string          `json:"account"`
	State     string          `json:"state"` // complete, incomplete, undone in part or undone
	StartedAt string          `json:"started_at"`
	Reports   int64           `json:"reports"`
	Source    string          `json:"source"`
	Summary   json.RawMessage `json:"summary"` // the balance sheet, null if it is incomplete
}

func newBatchRecord(batch *journal.Batch) batchRecord {
	return batchRecord{
		ID: batch.ID, Account: batch.Account, State: batchState(batch), StartedAt: batch.StartedAt.UTC().Format(rfc3339Milli),
		Reports: batch.Reports, Source: batch.Source, Summary: json.RawMessage(cmp.Or(batch.Summary, "null")),
	}
}
