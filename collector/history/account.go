package history

import (
	"time"

	"github.com/spotify-exporter/spotify-exporter/collector/journal"
)

// account decodes a row of the account data's streaming history. Its endTime is
// the extended history's ts cut to the minute, in UTC; rows that are equal in all
// that it says have been merged by Spotify (28 plays into 6 rows were seen).
func (d *decoder) account(raw []byte, row *Row) {
	var (
		end                   time.Time
		msPlayed              int64 = -1
		track, artist         string
		episode, podcast      string
		chapter, book, author string
	)
	members := object{rest: raw}
	for members.next() {
		value := members.value
		switch key := members.key; string(key) {
		case "endTime":
			end = d.end(key, value, "2006-01-02 15:04", row)
		case "msPlayed":
			msPlayed = d.msPlayed(key, value, row)
		case "trackName":
			track = d.name(key, value, row)
		case "artistName":
			artist = d.name(key, value, row)
		case "episodeName":
			episode = d.name(key, value, row)
		case "podcastName":
			podcast = d.name(key, value, row)
		case "chapterName":
			chapter = d.name(key, value, row)
		case "audiobookName":
			book = d.name(key, value, row)
		case "authorName":
			author = d.name(key, value, row)
		default:
			d.unknownKey(string(key))
		}
	}
	switch {
	case members.broken:
		row.fail(BadRow, "it is not a JSON object")
	case end.IsZero():
		row.fail(BadRow, "it has no endTime")
	case msPlayed < 0:
		row.fail(BadRow, "it has no msPlayed")
	}
	if row.Reason != "" {
		return
	}

	r := &row.Report
	r.Witness = journal.AccountData
	r.EndedAt, r.MSPlayed = end, msPlayed
	switch {
	case chapter != "" || book != "":
		r.Item = item(journal.Chapter, "", chapter, book, book)
		// The extended history does not know the author: with the book as the album's
		// artist here too, both have the same key and find each other.
		if author != "" {
			r.Item.Artists = []journal.Artist{{Name: author}}
		}
	case episode != "" || podcast != "":
		r.Item = item(journal.Episode, "", episode, podcast, podcast)
	case track == "Unknown Track" && artist == "Unknown Artist":
		// What has no item in the extended history: kind unknown.
	case track != "" || artist != "":
		r.Item = item(journal.Track, "", track, artist, "")
	}
}
