package journal_test

import (
	"testing"
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// Chapters of audiobooks are episodes of a show in the Web API. What is heard live and
// the export's row are one chapter, whichever comes first.
func TestAChapterIsOne(t *testing.T) {
	live := journal.Item{Kind: journal.Episode, URI: "spotify:episode:0000000000000000000001", Name: "Track 1", DurationMS: 249_652,
		Artists: []journal.Artist{{ID: "s1", Name: "The Book"}}, Album: "The Book", AlbumID: "s1", AlbumArtists: []journal.Artist{{ID: "s1", Name: "The Book"}}}
	book := []journal.Artist{{Name: "The Book"}}
	inExport := journal.Item{Kind: journal.Chapter, URI: live.URI, Name: "The Book", Artists: book, Album: "The Book", AlbumArtists: book} // its title may be null
	inAccount := journal.Item{Kind: journal.Chapter, Name: "Track 1", Artists: []journal.Artist{{Name: "An Author"}}, Album: "The Book", AlbumArtists: book}
	tracked := looked(live, noon, 240_000, 2*time.Second)
	history := inHistory(live, noon, 240_100)
	history.Item = inExport
	account := inAccountData(live, noon, 240_100)
	account.Item = inAccount
	for _, c := range []struct {
		name    string
		reports []journal.Report
		kind    journal.Kind
	}{
		{"live and in the history", []journal.Report{tracked, history}, journal.Chapter},
		{"live and in the account data", []journal.Report{tracked, account}, journal.Episode}, // the uri is said to be one
		{"all of them", []journal.Report{tracked, account, history}, journal.Chapter},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, order := range orders(len(c.reports)) {
				j, influx := open(t, journal.Options{}), newDatabase()
				for _, i := range order {
					record(t, j, c.reports[i])
					influx.drain(t, j, 100)
				}
				all := plays(t, j)
				if len(all) != 1 || all[0].Item.Kind != c.kind || all[0].Item.Name != "Track 1" || all[0].MSPlayed != 240_100 {
					t.Errorf("order %v: got %+v", order, all)
				} else if len(influx.points) != 1 || influx.points[place(all[0])] != describe(all[0]) {
					t.Errorf("order %v: in InfluxDB is %v", order, influx.points)
				}
			}
		})
	}
}
