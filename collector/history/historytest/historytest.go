// Package historytest writes Spotify's privacy exports of a made-up listener of
// whom the truth is known, with every sort of row and oddity that real exports
// have, as large as wanted and in little memory.
package historytest

import (
	"iter"
	"math/rand/v2"
	"strconv"
	"time"
)

// Options are the settings of New. The listening of two generators with the same
// rows and seed is the same, however it is written, but for audiobooks, which
// exports with the old keys do not know. New exports have no start for plays
// before October 2022 that were made online; old ones have it from 2017 on.
type Options struct {
	Rows     int    // rows of the extended history
	Seed     uint64 // the same seed makes the same bytes
	OldKeys  bool   // the keys of exports until October 2024
	OldNames bool   // endsong_0.json instead of Streaming_History_Audio_2013_0.json

	RowsPerFile int // 0: as many as Spotify writes, 16,000 or (account data) 10,000
}

// Play is one play that the listener made.
type Play struct {
	Kind      string // track, episode, chapter, unknown
	URI       string // "" of an unknown one, as are the names
	Name      string
	Artist    string // of an episode the show, of a chapter the book's title
	Album     string // likewise
	Author    string // of a chapter: the account data knows it
	StartedAt time.Time
	EndedAt   time.Time // to the ms; exports know it to the second, the account data to the minute
	MSPlayed  int64
	Incognito bool
	Skipped   bool

	ts        time.Time // of its row: the end, or the upload
	video     bool
	offline   bool
	end       string // reason_end
	begin     string // reason_start
	platform  string
	startUnit time.Duration // of offline_timestamp; 0: not known
}

// Truth is what an export holds.
type Truth struct {
	Files      int
	Rows       int            // all: plays, duplicates and rows that are none
	Plays      int            // distinct ones
	Duplicates int            // rows that say the same as the one before
	NotStored  map[string]int // rows that are no play, by the reason that a reader must give
	Kinds      map[string]int // plays by kind
	Incognito  int            // plays
	Exported   int            // plays that are neither incognito nor unknown
	MSPlayed   int64          // of all plays
	First      time.Time      // of the rows' times
	Last       time.Time
}

// Listening is what the listener did.
type Listening struct{ o Options }

// New returns a listening history from March 2013 to the 26th of September 2024.
func New(o Options) *Listening { return &Listening{o} }

// Plays yields each play once, in the order of their ends.
func (l *Listening) Plays() iter.Seq[Play] {
	return func(yield func(Play) bool) {
		for r := range l.rows() {
			if r.bad == 0 && !r.copy && !yield(r.Play) {
				return
			}
		}
	}
}

// row is one row of the extended history.
type row struct {
	Play
	copy bool // says the same as the row before
	bad  int  // 0, or the number of the mistake in it, see mistakes
}

// mistakes are the reasons of rows that cannot be stored, by row.bad.
var mistakes = [...]string{1: "bad_row", 2: "bad_row", 3: "bad_row", 4: "bad_ms_played", 5: "bad_time"}

// The listener's years. Until March 2017 nobody kept starts; then they were in
// milliseconds, and plays without a connection were stamped when they were
// uploaded; since October 2022 they are in seconds.
var (
	firstDay     = time.Date(2013, 3, 1, 0, 0, 0, 0, time.UTC)
	startsKnown  = time.Date(2017, 3, 1, 0, 0, 0, 0, time.UTC)
	startsInS    = time.Date(2022, 10, 14, 10, 0, 0, 0, time.UTC)
	chaptersFrom = time.Date(2023, 11, 1, 0, 0, 0, 0, time.UTC)
	lastDay      = time.Date(2024, 9, 26, 0, 0, 0, 0, time.UTC)
)

const (
	meanPlay    = 155 * time.Second // with the pause after it
	meanSession = 12                // plays
)

func (l *Listening) rows() iter.Seq[row] {
	return func(yield func(row) bool) {
		random := rand.New(rand.NewPCG(l.o.Seed, 5))
		works := rand.NewZipf(random, 1.05, 20, uint64(l.o.Rows/8+20))
		now := firstDay
		for n := 0; n < l.o.Rows; {
			// As long as it takes for the rows that are left to end on the last day.
			left := lastDay.Sub(now)
			mean := max(left/time.Duration(l.o.Rows-n)-meanPlay, time.Second) * meanSession
			pause := min(time.Duration(random.ExpFloat64()*float64(mean)), max(left, 0))
			now = now.Add(pause + 2*time.Second).Truncate(time.Millisecond)
			var session []Play
			session, now = l.session(random, works, now)
			for _, p := range session {
				r := row{Play: p}
				rolled := random.IntN(1000)
				if p.Kind == "chapter" && l.o.OldKeys {
					continue
				}
				out := []row{r}
				switch {
				case rolled == 0:
					r.bad = 1 + n%5
					out = append(out, r)
				case rolled <= 5 && p.ts.Before(startsInS):
					r.copy = true
					out = append(out, r)
				}
				for _, r := range out {
					if n == l.o.Rows {
						return
					}
					n++
					if !yield(r) {
						return
					}
				}
			}
		}
	}
}

// session is what the listener plays in a row, on one device.
func (l *Listening) session(random *rand.Rand, works *rand.Zipf, now time.Time) ([]Play, time.Time) {
	plays := make([]Play, 1+random.IntN(2*meanSession-1))
	offline := random.IntN(33) == 0
	incognito := random.IntN(100) == 0
	platform := platforms[random.IntN(len(platforms))]
	begin := "clickrow"
	var work uint64
	for i := range plays {
		p := &plays[i]
		switch {
		case i > 0 && plays[i-1].MSPlayed == 0:
			work++ // two plays of one song in one second cannot be told apart in every export
		case i == 0 || random.IntN(30) > 0:
			work = works.Uint64()
		}
		p.describe(random, work, now)
		p.offline, p.Incognito, p.platform = offline, incognito, platform
		p.begin = begin

		duration := int64(120_000 + work*7919%180_000)
		switch roll := random.IntN(100); {
		case roll < 2:
			p.MSPlayed, p.end = 0, "endplay"
		case roll < 32:
			p.MSPlayed, p.end = 1_000+random.Int64N(29_000), "fwdbtn"
		case roll < 36:
			p.MSPlayed, p.end = 30_000+random.Int64N(duration-30_000), "backbtn"
		case roll < 40:
			p.MSPlayed, p.end = 30_000+random.Int64N(duration-30_000), "logout"
		default:
			p.MSPlayed, p.end = duration, "trackdone"
		}
		p.Skipped = p.end == "endplay" || p.end == "fwdbtn" || p.end == "backbtn"
		begin = p.end

		p.StartedAt = now
		pause := time.Duration(random.IntN(1500)) * time.Millisecond
		if now.After(startsInS) && random.IntN(20) == 0 {
			pause = time.Duration(random.IntN(600)) * time.Second
		}
		p.EndedAt = now.Add(time.Duration(p.MSPlayed)*time.Millisecond + pause)
		p.ts = p.EndedAt
		switch {
		case now.Before(startsKnown):
		case now.Before(startsInS):
			p.startUnit = time.Millisecond
		default:
			p.startUnit = time.Second
		}
		// In the ms years a skipper can start several songs in one second.
		now = p.EndedAt.Add(time.Duration(30+random.IntN(300)) * time.Millisecond)
		if p.startUnit != time.Millisecond {
			now = now.Add(time.Second)
		}
	}
	if offline && plays[0].startUnit == time.Millisecond && plays[len(plays)-1].startUnit == time.Millisecond {
		now = now.Add(2*time.Minute + time.Duration(random.IntN(6*3600))*time.Second)
		for i := range plays {
			p := &plays[i]
			p.EndedAt = p.StartedAt.Add(time.Duration(p.MSPlayed) * time.Millisecond)
			p.ts = now
		}
	}
	return plays, now
}

var platforms = [...]string{
	"android", "ios", "osx", "windows", "web_player osx 10.15.7;chrome 103.0.0.0;desktop",
	"Android OS 11 API 30 (Google, Pixel 3a)", "OS X 10.13.6 [x86 8]", "not_applicable",
	"Partner google cast_voice;Google_Home;;5.10.0--1.56.500000",
	"Partner android_sdk HUAWEI;vtr-l29;0123456789abcdef0123456789abcdef;8.0.0_arm64-v8a",
}

// describe says what the work with that number is.
func (p *Play) describe(random *rand.Rand, work uint64, now time.Time) {
	number := strconv.FormatUint(work, 10)
	switch roll := random.IntN(1000); {
	case roll < 3:
		p.Kind = "unknown"
		return
	case roll < 30:
		p.Kind = "episode"
		p.Name = "Episode " + number + ": “Wie geht’s?”"
		p.Artist = "Show " + strconv.FormatUint(work%40, 10)
		p.Album = p.Artist
	case roll < 40 && now.After(chaptersFrom):
		p.Kind = "chapter"
		p.Name = "Chapter " + number
		p.Artist = "Book " + strconv.FormatUint(work%15, 10)
		p.Album = p.Artist
		p.Author = "Author " + strconv.FormatUint(work%15, 10)
	default:
		p.Kind = "track"
		p.video = roll >= 995
		p.Name = "Song " + number
		p.Artist = "Artist " + strconv.FormatUint(work/9, 10)
		p.Album = "Album " + strconv.FormatUint(work/4, 10)
		switch work % 50 {
		case 1:
			p.Name += ` (live at "O\O")`
		case 2:
			p.Name = "\u2060" + p.Name
		case 3:
			p.Name = "歌 " + number + " 🎧"
		case 4:
			p.Artist += " & Björk"
		}
	}
	// A fifth of the songs is on several releases, with a uri each.
	release := uint64(0)
	if work%5 == 0 {
		release = random.Uint64N(2)
	}
	p.URI = "spotify:" + p.Kind + ":" + id(work*2+release, p.Kind)
}

// id makes the 22 characters of a Spotify id.
func id(number uint64, kind string) string {
	const alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	source := rand.NewPCG(number, uint64(kind[0]))
	var text [22]byte
	for i := range text {
		text[i] = alphabet[source.Uint64()%uint64(len(alphabet))]
	}
	return string(text[:])
}
