package prom

import (
	"time"

	"github.com/dustin/go-humanize"
	"github.com/prometheus/client_golang/prometheus"
)

// JournalFiles is what is known of the files of the journal.
type JournalFiles struct {
	InPlace   bool      // they are those that the exporter has open
	Rescued   int       // copies, and notes, of files that were removed or replaced while they were in use
	Intact    *bool     // whether the journal was sound when it was read as a whole; nil: it was not yet
	CheckedAt time.Time // when that was
}

func (f *families) collectJournalFiles(ch chan<- prometheus.Metric, files *JournalFiles) {
	f.journalInPlace.sendBool(ch, files.InPlace)
	f.journalRescued.send(ch, float64(files.Rescued))
	if files.Intact != nil {
		f.journalIntact.sendBool(ch, *files.Intact)
	}
}

// withFiles adds to the card of the journal what is known of its files.
func (c card) withFiles(files *JournalFiles, now time.Time) card {
	if files == nil {
		return c
	}
	if files.Intact != nil {
		f := moment("Read as a whole", files.CheckedAt, now)
		f.Text += ", sound"
		if !*files.Intact {
			f.Text, f.Tone = "damaged", bad
			c.Status, c.Tone = "damaged", bad
			c.Note = "A part of the file is damaged. Keep a copy of it, and restore the last backup: see SpotifyJournalDamaged in the runbook."
		}
		c.Facts = append(c.Facts, f)
	}
	if files.Rescued > 0 {
		c.Facts = append(c.Facts, fact{Name: "Rescued", Text: humanize.Comma(int64(files.Rescued)) + ", see SpotifyJournalRescued in the runbook", Tone: warning})
	}
	if !files.InPlace {
		c.Status, c.Tone = "its files are gone", bad
		c.Note = "The files were removed or replaced, and what they held cannot be written. Do not stop the exporter: see SpotifyJournalDisplaced in the runbook."
	}
	return c
}
