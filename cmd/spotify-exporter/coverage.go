package main

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// coverage is of which times an export has all songs: of each file from its first to
// its last play, and of what lies between files that adjoin. Videos and podcasts say
// nothing about the songs in between.
type coverage struct {
	files []history.File
	times []journal.Covered // by file
}

func newCoverage(files []history.File) *coverage {
	return &coverage{files: files, times: make([]journal.Covered, len(files))}
}

// add notes when a play of a file ended.
func (c *coverage) add(file int, ended time.Time) {
	t := &c.times[file]
	if t.From.IsZero() || ended.Before(t.From) {
		t.From = ended
	}
	if ended.After(t.Until) {
		t.Until = ended
	}
}

// covered returns the times, in their order. None of them touch.
func (c *coverage) covered() []journal.Covered {
	var all []journal.Covered
	last := -1 // the file before
	for i := range c.files {
		t := c.times[i]
		if t.From.IsZero() || !hasSongs(&c.files[i]) {
			continue
		}
		if last >= 0 && c.adjoin(last, i) {
			all = append(all, journal.Covered{From: earlier(c.times[last].Until, t.From), Until: t.From})
		}
		all = append(all, t)
		last = i
	}
	slices.SortFunc(all, func(a, b journal.Covered) int { return a.From.Compare(b.From) })
	var joined []journal.Covered
	for _, t := range all {
		switch last := len(joined) - 1; {
		case last < 0 || t.From.After(joined[last].Until):
			joined = append(joined, t)
		case t.Until.After(joined[last].Until):
			joined[last].Until = t.Until
		}
	}
	return joined
}

// hasSongs reports whether a file has all songs of its time.
func hasSongs(f *history.File) bool {
	return f.Format == history.AccountMusic || f.Format == history.Extended && !strings.Contains(f.Series, "video")
}

// adjoin reports whether nothing was played between two files. Numbers prove that
// within one year only: newer exports number the files of each year anew.
func (c *coverage) adjoin(a, b int) bool {
	before, after := &c.files[a], &c.files[b]
	return before.Series != "" && before.Series == after.Series && before.Number+1 == after.Number &&
		cmp.Or(before.LastYear, c.times[a].Until.Year()) == cmp.Or(after.FirstYear, c.times[b].From.Year())
}

// shortestUncovered is from how long on a time between files that has no rows is
// told. Nobody listens every day, so a shorter one means little.
const shortestUncovered = 7 * 24 * time.Hour

// uncovered returns the times that no file covers though there are rows before and
// after.
func uncovered(covered []journal.Covered) []journal.Covered {
	var between []journal.Covered
	for i := 1; i < len(covered); i++ {
		t := journal.Covered{From: covered[i-1].Until, Until: covered[i].From}
		if t.Until.Sub(t.From) >= shortestUncovered {
			between = append(between, t)
		}
	}
	return between
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
