package main

import (
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

// covered returns the times.
func (c *coverage) covered() []journal.Covered {
	var all []journal.Covered
	last := -1 // file that the last of all is from
	for i := range c.files {
		t := c.times[i]
		if t.From.IsZero() || !hasSongs(&c.files[i]) {
			continue
		}
		if last >= 0 && adjoin(&c.files[last], &c.files[i]) {
			joined := &all[len(all)-1]
			if t.From.Before(joined.From) {
				joined.From = t.From
			}
			if t.Until.After(joined.Until) {
				joined.Until = t.Until
			}
		} else {
			all = append(all, t)
		}
		last = i
	}
	return all
}

// hasSongs tells whether a file has all songs of its time.
func hasSongs(f *history.File) bool {
	return f.Format == history.AccountMusic || f.Format == history.Extended && !strings.Contains(f.Series, "video")
}

// adjoin tells whether nothing was played between two files, which are in order.
func adjoin(a, b *history.File) bool {
	return a.Series != "" && a.Series == b.Series && b.Number-a.Number <= 1
}
