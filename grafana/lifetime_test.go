package grafana_test

import (
	"fmt"
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
	"github.com/spotify-exporter/spotify-exporter/exporter/influxtest"
)

// lifetimeYears is how long the listener has listened whom the boards are measured on.
const lifetimeYears = 20

// lifetime is what somebody has listened to until now, in sessions of a dozen: of 300,000
// listens, 36,000 songs by 14,000 artists. For the last three years the player was followed.
func lifetime(listens int, now time.Time) iter.Seq[journal.Report] {
	return func(yield func(journal.Report) bool) {
		const session = 12
		random := rand.New(rand.NewPCG(20, 7))
		works := rand.NewZipf(random, 1.01, 60, 42_000)
		at := now.AddDate(-lifetimeYears, 0, 0)
		pause := now.Sub(at)/time.Duration(listens)*session - session*170*time.Second
		for n := range listens {
			if n%session == 0 {
				at = at.Add(time.Duration(random.ExpFloat64() * float64(pause)))
			}
			item := work(works.Uint64())
			played, reason, skipped := item.DurationMS, "trackdone", false
			if random.IntN(4) == 0 {
				played, reason, skipped = random.Int64N(item.DurationMS), "fwdbtn", true
			}
			began := at.Add(time.Second)
			at = began.Add(time.Duration(played) * time.Millisecond)
			if at.After(now) {
				return
			}
			report := journal.Report{
				Witness: journal.ExtendedHistory, Item: item, StartedAt: began, EndedAt: at, MSPlayed: played,
				ReasonStart: "trackdone", ReasonEnd: reason, Platform: "android", Country: "DE",
				Shuffle: new(n/session%3 == 0), Offline: new(n/session%30 == 0), Incognito: new(false), Skipped: &skipped,
			}
			if now.Sub(at) < 3*365*24*time.Hour {
				device := n / session % 4
				report.Device = []string{"Kitchen", "Phone", "Desk", "Living room"}[device]
				report.DeviceType = []string{"Speaker", "Smartphone", "Computer", "TV"}[device]
				report.ContextType = []string{"playlist", "album", "artist", "collection"}[device]
				report.ContextURI = fmt.Sprintf("spotify:%s:%022d", report.ContextType, n/session%200)
			}
			if !yield(report) {
				return
			}
		}
	}
}

// work is what is known of the song of a number.
func work(number uint64) journal.Item {
	artist := name("artist", number%13_997, 2)
	item := journal.Item{
		Kind: journal.Track, URI: fmt.Sprintf("spotify:track:%022d", number), Name: name("song", number, 3),
		Artists: []journal.Artist{{ID: fmt.Sprintf("%022d", number%13_997), Name: artist}},
		Album:   name("album", number/3, 3), AlbumID: fmt.Sprintf("%022d", number/3), ISRC: fmt.Sprintf("DEX%09d", number),
		ReleaseDate: fmt.Sprint(1955 + number*7919%70), DurationMS: int64(130_000 + number*7919%180_000),
		Explicit: new(number%9 == 0), ImageURL: fmt.Sprintf("https://i.scdn.co/image/%040d", number/3),
	}
	item.AlbumArtists = item.Artists
	switch {
	case number%5 == 0:
		guest := (number*31 + 7) % 13_997
		item.Artists = append(item.Artists, journal.Artist{ID: fmt.Sprintf("%022d", guest), Name: name("artist", guest, 2)})
	case number%50 == 1:
		item.Kind, item.URI, item.ISRC = journal.Episode, fmt.Sprintf("spotify:episode:%022d", number), ""
	}
	return item
}

// name makes words that sort in no order of the numbers.
func name(of string, number uint64, words int) string {
	const syllables = "ba be bi bo bu da de di do du fa fe fi ka ke ki ko la le li lo lu ma me mi mo na ne ni no pa pe ra re ri ro sa se si so su ta te ti to"
	choice := strings.Fields(syllables)
	hash := fnv.New64a()
	fmt.Fprint(hash, of, number)
	sum := hash.Sum64()
	var text []string
	for range words {
		var word strings.Builder
		for range 3 {
			word.WriteString(choice[sum%uint64(len(choice))])
			sum /= uint64(len(choice))
			if sum == 0 {
				_, _ = hash.Write([]byte{1})
				sum = hash.Sum64()
			}
		}
		text = append(text, strings.ToUpper(word.String()[:1])+word.String()[1:])
	}
	return strings.Join(text, " ") + fmt.Sprintf(" %d", number%97)
}

// lifetimeCold is for how long nothing must have come before InfluxDB sorts what was written
// into files: ten minutes if it is not told otherwise.
const lifetimeCold = 5 * time.Second

// fillLifetime fills a server of its own with a lifetime.
func fillLifetime(t testing.TB, listens int, now time.Time) *database {
	t.Helper()
	influxtest.Require2(t)
	server := influxtest.New(t, "--storage-cache-snapshot-write-cold-duration="+lifetimeCold.String())
	a := &account{alias: "me", zone: zone(t, "Europe/Berlin")}
	d := &database{server: server, bucket: server.Bucket(t), accounts: []*account{a}}
	d.token = server.Grant(t, d.bucket, influxtest.Read)
	j := a.open(t, filepath.Join(t.TempDir(), "journal.db"))
	defer j.Close()
	witnessed := journal.Witnessed{}
	known := map[string]bool{}
	record := func() {
		if _, err := j.Record(t.Context(), a.alias, witnessed); err != nil {
			t.Fatal(err)
		}
		witnessed.Reports, witnessed.Items = nil, nil
	}
	for report := range lifetime(listens, now) {
		if !known[report.Item.URI] {
			known[report.Item.URI] = true
			witnessed.Items = append(witnessed.Items, report.Item)
		}
		witnessed.Reports = append(witnessed.Reports, report)
		if len(witnessed.Reports) == 2_500 {
			record()
		}
	}
	record()
	a.read(t, j)
	d.export(t, a, j)
	return d
}
