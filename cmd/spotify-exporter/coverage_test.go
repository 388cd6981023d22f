package main

import (
	"slices"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/history"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

func TestCoverage(t *testing.T) {
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	month := func(m int) time.Time { return time.Date(2020, time.Month(m), 1, 0, 0, 0, 0, time.UTC) }
	span := func(from, until time.Time) journal.Covered { return journal.Covered{From: from, Until: until} }
	of := func(series string, first, last, number int) history.File {
		return history.File{Format: history.Extended, Series: series, FirstYear: first, LastYear: last, Number: number}
	}
	audio := func(first, last, number int) history.File {
		return of("my.zip: streaming_history_audio", first, last, number)
	}
	endsong := func(number int) history.File { return of("endsong", 0, 0, number) }
	type file struct {
		history.File
		from, until time.Time
	}
	for _, c := range []struct {
		name  string
		files []file
		want  []journal.Covered
	}{
		{"within one year", []file{{audio(2013, 2020, 0), year(2013), month(2)}, {audio(2020, 2020, 1), month(3), month(4)}, {audio(2020, 2022, 2), month(5), year(2022)}},
			[]journal.Covered{span(year(2013), year(2022))}},
		{"one is missing", []file{{audio(2020, 2020, 0), month(1), month(2)}, {audio(2020, 2020, 2), month(5), month(6)}},
			[]journal.Covered{span(month(1), month(2)), span(month(5), month(6))}},
		{"across years", []file{{audio(2018, 2018, 1), year(2018), year(2018)}, {audio(2019, 2019, 2), year(2019), month(6)}},
			[]journal.Covered{span(year(2018), year(2018)), span(year(2019), month(6))}},
		{"of each year the same number", []file{{audio(2018, 2018, 1), year(2018), year(2018)}, {audio(2019, 2019, 1), year(2019), month(6)}},
			[]journal.Covered{span(year(2018), year(2018)), span(year(2019), month(6))}},
		{"no years, rows of one", []file{{endsong(0), month(1), month(2)}, {endsong(1), month(4), month(5)}}, []journal.Covered{span(month(1), month(5))}},
		{"no years, rows of two", []file{{endsong(0), year(2018), year(2019)}, {endsong(1), month(4), month(5)}},
			[]journal.Covered{span(year(2018), year(2019)), span(month(4), month(5))}},
		{"rows prove it", []file{{audio(2018, 2018, 1), year(2018), year(2019)}, {audio(2019, 2019, 1), month(1), month(6)}, {history.File{Format: history.Extended}, year(2018), month(2)}},
			[]journal.Covered{span(year(2018), month(6))}},
		{"videos only", []file{{of("streaming_history_video", 2018, 2024, 0), year(2018), year(2024)}}, nil},
		{"podcasts only", []file{{history.File{Format: history.AccountPodcasts, Series: "streaminghistory_podcast"}, year(2018), year(2024)}}, nil},
		{"account data", []file{{history.File{Format: history.AccountMusic, Series: "streaminghistory_music"}, year(2023), year(2024)}}, []journal.Covered{span(year(2023), year(2024))}},
		{"two exports", []file{{audio(2020, 2020, 0), month(1), month(2)}, {of("other.zip: streaming_history_audio", 2020, 2020, 1), month(4), month(5)}},
			[]journal.Covered{span(month(1), month(2)), span(month(4), month(5))}},
		{"copies", []file{{history.File{Format: history.Extended}, month(1), month(2)}, {history.File{Format: history.Extended}, month(4), month(5)}},
			[]journal.Covered{span(month(1), month(2)), span(month(4), month(5))}},
		{"no play in it", []file{{audio(2020, 2020, 0), month(1), month(2)}, {File: audio(2020, 2020, 1)}, {audio(2020, 2020, 2), month(5), month(6)}},
			[]journal.Covered{span(month(1), month(2)), span(month(5), month(6))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files []history.File
			for _, f := range c.files {
				files = append(files, f.File)
			}
			coverage := newCoverage(files)
			for i, f := range c.files {
				if !f.from.IsZero() {
					coverage.add(i, f.until) // rows may be in any order
					coverage.add(i, f.from)
				}
			}
			if got := coverage.covered(); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
