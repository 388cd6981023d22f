package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/spotify-exporter/spotify-exporter/collector"
	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// screen is where the demo shows what it does: lines, and below them, on a
// terminal, a bar of what plays.
type screen struct {
	out  io.Writer
	zone *time.Location

	mu    sync.Mutex
	known map[int64]bool // plays that have their line
	ended bool           // nothing more is recorded that anybody wants to see
	uri   string         // of what plays
	bar   *progressbar.ProgressBar
}

func newScreen(out io.Writer, zone *time.Location) *screen {
	return &screen{out: out, zone: zone, known: make(map[int64]bool)}
}

// line writes a line above the bar.
func (s *screen) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(format, args...)
}

func (s *screen) write(format string, args ...any) {
	if s.bar != nil {
		_ = s.bar.Clear() // it is drawn again with the next tick
	}
	say(s.out, format, args...)
}

// recorded writes a line about a play when it is new.
func (s *screen) recorded(_ string, play journal.Play) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known[play.ID] || s.ended {
		return
	}
	s.known[play.ID] = true
	s.write("recorded %s", strings.TrimSuffix(tableRow(&play, s.zone, columnsOf(s.out, len("recorded "))), "\n"))
}

// playing shows what plays now.
func (s *screen) playing(playback *collector.Playback, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if playback == nil || !playback.Playing || playback.Item == nil {
		s.clear()
		return
	}
	var artists []journal.Artist
	for _, artist := range playback.Item.Artists {
		artists = append(artists, journal.Artist{Name: artist.Name})
	}
	name := title(journal.Item{Name: playback.Item.Name, Artists: artists})
	if s.uri != playback.Item.URI {
		s.clear()
		s.uri = playback.Item.URI
		if !redraws(s.out) {
			s.write("plays    %s", strings.TrimRight(fit(name, max(12, cmp.Or(terminalWidth(s.out), 80)-len("plays    "))), " "))
			return
		}
		s.bar = progressbar.NewOptions64(playback.Duration.Milliseconds(),
			progressbar.OptionSetWriter(s.out),
			progressbar.OptionSetTheme(barTheme()),
			progressbar.OptionSetWidth(s.barWidth()),
			progressbar.OptionThrottle(50*time.Millisecond),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionClearOnFinish())
	}
	if s.bar == nil {
		return
	}
	position := playback.Progress + now.Sub(playback.At)
	if position >= playback.Duration {
		return // its end has come and nobody has looked yet
	}
	position = max(0, position)
	width := terminalWidth(s.out)
	at := fmt.Sprintf(" %5s", clockTime(position))
	if width >= 60 {
		at += " / " + clockTime(playback.Duration)
	}
	beside := len("plays    ") + len(at) + besideBar + s.barWidth()
	s.bar.Describe("plays    " + fit(name, min(40, max(4, width-beside))) + at)
	_ = s.bar.Set64(position.Milliseconds())
}

// barWidth is how wide the bar of what plays is, without what is beside it.
func (s *screen) barWidth() int { return min(14, max(3, terminalWidth(s.out)-60)) }

// clear takes the bar away.
func (s *screen) clear() {
	if s.bar != nil {
		_ = s.bar.Clear()
	}
	s.bar, s.uri = nil, ""
}

// end takes the bar away for good. Lines can still be written.
func (s *screen) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.clear()
}
