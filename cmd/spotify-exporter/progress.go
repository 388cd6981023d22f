package main

import (
	"fmt"
	"io"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
)

// progress shows how far something is: on a terminal as a bar, elsewhere as a
// line now and then.
type progress struct {
	out   io.Writer
	what  string // is counted: "rows"
	total int64
	bar   *progressbar.ProgressBar // nil if there is no terminal

	began, said time.Time
}

const progressInterval = 10 * time.Second // between lines

// newProgress begins to show something of which total has to be done.
func newProgress(out io.Writer, what string, total int64) *progress {
	g := &progress{out: out, what: what, total: total, began: time.Now(), said: time.Now()}
	if redraws(out) {
		g.bar = progressbar.NewOptions64(max(total, 1),
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetTheme(barTheme()),
			progressbar.OptionSetWidth(min(30, max(3, terminalWidth(out)-44-besideBar))),
			progressbar.OptionSetPredictTime(terminalWidth(out) >= 60),
			progressbar.OptionSetElapsedTime(terminalWidth(out) >= 60),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish())
	}
	return g
}

// set tells that done of the total is done, which were so many things.
func (g *progress) set(done int64, things int) {
	took := time.Since(g.began)
	rate := humanize.Comma(int64(float64(things) / took.Seconds()))
	if g.bar != nil {
		text := fmt.Sprintf("%s %s, %s/s", humanize.Comma(int64(things)), g.what, rate)
		if terminalWidth(g.out) < 60 {
			text = fmt.Sprintf("%s %s", humanize.Comma(int64(things)), g.what)
		}
		g.bar.Describe(text)
		_ = g.bar.Set64(min(done, g.total)) // the terminal may be gone: nothing to do about it
		return
	}
	if time.Since(g.said) < progressInterval || done <= 0 {
		return
	}
	g.said = time.Now()
	left := time.Duration(float64(took) * float64(g.total-done) / float64(done)).Round(time.Second)
	fmt.Fprintf(g.out, "%d %%: %s %s, %s/s, %v left\n", 100*done/max(g.total, 1), humanize.Comma(int64(things)), g.what, rate, left)
}

// setOf is set for things that become more while they are counted.
func (g *progress) setOf(done, total int64) {
	if g.bar != nil && total != g.total {
		g.bar.ChangeMax64(max(total, 1))
	}
	g.total = total
	g.set(done, int(done))
}

// say writes a line above the bar.
func (g *progress) say(format string, args ...any) {
	if g.bar != nil {
		_ = g.bar.Clear()
	}
	say(g.out, format, args...)
}

// end takes the bar away.
func (g *progress) end() {
	if g.bar != nil {
		_ = g.bar.Clear()
	}
}
