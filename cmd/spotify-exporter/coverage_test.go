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
	span := func(from, until int) journal.Covered { return journal.Covered{From: year(from), Until: year(until)} }
	audio := func(number int) history.File {
		return history.File{Format: history.Extended, Series: "my.zip: streaming_history_audio_", Number: number}
	}
	type file struct {
		history.File
		from, until int
	}
	for _, c := range []struct {
		name  string
		files []file
		want  []journal.Covered
	}{
		{"all files", []file{{audio(0), 2013, 2020}, {audio(1), 2021, 2022}, {audio(2), 2023, 2024}}, []journal.Covered{span(2013, 2024)}},
		{"one is missing", []file{{audio(0), 2013, 2020}, {audio(2), 2023, 2024}}, []journal.Covered{span(2013, 2020), span(2023, 2024)}},
		{"videos only", []file{{history.File{Format: history.Extended, Series: "streaming_history_video_", Number: 2024}, 2018, 2024}}, nil},
		{"podcasts only", []file{{history.File{Format: history.AccountPodcasts, Series: "streaminghistory_podcast_"}, 2018, 2024}}, nil},
		{"account data", []file{{history.File{Format: history.AccountMusic, Series: "streaminghistory_music_"}, 2023, 2024}}, []journal.Covered{span(2023, 2024)}},
		{"two exports", []file{{audio(0), 2013, 2020}, {history.File{Format: history.Extended, Series: "other.zip: streaming_history_audio_", Number: 1}, 2022, 2024}},
			[]journal.Covered{span(2013, 2020), span(2022, 2024)}},
		{"names that tell nothing", []file{{history.File{Format: history.Extended}, 2013, 2014}, {history.File{Format: history.Extended}, 2016, 2017}},
			[]journal.Covered{span(2013, 2014), span(2016, 2017)}},
		{"no play in it", []file{{audio(0), 2013, 2014}, {File: audio(1)}, {audio(2), 2016, 2017}}, []journal.Covered{span(2013, 2014), span(2016, 2017)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files []history.File
			for _, f := range c.files {
				files = append(files, f.File)
			}
			coverage := newCoverage(files)
			for i, f := range c.files {
				if f.from != 0 {
					coverage.add(i, year(f.until)) // rows may be in any order
					coverage.add(i, year(f.from))
				}
			}
			if got := coverage.covered(); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
